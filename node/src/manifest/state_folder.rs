//! The folder of each app: 0700, its own user's, made by the daemon.
//!
//! The folder above belongs to the daemon, so that no app can put something else in its place.

use std::io;
use std::path::{Path, PathBuf};

use lull_policy::AppId;
use rustix::fs::{Gid, Mode, OFlags, Uid};

use super::owner::{Owner, Rights};
use crate::durable_file;

/// Why an app has no folder.
#[derive(Debug, thiserror::Error)]
#[error("making the app's folder {}", folder.display())]
pub struct FolderError {
    folder: PathBuf,
    #[source]
    source: io::Error,
}

/// Makes the folders above those of the apps: others pass through, and do not see what is there.
pub(super) fn prepare(state_dir: &Path, apps: &Path, rights: Rights) -> Result<(), FolderError> {
    for folder in [state_dir, apps] {
        let made = durable_file::make_folder(folder, 0o711).and_then(|()| match rights {
            Rights::Root => Ok(rustix::fs::chmod(folder, Mode::from_raw_mode(0o711))?),
            Rights::Own { .. } => Ok(()),
        });
        made.map_err(|source| FolderError {
            folder: folder.to_owned(),
            source,
        })?;
    }
    Ok(())
}

/// Makes or corrects the folder of one app, and answers where it is.
pub(super) fn ensure(apps: &Path, app: &AppId, owner: &Owner) -> Result<PathBuf, FolderError> {
    let folder = apps.join(app.as_str());
    match make(&folder, owner) {
        Ok(()) => Ok(folder),
        Err(source) => Err(FolderError { folder, source }),
    }
}

fn make(folder: &Path, owner: &Owner) -> io::Result<()> {
    match rustix::fs::mkdir(folder, Mode::RWXU) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = rustix::fs::open(folder, flags, Mode::empty())?;
    let found = rustix::fs::fstat(&open)?;
    if (found.st_uid, found.st_gid) != (owner.uid, owner.gid) {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::fchown(&open, Some(uid), Some(gid))?;
    }
    if found.st_mode & 0o7777 != 0o700 {
        rustix::fs::fchmod(&open, Mode::RWXU)?;
    }
    Ok(())
}

/// Whose the folder of an app is; absent where there is none.
pub(super) fn owner_of(apps: &Path, app: &AppId) -> Option<u32> {
    let found = rustix::fs::lstat(apps.join(app.as_str())).ok()?;
    Some(found.st_uid)
}
