//! This very program again, as a server process of its own: benches measure servers in processes of their own, without
//! needing their binaries built first.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// How long a server may take until it says that it is ready.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How often its file is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A server process, killed and reaped when dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts this program again with these arguments; ready once `ready_file` exists.
    pub fn start(arguments: &[&str], ready_file: &Path, log: &Path) -> Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let log =
            std::fs::File::create(log).with_context(|| format!("create {}", log.display()))?;
        let child = Command::new(own)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("start this program again")?;
        let mut server = Self { child };
        server.wait_for(ready_file)?;
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_for(&mut self, file: &Path) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty())?;
        let mut left = READY_WITHIN;
        while !file.is_file() {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "the server ended with {status} before it wrote {}",
                    file.display()
                );
            }
            left = left.checked_sub(LOOK_EVERY).with_context(|| {
                format!(
                    "the server did not write {} within {READY_WITHIN:?}",
                    file.display()
                )
            })?;
            // Comes back early when the process ends.
            let mut ended = [PollFd::new(&pidfd, PollFlags::IN)];
            poll(&mut ended, Some(&Timespec::try_from(LOOK_EVERY)?))?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; both calls then say so, which is what is wanted.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A file below `folder`, as text for an argument or a configuration.
pub fn text(folder: &Path, name: &str) -> (PathBuf, String) {
    let path = folder.join(name);
    let text = path.to_string_lossy().into_owned();
    (path, text)
}
