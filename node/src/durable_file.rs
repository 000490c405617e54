//! Small files that are whole at any moment: written beside their place, made durable, then renamed onto it.
//!
//! For the few files outside of the store (identity, users of apps, place in the mailbox). Deliberately absent: what is in them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Replaces a file by `bytes`, with `mode`. When it returns, a power cut leaves the new content; when it fails, the old one
/// stands. Two writers of one file must exclude each other.
pub fn replace(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let beside = beside(file)?;
    // What a power cut left of an earlier attempt.
    match std::fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let written = write(&beside, bytes, mode).and_then(|()| std::fs::rename(&beside, file));
    if let Err(error) = written {
        // The first error is the one to tell; what is left beside is removed by the next attempt.
        drop(std::fs::remove_file(&beside));
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

fn write(file: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(mode).open(file)?;
    new.set_permissions(std::fs::Permissions::from_mode(mode))?;
    new.write_all(bytes)?;
    new.sync_all()
}

fn beside(file: &Path) -> io::Result<PathBuf> {
    let name = file
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok(file.with_file_name(hidden))
}

/// Reads a file of at most `limit` bytes; absent = there is none.
pub fn read(file: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    open.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        let problem = format!("more than {limit} bytes, which it never has");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    Ok(Some(bytes))
}

/// FNV-1a over a file's content: every step is a bijection, so that one changed byte always shows. Against decay, not against people.
pub fn sum(bytes: impl IntoIterator<Item = u8>) -> u64 {
    let step = |sum: u64, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Makes a folder with its parents where it is missing. Only new folders get the mode.
pub fn make_folder(folder: &Path, mode: u32) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_new_content_stands_with_its_mode_and_nothing_beside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uids.json");
        assert_eq!(read(&file, 10).unwrap(), None);
        std::fs::write(folder.path().join(".uids.json.new"), "torn").unwrap();
        replace(&file, b"one", 0o600).unwrap();
        replace(&file, b"two", 0o600).unwrap();
        assert_eq!(read(&file, 3).unwrap(), Some(b"two".to_vec()));
        let mode = std::fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_over_its_limit_is_not_read_to_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("large");
        replace(&file, b"1234", 0o600).unwrap();
        assert_eq!(
            read(&file, 3).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
