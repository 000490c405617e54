//! What was copied and verified: so that a run goes on where the last one ended.
//!
//! A text file that only grows, a line a file, each durable before the next file begins; a torn last line is skipped. It
//! is written anew when most of it is out of date. Losing it costs time, not copies: what is there already is then
//! compared.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::folder::Stamp;
use crate::digest::{Digest, Hasher};

/// Bytes of a ledger: twice what the most files take with names of usual length.
const LIMIT: u64 = 16 << 20;

/// Lines out of date that do not matter yet.
const STALE: usize = 1_000;

/// A copy that was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Of the bytes.
    pub digest: Digest,
    /// The original as it was.
    pub original: Stamp,
    /// The copy as it was made.
    pub copy: Stamp,
}

/// Why the ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The kernel refused.
    #[error("failed to {action} {}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The ledger.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// Something else wrote to it.
    #[error(
        "{} has {bytes} bytes, more than the {LIMIT} of any ledger; remove it, and what is there already is compared anew",
        path.display()
    )]
    TooLong {
        /// The ledger.
        path: PathBuf,
        /// Bytes it has.
        bytes: u64,
    },
}

/// The ledger of one pair of folders.
#[derive(Debug)]
pub(super) struct Ledger {
    path: PathBuf,
    file: File,
    entries: BTreeMap<OsString, Entry>,
    lines: usize,
}

impl Ledger {
    /// Opens the ledger of a pair of folders. It belongs to the pair: copies that stand elsewhere are not ours to replace.
    pub(super) fn open(state: &Path, from: &Path, to: &Path) -> Result<Self, LedgerError> {
        let mut pair = Hasher::new();
        pair.update(from.as_os_str().as_bytes());
        pair.update(&[0]);
        pair.update(to.as_os_str().as_bytes());
        let pair: String = pair.finish().to_string().chars().take(16).collect();
        let path = state.join(format!("photo-sync-{pair}.ledger"));
        let failed = |action| failed(action, &path);
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(&path);
        let file = file.map_err(failed("open"))?;
        let bytes = file.metadata().map_err(failed("look at"))?.len();
        if bytes > LIMIT {
            return Err(LedgerError::TooLong { path, bytes });
        }
        let mut ledger = Self {
            entries: BTreeMap::new(),
            lines: 0,
            file: file.try_clone().map_err(failed("open"))?,
            path: path.clone(),
        };
        ledger.read(file).map_err(failed("read"))?;
        Ok(ledger)
    }

    fn read(&mut self, file: File) -> io::Result<()> {
        let mut torn = false;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            self.lines += 1;
            torn = line.pop_if(|last| *last == b'\n').is_none();
            if let Some((path, entry)) = parse(&line).filter(|_| !torn) {
                self.entries.insert(path, entry);
            }
            line.clear();
        }
        if torn {
            // So that the next line is one of its own.
            self.file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// What is known of a file.
    pub(super) fn get(&self, file: &Path) -> Option<&Entry> {
        self.entries.get(file.as_os_str())
    }

    /// Notes a verified copy; it is durable when this returns.
    pub(super) fn note(&mut self, file: &Path, entry: Entry) -> Result<(), LedgerError> {
        let line = format(file.as_os_str(), &entry);
        let written = self.file.write_all(&line);
        let written = written.and_then(|()| self.file.sync_data());
        written.map_err(failed("write", &self.path))?;
        self.lines += 1;
        self.entries.insert(file.as_os_str().to_owned(), entry);
        Ok(())
    }

    /// Forgets files that are no more, and writes the ledger anew, if most of it is out of date.
    pub(super) fn tidy<'a>(
        &mut self,
        files: impl ExactSizeIterator<Item = &'a Path>,
    ) -> Result<(), LedgerError> {
        if self.lines <= files.len().saturating_mul(2).saturating_add(STALE) {
            return Ok(());
        }
        let keep = files.filter_map(|file| self.entries.remove_entry(file.as_os_str()));
        let keep: BTreeMap<OsString, Entry> = keep.collect();
        self.entries = keep;
        let anew = self.path.with_extension("ledger.new");
        self.rewrite(&anew).map_err(failed("write", &anew))?;
        let mut options = OpenOptions::new();
        let file = options.append(true).open(&self.path);
        self.file = file.map_err(failed("open", &self.path))?;
        self.lines = self.entries.len();
        Ok(())
    }

