//! What can go wrong with a store, sorted by who must act.

use std::path::PathBuf;

/// A commit or a read did not happen, or is not known to have happened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Too many wait already: the caller tries again, or tells its own.
    #[error("the store has {waiting} commits waiting, which is its bound; try again shortly")]
    Busy {
        /// Change lists or reads waiting.
        waiting: usize,
    },
    /// The disk has no room. Nothing was stored.
    #[error("the disk of {} has no room for a commit; free some space, no restart is needed", path.display())]
    DiskFull {
        /// The store's file.
        path: PathBuf,
    },
    /// The commit failed. Whether it is on the disk is not known: repeating the same changes is safe.
    #[error("a commit to {} failed; it is opened anew, repeat the call", path.display())]
    CommitFailed {
        /// The store's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::sync::Arc<rusqlite::Error>,
    },
    /// The file is damaged.
    #[error(
        "the store {} is damaged; start the coordinator again: it sets the file aside, keeps it, and begins anew", path.display()
    )]
    Damaged {
        /// The store's file.
        path: PathBuf,
    },
    /// A read failed.
    #[error("reading {} failed", path.display())]
    ReadFailed {
        /// The store's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::sync::Arc<rusqlite::Error>,
    },
    /// A row holds what this build cannot read.
    #[error("a row of {table} in the store cannot be read: {what}")]
    BadRow {
        /// The table.
        table: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The store is ending.
    #[error("the store is ending")]
    Ending,
}

/// The store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Written by a newer build. Nothing in it was touched.
    #[error(
        "the store {} has schema {found}, this build knows up to {known}; start the newer build, or restore a copy made before it ran", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The newest that this build knows.
        known: u32,
    },
    /// Another process has it.
    #[error("the store {} is in use by another process; only one coordinator may use a state folder", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The folder or file cannot be used.
    #[error("cannot use the store {}; check that its folder exists and belongs to this user", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// `SQLite` refuses it, and not because it is damaged.
    #[error("cannot open the store {}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
}
