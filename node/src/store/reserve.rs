//! Room that is kept for what still has to be written when the disk is full: that a run has ended.
//!
//! Deliberately absent: what may be written from it (`engine`).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

use super::set_aside::with_suffix;

/// What stands behind the store's name. Two files: a store that is opened needs two, its log and the index to it.
const SUFFIXES: [&str; 2] = ["-reserve", "-reserve-2"];

/// Bytes kept in both together: some thousand ends of runs, and the copy of them that moving the log takes.
const RESERVE: u64 = 1 << 20;

/// Bytes of each.
const SHARE: u64 = RESERVE / 2;

/// Bytes that have to be free beside the reserve before anything begins again, so that it is not spent at once.
const HEADROOM: u64 = 1 << 20;

/// Files that there has to be room for.
const FILES: u64 = 8;

/// Bytes of a block of `st_blocks`.
const BLOCK: u64 = 512;

/// Makes sure that the reserve of the store at `path` is there; false if there is no room for it.
pub(super) fn keep(path: &Path) -> bool {
    let whole = |found: std::fs::Metadata| found.blocks() * BLOCK >= SHARE;
    let files = SUFFIXES.map(|suffix| with_suffix(path, suffix));
    let missing = files
        .iter()
        .filter(|file| !std::fs::metadata(file).is_ok_and(whole));
    let mut missing = missing.peekable();
    if missing.peek().is_some() && is_scarce(path) {
        return false;
    }
    for file in missing {
        if let Err(error) = make(file) {
            tracing::warn!(file = %file.display(), %error, "the reserve for a full disk cannot be made");
            let kind = error.kind();
            return !matches!(
                kind,
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
            );
        }
    }
    true
}

fn make(file: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let open = options.write(true).create(true).truncate(true).mode(0o600);
    let open: File = open.open(file)?;
    let made = fallocate(&open, FallocateFlags::empty(), 0, SHARE).map_err(io::Error::from);
    if made.is_err() {
        // Less than all of it would pass for the reserve of a smaller one.
        drop(std::fs::remove_file(file));
    }
    made
}

/// Gives the room back; whether there was any.
pub(super) fn spend(path: &Path) -> bool {
    let removed = SUFFIXES.map(|suffix| std::fs::remove_file(with_suffix(path, suffix)).is_ok());
    let spent = removed.contains(&true);
    if spent {
        tracing::warn!(store = %path.display(), "the disk is full; the reserve is spent, so that what ends can still be written");
    }
    spent
}

/// Whether the disk of `path` has no room for a reserve and some more.
pub(super) fn is_scarce(path: &Path) -> bool {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    match statvfs(folder.unwrap_or(Path::new("."))) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            // Some file systems make inodes as they need them, and count none.
            let files = disk.f_files == 0 || disk.f_favail >= FILES;
            free < RESERVE + HEADROOM || !files
        }
        Err(_errno) => false,
    }
}
