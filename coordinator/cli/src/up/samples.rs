//! Files for `photo-sync` to copy on a first look, with content that cannot be imitated.

use std::fs;
use std::path::Path;

/// Sizes of the files: none, less than a block, odd, and some megabytes.
pub(crate) const SIZES: [usize; 6] = [0, 1, 4_095, 100_003, 1_048_576, 5_000_011];

/// Makes the files where nothing is yet: what somebody put there is theirs.
pub(crate) fn make(folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    if fs::read_dir(folder)?.next().is_some() {
        return Ok(());
    }
    for (number, size) in (1_u32..).zip(SIZES) {
        let mut state = 0x9e37_79b9_u32.wrapping_mul(number);
        let content: Vec<u8> = std::iter::repeat_with(|| {
            // xorshift: neither compression nor a hole in a file can stand for it.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .take(size)
        .collect();
        fs::write(folder.join(format!("photo-{number:02}.raw")), content)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_is_another_and_what_is_there_stays() {
        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        make(&photos).unwrap();
        let mut contents: Vec<Vec<u8>> = fs::read_dir(&photos)
            .unwrap()
            .map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect();
        contents.sort();
        contents.dedup();
        assert_eq!(contents.len(), SIZES.len());
        fs::write(photos.join("photo-01.raw"), "mine").unwrap();
        make(&photos).unwrap();
        assert_eq!(fs::read(photos.join("photo-01.raw")).unwrap(), b"mine");
    }
}
