//! Copies one file: in chunks, verified by what was written, and in its place only then.
//!
//! Deliberately absent: which files, and in what order.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use lull_agent::agent::Cancellation;
use rustix::fs::Advice;
use rustix::io::Errno;

use super::folder::{Entry, FileError, Folder, Stamp};
use crate::digest::{Digest, Hasher};

/// Bytes in memory at one time.
const CHUNK: usize = 64 * 1024;

/// The copy under way: one at a time, in the folder that receives, so that one left by a power cut is found again.
pub(super) const PART: &str = ".photo-sync.part";

/// Why a file was not copied.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    /// The run was asked to cancel.
    #[error("cancelled")]
    Cancelled,
    /// The kernel refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Reading or writing failed.
    #[error("failed to {action} {}", path.display())]
    Transfer {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// It is still being written to.
    #[error("{} changed while it was copied; the next run takes it", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// What was written is not what was read.
    #[error("the copy of {} reads back as other bytes than were written; check the disk it goes to", path.display())]
    Corrupted {
        /// The file.
        path: PathBuf,
    },
    /// Its place is taken by something that is no copy of it.
    #[error("{} is there already with other content and is kept; move it away or rename the new one", path.display())]
    Taken {
        /// What is there.
        path: PathBuf,
    },
}

impl CopyError {
    /// Whether the next file would meet the same: no room, or no right to write.
    pub(super) fn ends_the_run(&self) -> bool {
        let errno = match self {
            Self::Cancelled => return true,
            Self::File(error) => error.source,
            Self::Transfer { source, .. } => match Errno::from_io_error(source) {
                Some(errno) => errno,
                None => return false,
            },
            Self::Changed { .. } | Self::Corrupted { .. } | Self::Taken { .. } => return false,
        };
        matches!(errno, Errno::NOSPC | Errno::DQUOT | Errno::ROFS)
    }
}

/// How a run moves bytes: how fast, until when, and who counts them.
pub(super) struct Pace<'a> {
    /// Asked between chunks.
    pub cancellation: &'a Cancellation,
    /// Bytes a second; absent = as fast as it goes.
    pub bytes_per_second: Option<u64>,
    /// Told of each chunk that was dealt with.
    pub moved: &'a mut dyn FnMut(u64),
}

impl std::fmt::Debug for Pace<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pace")
            .field("bytes_per_second", &self.bytes_per_second)
            .finish_non_exhaustive()
    }
}

impl Pace<'_> {
    /// Takes the rest of a file, chunk by chunk; counts where asked.
    fn each_chunk(
        &mut self,
        file: &mut File,
        path: PathBuf,
        counted: bool,
        mut take: impl FnMut(&[u8]) -> Result<(), CopyError>,
    ) -> Result<(), CopyError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            if self.cancellation.is_requested() {
                return Err(CopyError::Cancelled);
            }
            let count = match file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => {
                    return Err(CopyError::Transfer {
                        action: "read",
                        path,
                        source,
                    });
                }
            };
            take(buffer.get(..count).unwrap_or_default())?;
            if counted {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                (self.moved)(count);
                self.pause(count);
            }
        }
    }

    fn pause(&self, count: u64) {
        let micros = self
            .bytes_per_second
            .map(|rate| count.saturating_mul(1_000_000) / rate.max(1));
        if let Some(micros) = micros {
            self.cancellation.wait(Duration::from_micros(micros));
        }
    }
}

/// A copy that stands in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    /// Of its bytes, read back.
    pub digest: Digest,
    /// The original when it was read.
    pub original: Stamp,
    /// The copy.
    pub copy: Stamp,
}

/// One file on its way from a folder to another.
#[derive(Debug)]
pub(super) struct Copying<'a> {
    /// The folder of the original.
    pub from: &'a Folder,
    /// The folder of the copy.
    pub to: &'a Folder,
    /// The folder of the copy under way.
    pub root: &'a Folder,
    /// The file's name in both.
    pub name: &'a OsStr,
}

