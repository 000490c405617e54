//! Paths that are watched, whether they exist or not (inotify): says which of them changed.
//!
//! A folder changes when one of its entries is whole (written and closed, made, renamed, removed), a file when it was written and
//! closed; both when they come, go or are replaced. Every folder on the way is heard to go away, the nearest that
//! exists is heard for what is missing in it.
//!
//! Deliberately absent: what lies deeper than a folder's own entries, a file that is written and never closed, rights and times of
//! files, what is mounted over a path, and the folders on the way to where a link leads.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep, sleep_until};

use crate::retry::{Retry, random};
use crate::watch::GAP;

/// Room for some events; more are read in further rounds.
const BUFFER: usize = 16 << 10;

/// Events read in one go. The kernel keeps 16,384 and tells more as one overflow.
const AT_ONCE: usize = 1 << 15;

/// Looks in a row at a path that changes under the look; what changes after them rings.
const LOOKS: usize = 4;

/// When a path that the kernel did not let watch is tried again.
const RETRY: Retry = Retry::new(Duration::from_secs(1), Duration::from_mins(1));

/// It went away itself.
const ITSELF: WatchFlags = WatchFlags::DELETE_SELF.union(WatchFlags::MOVE_SELF);

/// Entries of a folder come and go.
const ENTRIES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::MOVE)
    .union(WatchFlags::DELETE);

/// Watched paths. They answer once in [`GAP`] at most.
#[derive(Debug)]
pub(super) struct Paths {
    inotify: AsyncFd<OwnedFd>,
    targets: BTreeMap<PathBuf, Target>,
    /// For which targets a watch is, and what each hears there.
    watches: BTreeMap<i32, BTreeMap<PathBuf, Hears>>,
    /// Events are left that were not read.
    more: bool,
    retry: Retry,
    /// When those that failed are tried again.
    again: Option<Instant>,
}

#[derive(Debug, Default)]
struct Target {
    /// What stands there.
    found: Option<Found>,
    watches: BTreeSet<i32>,
    /// Why it is not watched as it should be.
    failed: Option<String>,
}

/// What stands somewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Found {
    device: u64,
    inode: u64,
    folder: bool,
}

/// What stands at a part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    link: bool,
    /// What it is, or where the link leads.
    found: Option<Found>,
}

/// What matters to a target of one watch, beside that the watched thing goes away.
#[derive(Debug, Clone, Default)]
struct Hears {
    /// All of it: this is the target.
    all: bool,
    /// These entries come and go: they are on the way to the target.
    entries: BTreeSet<OsString>,
}

/// What events mean to a target.
#[derive(Debug, Clone, Copy, Default)]
struct News {
    /// It changed.
    changed: bool,
    /// Perhaps it is another thing now.
    look: bool,
}

