//! Key-value state that an app and its agents share (RUN-22, RUN-48).
//!
//! One small file in the app's own folder, which the node makes and an agent finds as
//! [`Agent::state`](crate::agent::Agent::state), an app by [`Front::state_folder`](crate::front::Front::state_folder). Both
//! sides read and write it; neither needs the node for it, nor that the node runs. An app keeps its status here under the
//! name of the task, and reads it at launch.
//!
//! ```
//! use lull_agent::state::{State, StateError};
//!
//! # fn main() -> Result<(), StateError> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let state = State::open(folder)?;
//! state.put("sync/cursor", b"2026-11-28")?;
//! // Several keys change together or not at all.
//! let count = state.transaction(|contents| {
//!     let count = contents.get("sync/count").map_or(0, <[u8]>::len) + 1;
//!     contents.put("sync/count", vec![b'.'; count])?;
//!     contents.remove("sync/error");
//!     Ok::<_, StateError>(count)
//! })?;
//! assert_eq!(count, 1);
//! assert_eq!(state.get("sync/cursor")?.as_deref(), Some(b"2026-11-28".as_slice()));
//! # Ok(())
//! # }
//! ```
//!
//! **What is promised.** A change that returned is on the disk: it survives kills and power cuts. One that was killed midway
//! left everything as it was. Changes follow one another, also those of different processes and threads, as each holds a lock
//! on the folder; reading waits for nobody and sees one whole state. A file that is damaged is set aside, never deleted, and
//! whoever found it is told ([`StateError::Damaged`]); the state is empty from then on.
//!
//! **Bounds.** [`KEYS`] keys of [`KEY`] bytes at most, values of [`VALUE`] bytes, and [`TOTAL`] bytes for one app. A change
//! holds the whole state in memory three times for a moment, and writes it anew: this is for positions, settings and
//! marks, not for data.
//!
//! **For other languages.** The file is called [`FILE`]: a line `lull-state 1`, then little-endian numbers of four bytes: the
//! CRC-32 (IEEE) of what follows it, the number of entries, and for each entry, in the order of keys, the lengths of key and value;
//! both follow it. Whoever writes locks the folder itself (`flock(2)`, exclusive), writes a new file beside, makes it
//! durable and renames it.
//!
//! Everything here blocks on files, some milliseconds as a rule: in async code call it from a thread that may block.
//!
//! Deliberately absent: telling the other side of a change. Progress and completion do that (RUN-17).

mod contents;
mod error;
mod files;
mod format;
mod lock;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use contents::{Contents, KEY, KEYS, TOTAL, VALUE};
pub use error::StateError;
use files::{Folder, Found};
pub use format::FILE;
use lock::Lock;

/// How long a change waits for the changes of others: they take milliseconds, a stalled disk seconds. An agent has 5 s
/// after it was asked to cancel.
const LOCK_WAIT: Duration = Duration::from_secs(4);

/// The state of one app. Cheap to clone; clones and other processes may use it at one time.
#[derive(Debug, Clone)]
pub struct State {
    folder: Arc<Folder>,
    wait: Duration,
}

impl State {
    /// The state in a folder: that of the app. There is none yet where nothing was put.
    ///
    /// # Errors
    /// [`StateError::Folder`] where the folder is not there or not this user's.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StateError> {
        Ok(Self {
            folder: Arc::new(Folder::open(folder.into())?),
            wait: LOCK_WAIT,
        })
    }

    /// Everything, as it stands together at one moment.
    ///
    /// # Errors
    /// [`StateError::Damaged`] once, when the file was set aside; [`StateError::Newer`], [`StateError::Files`].
    pub fn read(&self) -> Result<Contents, StateError> {
        match self.folder.load()? {
            Found::Whole(contents) => Ok(contents),
            // Somebody may be replacing it by a whole one; under the lock nobody is.
            Found::Damaged(_) => self.load_locked(&self.lock()?),
        }
    }

    /// What is kept under a key; absent = nothing.
    ///
    /// # Errors
    /// As of [`read`](Self::read).
    pub fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.read()?.take(key))
    }

    /// Keeps a value under a key, in place of what was there.
    ///
    /// # Errors
    /// As of [`transaction`](Self::transaction), and the bounds.
    pub fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<(), StateError> {
        self.transaction(|contents| contents.put(key, value))
    }

    /// Removes what is kept under a key, and answers what it was.
    ///
    /// # Errors
    /// As of [`transaction`](Self::transaction).
    pub fn remove(&self, key: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.transaction(|contents| Ok(contents.remove(key)))
    }

    /// Puts `new` under a key (none removes it) if what is there is `expected` (none = nothing is). Whether it was.
    ///
    /// # Errors
    /// As of [`transaction`](Self::transaction), and the bounds.
    pub fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool, StateError> {
        self.transaction(|contents| {
            if contents.get(key) != expected {
                return Ok(false);
            }
            match new {
                Some(value) => contents.put(key, value)?,
                None => drop(contents.remove(key)),
            }
            Ok(true)
        })
    }

    /// Changes several keys in one step. While `change` runs nobody else changes anything; when it returns an error, or
    /// panics, nothing has changed. Keep it short, and call nothing of a `State` in it but through what it is given: that
    /// would wait for itself.
    ///
    /// # Errors
    /// What `change` returned. [`StateError::Busy`] when others held the state for 4 s; [`StateError::Damaged`] once, before
    /// `change` was called, when the file was set aside; [`StateError::Newer`]; [`StateError::Files`], after which the
    /// change may have been kept or not.
    pub fn transaction<T, E: From<StateError>>(
        &self,
        change: impl FnOnce(&mut Contents) -> Result<T, E>,
    ) -> Result<T, E> {
        let lock = self.lock()?;
        let before = self.load_locked(&lock)?;
        let mut contents = before.clone();
        let answer = change(&mut contents)?;
        if contents != before {
            drop(before);
            self.folder.replace(&lock, &contents)?;
        }
        Ok(answer)
    }

    /// Damaged files that were set aside, oldest first. They are for whoever wants to look into them, and nobody removes
    /// them.
    ///
    /// # Errors
    /// [`StateError::Files`].
    pub fn set_aside(&self) -> Result<Vec<PathBuf>, StateError> {
        self.folder.set_aside_before()
    }

    fn lock(&self) -> Result<Lock, StateError> {
        self.folder.lock(self.wait)
    }

    /// The state; a damaged file is set aside.
    fn load_locked(&self, lock: &Lock) -> Result<Contents, StateError> {
        match self.folder.load()? {
            Found::Whole(contents) => Ok(contents),
            Found::Damaged(reason) => Err(StateError::Damaged {
                reason,
                set_aside: self.folder.set_aside(lock)?,
            }),
        }
    }
}

impl From<StateError> for io::Error {
    fn from(error: StateError) -> Self {
        io::Error::other(error)
    }
}

#[cfg(test)]
mod tests;
