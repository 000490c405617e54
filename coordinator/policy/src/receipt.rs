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

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn started(run: u64, attempt: u32) -> Hop {
        Hop::Started { run, attempt }
    }

    fn finished() -> Hop {
        Hop::Finished {
            run: 1,
            attempt: 1,
            outcome: Word::new("completed").unwrap(),
        }
    }

    fn dropped() -> Hop {
        Hop::Dropped {
            reason: Word::new("no-handler").unwrap(),
        }
    }

    fn at(starts: u32) -> Stage {
        Stage::Started {
            run: 1,
            attempt: 1,
            starts,
        }
    }

    #[test]
    fn the_full_table() {
        let stages = [
            Stage::Accepted,
            Stage::Delivered,
            at(1),
            at(bounds::STARTS),
            Stage::Closed,
        ];
        let hops = [
            Hop::Accepted,
            Hop::Delivered,
            started(1, 1),
            started(2, 1),
            started(1, 2),
            finished(),
            Hop::Expired,
            dropped(),
        ];
        let mut table = String::new();
        for stage in stages {
            writeln!(table, "{stage:?}").unwrap();
            for hop in &hops {
                match stage.advance(hop) {
                    Some(after) => writeln!(table, "    {hop:?} -> {after:?}").unwrap(),
                    None => writeln!(table, "    {hop:?} changes nothing").unwrap(),
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    fn any_hop() -> impl Strategy<Value = Hop> {
        prop_oneof![
            Just(Hop::Accepted),
            Just(Hop::Delivered),
            (1_u64..4, 1_u32..4).prop_map(|(run, attempt)| started(run, attempt)),
            Just(finished()),
            Just(Hop::Expired),
            Just(dropped()),
        ]
    }

    proptest! {
        #[test]
        fn one_terminal_and_nothing_after_it(hops in proptest::collection::vec(any_hop(), 0..60)) {
            let mut stage = Stage::Accepted;
            let mut recorded = Vec::new();
            for hop in &hops {
                if let Some(after) = stage.advance(hop) {
                    prop_assert_eq!(after.is_closed(), hop.is_terminal());
                    stage = after;
                    recorded.push(hop.clone());
                }
            }
            let terminals = recorded.iter().filter(|hop| hop.is_terminal()).count();
            prop_assert_eq!(terminals, usize::from(stage.is_closed()));
            prop_assert_eq!(terminals > 0, hops.iter().any(Hop::is_terminal));
            if let Some(place) = recorded.iter().position(Hop::is_terminal) {
                prop_assert_eq!(place + 1, recorded.len());
            }
        }
    }

    #[test]
    fn a_repeat_of_the_sequence_is_not_fresh() {
        for (sequence, through, expected) in
            [(1, 0, true), (1, 1, false), (0, 0, false), (9, 8, true)]
        {
            assert_eq!(fresh(sequence, through), expected);
        }
    }
}
