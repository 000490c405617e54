//! The tally: a small file beside the store that says how far the store has come.
//!
//! A database notices pages and rows that are wrong, not those that are gone: a log that was cut or removed, an older copy of the file,
//! a page that never reached the disk all read as a sound, earlier state. So each commit, once durable and before it is answered,
//! is noted here. The note is not synced: after a power cut it may lag behind the store, and it is never ahead of it.
//! Deliberately absent: what is done about a store that lags behind its tally (`file`).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::Incarnation;
use super::set_aside::with_suffix;
use crate::durable_file;

/// What stands behind the store's name.
pub(super) const SUFFIX: &str = "-tally";

/// Bytes of the file: one line of fixed length, well inside of what a disk writes at once.
const LENGTH: usize = 128;

/// How far a store has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tally {
    /// Which store.
    pub(super) incarnation: Incarnation,
    /// The newest schema version that was ever to be in it.
    pub(super) schema: u32,
    /// The number of its newest journal entry.
    pub(super) entry: i64,
    /// The sums of all records together when that entry was the newest; unknown while they change without an entry.
    pub(super) total: Option<i64>,
}

/// What the file says.
#[derive(Debug)]
pub(super) enum Told {
    /// There is none: the store is new, or of a release that kept none.
    Nothing,
    /// Bytes of it are others than were written: what is wrong. The store may be sound.
    Nonsense(String),
    /// It was cut, or another file has its name: the files beside each other are not those that were left here.
    Foreign(String),
    /// This.
    Tally(Tally),
}

impl Told {
    /// Reads the tally of the store at `path`.
    pub(super) fn read(path: &Path) -> io::Result<Self> {
        let bytes = match durable_file::read(&with_suffix(path, SUFFIX), LENGTH as u64) {
            Ok(None) => return Ok(Self::Nothing),
            Ok(Some(bytes)) => bytes,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Ok(Self::Foreign(error.to_string()));
            }
            Err(error) => return Err(error),
        };
        if bytes.len() != LENGTH {
            let found = format!("it has {} bytes, which it never has", bytes.len());
            return Ok(Self::Foreign(found));
        }
        let tally = std::str::from_utf8(&bytes).ok().and_then(understand);
        Ok(match tally {
            // Written again it is the same, or something of it was not understood.
            Some(tally) if tally.line().as_bytes() == bytes => Self::Tally(tally),
            Some(_) | None => Self::Nonsense("it is not as it was written".into()),
        })
    }

    pub(super) fn known(&self) -> Option<&Tally> {
        match self {
            Self::Tally(tally) => Some(tally),
            Self::Nothing | Self::Nonsense(_) | Self::Foreign(_) => None,
        }
    }
}

impl Tally {
    /// What a store that has come so far lacks; nothing, if it has all that was noted.
    pub(super) fn missing(&self, found: &Self) -> Option<String> {
        if found.incarnation != self.incarnation {
            return Some("it is another store than the one that was used last".into());
        }
        if found.entry < self.entry {
            return Some(format!(
                "it ends with entry {}, and {} was durable: its log, or newer pages, are gone",
                found.entry, self.entry
            ));
        }
        let differs = found.total != self.total && self.total.is_some();
        (found.entry == self.entry && differs)
            .then(|| format!("its records are not those of its entry {}", self.entry))
    }

    fn line(&self) -> String {
        let Self {
            incarnation,
            schema,
            entry,
            total,
        } = self;
        let total = total.map_or_else(|| "-".repeat(16), |total| format!("{total:016x}"));
        let line = format!("lull-tally 1 {incarnation} {schema:010} {entry:020} {total} ");
        let sum = durable_file::sum(line.bytes());
        format!(
            "{:<width$}\n",
            format!("{line}{sum:016x}"),
            width = LENGTH - 1
        )
    }
}

fn understand(line: &str) -> Option<Tally> {
    let mut words = line.split_ascii_whitespace().skip(2);
    let incarnation = words.next()?.parse().ok()?;
    let schema = words.next()?.parse().ok()?;
    let entry = words.next()?.parse().ok()?;
    let total = u64::from_str_radix(words.next()?, 16).ok();
    Some(Tally {
        incarnation,
        schema,
        entry,
        total: total.map(u64::cast_signed),
    })
}

