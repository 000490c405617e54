//! A raw push as it arrives at the device, and the receipts that go back (PSH, rule book 0a).

use serde::{Deserialize, Serialize};

use crate::{AppId, PushId, ReceiptSeq, RunId, Wall};

/// What becomes of a push that is not delivered at once (rule book 0a, *Push retention*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retention {
    /// It is dropped.
    None,
    /// One for each app is kept: the newest replaces the older.
    Latest,
    /// Kept in order until its time to live.
    #[default]
    Queue,
}

/// The rule book's priorities (PSH-19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Priority {
    /// 1.
    High,
    /// 2.
    Medium,
    /// 3: a raw push's default.
    #[default]
    Low,
    /// 4.
    VeryLow,
}

impl Priority {
    /// The rule book's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::High => 1,
            Self::Medium => 2,
            Self::Low => 3,
            Self::VeryLow => 4,
        }
    }
}

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
    /// What becomes of it while it is held back.
    #[serde(default)]
    pub retention: Retention,
    /// How much it wants to be delivered (PSH-20).
    #[serde(default)]
    pub priority: Priority,
    /// Replaces an undelivered push of the same app and key.
    #[serde(default)]
    pub collapse_key: Option<Box<str>>,
}

/// What became of a push on this device, one hop each. All but the first two kinds are terminal.
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
    /// The running app got it itself (PSH-09, PSH-10): terminal.
    ShownToApp,
    /// Its time to live ended before it could run: terminal.
    Expired,
    /// It will never run: terminal.
    Dropped {
        /// Why.
        reason: crate::DropReason,
    },
}

impl Hop {
    /// Whether nothing follows it.
    pub const fn is_terminal(&self) -> bool {
        match self {
            Self::Delivered | Self::Started { .. } => false,
            Self::Finished { .. } | Self::ShownToApp | Self::Expired | Self::Dropped { .. } => true,
        }
    }
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
