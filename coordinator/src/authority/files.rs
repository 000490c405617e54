//! Files that hold secrets: written whole or not at all, readable by their owner alone.
//!
//! Deliberately absent: what is in them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use zeroize::Zeroizing;

/// Most bytes of a key and its certificate in PEM; P-256 needs less than 2 KiB.
const FILE_LIMIT: u64 = 64 << 10;

/// Makes a folder that only its owner enters; leaves one that is there as it is.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Writes a file with mode 0600 so that a power cut leaves the old content or the new: temporary, fsync, rename, fsync
/// of the folder.
pub(crate) fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = folder.join(format!(".{}.new", name.to_string_lossy()));
    match std::fs::remove_file(&temporary) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

/// The file's text, wiped from memory when dropped; `None` if there is no such file.
pub(crate) fn read(path: &Path) -> io::Result<Option<Zeroizing<String>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Zeroizing::new(String::with_capacity(4096));
    file.take(FILE_LIMIT).read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_belongs_to_its_owner_alone() {
        let state = tempfile::tempdir().unwrap();
        let folder = state.path().join("a/b");
        make_folder(&folder).unwrap();
        let path = folder.join("key");
        write(&path, b"one").unwrap();
        std::fs::write(folder.join(".key.new"), b"torn").unwrap();
        write(&path, b"two").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(read(&path).unwrap().unwrap().as_str(), "two");
        assert_eq!((mode(&path), mode(&folder)), (0o600, 0o700));
        assert_eq!(read(&folder.join("other")).unwrap(), None);
    }
}