    fn rewrite(&self, anew: &Path) -> io::Result<()> {
        let mut writer = BufWriter::new(File::create(anew)?);
        for (path, entry) in &self.entries {
            writer.write_all(&format(path, entry))?;
        }
        writer.into_inner()?.sync_all()?;
        std::fs::rename(anew, &self.path)
    }
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LedgerError {
    let path = path.to_owned();
    move |source| LedgerError::File {
        action,
        path,
        source,
    }
}

/// `digest size s.ns s.ns path`; the path's line ends and backslashes are escaped.
fn format(path: &OsStr, entry: &Entry) -> Vec<u8> {
    let Entry {
        digest,
        original,
        copy,
    } = entry;
    let times = [original.changed, copy.changed].map(|(s, ns)| format!("{s}.{ns}"));
    let mut line = format!("{digest} {} {} ", original.size, times.join(" ")).into_bytes();
    for byte in path.as_bytes() {
        match byte {
            b'\\' => line.extend_from_slice(b"\\\\"),
            b'\n' => line.extend_from_slice(b"\\n"),
            byte => line.push(*byte),
        }
    }
    line.push(b'\n');
    line
}

fn parse(line: &[u8]) -> Option<(OsString, Entry)> {
    let mut fields = line.splitn(5, |byte| *byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let digest = Digest::parse(text()?)?;
    let size = text()?.parse().ok()?;
    let mut time = || {
        let (seconds, nanos) = text()?.split_once('.')?;
        Some((seconds.parse().ok()?, nanos.parse().ok()?))
    };
    let [original, copy] = [time()?, time()?].map(|changed| Stamp { size, changed });
    let mut path = Vec::new();
    let mut bytes = fields.next()?.iter();
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                other => *other,
            },
            byte => *byte,
        });
    }
    let entry = Entry {
        digest,
        original,
        copy,
    };
    Some((OsString::from_vec(path), entry))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seconds: i64) -> Entry {
        let stamp = |changed| Stamp { size: 3, changed };
        Entry {
            digest: Hasher::new().finish(),
            original: stamp((seconds, 7)),
            copy: stamp((seconds, 0)),
        }
    }

    fn open(state: &Path) -> Ledger {
        Ledger::open(state, Path::new("/in"), Path::new("/out")).unwrap()
    }

    #[test]
    fn what_was_noted_is_known_to_the_next_run_whatever_its_name() {
        let state = tempfile::tempdir().unwrap();
        let odd = PathBuf::from(OsString::from_vec(b"a b/\\n \n \xff.jpg".to_vec()));
        let mut ledger = open(state.path());
        ledger.note(&odd, entry(-5)).unwrap();
        ledger.note(Path::new("b"), entry(1)).unwrap();
        ledger.note(Path::new("b"), entry(2)).unwrap();
        let ledger = open(state.path());
        assert_eq!(ledger.get(&odd), Some(&entry(-5)));
        assert_eq!(ledger.get(Path::new("b")), Some(&entry(2)));
        let other = Ledger::open(state.path(), Path::new("/in"), Path::new("/other")).unwrap();
        assert_eq!(
            other.get(&odd),
            None,
            "a ledger belongs to its pair of folders"
        );
    }

    #[test]
    fn a_torn_line_is_skipped_and_spoils_no_other() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = open(state.path());
        ledger.note(Path::new("a"), entry(1)).unwrap();
        let whole = format(OsStr::new("torn"), &entry(1));
        ledger.file.write_all(&whole[..whole.len() - 2]).unwrap();
        let mut ledger = open(state.path());
        assert_eq!(ledger.get(Path::new("torn")), None);
        ledger.note(Path::new("c"), entry(3)).unwrap();
        let ledger = open(state.path());
        assert_eq!(ledger.get(Path::new("a")), Some(&entry(1)));
        assert_eq!(ledger.get(Path::new("c")), Some(&entry(3)));
    }

    #[test]
    fn it_is_written_anew_when_most_of_it_is_out_of_date() {
        let state = tempfile::tempdir().unwrap();
        let mut ledger = open(state.path());
        ledger.note(Path::new("a"), entry(1)).unwrap();
        ledger.lines = STALE + 3;
        ledger.note(Path::new("gone"), entry(1)).unwrap();
        ledger.tidy([Path::new("a")].into_iter()).unwrap();
        ledger.note(Path::new("b"), entry(2)).unwrap();
        let ledger = open(state.path());
        assert_eq!(ledger.lines, 2);
        assert_eq!(ledger.get(Path::new("gone")), None);
        assert_eq!(ledger.get(Path::new("b")), Some(&entry(2)));
    }

    #[test]
    fn one_that_something_else_wrote_to_is_refused_with_the_way_out() {
        let state = tempfile::tempdir().unwrap();
        open(state.path()).file.set_len(LIMIT + 1).unwrap();
        let refused = Ledger::open(state.path(), Path::new("/in"), Path::new("/out"));
        assert!(refused.unwrap_err().to_string().contains("remove it"));
    }
}
