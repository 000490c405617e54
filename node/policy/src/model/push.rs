//! A raw push as it arrives at the device, and the receipts that go back (PSH, rule book 0a).

use serde::{Deserialize, Serialize};

use crate::{AppId, PushId, ReceiptSeq, RunId, Wall};

/// A raw push for one app (PSH-05).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The id it was accepted under; seen once per device.
    pub id: PushId,
    /// Whose registrations it fires.
    pub app: AppId,
    /// 1 to 5,000 bytes of the app's own (PSH-08).
    pub payload: Vec<u8>,
    /// After this it is never run (PSH-16).
    pub expires: Wall,
}

/// What became of a push on this device, one hop each. The last three kinds are terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hop {
    /// Durable on the device.
    Delivered,
    /// A run of it began.
    Started {
        /// The run.
        run: RunId,
        /// 1, or more after a run that the node itself lost.
        attempt: u32,
    },
    /// Its last run ended: terminal.
    Finished {
        /// The run.
        run: RunId,
        /// 1, or more after a run that the node itself lost.
        attempt: u32,
        /// How it ended.
        outcome: crate::Outcome,
    },
    /// Its time to live ended before it could run: terminal.
    Expired,
    /// It will never run: terminal.
    Dropped {
        /// Why.
        reason: crate::DropReason,
    },
}

/// A receipt, durable on the device until the coordinator has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its place in this device's order.
    pub seq: ReceiptSeq,
    /// The push.
    pub push: PushId,
    /// What became of it.
    pub hop: Hop,
    /// When, by the device's clock.
    pub at: Wall,
}
