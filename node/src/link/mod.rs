//! The link: the device's session with its coordinator, over mutual TLS 1.3.
//!
//! Pushes come down and are acknowledged once the engine has committed them; receipts go up until the coordinator has
//! them; credit says how many pushes the device can take. Everything may be repeated: pushes are known by their id, receipts
//! and acknowledgements by their sequence. Deliberately absent: what a push or receipt means (the machine's business), and
//! any listener: a node only ever connects out.

mod backoff;
mod credit;
mod dial;
mod end;
mod machine;
mod place;
mod receipts;
mod service;
mod session;
mod words;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{App, BootId};
use tokio::sync::{mpsc, watch};

pub use backoff::Backoff;
pub use dial::{Address, AddressError, DialError};
pub(crate) use dial::{channel, connect};
pub use service::run;

use crate::ports::{EngineRef, LinkOrder};
use crate::status::StatusBoard;

/// What the link needs.
#[derive(Debug)]
pub struct Link {
    /// Where the identity is, or will be.
    pub identity_dir: PathBuf,
    /// Where the place in the mailbox is kept (`link.json`).
    pub place_file: PathBuf,
    /// Labels that the device gives itself.
    pub labels: BTreeMap<String, String>,
    /// The kernel's boot.
    pub boot: BootId,
    /// The store's incarnation.
    pub store_incarnation: String,
    /// Takes pushes.
    pub engine: EngineRef,
    /// Receipts and credit from the engine.
    pub orders: mpsc::Receiver<LinkOrder>,
    /// The installed apps.
    pub apps: watch::Receiver<Arc<Vec<App>>>,
    /// Says whether the session is up.
    pub board: Arc<StatusBoard>,
    /// How long things may take.
    pub times: Times,
}

/// How long things may take. Tests shorten them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// A connection, and its TLS handshake, each.
    pub connect: Duration,
    /// The coordinator's hello.
    pub hello: Duration,
    /// A push until the engine has committed it; then the session ends, and the push comes again.
    pub commit: Duration,
    /// Between two writings of the place in the mailbox: each is one fsync on flash.
    pub place: Duration,
    /// A session that lived as long was healthy: reconnecting begins at its base again (R10).
    pub healthy: Duration,
    /// The span in which the first two attempts of reconnecting fall.
    pub base: Duration,
    /// The span over which a fleet is spread after that.
    pub spread: Duration,
    /// Longest delay between two attempts (R10).
    pub cap: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            hello: Duration::from_secs(15),
            commit: Duration::from_secs(30),
            place: Duration::from_secs(5),
            healthy: Duration::from_mins(1),
            base: Duration::from_secs(1),
            spread: Duration::from_secs(75),
            cap: Duration::from_secs(90),
        }
    }
}

/// Counters on the board.
pub mod counter {
    /// Sessions that came up.
    pub const SESSIONS: &str = "link-sessions";
    /// Attempts to connect that failed, and sessions that broke.
    pub const FAILURES: &str = "link-failures";
    /// Pushes handed to the engine and committed.
    pub const PUSHES: &str = "link-pushes";
    /// Pushes that no engine could take (no app id, an empty body, …); acknowledged, so that they do not come again.
    pub const MALFORMED: &str = "link-pushes-malformed";
    /// Pushes that came although they were acknowledged before.
    pub const REPEATED: &str = "link-pushes-repeated";
    /// Receipts sent, repetitions included.
    pub const RECEIPTS: &str = "link-receipts";
    /// Times that receipts had to be asked for again because one was missing.
    pub const RECEIPT_GAPS: &str = "link-receipt-gaps";
}

#[cfg(test)]
pub(crate) mod tests;
