//! The daemon's folders: whose they are, who may write to them, and that no other daemon uses them.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::durable_file;

/// The lock in each folder.
const LOCK: &str = "lull-node.lock";

/// How long the end of the daemon before is waited for: one that was killed lets go of its lock a moment later.
const ENDING: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

/// Bytes of a lock file that are read: a process id.
const PID: u64 = 32;

/// Why the folders cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It could not be made or looked at.
    #[error("preparing the folder {}", folder.display())]
    Prepare {
        /// Which.
        folder: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Somebody else could put files there.
    #[error(
        "the folder {} belongs to uid {owner} with mode {mode:o}; it has to belong to root or uid {own} and be writable by nobody else: chown {own} and chmod go-w it, or configure another",
        folder.display()
    )]
    Open {
        /// Which.
        folder: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its permissions.
        mode: u32,
        /// The daemon's user.
        own: u32,
    },
    /// Another daemon lives there.
    #[error(
        "another node daemon (process {pid}) uses the folder {}; end it, or configure another state_dir and run_dir",
        folder.display()
    )]
    InUse {
        /// Which.
        folder: PathBuf,
        /// Whose.
        pid: String,
    },
}

/// Held for as long as the daemon uses the folders.
#[derive(Debug)]
pub struct Folders {
    _locks: Vec<File>,
}

impl Folders {
    /// Makes the folders where they are missing, checks them and takes their locks.
    pub fn take(state: &Path, run: &Path) -> Result<Self, FolderError> {
        prepare(state, 0o711)?;
        prepare(run, 0o755)?;
        let mut locks = vec![lock(state)?];
        if !is_same(state, run) {
            locks.push(lock(run)?);
        }
        Ok(Self { _locks: locks })
    }
}

fn prepare(folder: &Path, mode: u32) -> Result<(), FolderError> {
    let failed = |source| FolderError::Prepare {
        folder: folder.into(),
        source,
    };
    durable_file::make_folder(folder, mode).map_err(failed)?;
    let found = std::fs::metadata(folder).map_err(failed)?;
    let own = rustix::process::geteuid().as_raw();
    let foreign = found.uid() != own && found.uid() != 0;
    if foreign || found.mode() & 0o022 != 0 {
        return Err(FolderError::Open {
            folder: folder.into(),
            owner: found.uid(),
            mode: found.mode() & 0o7777,
            own,
        });
    }
    Ok(())
}

fn lock(folder: &Path) -> Result<File, FolderError> {
    let failed = |source| FolderError::Prepare {
        folder: folder.into(),
        source,
    };
    let mut options = File::options();
    options.read(true).write(true).create(true).mode(0o600);
    let mut file = options.open(folder.join(LOCK)).map_err(failed)?;
    if !is_taken(&file).map_err(failed)? {
        let holder = holder(&file);
        let gone = holder.parse().is_ok_and(has_ended);
        if !gone || !is_taken(&file).map_err(failed)? {
            return Err(FolderError::InUse {
                folder: folder.into(),
                pid: holder,
            });
        }
    }
    let written = file
        .rewind()
        .and_then(|()| file.set_len(0))
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed)?;
    Ok(file)
}

/// Whether the lock is ours now.
fn is_taken(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The process that wrote itself into the lock file.
fn holder(file: &File) -> String {
    let mut pid = String::new();
    match file.take(PID).read_to_string(&mut pid) {
        Ok(_length) if !pid.trim().is_empty() => pid.trim().to_owned(),
        Ok(_) | Err(_) => "unknown".to_owned(),
    }
}

/// Waits a moment for the end of a process that may be ending.
fn has_ended(pid: i32) -> bool {
    let own = u32::try_from(pid) == Ok(std::process::id());
    let Some(pid) = Pid::from_raw(pid).filter(|_| !own) else {
        return false;
    };
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => {
            let mut wanted = [PollFd::new(&process, PollFlags::IN)];
            poll(&mut wanted, Some(&ENDING)).is_ok_and(|ended| ended > 0)
        }
        Err(error) => error == Errno::SRCH,
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    let id = |folder| {
        std::fs::metadata(folder)
            .map(|found| (found.dev(), found.ino()))
            .ok()
    };
    id(one) == id(other)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_second_daemon_is_refused_and_told_by_whom() {
        let folder = tempfile::tempdir().unwrap();
        let (state, run) = (folder.path().join("state"), folder.path().join("run"));
        let held = Folders::take(&state, &run).unwrap();
        for (one, other) in [
            (&state, folder.path().join("a")),
            (&folder.path().join("b"), run.clone()),
        ] {
            let refused = Folders::take(one, &other).unwrap_err();
            let pid = std::process::id().to_string();
            assert!(
                matches!(&refused, FolderError::InUse { pid: by, .. } if *by == pid),
                "{refused}"
            );
        }
        drop(held);
        Folders::take(&state, &run).unwrap();
    }

    #[test]
    fn a_daemon_that_is_just_ending_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK);
        // It holds the lock until its standard input is closed, and says so by its process id.
        let hold = "exec 9>\"$0\"; flock 9; echo $$ >&9; echo held; read -r end";
        let mut other = std::process::Command::new("bash")
            .args(["-c", hold])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = [0; 5];
        other.stdout.take().unwrap().read_exact(&mut said).unwrap();
        let ending = std::thread::spawn({
            let input = other.stdin.take();
            let folder = folder.path().to_owned();
            move || {
                let refused = lock(&folder).map(drop);
                drop(input);
                (refused, lock(&folder).map(drop))
            }
        });
        let (refused, taken) = ending.join().unwrap();
        let own = std::fs::read_to_string(&path).unwrap();
        assert_eq!(own, format!("{}\n", std::process::id()));
        let pid = other.id().to_string();
        assert!(matches!(refused, Err(FolderError::InUse { pid: by, .. }) if by == pid));
        taken.unwrap();
        other.wait().unwrap();
    }

    #[test]
    fn one_folder_for_both_is_locked_once() {
        let folder = tempfile::tempdir().unwrap();
        Folders::take(folder.path(), folder.path()).unwrap();
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        for mode in [0o777, 0o1777, 0o720] {
            let open = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(folder.path(), open).unwrap();
            let refused = Folders::take(folder.path(), &run).unwrap_err();
            assert!(
                matches!(refused, FolderError::Open { mode: found, .. } if found == mode),
                "{refused}"
            );
        }
    }
}
