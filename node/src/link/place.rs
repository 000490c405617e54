//! The device's place in its mailbox: which mailbox, and the last push in it that is durable here.
//!
//! Kept in a small file, so that a reconnect need not have repeated what an acknowledgement was lost for. It may lag behind the store
//! (the push then comes again and is known by its id) and is never ahead of it.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::durable_file;

/// Most bytes of the file: two short fields.
const LIMIT: u64 = 4_096;

/// Most bytes of a mailbox's incarnation: a UUID has 36.
pub(super) const INCARNATION: usize = 64;

/// A place. Empty incarnation = never taken from a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Place {
    pub(super) mailbox: String,
    pub(super) delivered_through: u64,
}

/// A place as it is written. One altered digit would be a place ahead of the store, and pushes that never come.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    mailbox: String,
    delivered_through: u64,
    /// Over the other two; absent in what release 0.1 wrote.
    sum: Option<u64>,
}

impl Place {
    fn sum(&self) -> u64 {
        durable_file::sum(format!("{} {}", self.mailbox, self.delivered_through).bytes())
    }
}

/// Keeps the place in its file.
#[derive(Debug)]
pub(super) struct PlaceFile {
    path: PathBuf,
    written: Place,
}

impl PlaceFile {
    /// Reads it. A file that cannot be understood is as if there were none: what was taken before comes again.
    pub(super) fn open(path: &Path) -> Self {
        let written = match read(path) {
            Ok(place) => place,
            Err(error) => {
                tracing::warn!(file = %path.display(), %error,
                    "the place in the mailbox cannot be read; pushes not yet forgotten come again and are known by their ids");
                Place::default()
            }
        };
        let path = path.to_owned();
        Self { path, written }
    }

    /// The place as it was last written.
    pub(super) fn place(&self) -> &Place {
        &self.written
    }

    /// Writes it if it differs, off the runtime's threads.
    pub(super) async fn keep(&mut self, place: &Place) {
        if *place == self.written {
            return;
        }
        let (path, new) = (self.path.clone(), place.clone());
        let task = tokio::task::spawn_blocking(move || write(&path, &new));
        match task.await.map_err(io::Error::other).and_then(|done| done) {
            Ok(()) => self.written = place.clone(),
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the place in the mailbox cannot be written");
            }
        }
    }
}

fn write(path: &Path, place: &Place) -> io::Result<()> {
    let written = Written {
        mailbox: place.mailbox.clone(),
        delivered_through: place.delivered_through,
        sum: Some(place.sum()),
    };
    durable_file::replace(path, &serde_json::to_vec(&written)?, 0o600)
}

fn read(path: &Path) -> io::Result<Place> {
    let Some(bytes) = durable_file::read(path, LIMIT)? else {
        return Ok(Place::default());
    };
    let written: Written = serde_json::from_slice(&bytes)?;
    let place = Place {
        mailbox: written.mailbox,
        delivered_through: written.delivered_through,
    };
    if written.sum.is_some_and(|sum| sum != place.sum()) {
        let problem = "it is not what was written";
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    if place.mailbox.len() > INCARNATION {
        let problem = format!("the incarnation has more than {INCARNATION} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_altered_place_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.json");
        let place = Place {
            mailbox: "m1".into(),
            delivered_through: 1_234,
        };
        write(&path, &place).unwrap();
        let sound = std::fs::read(&path).unwrap();
        for bit in 0..8 * sound.len() {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(*PlaceFile::open(&path).place(), Place::default(), "{bit}");
        }
        for length in 0..sound.len() {
            std::fs::write(&path, &sound[..length]).unwrap();
            assert_eq!(
                *PlaceFile::open(&path).place(),
                Place::default(),
                "{length}"
            );
        }
        std::fs::write(&path, r#"{"mailbox":"m1","delivered_through":1234}"#).unwrap();
        assert_eq!(*PlaceFile::open(&path).place(), place, "as of release 0.1");
    }

    #[tokio::test]
    async fn the_place_is_kept_and_a_damaged_file_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("link.json");
        let mut file = PlaceFile::open(&path);
        assert_eq!(*file.place(), Place::default());
        let place = Place {
            mailbox: "m1".into(),
            delivered_through: 7,
        };
        file.keep(&place).await;
        assert_eq!(*PlaceFile::open(&path).place(), place);
        std::fs::write(&path, "{\"mailbox\":").unwrap();
        let mut file = PlaceFile::open(&path);
        assert_eq!(*file.place(), Place::default());
        file.keep(&place).await;
        assert_eq!(*PlaceFile::open(&path).place(), place);
    }
}