impl Paths {
    /// Watches nothing yet. Must be called on the runtime.
    pub(super) fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: crate::descriptor::watch(inotify)?,
            targets: BTreeMap::new(),
            watches: BTreeMap::new(),
            more: false,
            retry: RETRY,
            again: None,
        })
    }

    /// Watches these from now on, and no others. What stands at a new one is no change.
    pub(super) fn set(&mut self, wanted: &BTreeSet<PathBuf>) {
        let known: Vec<PathBuf> = self.targets.keys().cloned().collect();
        for path in known.iter().filter(|path| !wanted.contains(*path)) {
            if let Some(target) = self.targets.remove(path) {
                self.release(path, &target.watches);
            }
        }
        for path in wanted {
            if !self.targets.contains_key(path) {
                self.targets.insert(path.clone(), Target::default());
                self.look(path);
            }
        }
    }

    /// Paths that cannot be watched now, and why.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.targets
            .iter()
            .filter_map(|(path, target)| Some((path.as_path(), target.failed.as_deref()?)))
    }

    /// How many paths are watched.
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Resolves at the next change, with all that changed in the gap after it. May be dropped at any time.
    pub(super) async fn changed(&mut self) -> io::Result<BTreeSet<PathBuf>> {
        loop {
            if self.again.is_none() && self.failed().next().is_some() {
                self.again = Some(Instant::now() + self.retry.next(random()));
            }
            let tried = self.again;
            tokio::select! {
                rang = rang(&self.inotify), if !self.more => rang?,
                () = std::future::ready(()), if self.more => {}
                () = sleep_until(tried.unwrap_or_else(Instant::now)), if tried.is_some() => {}
            }
            self.more = true;
            sleep(GAP).await;
            let mut news = self.drain()?;
            if self.again.is_some_and(|again| again <= Instant::now()) {
                self.again = None;
                for (path, _why) in self.failed() {
                    news.entry(path.to_owned()).or_default().look = true;
                }
            }
            let mut changed = BTreeSet::new();
            for (path, news) in news {
                let other = news.look && self.look(&path);
                if other || news.changed {
                    changed.insert(path);
                }
            }
            if self.failed().next().is_none() {
                self.retry.reset();
                self.again = None;
            }
            if !changed.is_empty() {
                return Ok(changed);
            }
        }
    }

    /// Reads what rang.
    fn drain(&mut self) -> io::Result<BTreeMap<PathBuf, News>> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut news: BTreeMap<PathBuf, News> = BTreeMap::new();
        let mut reader = Reader::new(self.inotify.get_ref(), &mut buffer);
        self.more = true;
        for _ in 0..AT_ONCE {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => {
                    self.more = false;
                    break;
                }
                Err(error) => return Err(error.into()),
            };
            let (flags, watch) = (event.events(), event.wd());
            if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                // What was lost may have been about any of them.
                let (changed, look) = (true, true);
                let all = self.targets.keys().cloned();
                news = all.map(|path| (path, News { changed, look })).collect();
                continue;
            }
            let name = event
                .file_name()
                .map(|name| OsStr::from_bytes(name.to_bytes()));
            for (path, hears) in self.watches.get(&watch).into_iter().flatten() {
                let heard = hears.judge(path, flags, name);
                if heard.changed || heard.look {
                    let news = news.entry(path.clone()).or_default();
                    news.changed |= heard.changed;
                    news.look |= heard.look;
                }
            }
            if flags.contains(ReadFlags::IGNORED) {
                self.watches.remove(&watch);
            }
        }
        Ok(news)
    }

    /// Watches what has to be watched for a target now; whether another thing stands there than before.
    fn look(&mut self, path: &Path) -> bool {
        let mut ears = BTreeMap::new();
        let mut walked = self.walk(path, &mut ears);
        for _ in 1..LOOKS {
            let moving = |error: &io::Error| {
                matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                )
            };
            if !walked.as_ref().is_err_and(moving) {
                break;
            }
            walked = self.walk(path, &mut ears);
        }
        let Some(target) = self.targets.get_mut(path) else {
            return false;
        };
        let watches: BTreeSet<i32> = ears.keys().copied().collect();
        let before = std::mem::replace(&mut target.watches, watches.clone());
        let other = match walked {
            Ok(found) => {
                target.failed = None;
                std::mem::replace(&mut target.found, found) != found
            }
            Err(error) => {
                target.failed = Some(error.to_string());
                false
            }
        };
        for (watch, hears) in ears {
            self.watches
                .entry(watch)
                .or_default()
                .insert(path.to_owned(), hears);
        }
        self.release(path, &before.difference(&watches).copied().collect());
        other
    }

    /// Ends watches for a target, and altogether where it was the last.
    fn release(&mut self, path: &Path, watches: &BTreeSet<i32>) {
        for watch in watches {
            let Some(targets) = self.watches.get_mut(watch) else {
                continue;
            };
            targets.remove(path);
            if targets.is_empty() {
                self.watches.remove(watch);
                // The kernel may have ended it by itself.
                inotify::remove_watch(self.inotify.get_ref(), *watch).ok();
            }
        }
    }

    /// From the root to the target, as far as there is something; what stands at its end.
    fn walk(&self, path: &Path, ears: &mut BTreeMap<i32, Hears>) -> io::Result<Option<Found>> {
        let mut folder = PathBuf::from("/");
        let mut parts = path.components().filter_map(|component| match component {
            Component::Normal(part) => Some(part),
            _ => None,
        });
        let mut next = parts.next();
        while let Some(part) = next {
            next = parts.next();
            let here = folder.join(part);
            let at = self.part(&folder, part, next.is_none(), ears)?;
            let Some(found) = at.found else {
                return Ok(None);
            };
            if next.is_none() {
                let (contents, only) = if found.folder {
                    (ENTRIES, WatchFlags::ONLYDIR)
                } else {
                    (WatchFlags::empty(), WatchFlags::empty())
                };
                let watch = self.add(&here, ITSELF | WatchFlags::CLOSE_WRITE | contents | only)?;
                ears.entry(watch).or_default().all = true;
                return Ok(Some(found));
            }
            if !found.folder {
                return Ok(None);
            }
            folder = here;
        }
        Ok(None)
    }

    /// Watches one part of a path in its folder: first watched, then believed.
    fn part(
        &self,
        folder: &Path,
        part: &OsStr,
        last: bool,
        ears: &mut BTreeMap<i32, Hears>,
    ) -> io::Result<At> {
        let here = folder.join(part);
        let mut at = At::look(&here)?;
        for _ in 0..LOOKS {
            let on_the_way = !last && !at.link && at.found.is_some_and(|found| found.folder);
            // A folder on the way tells itself that it goes; a busy folder above it is not listened to.
            let flags = if on_the_way { ITSELF } else { ITSELF | ENTRIES };
            let watch = self.add(folder, flags | WatchFlags::ONLYDIR)?;
            let hears = ears.entry(watch).or_default();
            if !on_the_way {
                hears.entries.insert(part.to_owned());
            }
            let again = At::look(&here)?;
            if again == at {
                break;
            }
            at = again;
        }
        Ok(at)
    }

    fn add(&self, path: &Path, flags: WatchFlags) -> io::Result<i32> {
        // Another target may watch the same with other flags.
        let flags = flags | WatchFlags::MASK_ADD;
        Ok(inotify::add_watch(self.inotify.get_ref(), path, flags)?)
    }
}

