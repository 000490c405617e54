//! The launcher's process: one poll loop over its socket, the daemon, its children and their cages.
//!
//! Whatever the daemon orders is answered from what is held here; nothing is kept anywhere else. A message that cannot be delivered
//! because the daemon does not read ends the connection, never a run: the next connection is told everything anew.

mod connection;
mod kept;
mod orders;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, geteuid};

use connection::Daemon;
use kept::Kept;

use crate::cage::{Cages, Hierarchies};
use crate::launch::Ground;
use crate::run::{Run, Source};
use crate::sandbox::Sandboxes;
use crate::socket::Channel;
use crate::spawn::{Listening, listen};
use crate::sys::{self, Places};
use crate::wire::KEPT;
use crate::{SpawnError, clock};

/// How long a launcher waits that holds no run and has no daemon, before it ends: a daemon that is being upgraded comes back
/// within seconds, and a launcher that nobody needs is a process too many.
pub const IDLE: Duration = Duration::from_mins(1);

/// Runs held at one time: far more than a device can run side by side. Each holds up to six descriptors.
pub const RUNS: usize = 256;

/// Descriptors that all runs, the apps' sockets, the daemon and a launch in the making need.
const DESCRIPTORS: u64 = 8 * RUNS as u64 + KEPT as u64 + 128;

