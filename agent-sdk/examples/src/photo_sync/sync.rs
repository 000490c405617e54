//! One run: list, tell what is new, copy it file by file.
//!
//! A file that cannot be copied holds up no other; what every file would meet (no room, a cancel) ends the run.
//! Deliberately absent: the node; the caller hands in the cancellation and takes the progress.

use std::ffi::OsStr;
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lull_agent::agent::Cancellation;
use rustix::io::Errno;

use super::copying::{CopyError, Copying, PART, Pace};
use super::folder::{Entry, FileError, Folder};
use super::ledger::{Entry as Known, Ledger, LedgerError};
use super::listing::{Found, Listing, ListingError, Refused};
use super::settings::Settings;
use crate::output;

/// How often a run looks whether another one has ended.
const TURN: Duration = Duration::from_millis(200);

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files copied.
    pub copied: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose verified copy was there already.
    pub already: usize,
    /// What was refused and why.
    pub refused: Refused,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            copied,
            bytes,
            already,
            refused,
        } = self;
        write!(
            f,
            "copied and verified {copied} files ({bytes} bytes), {already} were there already"
        )?;
        if refused.count > 0 {
            let first = refused.first.join(", ");
            write!(f, "; refused {}: {first}", refused.count)?;
        }
        Ok(())
    }
}

/// What a run did that did not do all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopped {
    /// What it did.
    pub done: Summary,
    /// Files not copied, or not come to.
    pub left: usize,
    /// The first failure; absent = it was cancelled.
    pub failure: Option<String>,
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(failure) = &self.failure {
            write!(f, "{failure}; ")?;
        }
        write!(
            f,
            "{} files are left for the next run; {}",
            self.left, self.done
        )
    }
}

/// Why a run did not do all.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// It did a part.
    #[error("{0}")]
    Stopped(Box<Stopped>),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FileError),
    /// What is there cannot be listed.
    #[error(transparent)]
    Listing(#[from] ListingError),
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The lock cannot be had.
    #[error("failed to lock {}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
}

/// Copies what is new. `progress` gets percent.
pub fn sync(
    settings: &Settings,
    state: &Path,
    cancellation: &Cancellation,
    progress: &mut dyn FnMut(u32),
) -> Result<Summary, SyncError> {
    let Some(_turn) = take_turn(state, cancellation)? else {
        return Err(stopped(Summary::default(), 0, None));
    };
    let from = Folder::open(&settings.from)?;
    let to = Folder::open(&settings.to)?;
    // What a run that was killed left half done.
    to.remove(OsStr::new(PART))?;
    let listing = Listing::of(&from)?;
    let mut ledger = Ledger::open(state, &settings.from, &settings.to)?;
    ledger.tidy(listing.files.iter().map(|found| found.path.as_path()))?;
    let mut run = Run {
        folders: Folders { from, to },
        settings,
        cancellation,
        ledger,
        summary: Summary {
            refused: listing.refused,
            ..Summary::default()
        },
    };
    run.go(&listing.files, progress)
}

/// Holds the lock that another run of this agent holds while it copies; none = cancelled meanwhile.
fn take_turn(state: &Path, cancellation: &Cancellation) -> Result<Option<File>, SyncError> {
    let path = state.join("photo-sync.lock");
    let failed = |source| SyncError::Lock {
        path: path.clone(),
        source,
    };
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(false);
    let lock = options.open(&path).map_err(failed)?;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Some(lock)),
            Err(TryLockError::WouldBlock) if cancellation.wait(TURN) => return Ok(None),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
    }
}

fn stopped(done: Summary, left: usize, failure: Option<String>) -> SyncError {
    SyncError::Stopped(Box::new(Stopped {
        done,
        left,
        failure,
    }))
}

#[derive(Debug)]
struct Folders {
    from: Folder,
    to: Folder,
}

/// What is to be done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Its verified copy is there.
    Nothing,
    /// A file of that name and size is there, and it is not known whose: compare.
    Compare,
    /// Copy it, to a free place.
    Copy,
    /// Copy it, over a copy of ours that is out of date.
    Renew,
    /// Something else is there: keep it, and say so.
    Keep,
}

/// Why a file was not dealt with.
enum Trouble {
    /// Its own.
    File(CopyError),
    /// Nothing can be noted any more.
    Ledger(LedgerError),
}

impl From<CopyError> for Trouble {
    fn from(error: CopyError) -> Self {
        Self::File(error)
    }
}

impl From<FileError> for Trouble {
    fn from(error: FileError) -> Self {
        Self::File(error.into())
    }
}

impl From<LedgerError> for Trouble {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error)
    }
}

#[derive(Debug)]
struct Run<'a> {
    folders: Folders,
    settings: &'a Settings,
    cancellation: &'a Cancellation,
    ledger: Ledger,
    summary: Summary,
}

