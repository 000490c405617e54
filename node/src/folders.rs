//! The daemon's folders: whose they are, who may write to them, and that no other daemon uses them.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::durable_file;

/// The lock in each folder.
const LOCK: &str = "lull-node.lock";

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
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut pid = String::new();
            let said = (&file).take(PID).read_to_string(&mut pid);
            return Err(FolderError::InUse {
                folder: folder.into(),
                pid: said.map_or_else(|_unreadable| "unknown".into(), |_n| pid.trim().to_owned()),
            });
        }
        Err(error) => return Err(failed(error.into())),
    }
    let written = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    written.map_err(failed)?;
    Ok(file)
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