/// How long the trees may take to die when the launcher itself is told to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why the launcher could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its socket cannot be had.
    #[error("the launcher's socket")]
    Listen(#[from] SpawnError),
    /// Something every process can have was refused.
    #[error("cannot {what}")]
    System {
        /// What.
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

fn cannot<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> RunError {
    move |source| RunError::System {
        what,
        source: source.into(),
    }
}

/// Is the launcher: takes over this process, which must have one thread and nothing of its own to lose: every descriptor but the
/// standard three is closed.
///
/// Returns at once in the process that was called, when the socket at `path` takes connections; the launcher goes on in a child of its
/// own session, with nothing but `/dev/null` for its standard descriptors. There, returns when the launcher ends.
pub fn run(path: &Path) -> Result<(), RunError> {
    sys::close_from(3).map_err(cannot("close inherited descriptors"))?;
    let (null, places) = Places::take().map_err(cannot("reserve the agents' descriptors"))?;
    let Some(listening) = listen(path)? else {
        // Another launcher answers there.
        return Ok(());
    };
    if sys::fork()
        .map_err(cannot("start the launcher's own process"))?
        .is_some()
    {
        return Ok(());
    }
    settle(&null)?;
    let signals = sys::take_signals().map_err(cannot("take signals"))?;
    let (sandboxes, cannot_confine) = Sandboxes::begin();
    let mut launcher = Launcher {
        path: path.to_path_buf(),
        listening,
        signals,
        ground: Ground {
            null,
            places,
            sandboxes,
            root: geteuid().is_root(),
        },
        cannot_confine: cannot_confine.iter().map(ToString::to_string).collect(),
        hierarchies: Hierarchies::read(),
        cages: None,
        daemon: None,
        guests: VecDeque::new(),
        runs: BTreeMap::new(),
        kept: BTreeMap::new(),
        alone_since: clock::now(),
        ending: false,
    };
    launcher.serve()
}

/// Leaves everything of the daemon's behind but its user: session, folder, standard descriptors, file mode, bound on descriptors.
fn settle(null: &OwnedFd) -> Result<(), RunError> {
    rustix::process::setsid().map_err(cannot("begin a session"))?;
    rustix::process::chdir("/").map_err(cannot("leave the folder"))?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    rustix::stdio::dup2_stdin(null).map_err(cannot("close standard input"))?;
    rustix::stdio::dup2_stdout(null).map_err(cannot("close standard output"))?;
    rustix::stdio::dup2_stderr(null).map_err(cannot("close standard error"))?;
    // Those whose parents end become this process's children, so that they are waited for, and found where there is no cage.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(cannot("become the reaper of orphans"))?;
    let now = rustix::process::getrlimit(Resource::Nofile);
    let wanted = now
        .maximum
        .map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if now.current.is_some_and(|current| current < wanted) {
        let limit = Rlimit {
            current: Some(wanted),
            maximum: now.maximum,
        };
        rustix::process::setrlimit(Resource::Nofile, limit)
            .map_err(cannot("raise the bound on descriptors"))?;
    }
    // Inherited by every agent: what crashes leaves no memory image with secrets in it.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    rustix::process::setrlimit(Resource::Core, none).map_err(cannot("forbid core files"))
}

#[derive(Debug)]
struct Launcher {
    path: PathBuf,
    listening: Listening,
    signals: OwnedFd,
    ground: Ground,
    /// What of the agents' sandboxes this kernel does not enforce.
    cannot_confine: Vec<String>,
    /// As they were found at the start, before this process moved.
    hierarchies: Hierarchies,
    /// Their name, what they are, and what cannot be enforced; absent before the first daemon's hello.
    cages: Option<Ready>,
    daemon: Option<Daemon>,
    /// Connections that were refused and have not spoken yet, each until then.
    guests: VecDeque<(Channel, Duration)>,
    runs: BTreeMap<u64, Run>,
    /// Sockets of apps, by the daemon's numbers. They keep no launcher alive that nobody comes back to.
    kept: BTreeMap<u64, Kept>,
    /// Since when there is no daemon.
    alone_since: Duration,
    ending: bool,
}

#[derive(Debug)]
struct Ready {
    name: String,
    cages: Cages,
    cannot_enforce: Vec<String>,
}

/// What is ready.
#[derive(Debug, Clone, Copy)]
enum Token {
    Listener,
    Signals,
    Daemon,
    Guest,
    Run(u64, Source),
}

impl Launcher {
    fn serve(&mut self) -> Result<(), RunError> {
        while !self.is_over() {
            for token in self.wait()? {
                self.take(token);
            }
            self.reap();
            self.step();
            self.see_off();
            self.flush();
        }
        self.farewell();
        Ok(())
    }

    fn is_over(&self) -> bool {
        let idle = self.runs.is_empty() && self.daemon.is_none();
        self.ending || (idle && clock::now() >= self.alone_since + IDLE)
    }

    fn wait(&self) -> Result<Vec<Token>, RunError> {
        let now = clock::now();
        let watched = self.watched(now);
        let mut fds: Vec<PollFd<'_>> = watched
            .iter()
            .map(|(_token, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags))
            .collect();
        let timeout = self.wake(now).map(|at| timespec(at.saturating_sub(now)));
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_count) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(error) => return Err(cannot("wait")(error)),
        }
        let ready = watched
            .iter()
            .zip(&fds)
            .filter(|(_watched, fd)| !fd.revents().is_empty());
        Ok(ready.map(|((token, ..), _fd)| *token).collect())
    }

    /// Every descriptor that something can happen on.
    fn watched(&self, now: Duration) -> Vec<(Token, BorrowedFd<'_>, PollFlags)> {
        let mut watched = vec![
            (
                Token::Listener,
                self.listening.socket.as_fd(),
                PollFlags::IN,
            ),
            (Token::Signals, self.signals.as_fd(), PollFlags::IN),
        ];
        if let Some(daemon) = &self.daemon {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, !daemon.outbox.is_empty());
            watched.push((Token::Daemon, daemon.channel.as_fd(), flags));
        }
        let guests = self.guests.iter();
        watched.extend(guests.map(|(guest, _until)| (Token::Guest, guest.as_fd(), PollFlags::IN)));
        for run in self.runs.values() {
            let of_run = |(source, fd, flags)| (Token::Run(run.id, source), fd, flags);
            watched.extend(run.interests(now).into_iter().map(of_run));
        }
        watched
    }

    fn wake(&self, now: Duration) -> Option<Duration> {
        let idle = self.runs.is_empty() && self.daemon.is_none();
        let idle = idle.then(|| self.alone_since + IDLE);
        let guest = self.guests.front().map(|(_guest, until)| *until);
        self.runs
            .values()
            .filter_map(|run| run.wake(now))
            .chain(idle)
            .chain(guest)
            .min()
    }

    fn take(&mut self, token: Token) {
        match token {
            Token::Listener => self.accept(),
            Token::Signals => self.signal(),
            Token::Daemon => self.listen_to_daemon(),
            // Looked at in every turn.
            Token::Guest => {}
            Token::Run(id, source) => {
                let ready = |run: &mut Run| run.ready(source, clock::now());
                if self.runs.get_mut(&id).is_some_and(ready) {
                    self.tell_start(id);
                }
            }
        }
    }

    fn signal(&mut self) {
        while let Some(signal) = sys::next_signal(&self.signals) {
            self.ending |= [libc::SIGTERM, libc::SIGINT].contains(&signal);
        }
    }

    /// Waits for every child that has ended, its own and adopted ones.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
            let now = clock::now();
            let of = |run: &&mut Run| run.main() == Some(pid);
            let Some(run) = self.runs.values_mut().find(of) else {
                continue;
            };
            let (id, began) = (run.id, run.reaped(status, now));
            if began {
                self.tell_start(id);
            }
        }
    }

    fn step(&mut self) {
        let Some(Ready { cages, .. }) = &self.cages else {
            return;
        };
        let now = clock::now();
        let mains: Vec<(u64, Pid)> = self
            .runs
            .values()
            .filter_map(|run| Some((run.id, run.main()?)))
            .collect();
        let mut ended = Vec::new();
        for run in self.runs.values_mut().filter(|run| !run.has_ended()) {
            let id = run.id;
            let others: Vec<Pid> = mains
                .iter()
                .filter(|(other, _)| *other != id)
                .map(|(_, pid)| *pid)
                .collect();
            if run.step(now, cages, &others) {
                ended.push(id);
            }
        }
        for id in ended {
            self.tell_end(id);
        }
    }

    /// Told to end: nobody of any tree outlives it, and nothing of it is left behind.
    fn farewell(&mut self) {
        let deadline = clock::now() + FAREWELL;
        let now = clock::now();
        self.runs.values_mut().for_each(|run| run.kill(now));
        while self.runs.values().any(|run| !run.has_ended()) && clock::now() < deadline {
            self.reap();
            self.step();
            crate::run::pause(crate::cage::LOOK_AGAIN);
        }
        self.flush();
        let ids: Vec<u64> = self.runs.keys().copied().collect();
        for id in ids {
            self.forget(id);
        }
        if let Some(ready) = &self.cages {
            ready.cages.dismantle();
        }
        // Whoever starts a launcher next finds a socket that nobody answers on, or none.
        drop(std::fs::remove_file(&self.path));
    }
}

fn timespec(span: Duration) -> rustix::time::Timespec {
    rustix::time::Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}