/// The file, open to be written over.
#[derive(Debug)]
pub(super) struct TallyFile {
    file: File,
    path: PathBuf,
    failing: bool,
}

impl TallyFile {
    /// Opens the tally of the store at `path`, which says `tally` from now on. Where the file has its place already nothing is
    /// allocated, so that a full disk is no obstacle.
    pub(super) fn open(path: &Path, told: &Told, tally: &Tally) -> io::Result<Self> {
        let path = with_suffix(path, SUFFIX);
        if told.known().is_none() {
            durable_file::replace(&path, tally.line().as_bytes(), 0o600)?;
        }
        let file = File::options().write(true).open(&path)?;
        let mut open = Self {
            file,
            path,
            failing: false,
        };
        if told.known() != Some(tally) {
            open.write(tally)?;
        }
        Ok(open)
    }

    /// Writes it over.
    pub(super) fn write(&mut self, tally: &Tally) -> io::Result<()> {
        self.file.write_all_at(tally.line().as_bytes(), 0)
    }

    /// Notes what is durable. A note that cannot be written takes nothing from what is; it is told once.
    pub(super) fn note(&mut self, tally: &Tally) {
        match self.write(tally) {
            Ok(()) => self.failing = false,
            Err(error) => {
                if !self.failing {
                    tracing::warn!(file = %self.path.display(), %error,
                        "the store's tally cannot be written; parts of the store that go missing would not be missed");
                }
                self.failing = true;
            }
        }
    }
}

/// Says, durably, that a schema version is about to be in the store; its records change without an entry.
pub(super) fn announce(path: &Path, told: &Told, schema: u32) -> io::Result<()> {
    let Some(tally) = told.known() else {
        return Ok(());
    };
    let tally = Tally {
        schema,
        total: None,
        ..*tally
    };
    durable_file::replace(&with_suffix(path, SUFFIX), tally.line().as_bytes(), 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally() -> Tally {
        Tally {
            incarnation: Incarnation::from_u128(7),
            schema: 1,
            entry: 12,
            total: Some(-3),
        }
    }

    #[test]
    fn every_altered_bit_and_every_cut_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("store");
        let path = with_suffix(&store, SUFFIX);
        for total in [Some(i64::MIN), Some(0), None] {
            let tally = Tally { total, ..tally() };
            let sound = tally.line().into_bytes();
            assert_eq!(sound.len(), LENGTH);
            std::fs::write(&path, &sound).unwrap();
            assert_eq!(Told::read(&store).unwrap().known(), Some(&tally));
            for bit in 0..8 * LENGTH {
                let mut bytes = sound.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                std::fs::write(&path, bytes).unwrap();
                assert!(
                    matches!(Told::read(&store).unwrap(), Told::Nonsense(_)),
                    "{bit}"
                );
            }
            for length in 0..LENGTH {
                std::fs::write(&path, &sound[..length]).unwrap();
                assert!(
                    matches!(Told::read(&store).unwrap(), Told::Foreign(_)),
                    "{length}"
                );
            }
            let mut longer = sound.clone();
            longer.push(b'\n');
            std::fs::write(&path, longer).unwrap();
            assert!(matches!(Told::read(&store).unwrap(), Told::Foreign(_)));
        }
    }

    #[test]
    fn a_store_may_be_ahead_of_its_tally_and_never_behind() {
        let noted = tally();
        let found = |entry, total| Tally {
            entry,
            total: Some(total),
            ..noted
        };
        assert_eq!(noted.missing(&found(12, -3)), None);
        assert_eq!(noted.missing(&found(13, 5)), None);
        assert!(noted.missing(&found(11, -3)).unwrap().contains("entry 11"));
        assert!(noted.missing(&found(12, 5)).unwrap().contains("entry 12"));
        let changing = Tally {
            total: None,
            ..noted
        };
        assert_eq!(changing.missing(&found(12, 5)), None);
        let other = Tally {
            incarnation: Incarnation::from_u128(8),
            ..found(12, -3)
        };
        assert!(noted.missing(&other).unwrap().contains("another store"));
    }
}
