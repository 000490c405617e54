//! The device's store: one file of the SQL database, one writer thread, one transaction for all that waits.
//!
//! The state is the truth; the journal beside it is the flight recorder. A commit that failed closes the file: it is
//! opened anew and read back before anything else is written, and an fsync is never tried twice.
//! Deliberately absent: what a record means, and what to do when a commit fails; the engine rebuilds the machine.

mod file;
mod header;
mod journal;
mod reserve;
mod rows;
mod schema;
mod set_aside;
mod tally;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use lull_policy::{Key, Record};
use uuid::Uuid;

pub use file::Contents;
pub use journal::{Journal, JournalError, Recorded};
pub use writer::Store;

/// Most pages of 4 KiB that the file may have: 512 MiB. The machine's own bounds end below 200 MiB (64 pushes of 20 KiB as text
/// for each of 128 registrations of a few apps, 65,536 seen ids, 16,384 receipts, 8 MiB of journal); a file that
/// grows beyond is a defect, and must not fill the device.
pub const MAX_PAGES: u32 = 131_072;

/// How long a commit waits for another process that holds the file (a backup, an operator's shell).
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Pages of 4 KiB in the log after which it is moved into the file.
pub const LOG_PAGES: u32 = 1_000;

/// Bytes of journal kept in the file.
pub const JOURNAL_BYTES: i64 = 8 << 20;

/// Where and how the store is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The file. Its folder exists.
    pub path: PathBuf,
    /// See [`MAX_PAGES`].
    pub max_pages: u32,
    /// See [`PATIENCE`].
    pub patience: Duration,
    /// See [`JOURNAL_BYTES`].
    pub journal_bytes: i64,
    /// See [`LOG_PAGES`].
    pub log_pages: u32,
}

impl StoreConfig {
    /// The store at `path`, with the bounds of this module.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            max_pages: MAX_PAGES,
            patience: PATIENCE,
            journal_bytes: JOURNAL_BYTES,
            log_pages: LOG_PAGES,
        }
    }
}

/// Changes that become durable together, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    /// What each key holds afterwards; `None` = nothing.
    pub changes: BTreeMap<Key, Option<Record>>,
    /// Journal entries, oldest first: a line of a recording each (`lull_recording`).
    pub journal: Vec<String>,
}

impl Batch {
    /// Whether it changes nothing that must survive.
    pub fn is_idle(&self) -> bool {
        self.changes.is_empty()
    }
}

/// What came of opening the store.
#[derive(Debug)]
pub struct Opened {
    /// To commit to.
    pub store: Store,
    /// What it held.
    pub contents: Contents,
}

/// Why the store could not be opened, or a batch not be committed. A damaged file is no error: it is set aside.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Written by a newer release.
    #[error(
        "the store {path} has schema version {found}, this release knows up to {known}; it was left untouched: install the newer release again, or move the file away to start empty"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// Files could not be read, moved or synced.
    #[error("the store's files at {path}")]
    Files {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: std::io::Error,
    },
    /// The database refused.
    #[error("{doing} the store {path}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
    /// A record cannot be written as JSON: a defect.
    #[error("writing a record of the store {path} as JSON")]
    Record {
        /// The file.
        path: PathBuf,
        /// What the serializer said.
        #[source]
        source: serde_json::Error,
    },
    /// An earlier commit failed and the file has not been opened anew.
    #[error("the store is closed since a commit failed")]
    Closed,
    /// The writer thread is gone.
    #[error("the store's writer is gone")]
    Gone,
}

impl StoreError {
    /// Whether it says that there is no room.
    fn is_full(&self) -> bool {
        matches!(self, Self::Database { source, .. } if source.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

/// A store of its own: a new one for each file that was ever created.
pub type Incarnation = Uuid;

#[cfg(test)]
pub(crate) mod tests;
