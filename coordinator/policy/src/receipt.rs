//! Receipts: what became of a push on a device, hop by hop, with exactly one terminal.
//!
//! | stage \ hop | delivered | started | finished | expired | dropped |
//! | --- | --- | --- | --- | --- | --- |
//! | accepted | delivered | started | closed | closed | closed |
//! | delivered | – | started | closed | closed | closed |
//! | started | – | started, if it is another run or a later attempt | closed | closed | closed |
//! | closed | – | – | – | – | – |
//!
//! A dash changes nothing and is not recorded: a repeat, a hop that comes after a later one, or anything after the
//! terminal. A device may leave out `delivered` and `started` (its own bound); the hops after them stand alone.
//! The accepted receipt is the push's acceptance itself.
//!
//! Deliberately absent: sequence numbers ([`fresh`] only compares them) and who may write which hop.

use serde::{Deserialize, Serialize};

use crate::{Wall, Word, bounds};

/// One hop of a push on a device. The last three kinds are terminal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// Durable at the coordinator.
    Accepted,
    /// Durable on the device.
    Delivered,
    /// A run of it began.
    Started {
        /// The run on the device.
        run: u64,
        /// 1, or more after a run that the device lost.
        attempt: u32,
    },
    /// Its last run ended: terminal.
    Finished {
        /// The run on the device.
        run: u64,
        /// 1, or more after a run that the device lost.
        attempt: u32,
        /// How it ended: completed, aborted, cancelled, …
        outcome: Word,
    },
    /// Its time to live ended before it could run: terminal.
    Expired,
    /// It will never run: terminal.
    Dropped {
        /// Why: no-handler, access, unregistered, …
        reason: Word,
    },
}

impl Hop {
    /// Nothing follows it.
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Accepted | Self::Delivered | Self::Started { .. } => false,
            Self::Finished { .. } | Self::Expired | Self::Dropped { .. } => true,
        }
    }
}

/// A hop with its time, by the clock of the one who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What happened.
    pub hop: Hop,
    /// When.
    pub at: Wall,
}

/// How far a push has come on one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing heard from the device yet.
    Accepted,
    /// The device has it.
    Delivered,
    /// It ran or runs there.
    Started {
        /// The last run recorded.
        run: u64,
        /// Its attempt.
        attempt: u32,
        /// Starts recorded so far, at most [`bounds::STARTS`].
        starts: u32,
    },
    /// It has its terminal receipt.
    Closed,
}

impl Stage {
    /// The stage after this hop, or `None` where the hop changes nothing and must not be recorded.
    #[must_use]
    pub fn advance(self, hop: &Hop) -> Option<Self> {
        match (self, hop) {
            (Self::Closed, _) | (_, Hop::Accepted) => None,
            (
                Self::Accepted | Self::Delivered | Self::Started { .. },
                Hop::Finished { .. } | Hop::Expired | Hop::Dropped { .. },
            ) => Some(Self::Closed),
            (Self::Accepted, Hop::Delivered) => Some(Self::Delivered),
            (Self::Delivered | Self::Started { .. }, Hop::Delivered) => None,
            (Self::Accepted | Self::Delivered, Hop::Started { run, attempt }) => {
                Some(Self::Started {
                    run: *run,
                    attempt: *attempt,
                    starts: 1,
                })
            }
            (
                Self::Started {
                    run: last,
                    attempt: before,
                    starts,
                },
                Hop::Started { run, attempt },
            ) => {
                let further = *run != last || *attempt > before;
                (further && starts < bounds::STARTS).then(|| Self::Started {
                    run: *run,
                    attempt: (*attempt).max(before),
                    starts: starts + 1,
                })
            }
        }
    }

    /// Whether the terminal receipt is there.
    pub fn is_closed(self) -> bool {
        match self {
            Self::Closed => true,
            Self::Accepted | Self::Delivered | Self::Started { .. } => false,
        }
    }
}

/// Whether a device's receipt is new: its sequence number lies above those already durable of the same store incarnation.
pub fn fresh(sequence: u64, durable_through: u64) -> bool {
    sequence > durable_through
}
