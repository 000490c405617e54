//! Hears that something in a folder changed (inotify). Says no more: who hears it reads the folder anew.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

/// Room for some events; more are read in further rounds, and too many are told by the kernel as one overflow.
const BUFFER: usize = 4096;

/// One inotify instance over some folders.
#[derive(Debug)]
pub struct FolderBell {
    inotify: AsyncFd<OwnedFd>,
}

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rung {
    /// Something changed, perhaps more than once.
    Changed,
    /// A folder itself is gone or was moved: nothing more is heard of it.
    Lost,
}

impl FolderBell {
    /// A bell that hears nothing yet. Must be called on the runtime.
    pub fn new() -> io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: crate::descriptor::watch(inotify)?,
        })
    }

    /// Hears files that are complete: written and closed, renamed, removed, or with other rights. A file that is
    /// still being written is not heard.
    pub fn whole_files(&self, folder: &Path) -> io::Result<()> {
        self.hear(
            folder,
            WatchFlags::CLOSE_WRITE | WatchFlags::MOVE | WatchFlags::DELETE | WatchFlags::ATTRIB,
        )
    }

    /// Hears every change, new folders included.
    pub fn anything(&self, folder: &Path) -> io::Result<()> {
        self.hear(
            folder,
            WatchFlags::CLOSE_WRITE
                | WatchFlags::MODIFY
                | WatchFlags::CREATE
                | WatchFlags::MOVE
                | WatchFlags::DELETE,
        )
    }

    fn hear(&self, folder: &Path, flags: WatchFlags) -> io::Result<()> {
        let flags = flags | WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF | WatchFlags::ONLYDIR;
        inotify::add_watch(self.inotify.get_ref(), folder, flags)?;
        Ok(())
    }

    /// Resolves at the next change. All that has happened until then is one ring.
    pub async fn ring(&self) -> io::Result<Rung> {
        loop {
            let mut ready = self.inotify.readable().await?;
            match self.drain()? {
                Some(rung) => return Ok(rung),
                None => ready.clear_ready(),
            }
        }
    }

    /// What has rung since the last look, without waiting.
    pub fn drain(&self) -> io::Result<Option<Rung>> {
        let mut buffer = [MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(self.inotify.get_ref(), &mut buffer);
        let mut rung = None;
        loop {
            match reader.next() {
                Ok(event) => {
                    let gone = ReadFlags::IGNORED | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF;
                    if event.events().intersects(gone) {
                        rung = Some(Rung::Lost);
                    } else if rung.is_none() {
                        rung = Some(Rung::Changed);
                    }
                }
                Err(Errno::AGAIN) => return Ok(rung),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn ring(bell: &FolderBell) -> Rung {
        tokio::time::timeout(PATIENCE, bell.ring())
            .await
            .unwrap()
            .unwrap()
    }

    #[tokio::test]
    async fn whole_files_are_heard_and_a_lost_folder_too() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("apps");
        std::fs::create_dir(&folder).unwrap();
        let bell = FolderBell::new().unwrap();
        bell.whole_files(&folder).unwrap();
        let half = std::fs::File::create(folder.join("half.toml")).unwrap();
        assert_eq!(bell.drain().unwrap(), None);
        drop(half);
        assert_eq!(ring(&bell).await, Rung::Changed);
        std::fs::rename(folder.join("half.toml"), folder.join("whole.toml")).unwrap();
        assert_eq!(ring(&bell).await, Rung::Changed);
        std::fs::remove_dir_all(&folder).unwrap();
        let mut rung = ring(&bell).await;
        while rung != Rung::Lost {
            rung = ring(&bell).await;
        }
    }
}
