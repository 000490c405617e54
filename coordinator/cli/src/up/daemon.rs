//! One daemon as a child process: started with a log of its own, watched, ended in order or at once.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use crate::clock::Deadline;
use crate::failure::Failure;
use crate::proc::Process;

/// To end in order: a commit under way, the streams, the listeners.
const ENDING: Duration = Duration::from_secs(10);
/// Between two looks at something that has no notice of its own.
pub(crate) const LOOK: Duration = Duration::from_millis(20);
/// What is shown of a log when its daemon failed.
const TAIL: u64 = 4_096;

/// A daemon that was started.
#[derive(Debug)]
pub(crate) struct Daemon {
    name: &'static str,
    child: Child,
    process: Process,
    log: PathBuf,
    log_start: u64,
}

impl Daemon {
    /// Starts `executable` with these arguments; what it prints is added to the log.
    pub(crate) fn start(
        name: &'static str,
        executable: &Path,
        arguments: &[&std::ffi::OsStr],
        log: &Path,
    ) -> Result<Self, Failure> {
        let start = || -> anyhow::Result<Self> {
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .mode(0o600)
                .open(log)?;
            let log_start = file.metadata()?.len();
            let child = Command::new(executable)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                .current_dir("/")
                // Ctrl-C goes to this process alone, which ends its children in order.
                .process_group(0)
                .spawn()?;
            let pid = child
                .id()
                .ok_or_else(|| anyhow::anyhow!("it has no process id"))?;
            let process = Process::of(pid).ok_or_else(|| anyhow::anyhow!("it is not in /proc"))?;
            Ok(Self {
                name,
                child,
                process,
                log: log.to_owned(),
                log_start,
            })
        };
        start().map_err(|error| {
            Failure::internal(
                format!("cannot start the {name} from {}", executable.display()),
                &error,
            )
        })
    }

    /// Its process.
    pub(crate) fn process(&self) -> Process {
        self.process
    }

    /// Fails if it has ended, with the last it said.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(error) => Err(Failure::internal(
                format!("cannot wait for the {}", self.name),
                &error.into(),
            )),
        }
    }

    /// Waits until it ends by itself, which is a failure.
    pub(crate) async fn unexpected_end(&mut self) -> Failure {
        match self.child.wait().await {
            Ok(status) => self.ended(status),
            Err(error) => {
                Failure::internal(format!("cannot wait for the {}", self.name), &error.into())
            }
        }
    }

    fn ended(&self, status: ExitStatus) -> Failure {
        let said = tail(&self.log, self.log_start).unwrap_or_default();
        let mut causes = vec![format!("{status}; its log is {}", self.log.display())];
        causes.extend(
            said.lines()
                .rev()
                .take(8)
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .into_iter()
                .rev(),
        );
        Failure::Internal {
            message: format!("the {} ended", self.name),
            causes,
        }
    }

    /// Asks it to end, and ends it if it has not within [`ENDING`]. It is reaped either way.
    pub(crate) async fn stop(mut self) -> Result<(), Failure> {
        self.signal(Signal::TERM);
        match tokio::time::timeout(ENDING, self.child.wait()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(Failure::internal(
                format!("cannot wait for the {}", self.name),
                &error.into(),
            )),
            Err(_elapsed) => {
                let name = self.name;
                self.kill().await?;
                Err(Failure::Internal {
                    message: format!(
                        "the {name} did not end within {} s and was killed",
                        ENDING.as_secs()
                    ),
                    causes: Vec::new(),
                })
            }
        }
    }

    /// Kills it (SIGKILL) and reaps it.
    pub(crate) async fn kill(mut self) -> Result<(), Failure> {
        self.signal(Signal::KILL);
        self.child.wait().await.map(drop).map_err(|error| {
            Failure::internal(format!("cannot wait for the {}", self.name), &error.into())
        })
    }

    /// Its id cannot have passed to another process: it is not reaped yet.
    fn signal(&self, signal: Signal) {
        let pid = self
            .child
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself meanwhile; waiting for it says so.
            kill_process(pid, signal).ok();
        }
    }
}

/// The last of a log, but nothing from before `start`.
fn tail(log: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(start.max(length.saturating_sub(TAIL))))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Looks again and again until something is there; `what` completes "… did not … within".
pub(crate) async fn until<T>(
    within: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Result<Option<T>, Failure>,
) -> Result<T, Failure> {
    let deadline = Deadline::after(within);
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if deadline.passed() {
            return Err(Failure::Late(format!(
                "{what} within {} s",
                within.as_secs()
            )));
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, log: &Path) -> Daemon {
        let arguments = [std::ffi::OsStr::new("-c"), std::ffi::OsStr::new(script)];
        Daemon::start("shell", Path::new("/bin/sh"), &arguments, log).unwrap()
    }

    #[tokio::test]
    async fn a_daemon_that_fails_is_reported_with_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "of an earlier start\n").unwrap();
        let mut daemon = start("echo no such thing >&2; exit 3", &log);
        let Failure::Internal { causes, .. } = daemon.unexpected_end().await else {
            panic!("it is an internal failure");
        };
        let said = causes.join("\n");
        assert!(
            said.contains("exit status: 3") && said.contains("no such thing"),
            "{said}"
        );
        assert!(!said.contains("earlier"), "{said}");
    }

    #[tokio::test]
    async fn a_daemon_that_is_asked_ends_and_is_reaped() {
        let folder = tempfile::tempdir().unwrap();
        let daemon = start("exec sleep 100", &folder.path().join("log"));
        let process = daemon.process();
        assert!(process.alive());
        daemon.stop().await.unwrap();
        assert!(!process.listed());
    }

    #[tokio::test]
    async fn what_never_comes_is_given_up() {
        let failure = until(Duration::from_millis(50), "it did not come", async || {
            Ok(None::<()>)
        })
        .await;
        assert_eq!(failure.unwrap_err().exit(), crate::failure::Exit::Late);
    }
}
