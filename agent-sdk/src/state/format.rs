//! The file's format: a line with its version, a checksum, the entries.

use super::contents::{Contents, KEY, TOTAL, VALUE};

/// The file's name in the app's folder.
pub const FILE: &str = "lull-state";

/// What every version begins with; the version and an end of line follow.
const MAGIC: &[u8] = b"lull-state ";

/// What this version begins with.
const HEADER: &[u8] = b"lull-state 1\n";

/// The longest file: header, checksum, count, entries.
pub(super) const LONGEST: usize = HEADER.len() + 8 + TOTAL;

/// Why a file cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is damaged, in these words.
    Damaged(&'static str),
    /// It has a newer version.
    Newer(u32),
}

/// The file of a state.
pub(super) fn encode(contents: &Contents) -> Vec<u8> {
    let mut file = Vec::with_capacity(HEADER.len() + 8 + contents.bytes());
    file.extend_from_slice(HEADER);
    file.extend_from_slice(&[0; 4]);
    file.extend_from_slice(&number(contents.len()));
    for (key, value) in contents.iter() {
        file.extend_from_slice(&number(key.len()));
        file.extend_from_slice(&number(value.len()));
        file.extend_from_slice(key.as_bytes());
        file.extend_from_slice(value);
    }
    if let Some((_, summed)) = file.split_at_checked(HEADER.len() + 4) {
        let sum = crc32(summed).to_le_bytes();
        if let Some(place) = file.get_mut(HEADER.len()..HEADER.len() + 4) {
            place.copy_from_slice(&sum);
        }
    }
    file
}

/// The state in a file.
pub(super) fn decode(file: &[u8]) -> Result<Contents, Wrong> {
    let Some(mut rest) = file.strip_prefix(HEADER) else {
        return Err(version(file));
    };
    let sum = take_number(&mut rest).ok_or(Wrong::Damaged("it is cut off"))?;
    if crc32(rest) != sum {
        return Err(Wrong::Damaged("its checksum does not fit"));
    }
    entries(rest).ok_or(Wrong::Damaged("its entries make no sense"))
}

/// What a file is that does not begin as this version does.
fn version(file: &[u8]) -> Wrong {
    let line = file.strip_prefix(MAGIC).and_then(|rest| {
        let end = rest.iter().take(10).position(|byte| *byte == b'\n')?;
        std::str::from_utf8(rest.get(..end)?).ok()
    });
    match line.and_then(|line| line.parse().ok()) {
        Some(version) if version > 1 => Wrong::Newer(version),
        Some(_) | None => Wrong::Damaged("it does not begin as a state does"),
    }
}

fn entries(mut rest: &[u8]) -> Option<Contents> {
    let count = take_number(&mut rest)?;
    let mut contents = Contents::default();
    for _ in 0..count {
        let (key, value) = (take_length(&mut rest, KEY)?, take_length(&mut rest, VALUE)?);
        let key = std::str::from_utf8(take(&mut rest, key)?).ok()?;
        let value = take(&mut rest, value)?;
        if contents.last_key().is_some_and(|last| last >= key) {
            return None;
        }
        contents.put(key, value).ok()?;
    }
    rest.is_empty().then_some(contents)
}

fn take<'a>(rest: &mut &'a [u8], bytes: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(bytes)?;
    *rest = after;
    Some(taken)
}

fn take_number(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

fn take_length(rest: &mut &[u8], most: usize) -> Option<usize> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    (length <= most).then_some(length)
}

/// Counts and lengths are bounded far below.
fn number(n: usize) -> [u8; 4] {
    u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes()
}

/// CRC-32 as in IEEE 802.3: finds every burst of up to 32 bits, and all but one in four thousand million of other damage.
fn crc32(bytes: &[u8]) -> u32 {
    let sum = bytes.iter().fold(u32::MAX, |sum, byte| {
        let [low, ..] = sum.to_le_bytes();
        (sum >> 8) ^ BYTES[usize::from(low ^ byte)]
    });
    !sum
}

/// What each byte does to the sum.
const BYTES: [u32; 256] = {
    let mut table = [0; 256];
    let (mut place, mut byte) = (0, 0_u32);
    while place < table.len() {
        let (mut sum, mut bit) = (byte, 0);
        while bit < 8 {
            sum = (sum >> 1) ^ (0xEDB8_8320 & (sum & 1).wrapping_neg());
            bit += 1;
        }
        table[place] = sum;
        (place, byte) = (place + 1, byte + 1);
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn contents() -> Contents {
        let mut contents = Contents::default();
        contents.put("a", b"one").unwrap();
        contents.put("b/ä", b"").unwrap();
        contents.put("c", [0, 255, 10]).unwrap();
        contents
    }

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn the_file_is_as_documented() {
        let mut one = Contents::default();
        one.put("k", b"val").unwrap();
        let file = encode(&one);
        let body = b"\x01\0\0\0\x01\0\0\0\x03\0\0\0kval";
        let mut expected = b"lull-state 1\n".to_vec();
        expected.extend(crc32(body).to_le_bytes());
        expected.extend(body);
        assert_eq!(file, expected);
    }

    #[test]
    fn what_is_written_is_read() {
        for contents in [Contents::default(), contents()] {
            assert_eq!(decode(&encode(&contents)), Ok(contents));
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_found() {
        let file = encode(&contents());
        for end in 0..file.len() {
            let torn = decode(&file[..end]);
            assert!(matches!(torn, Err(Wrong::Damaged(_))), "{end}: {torn:?}");
        }
        for place in 0..file.len() * 8 {
            let mut flipped = file.clone();
            flipped[place / 8] ^= 1 << (place % 8);
            // A flip in the version alone may look like a newer one, which is left alone.
            let found = decode(&flipped);
            let version = place / 8 == HEADER.len() - 2;
            let safe = matches!(found, Err(Wrong::Damaged(_)))
                || version && matches!(found, Err(Wrong::Newer(_)));
            assert!(safe, "{place}: {found:?}");
        }
        let mut longer = file;
        longer.push(0);
        assert!(decode(&longer).is_err());
    }

    #[test]
    fn a_newer_version_is_no_damage() {
        assert_eq!(decode(b"lull-state 2\nanything"), Err(Wrong::Newer(2)));
        for damaged in [
            "",
            "lull-state",
            "lull-state x\n",
            "lull-state 0\n",
            "else 1\n",
        ] {
            let found = decode(damaged.as_bytes());
            assert!(matches!(found, Err(Wrong::Damaged(_))), "{damaged}");
        }
    }
}