/// Resolves when there is something to read.
async fn rang(inotify: &AsyncFd<OwnedFd>) -> io::Result<()> {
    inotify.readable().await?.clear_ready();
    Ok(())
}

impl At {
    fn look(path: &Path) -> io::Result<Self> {
        let of = |found: io::Result<std::fs::Metadata>| match found {
            Ok(found) => Ok(Some(found)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
                _ => Err(error),
            },
        };
        let itself = of(path.symlink_metadata())?;
        let link = itself.is_some_and(|itself| itself.is_symlink());
        let found = of(path.metadata())?;
        Ok(Self {
            link,
            found: found.map(|found| Found {
                device: found.dev(),
                inode: found.ino(),
                folder: found.is_dir(),
            }),
        })
    }
}

impl Hears {
    fn judge(&self, target: &Path, flags: ReadFlags, name: Option<&OsStr>) -> News {
        let gone =
            ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
        let entry = name.is_some_and(|name| self.entries.contains(name));
        let look = entry || flags.intersects(gone);
        let begun = || {
            let made = flags.contains(ReadFlags::CREATE) && !flags.contains(ReadFlags::ISDIR);
            made && name.is_some_and(|name| is_begun(&target.join(name)))
        };
        let changed = self.all && !flags.intersects(gone) && !begun();
        News { changed, look }
    }
}

/// A file that somebody has just made: it is heard when it is closed. A link or a pipe is whole as it is made.
fn is_begun(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|made| made.is_file() && made.nlink() == 1)
}