impl Copying<'_> {
    /// Copies it. Where this fails, nothing of it is left, and what stood in its place stands there.
    pub(super) fn copy(&self, pace: &mut Pace<'_>, replace: bool) -> Result<Copied, CopyError> {
        let mut source = self.from.read(self.name)?;
        let (original, permissions) = self.regular(&source)?;
        let part = Part::create(self.root)?;
        let digest = self.transfer(&mut source, &part, pace)?;
        if self.regular(&source)?.0 != original {
            let path = self.from.path_of(self.name);
            return Err(CopyError::Changed { path });
        }
        let resembled = super::folder::resemble(&part.file, original, permissions);
        resembled.map_err(|errno| self.failed("prepare the copy of", errno.into()))?;
        let synced = part.file.sync_all();
        synced.map_err(|source| self.failed("make durable the copy of", source))?;
        self.verify(&part, digest, pace)?;
        let Entry::File(copy, _) = self.root.look_at(&part.file, OsStr::new(PART))? else {
            let path = self.to.path_of(self.name);
            return Err(CopyError::Corrupted { path });
        };
        let published = part.publish(self.to, self.name, replace);
        published.map_err(|error| match error.source {
            Errno::EXIST => CopyError::Taken {
                path: self.to.path_of(self.name),
            },
            _ => error.into(),
        })?;
        Ok(Copied {
            digest,
            original,
            copy,
        })
    }

    /// Compares it with what stands in its place; the same bytes are as good as a copy.
    pub(super) fn compare(&self, pace: &mut Pace<'_>) -> Result<Copied, CopyError> {
        let (original, digest) = self.hash(self.from, pace, true)?;
        let (copy, there) = self.hash(self.to, pace, false)?;
        if there != digest {
            let path = self.to.path_of(self.name);
            return Err(CopyError::Taken { path });
        }
        Ok(Copied {
            digest,
            original,
            copy,
        })
    }

    fn hash(
        &self,
        folder: &Folder,
        pace: &mut Pace<'_>,
        counted: bool,
    ) -> Result<(Stamp, Digest), CopyError> {
        let mut file = folder.read(self.name)?;
        let (stamp, _) = self.regular(&file)?;
        let mut hasher = Hasher::new();
        pace.each_chunk(&mut file, folder.path_of(self.name), counted, |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok((stamp, hasher.finish()))
    }

    fn transfer(
        &self,
        source: &mut File,
        part: &Part<'_>,
        pace: &mut Pace<'_>,
    ) -> Result<Digest, CopyError> {
        let mut hasher = Hasher::new();
        let mut file = &part.file;
        pace.each_chunk(source, self.from.path_of(self.name), true, |chunk| {
            hasher.update(chunk);
            let written = file.write_all(chunk);
            written.map_err(|source| self.failed("write the copy of", source))
        })?;
        Ok(hasher.finish())
    }

    /// Reads back what was written, from the disk where the kernel lets go of its memory of it.
    fn verify(
        &self,
        part: &Part<'_>,
        digest: Digest,
        pace: &mut Pace<'_>,
    ) -> Result<(), CopyError> {
        let advised = rustix::fs::fadvise(&part.file, 0, None, Advice::DontNeed);
        advised.map_err(|errno| self.failed("read back the copy of", errno.into()))?;
        let mut file = self.root.read(OsStr::new(PART))?;
        let mut hasher = Hasher::new();
        let path = self.root.path_of(OsStr::new(PART));
        pace.each_chunk(&mut file, path, false, |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        if hasher.finish() == digest {
            return Ok(());
        }
        let path = self.from.path_of(self.name);
        Err(CopyError::Corrupted { path })
    }

    /// The file's stamp and permissions; anything else took the place of a file since it was listed.
    fn regular(&self, file: &File) -> Result<(Stamp, u32), CopyError> {
        match self.from.look_at(file, self.name)? {
            Entry::File(stamp, permissions) => Ok((stamp, permissions)),
            Entry::Folder | Entry::Other(_) => {
                let path = self.from.path_of(self.name);
                Err(CopyError::Changed { path })
            }
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> CopyError {
        CopyError::Transfer {
            action,
            path: self.from.path_of(self.name),
            source,
        }
    }
}

/// The copy under way; it is removed unless it gets its place.
#[derive(Debug)]
struct Part<'a> {
    root: &'a Folder,
    file: File,
}

impl<'a> Part<'a> {
    fn create(root: &'a Folder) -> Result<Self, FileError> {
        Ok(Self {
            root,
            file: root.create(OsStr::new(PART))?,
        })
    }

    fn publish(self, to: &Folder, name: &OsStr, replace: bool) -> Result<(), FileError> {
        self.root.publish(OsStr::new(PART), to, name, replace)
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        // Gone already where it got its place. A rest that cannot be removed now is removed by the next run.
        drop(self.root.remove(OsStr::new(PART)));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
    use std::path::Path;

    use super::*;

    struct Folders {
        _both: tempfile::TempDir,
        from: Folder,
        to: Folder,
    }

    impl Folders {
        fn new() -> Self {
            let both = tempfile::tempdir().unwrap();
            let [from, to] = ["from", "to"].map(|name| both.path().join(name));
            std::fs::create_dir(&from).unwrap();
            std::fs::create_dir(&to).unwrap();
            Self {
                from: Folder::open(&from).unwrap(),
                to: Folder::open(&to).unwrap(),
                _both: both,
            }
        }

        fn from(&self, name: &str) -> PathBuf {
            self.from.path_of(OsStr::new(name))
        }

        fn to(&self, name: &str) -> PathBuf {
            self.to.path_of(OsStr::new(name))
        }

        fn copying<'a>(&'a self, name: &'a str) -> Copying<'a> {
            Copying {
                from: &self.from,
                to: &self.to,
                root: &self.to,
                name: OsStr::new(name),
            }
        }
    }

    fn at_pace<T>(cancellation: &Cancellation, act: impl FnOnce(&mut Pace<'_>) -> T) -> T {
        act(&mut Pace {
            cancellation,
            bytes_per_second: None,
            moved: &mut |_| {},
        })
    }

    #[test]
    fn a_copy_has_the_bytes_the_time_and_the_permissions_of_its_original() {
        let folders = Folders::new();
        let bytes: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(folders.from("a"), &bytes).unwrap();
        let permissions = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(folders.from("a"), permissions).unwrap();
        let (_canceller, cancellation) = Cancellation::pair();
        let copied = at_pace(&cancellation, |pace| folders.copying("a").copy(pace, false));
        assert_eq!(std::fs::read(folders.to("a")).unwrap(), bytes);
        let meta = |path: PathBuf| {
            let meta = std::fs::metadata(path).unwrap();
            (meta.modified().unwrap(), meta.permissions().mode() & 0o777)
        };
        assert_eq!(meta(folders.from("a")), meta(folders.to("a")));
        let compared = at_pace(&cancellation, |pace| folders.copying("a").compare(pace));
        assert_eq!(compared.unwrap(), copied.unwrap());
        assert!(!folders.to(PART).exists());
    }

    #[test]
    fn bytes_that_changed_on_the_way_to_the_disk_are_found() {
        let folders = Folders::new();
        std::fs::write(folders.from("a"), vec![7; 3 * CHUNK]).unwrap();
        let (_canceller, cancellation) = Cancellation::pair();
        let copying = folders.copying("a");
        let part = Part::create(&folders.to).unwrap();
        let mut source = folders.from.read(OsStr::new("a")).unwrap();
        let digest = at_pace(&cancellation, |pace| {
            copying.transfer(&mut source, &part, pace)
        });
        let digest = digest.unwrap();
        at_pace(&cancellation, |pace| copying.verify(&part, digest, pace)).unwrap();
        part.file.write_all_at(&[8], 70_000).unwrap();
        let found = at_pace(&cancellation, |pace| copying.verify(&part, digest, pace));
        let found = found.unwrap_err();
        assert!(matches!(found, CopyError::Corrupted { .. }), "{found}");
        assert!(found.to_string().contains("from/a"), "{found}");
        drop(part);
        let left = std::fs::read_dir(folders.to("")).unwrap().count();
        assert_eq!(left, 0, "nothing is left of it");
    }

    #[test]
    fn a_file_that_grows_while_it_is_copied_is_left_to_the_next_run() {
        let folders = Folders::new();
        let path = folders.from("a");
        std::fs::write(&path, vec![7; 2 * CHUNK]).unwrap();
        let (_canceller, cancellation) = Cancellation::pair();
        let mut grown = false;
        let mut moved = |_| {
            if !std::mem::replace(&mut grown, true) {
                let file = std::fs::OpenOptions::new()
                    .append(true)
                    .open(&path)
                    .unwrap();
                (&file).write_all(b"more").unwrap();
            }
        };
        let mut pace = Pace {
            cancellation: &cancellation,
            bytes_per_second: None,
            moved: &mut moved,
        };
        let refused = folders.copying("a").copy(&mut pace, false).unwrap_err();
        assert!(matches!(refused, CopyError::Changed { .. }), "{refused}");
        assert!(!folders.to("a").exists());
        assert!(!folders.to(PART).exists());
    }

    #[test]
    fn what_has_taken_the_place_meanwhile_is_not_replaced() {
        let folders = Folders::new();
        std::fs::write(folders.from("a"), b"new").unwrap();
        std::fs::write(folders.to("a"), b"old").unwrap();
        let (_canceller, cancellation) = Cancellation::pair();
        let refused = at_pace(&cancellation, |pace| folders.copying("a").copy(pace, false));
        let refused = refused.unwrap_err();
        assert!(matches!(refused, CopyError::Taken { .. }), "{refused}");
        assert_eq!(std::fs::read(folders.to("a")).unwrap(), b"old");
        at_pace(&cancellation, |pace| folders.copying("a").copy(pace, true)).unwrap();
        assert_eq!(std::fs::read(folders.to("a")).unwrap(), b"new");
    }

    #[test]
    fn a_link_or_a_pipe_in_the_place_of_a_file_is_not_read() {
        let folders = Folders::new();
        std::os::unix::fs::symlink("/etc/passwd", folders.from("link")).unwrap();
        let (mode, path) = (rustix::fs::Mode::from_raw_mode(0o600), folders.from("pipe"));
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let (_canceller, cancellation) = Cancellation::pair();
        for name in ["link", "pipe"] {
            let refused = at_pace(&cancellation, |pace| {
                folders.copying(name).copy(pace, false)
            });
            assert!(refused.is_err(), "{name}");
            assert!(!Path::new(&folders.to(name)).exists());
        }
    }
}
