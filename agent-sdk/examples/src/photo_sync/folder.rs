//! Files by way of the folder they are in: no symbolic link is ever followed below the two folders that were named.
//!
//! Every error names the file. Deliberately absent: what is done with the files.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;

/// An operation on one file that the kernel refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to {action} {}", path.display())]
pub struct FileError {
    /// What was tried.
    pub action: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What the kernel says.
    #[source]
    pub source: Errno,
}

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Its last change: seconds since 1970, and nanoseconds.
    pub changed: (i64, u32),
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// A file, with its permissions.
    File(Stamp, u32),
    /// A folder.
    Folder,
    /// Neither; in words.
    Other(&'static str),
}

impl Entry {
    /// What a look at an open file or a name gives.
    fn of(stat: &Stat) -> Self {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let stamp = Stamp {
                    size: u64::try_from(stat.st_size).unwrap_or(0),
                    changed: (
                        stat.st_mtime,
                        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
                    ),
                };
                Self::File(stamp, stat.st_mode & 0o777)
            }
            FileType::Directory => Self::Folder,
            FileType::Symlink => Self::Other("a symbolic link"),
            FileType::Fifo => Self::Other("a named pipe"),
            FileType::Socket => Self::Other("a socket"),
            FileType::CharacterDevice | FileType::BlockDevice => Self::Other("a device"),
            FileType::Unknown => Self::Other("of an unknown kind"),
        }
    }
}

/// An open folder.
#[derive(Debug)]
pub(super) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Folder {
    /// Opens a folder that was named by a person: links on the way to it are followed.
    pub(super) fn open(path: &Path) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty());
        let fd = opened.map_err(|source| FileError {
            action: "open the folder",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            fd,
            path: path.to_owned(),
        })
    }

    /// The path of something in it, for people.
    pub(super) fn path_of(&self, name: &OsStr) -> PathBuf {
        self.path.join(name)
    }

    fn failed(&self, action: &'static str, name: &OsStr) -> impl FnOnce(Errno) -> FileError {
        let path = self.path_of(name);
        move |source| FileError {
            action,
            path,
            source,
        }
    }

    /// A folder in it, which is no link.
    pub(super) fn child(&self, name: &OsStr) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(self, name, flags, Mode::empty());
        Ok(Self {
            fd: opened.map_err(self.failed("open the folder", name))?,
            path: self.path_of(name),
        })
    }

    /// A folder in it, made where it is absent.
    fn made(&self, name: &OsStr) -> Result<Self, FileError> {
        match rustix::fs::mkdirat(self, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => self.sync()?,
            Err(Errno::EXIST) => {}
            Err(source) => return Err(self.failed("make the folder", name)(source)),
        }
        self.child(name)
    }

    /// The folder that a relative path lies in, and the path's last name.
    pub(super) fn parent_of<'a>(
        &self,
        relative: &'a Path,
        make: bool,
    ) -> Result<(Self, &'a OsStr), FileError> {
        let duplicate = rustix::io::fcntl_dupfd_cloexec(&self.fd, 0);
        let mut folder = Self {
            fd: duplicate.map_err(self.failed("open the folder", OsStr::new("")))?,
            path: self.path.clone(),
        };
        let mut names = relative
            .components()
            .filter_map(|component| match component {
                Component::Normal(name) => Some(name),
                _ => None,
            });
        let mut name = names.next().unwrap_or_default();
        for next in names {
            folder = if make {
                folder.made(name)?
            } else {
                folder.child(name)?
            };
            name = next;
        }
        Ok((folder, name))
    }

    /// Its names, in order; at most so many and one.
    pub(super) fn names(&self, limit: usize) -> Result<Vec<OsString>, FileError> {
        let failed = |source| self.failed("read the folder", OsStr::new(""))(source);
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
            if names.len() > limit {
                break;
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What stands under a name; absent = nothing.
    pub(super) fn look(&self, name: &OsStr) -> Result<Option<Entry>, FileError> {
        match rustix::fs::statat(self, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(Entry::of(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(source) => Err(self.failed("look at", name)(source)),
        }
    }

    /// What an open file of it is now.
    pub(super) fn look_at(&self, file: &File, name: &OsStr) -> Result<Entry, FileError> {
        let stat = rustix::fs::fstat(file).map_err(self.failed("look at", name))?;
        Ok(Entry::of(&stat))
    }

    /// Opens a file for reading. A link is refused; a pipe does not hold the caller up.
    pub(super) fn read(&self, name: &OsStr) -> Result<File, FileError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(self, name, flags, Mode::empty());
        opened.map(File::from).map_err(self.failed("open", name))
    }

    /// Makes a new file, which nobody else reads yet.
    pub(super) fn create(&self, name: &OsStr) -> Result<File, FileError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(self, name, flags, Mode::from_raw_mode(0o600));
        opened.map(File::from).map_err(self.failed("create", name))
    }

    /// Removes a file, if it is there.
    pub(super) fn remove(&self, name: &OsStr) -> Result<(), FileError> {
        match rustix::fs::unlinkat(self, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(source) => Err(self.failed("remove", name)(source)),
        }
    }

    /// Gives a file of `self` its place in another folder, and makes that durable. What stands there is replaced only
    /// where that is asked for.
    pub(super) fn publish(
        &self,
        name: &OsStr,
        to: &Self,
        to_name: &OsStr,
        replace: bool,
    ) -> Result<(), FileError> {
        let renamed = if replace {
            rustix::fs::renameat(self, name, to, to_name)
        } else {
            let once = RenameFlags::NOREPLACE;
            match rustix::fs::renameat_with(self, name, to, to_name, once) {
                // A file system that cannot tell: its place was free a moment ago.
                Err(Errno::INVAL) => rustix::fs::renameat(self, name, to, to_name),
                other => other,
            }
        };
        renamed.map_err(to.failed("give its place to", to_name))?;
        to.sync()
    }

    /// Makes the names in it durable.
    fn sync(&self) -> Result<(), FileError> {
        let synced = rustix::fs::fsync(self);
        synced.map_err(self.failed("make durable", OsStr::new("")))
    }
}

/// Gives a copy the permissions and the time of its original.
pub(super) fn resemble(file: &File, stamp: Stamp, permissions: u32) -> Result<(), Errno> {
    rustix::fs::fchmod(file, Mode::from_raw_mode(permissions))?;
    let time = Timespec {
        tv_sec: stamp.changed.0,
        tv_nsec: stamp.changed.1.into(),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::futimens(file, &times)
}
