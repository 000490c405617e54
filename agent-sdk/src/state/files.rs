//! The file of an app's state in its folder: read whole, replaced whole, set aside where it is damaged.
//!
//! Nothing is followed out of the folder, and what root writes here belongs to the app: its own user writes next.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::format::{FILE, LONGEST, Wrong, decode, encode};
use super::lock::{self, Lock};
use super::{Contents, StateError};

/// Where a new file is written before it takes its place.
const NEW: &str = ".lull-state.new";

/// Damaged files that are kept. A disk that damages more than these is to be looked at.
const SET_ASIDE: u32 = 64;

/// The app's folder.
#[derive(Debug)]
pub(super) struct Folder {
    open: OwnedFd,
    path: PathBuf,
}

/// What stands in the folder.
#[derive(Debug)]
pub(super) enum Found {
    /// A state; empty where there is no file.
    Whole(Contents),
    /// Something else.
    Damaged(&'static str),
}

impl Folder {
    pub(super) fn open(path: PathBuf) -> Result<Self, StateError> {
        let open = rustix::fs::open(&path, FOLDER, Mode::empty());
        match open {
            Ok(open) => Ok(Self { open, path }),
            Err(error) => Err(StateError::Folder {
                folder: path,
                source: error.into(),
            }),
        }
    }

    pub(super) fn lock(&self, wait: Duration) -> Result<Lock, StateError> {
        let own = rustix::fs::openat(&self.open, ".", FOLDER, Mode::empty());
        let taken = own
            .map_err(io::Error::from)
            .and_then(|own| lock::take(own, wait));
        match taken {
            Ok(lock) => lock.ok_or(StateError::Busy { wait }),
            Err(source) => Err(StateError::Files {
                what: "lock",
                path: self.path.clone(),
                source,
            }),
        }
    }

    pub(super) fn load(&self) -> Result<Found, StateError> {
        let wrong = match self.bytes() {
            Ok(None) => return Ok(Found::Whole(Contents::default())),
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(contents) => return Ok(Found::Whole(contents)),
                Err(wrong) => wrong,
            },
            Err(Unread::Wrong(reason)) => Wrong::Damaged(reason),
            Err(Unread::Io(source)) => return Err(self.failed("read", FILE, source)),
        };
        match wrong {
            Wrong::Damaged(reason) => Ok(Found::Damaged(reason)),
            Wrong::Newer(version) => Err(StateError::Newer {
                file: self.path.join(FILE),
                version,
            }),
        }
    }

    /// The file's bytes; none = there is no file.
    fn bytes(&self) -> Result<Option<Vec<u8>>, Unread> {
        // Not blocking: what stands there under this name may be a pipe.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = match rustix::fs::openat(&self.open, FILE, flags, Mode::empty()) {
            Ok(open) => open,
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::LOOP) => return Err(Unread::Wrong("it is a link")),
            Err(error) => return Err(Unread::Io(error.into())),
        };
        let found = rustix::fs::fstat(&open).map_err(|error| Unread::Io(error.into()))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return Err(Unread::Wrong("it is no file"));
        }
        let mut bytes = Vec::new();
        let most = u64::try_from(LONGEST + 1).unwrap_or(u64::MAX);
        let read = File::from(open).take(most).read_to_end(&mut bytes);
        read.map_err(Unread::Io)?;
        if bytes.len() > LONGEST {
            return Err(Unread::Wrong("it is longer than a state can be"));
        }
        Ok(Some(bytes))
    }

    /// Puts a state in the place of what stands there. When it returns, a power cut leaves it.
    pub(super) fn replace(&self, _lock: &Lock, contents: &Contents) -> Result<(), StateError> {
        let file = encode(contents);
        let written = self
            .write_new(&file)
            .and_then(|()| Ok(rustix::fs::renameat(&self.open, NEW, &self.open, FILE)?));
        if let Err(source) = written {
            // The first error is the one to tell; what is left is removed by the next change.
            rustix::fs::unlinkat(&self.open, NEW, AtFlags::empty()).ok();
            return Err(self.failed("write", FILE, source));
        }
        self.make_durable()
    }

    fn write_new(&self, bytes: &[u8]) -> io::Result<()> {
        // What a kill left of an earlier change.
        match rustix::fs::unlinkat(&self.open, NEW, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let new = rustix::fs::openat(&self.open, NEW, flags, mode)?;
        let (folder, own) = (rustix::fs::fstat(&self.open)?, rustix::fs::fstat(&new)?);
        if (folder.st_uid, folder.st_gid) != (own.st_uid, own.st_gid)
            && rustix::process::geteuid().is_root()
        {
            let (uid, gid) = (Uid::from_raw(folder.st_uid), Gid::from_raw(folder.st_gid));
            rustix::fs::fchown(&new, Some(uid), Some(gid))?;
        }
        let mut new = File::from(new);
        new.write_all(bytes)?;
        new.sync_all()
    }

    fn make_durable(&self) -> Result<(), StateError> {
        let synced = rustix::fs::fsync(&self.open);
        synced.map_err(|error| self.failed("make durable", "", error.into()))
    }

    /// Gives the file another name, and answers it.
    pub(super) fn set_aside(&self, _lock: &Lock) -> Result<PathBuf, StateError> {
        for n in 1..=SET_ASIDE {
            let name = aside(n);
            if self.stands(&name)? {
                continue;
            }
            let renamed = rustix::fs::renameat(&self.open, FILE, &self.open, name.as_str());
            renamed.map_err(|error| self.failed("set aside", FILE, error.into()))?;
            self.make_durable()?;
            return Ok(self.path.join(name));
        }
        let source = io::Error::other(format!(
            "{SET_ASIDE} damaged ones are there already; look at the disk, then move them away"
        ));
        Err(self.failed("set aside", FILE, source))
    }

    /// Files that were set aside.
    pub(super) fn set_aside_before(&self) -> Result<Vec<PathBuf>, StateError> {
        let mut found = Vec::new();
        for name in (1..=SET_ASIDE).map(aside) {
            if self.stands(&name)? {
                found.push(self.path.join(name));
            }
        }
        Ok(found)
    }

    fn stands(&self, name: &str) -> Result<bool, StateError> {
        match rustix::fs::statat(&self.open, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(self.failed("look for", name, error.into())),
        }
    }

    fn failed(&self, what: &'static str, name: &str, source: io::Error) -> StateError {
        StateError::Files {
            what,
            path: self.path.join(name),
            source,
        }
    }
}

const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

fn aside(n: u32) -> String {
    format!("{FILE}.damaged-{n}")
}

/// Why there are no bytes.
#[derive(Debug)]
enum Unread {
    /// What stands there is no such file.
    Wrong(&'static str),
    Io(io::Error),
}
