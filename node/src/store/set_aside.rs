//! Moves the files of a damaged store aside. Nothing is ever deleted.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use lull_policy::Wall;

use super::tally::SUFFIX;

/// The file itself, and its companions, in the order in which they are moved: a log without its file can
/// do no harm, a file whose log is gone would read as an older, sound one.
const SUFFIXES: [&str; 5] = ["", "-wal", "-shm", "-journal", SUFFIX];

/// Sets aside of one second that are told apart by a number; more would be a loop.
const SAME_SECOND: u32 = 100;

/// `path` with `suffix` behind its last component.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether any file of the set is there.
pub(super) fn any_file(path: &Path) -> bool {
    SUFFIXES
        .iter()
        .any(|suffix| with_suffix(path, suffix).exists())
}

/// Moves the set to `<path>.damaged-<seconds since 1970>` and answers that name.
pub(super) fn set_aside(path: &Path, wall: Wall) -> io::Result<PathBuf> {
    let target = free_name(path, wall.as_millis() / 1_000)?;
    for suffix in SUFFIXES {
        match std::fs::rename(with_suffix(path, suffix), with_suffix(&target, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    sync_folder(path)?;
    Ok(target)
}

fn free_name(path: &Path, seconds: u64) -> io::Result<PathBuf> {
    let name = |n: u32| match n {
        0 => with_suffix(path, &format!(".damaged-{seconds}")),
        n => with_suffix(path, &format!(".damaged-{seconds}.{n}")),
    };
    let mut names = (0..SAME_SECOND).map(name);
    names.find(|name| !any_file(name)).ok_or_else(|| {
        io::Error::other(format!(
            "{SAME_SECOND} damaged stores were set aside in one second; a disk that damages every file must be replaced"
        ))
    })
}

/// Makes renames in the file's folder durable.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
