//! The folder of manifests as it stands: which files, and whether they can be trusted.

use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::bounds;

/// A file of the folder, or why it is not taken.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) text: Result<String, FileError>,
}

/// Why a file is not read as a manifest.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot be read")]
    Read(#[source] io::Error),
    #[error("is no regular file; a manifest is one")]
    Kind,
    #[error("has {length} bytes, at most {} are accepted", bounds::FILE)]
    Length { length: u64 },
    #[error("is no UTF-8 text")]
    Text,
    #[error(
        "{what} belongs to user {owner}; what stands here runs on this device, so it has to be root's or user {own}'s (chown)"
    )]
    Owner {
        what: &'static str,
        owner: u32,
        own: u32,
    },
    #[error(
        "{what} can be written by others (mode {mode:03o}); what stands here runs on this device (chmod go-w)"
    )]
    Writable { what: &'static str, mode: u32 },
    #[error("is one file too many: at most {} manifests are read", bounds::FILES)]
    TooMany,
}

/// Reads every `*.toml` that is not hidden, in the order of names.
pub(super) fn read(folder: &Path) -> Result<Vec<Candidate>, FileError> {
    trusted(
        "the folder",
        &std::fs::metadata(folder).map_err(FileError::Read)?,
    )?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(FileError::Read)? {
        let path = entry.map_err(FileError::Read)?.path();
        let toml = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if toml && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |(n, path): (usize, PathBuf)| {
        let text = match n {
            n if n < bounds::FILES => file(&path),
            _ => Err(FileError::TooMany),
        };
        Candidate { path, text }
    };
    // One line says that there are too many, not thousands.
    let read_to = bounds::FILES + 1;
    Ok(paths
        .into_iter()
        .take(read_to)
        .enumerate()
        .map(read)
        .collect())
}

/// A manifest that is installed.
fn file(path: &Path) -> Result<String, FileError> {
    contents(path, |metadata| trusted("it", metadata))
}

/// A manifest that somebody asks about: whoever may read it may ask.
pub(super) fn asked_about(path: &Path) -> Result<String, FileError> {
    contents(path, |_anybodys| Ok(()))
}

fn contents(
    path: &Path,
    trust: impl Fn(&std::fs::Metadata) -> Result<(), FileError>,
) -> Result<String, FileError> {
    // A named pipe would block an ordinary open.
    let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0);
    let open = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(nonblocking)
        .open(path)
        .map_err(FileError::Read)?;
    let metadata = open.metadata().map_err(FileError::Read)?;
    if !metadata.is_file() {
        return Err(FileError::Kind);
    }
    trust(&metadata)?;
    let length = metadata.len();
    if length > bounds::FILE {
        return Err(FileError::Length { length });
    }
    let mut bytes = Vec::new();
    open.take(bounds::FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(FileError::Read)?;
    if bytes.len() as u64 > bounds::FILE {
        let length = bytes.len() as u64;
        return Err(FileError::Length { length });
    }
    String::from_utf8(bytes).map_err(|_no_text| FileError::Text)
}

fn trusted(what: &'static str, metadata: &std::fs::Metadata) -> Result<(), FileError> {
    let own = rustix::process::geteuid().as_raw();
    let (owner, mode) = (metadata.uid(), metadata.mode() & 0o7777);
    if owner != 0 && owner != own {
        return Err(FileError::Owner { what, owner, own });
    }
    let own_group = rustix::process::getegid().as_raw();
    let trusted_group = metadata.gid() == 0 || metadata.gid() == own_group;
    if mode & 0o002 != 0 || mode & 0o020 != 0 && !trusted_group {
        return Err(FileError::Writable { what, mode });
    }
    Ok(())
}