impl Run<'_> {
    fn go(&mut self, files: &[Found], progress: &mut dyn FnMut(u32)) -> Result<Summary, SyncError> {
        let plan = self.plan(files)?;
        let mut count = Count {
            total: plan.iter().map(|(_, found)| found.stamp.size).sum(),
            moved: 0,
            progress,
        };
        let mut failed = 0;
        let mut failure = None;
        let mut planned = 0;
        for (behind, (step, found)) in (1..).zip(&plan) {
            match self.take(*step, found, &mut count) {
                Ok(()) => {}
                Err(Trouble::Ledger(error)) => return Err(error.into()),
                Err(Trouble::File(error)) => {
                    failed += 1;
                    if !matches!(error, CopyError::Cancelled) {
                        failure.get_or_insert_with(|| output::chain(&error));
                    }
                    if error.ends_the_run() {
                        failed += plan.len() - behind;
                        break;
                    }
                }
            }
            planned += found.stamp.size;
            count.reach(planned);
        }
        let done = std::mem::take(&mut self.summary);
        if failed > 0 {
            return Err(stopped(done, failed, failure));
        }
        (count.progress)(100);
        Ok(done)
    }

    /// What there is to do, in the order of the paths.
    fn plan<'f>(&mut self, files: &'f [Found]) -> Result<Vec<(Step, &'f Found)>, SyncError> {
        let mut plan = Vec::new();
        for found in files {
            match self.step(found)? {
                Step::Nothing => self.summary.already += 1,
                step => plan.push((step, found)),
            }
        }
        Ok(plan)
    }

    fn step(&self, found: &Found) -> Result<Step, FileError> {
        let there = self.there(&found.path)?;
        let known = self.ledger.get(&found.path);
        Ok(match (there, known) {
            (None, _) => Step::Copy,
            (Some(Entry::File(copy, _)), Some(known)) => {
                let up_to_date = known.original == found.stamp && known.copy == copy;
                if up_to_date {
                    Step::Nothing
                } else {
                    Step::Renew
                }
            }
            (Some(Entry::File(copy, _)), None) if copy.size == found.stamp.size => Step::Compare,
            (Some(Entry::File(..) | Entry::Folder | Entry::Other(_)), _) => Step::Keep,
        })
    }

    /// What stands in a file's place.
    fn there(&self, path: &Path) -> Result<Option<Entry>, FileError> {
        match self.folders.to.parent_of(path, false) {
            Ok((folder, name)) => folder.look(name),
            Err(error) if error.source == Errno::NOENT => Ok(None),
            // A file or a link where a folder is to be: it is met again, and named, when the file's turn comes.
            Err(error) if matches!(error.source, Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn take(&mut self, step: Step, found: &Found, count: &mut Count<'_>) -> Result<(), Trouble> {
        let (from, name) = self.folders.from.parent_of(&found.path, false)?;
        let (to, _) = self.folders.to.parent_of(&found.path, true)?;
        let copying = Copying {
            from: &from,
            to: &to,
            root: &self.folders.to,
            name,
        };
        let mut pace = Pace {
            cancellation: self.cancellation,
            bytes_per_second: self.settings.bytes_per_second,
            moved: &mut |bytes| count.moved(bytes),
        };
        let copied = match step {
            Step::Nothing => return Ok(()),
            Step::Keep => {
                let path = to.path_of(name);
                return Err(CopyError::Taken { path }.into());
            }
            Step::Compare => copying.compare(&mut pace)?,
            Step::Copy => copying.copy(&mut pace, false)?,
            Step::Renew => copying.copy(&mut pace, true)?,
        };
        let known = Known {
            digest: copied.digest,
            original: copied.original,
            copy: copied.copy,
        };
        self.ledger.note(&found.path, known)?;
        if step == Step::Compare {
            self.summary.already += 1;
        } else {
            self.summary.copied += 1;
            self.summary.bytes += copied.original.size;
        }
        Ok(())
    }
}

/// Bytes dealt with, as percent.
struct Count<'a> {
    total: u64,
    moved: u64,
    progress: &'a mut dyn FnMut(u32),
}

impl Count<'_> {
    fn moved(&mut self, bytes: u64) {
        self.reach(self.moved.saturating_add(bytes));
    }

    /// A file may have grown or shrunk since it was listed: what counts is its listed size.
    fn reach(&mut self, moved: u64) {
        self.moved = moved;
        let hundredfold = u128::from(self.moved) * 100;
        let percent = hundredfold.checked_div(self.total.into()).unwrap_or(0);
        (self.progress)(u32::try_from(percent.min(99)).unwrap_or(99));
    }
}

#[cfg(test)]
mod tests;
