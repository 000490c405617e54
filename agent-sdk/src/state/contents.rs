//! The keys and values of one app, and their bounds.
//!
//! Deliberately absent: files.

use std::collections::BTreeMap;
use std::collections::btree_map::Iter;

use super::StateError;

/// Keys of one app: a few for each of the 128 registrations that it may have.
pub const KEYS: usize = 1_024;

/// Bytes of one key: those of a task's name.
pub const KEY: usize = 128;

/// Bytes of one value: a position, a list of what is left to do. More belongs into a file.
pub const VALUE: usize = 64 << 10;

/// Bytes of all keys and values, with 8 for each entry: an agent has 11 MB, and a change holds them three times.
pub const TOTAL: usize = 512 << 10;

/// Bytes that an entry has beside its key and value: their lengths.
const LENGTHS: usize = 8;

/// The state of an app at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    entries: BTreeMap<String, Vec<u8>>,
    /// Of the entries, with their lengths.
    bytes: usize,
}

impl Contents {
    /// What is kept under a key; absent = nothing.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.entries.get(key).map(Vec::as_slice)
    }

    /// Keeps a value under a key, in place of what was there. Nothing has changed where it is refused.
    ///
    /// # Errors
    /// [`StateError::Key`], [`StateError::Value`], [`StateError::Full`].
    pub fn put(&mut self, key: &str, value: impl Into<Vec<u8>>) -> Result<(), StateError> {
        let value = value.into();
        if key.is_empty() || key.len() > KEY || key.contains(char::is_control) {
            let shown = key.floor_char_boundary(KEY);
            let key = key.get(..shown).unwrap_or_default().to_owned();
            return Err(StateError::Key { key });
        }
        if value.len() > VALUE {
            return Err(StateError::Value {
                key: key.to_owned(),
                bytes: value.len(),
            });
        }
        let before = self.entries.get(key).map(|before| size(key, before));
        let bytes = self.bytes - before.unwrap_or_default() + size(key, &value);
        let keys = self.entries.len() + usize::from(before.is_none());
        if keys > KEYS || bytes > TOTAL {
            return Err(StateError::Full { keys, bytes });
        }
        self.entries.insert(key.to_owned(), value);
        self.bytes = bytes;
        Ok(())
    }

    /// Removes what is kept under a key, and answers what it was.
    pub fn remove(&mut self, key: &str) -> Option<Vec<u8>> {
        let value = self.entries.remove(key)?;
        self.bytes -= size(key, &value);
        Some(value)
    }

    /// Keys and values, in the order of keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        let entries: Iter<'_, String, Vec<u8>> = self.entries.iter();
        entries.map(|(key, value)| (key.as_str(), value.as_slice()))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One value out of what is thrown away.
    pub(super) fn take(mut self, key: &str) -> Option<Vec<u8>> {
        self.entries.remove(key)
    }

    /// Bytes of the entries in the file.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The last key, in their order.
    pub(super) fn last_key(&self) -> Option<&str> {
        self.entries.last_key_value().map(|(key, _)| key.as_str())
    }
}

fn size(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + LENGTHS
}
