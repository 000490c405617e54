//! Files in the app's folder that others read: whole or not at all, and durable.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {}", path.display())]
pub(crate) struct StateError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

impl StateError {
    pub(crate) fn new(path: PathBuf, source: io::Error) -> Self {
        Self { path, source }
    }
}

/// Puts a file in its place, whole.
pub(crate) fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StateError> {
    let path = folder.join(name);
    let part = folder.join(format!("{name}.part"));
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|source| StateError { path, source })
}

/// Adds a line, durably. One write: lines of runs that go on at one time do not mix.
pub(crate) fn append(folder: &Path, name: &str, line: &str) -> Result<(), StateError> {
    let path = folder.join(name);
    let write = || {
        let mut options = File::options();
        let mut file = options.append(true).create(true).open(&path)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| StateError { path, source })
}
