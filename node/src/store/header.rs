//! The file's first 100 bytes, read before anything opens the file that could write to it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::StoreError;
use super::file::Trouble;
use super::schema::APPLICATION;
use super::set_aside::with_suffix;
use super::tally::Told;

/// The header's two bytes that say how the file is written: by a rollback journal (1) or a log (2).
const WRITTEN_BY: std::ops::Range<usize> = 18..20;

/// Both bytes of a file that is written by a log.
const LOG: &[u8] = &[2, 2];

/// Checks mark, version and way of writing.
pub(super) fn check(path: &Path, known: u32, told: &Told) -> Result<(), Trouble> {
    let mut header = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Trouble::Damaged("it is shorter than a header".into()));
        }
        Err(source) => {
            return Err(Trouble::Other(StoreError::Files {
                path: path.into(),
                source,
            }));
        }
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(Trouble::Damaged(
            "its first bytes are not those of a database".into(),
        ));
    }
    if field(&header, 68) != APPLICATION {
        return Err(Trouble::Damaged(
            "its header does not name it a store of this daemon".into(),
        ));
    }
    let written_by = header.get(WRITTEN_BY).unwrap_or_default();
    if written_by != LOG && written_by != [1, 1] {
        return Err(Trouble::Damaged(format!(
            "its header names a way of writing that there is not ({written_by:?})"
        )));
    }
    // It would be rolled back into the file.
    if written_by == LOG && with_suffix(path, "-journal").exists() {
        return Err(Trouble::Damaged(
            "a rollback journal is beside it, which a store never has".into(),
        ));
    }
    refuse_newer(path, field(&header, 60), known, told)
}

/// A big-endian number of the header.
fn field(header: &[u8; 100], at: usize) -> u32 {
    let bytes = header.iter().skip(at).take(4);
    bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
}

/// A release says in the tally which version it is going to write, before it does.
pub(super) fn refuse_newer(
    path: &Path,
    found: u32,
    known: u32,
    told: &Told,
) -> Result<(), Trouble> {
    if found == 0 {
        return Err(Trouble::Damaged("it has no schema version".into()));
    }
    if found <= known {
        return Ok(());
    }
    match told.known() {
        Some(tally) if tally.schema < found => Err(Trouble::Damaged(format!(
            "its schema version reads {found}, and {} is the newest that was ever written",
            tally.schema
        ))),
        Some(_) | None => Err(Trouble::Other(StoreError::Newer {
            path: path.into(),
            found,
            known,
        })),
    }
}
