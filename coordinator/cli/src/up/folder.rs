//! The state folder of `lull up`: made, checked and locked before anything starts in it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::failure::Failure;
use crate::locate::StateFolder;

/// A socket's address has 107 bytes; `/run/launcher.sock` takes 18 of them (and the node allows 90 for its folder).
const PATH_LIMIT: usize = 80;

/// The folder, held by this process alone.
#[derive(Debug)]
pub(crate) struct HeldFolder {
    /// What is where.
    pub(crate) folder: StateFolder,
    /// The executable that the daemons and agents are started from.
    pub(crate) executable: PathBuf,
    /// What the reader should know about it.
    pub(crate) notes: Vec<String>,
    /// Locked as long as this lives.
    _lock: File,
}

/// Makes and takes the folder; refuses where another `lull up` holds it.
pub(crate) fn take(path: &Path) -> Result<HeldFolder, Failure> {
    let path = std::path::absolute(path)
        .map_err(|error| Failure::Input(format!("--state {}: {error}", path.display())))?;
    let length = path.as_os_str().len();
    if length > PATH_LIMIT {
        return Err(Failure::Input(format!(
            "--state {}: {length} bytes, at most {PATH_LIMIT} leave room for the sockets in it; choose a shorter path",
            path.display()
        )));
    }
    let root = rustix::process::geteuid().is_root();
    let open = if root { 0o711 } else { 0o700 };
    let folder = StateFolder(path.clone());
    make(&path, open)?;
    let lock = lock(&path)?;
    for (inner, mode) in [
        (folder.coordinator(), 0o700),
        (folder.node(), open),
        (folder.run(), 0o755),
        (folder.apps(), 0o755),
        (folder.logs(), 0o700),
        (path.join("bin"), 0o755),
        (path.join("data"), 0o755),
    ] {
        make(&inner, mode)?;
    }
    let executable = copy_executable(&path.join("bin"))?;
    let notes = if root {
        closed_ancestors(&path)
    } else {
        Vec::new()
    };
    Ok(HeldFolder {
        folder,
        executable,
        notes,
        _lock: lock,
    })
}

fn make(path: &Path, mode: u32) -> Result<(), Failure> {
    let made = DirBuilder::new().recursive(true).mode(mode).create(path);
    made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode))).map_err(|error| {
        Failure::Input(format!(
            "--state: cannot make the folder {}: {error}; name one that you may write with --state DIR",
            path.display()
        ))
    })
}

fn lock(path: &Path) -> Result<File, Failure> {
    let name = path.join("up.lock");
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&name)
        .map_err(|error| {
            Failure::internal(format!("cannot open {}", name.display()), &error.into())
        })?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|_held| {
        Failure::Refused(format!(
            "another `lull up` runs on {}; use it, end it, or name another folder with --state DIR",
            path.display()
        ))
    })?;
    Ok(file)
}

/// Copies this executable into the folder, so that a user other than root can run it, and so that a new build does not
/// pull it from under running daemons. Replaced by rename: a running copy stays what it is.
fn copy_executable(bin: &Path) -> Result<PathBuf, Failure> {
    let target = bin.join("lull");
    let copy = || -> std::io::Result<()> {
        let source = std::env::current_exe()?;
        if is_same(&source, &target)? {
            return Ok(());
        }
        let fresh = bin.join("lull.new");
        fs::copy(&source, &fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755))?;
        let modified = fs::metadata(&source)?.modified()?;
        File::options()
            .append(true)
            .open(&fresh)?
            .set_modified(modified)?;
        fs::rename(&fresh, &target)
    };
    copy().map_err(|error| {
        Failure::internal(
            format!("cannot copy this executable to {}", target.display()),
            &error.into(),
        )
    })?;
    Ok(target)
}

fn is_same(source: &Path, target: &Path) -> std::io::Result<bool> {
    let source = fs::metadata(source)?;
    match fs::metadata(target) {
        Ok(target) => Ok(target.len() == source.len() && target.modified()? == source.modified()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Folders above the state that others may not pass: agents, which run as users of their own, could not reach their program.
fn closed_ancestors(path: &Path) -> Vec<String> {
    path.ancestors()
        .skip(1)
        .filter(|folder| fs::metadata(folder).is_ok_and(|meta| meta.mode() & 0o001 == 0))
        .map(|folder| {
            format!(
                "agents run as users of their own, who cannot pass {}: let them with `chmod o+x {}`, or choose another \
                 folder with --state DIR",
                folder.display(),
                folder.display()
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_held_by_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("state");
        let held = take(&path).unwrap();
        assert!(held.executable.exists());
        let second = take(&path).unwrap_err().to_string();
        assert!(second.contains("another `lull up`"), "{second}");
        drop(held);
        assert!(take(&path).is_ok());
    }

    #[test]
    fn a_path_too_long_for_its_sockets_is_refused() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(PATH_LIMIT)));
        let failure = take(&path).unwrap_err();
        assert_eq!(failure.exit(), crate::failure::Exit::Usage);
        assert!(!path.exists());
    }

    #[test]
    fn a_closed_folder_above_is_named_with_the_way_out() {
        let parent = tempfile::tempdir().unwrap();
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let notes = closed_ancestors(&parent.path().join("state"));
        assert!(
            notes.iter().any(|note| note.contains("chmod o+x")),
            "{notes:?}"
        );
        fs::set_permissions(parent.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert_eq!(
            closed_ancestors(&parent.path().join("state")),
            Vec::<String>::new()
        );
    }
}
