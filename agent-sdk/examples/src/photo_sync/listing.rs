//! What a folder holds, all its folders included: the files, and what is refused.
//!
//! Deliberately absent: which of them are new.

use std::path::{Path, PathBuf};

use super::copying::PART;
use super::folder::{Entry, FileError, Folder, Stamp};

/// Files of a folder. Their names and the ledger take about 4 MiB then, which leaves room below the smallest cap (11 MB).
pub(super) const FILES: usize = 10_000;

/// Folders within folders: deeper than people sort photos, and each level holds two descriptors.
pub(super) const DEPTH: usize = 32;

/// Refusals that are named; the others are counted.
const NAMED: usize = 5;

/// Why a folder cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum ListingError {
    /// The kernel refused.
    #[error(transparent)]
    File(#[from] FileError),
    /// Too many.
    #[error(
        "{} holds more than {FILES} files, which is the most for one agent; give each of its folders an agent of its own",
        path.display()
    )]
    TooMany {
        /// The folder that was to be listed.
        path: PathBuf,
    },
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path within the folder.
    pub path: PathBuf,
    /// What it was when it was listed.
    pub stamp: Stamp,
}

/// What was refused and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub count: usize,
    /// The first few, in words.
    pub first: Vec<String>,
}

impl Refused {
    fn note(&mut self, path: &Path, what: &str) {
        self.count += 1;
        if self.first.len() < NAMED {
            self.first.push(format!("{} is {what}", path.display()));
        }
    }
}

/// What a folder holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Its files, in the order of their paths.
    pub files: Vec<Found>,
    /// What is neither file nor folder, or too deep.
    pub refused: Refused,
}

impl Listing {
    /// Lists a folder.
    pub(super) fn of(root: &Folder) -> Result<Self, ListingError> {
        let mut listing = Self::default();
        listing.walk(root, root, Path::new(""), 0)?;
        Ok(listing)
    }

    fn walk(
        &mut self,
        root: &Folder,
        folder: &Folder,
        within: &Path,
        depth: usize,
    ) -> Result<(), ListingError> {
        let names = folder.names(FILES)?;
        if names.len() > FILES {
            return Err(too_many(root));
        }
        for name in names {
            let path = within.join(&name);
            match folder.look(&name)? {
                // Gone since its name was read.
                None => {}
                Some(Entry::File(..)) if path.as_os_str() == PART => {}
                Some(Entry::File(stamp, _)) if self.files.len() < FILES => {
                    self.files.push(Found { path, stamp });
                }
                Some(Entry::File(..)) => return Err(too_many(root)),
                Some(Entry::Folder) if depth < DEPTH => {
                    self.walk(root, &folder.child(&name)?, &path, depth + 1)?;
                }
                Some(Entry::Folder) => {
                    self.refused
                        .note(&path, &format!("more than {DEPTH} folders deep"));
                }
                Some(Entry::Other(what)) => self.refused.note(&path, what),
            }
        }
        Ok(())
    }
}

fn too_many(root: &Folder) -> ListingError {
    let path = root.path_of("".as_ref());
    ListingError::TooMany { path }
}
