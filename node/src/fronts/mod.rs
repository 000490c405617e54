//! The apps' own processes, which run what is registered without an entry point (RUN-01, RUN-03 to RUN-05).
//!
//! Such a process connects to the [`door`](serve) and says whose it is; from then on each in-process run of its app reaches it as a
//! socket. Where it does not run, the supervisor starts it in the background, by the manifest's `[front]` (RUN-04). [`Fronts`] is what the
//! door, the supervisor and the runs know together of each process. Deliberately absent: what a run and its process are to each other,
//! which the machine decides, and leases of clients that only listen (`local`).

mod door;
mod process;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{AppId, Exit, RunId};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::process::{Pid, Signal, pidfd_send_signal};
use tokio::sync::{mpsc, watch};

use crate::local::{Lease, Leases};
pub use door::{Door, serve};
use process::{Departure, Host, Process};

/// How long a process that is started may take until it says hello. The run's own limits count meanwhile.
const COMING: Duration = Duration::from_secs(10);

/// How long it may take until a process that left a run is seen to be gone itself: its sockets are closed by the same exit.
const GOING: Duration = Duration::from_secs(2);

/// Runs that are on their way to one process; beyond this, the process does not read.
const RUNS: usize = 32;

/// The apps' processes, shared by all who deal with them.
#[derive(Debug, Clone, Default)]
pub struct Fronts {
    processes: Arc<watch::Sender<BTreeMap<AppId, Process>>>,
    leases: Leases,
}

/// A run that was handed to its app's process.
#[derive(Debug)]
pub(crate) struct Activation {
    /// The node's end of the run's socket, non-blocking.
    pub(crate) socket: OwnedFd,
    /// Which connection of the process got the other end.
    pub(crate) serial: u64,
    /// The process counts as there for as long as the run does: so its end is told before the app's.
    pub(crate) lease: Arc<Lease>,
}

/// What became of a process that closed a run's socket without a last word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It is there: its code returned.
    Stays,
    /// It left as it wanted to.
    Left,
    /// It went in the middle of the run.
    Died(Exit),
}

/// A run on its way to a process.
#[derive(Debug)]
struct Passing {
    run: RunId,
    payload: Vec<u8>,
    socket: OwnedFd,
}

impl Fronts {
    /// The leases of all front clients.
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// Hands a run to its app's process, waiting for one that is coming.
    ///
    /// # Errors
    /// Why there is nobody to run it, for people; the text becomes the run's outcome (`not-started`).
    pub(crate) async fn activate(
        &self,
        app: &AppId,
        run: RunId,
        payload: Vec<u8>,
    ) -> Result<Activation, String> {
        let host = self.host(app).await?;
        let failed = |error: io::Error| format!("cannot have a socket for the run: {error}");
        let (socket, theirs) = pair().map_err(failed)?;
        let passing = Passing {
            run,
            payload,
            socket: theirs,
        };
        host.to_process.try_send(passing).map_err(|_full| {
            format!(
                "the process of app {app} (pid {}) does not take the runs that wait for it, {RUNS} at most",
                host.pid
            )
        })?;
        Ok(Activation {
            socket,
            serial: host.serial,
            lease: host.lease,
        })
    }

    async fn host(&self, app: &AppId) -> Result<Host, String> {
        let mut changes = self.processes.subscribe();
        let decided = |all: &BTreeMap<AppId, Process>| {
            let process = all.get(app);
            process.is_some_and(|process| process.host.is_some() || process.trouble.is_some())
        };
        let waited = tokio::time::timeout(COMING, changes.wait_for(decided)).await;
        let Ok(Ok(all)) = waited else {
            let seconds = COMING.as_secs();
            return Err(format!(
                "the process of app {app} did not connect to {} within {seconds} s; it has to take its app's runs when it starts",
                lull_proto::host::SOCKET
            ));
        };
        let process = all.get(app);
        match process.map(|process| (&process.host, &process.trouble)) {
            Some((Some(host), _)) => Ok(host.clone()),
            Some((None, Some(trouble))) => Err(trouble.clone()),
            Some((None, None)) | None => Err(format!("app {app} has no process")),
        }
    }

    /// What became of the process behind a connection, once that is known.
    pub(crate) async fn gone(&self, app: &AppId, serial: u64) -> Gone {
        let mut changes = self.processes.subscribe();
        let known = |all: &BTreeMap<AppId, Process>| {
            all.get(app)
                .is_none_or(|process| process.fate(serial).is_some())
        };
        if let Ok(Ok(all)) = tokio::time::timeout(GOING, changes.wait_for(known)).await {
            let fate = all.get(app).and_then(|process| process.fate(serial));
            return fate.unwrap_or(Gone::Died(Exit::Vanished));
        }
        let all = self.processes.borrow();
        let process = all.get(app);
        let stays = process.is_some_and(|process| {
            let host = process.host.as_ref();
            host.is_some_and(|host| host.serial == serial)
        });
        if stays {
            Gone::Stays
        } else {
            Gone::Died(Exit::Vanished)
        }
    }

    /// Kills the app's process (RUN-05), whoever started it. True if there was one.
    pub(crate) fn kill(&self, app: &AppId) -> bool {
        let all = self.processes.borrow();
        let host = all.get(app).and_then(|process| process.host.as_ref());
        // One that is gone already needs no signal.
        host.is_some_and(|host| pidfd_send_signal(&host.pidfd, Signal::KILL).is_ok())
    }
}

/// What the supervisor says of processes that it starts.
impl Fronts {
    /// It is being started: it counts as there from now on.
    pub(crate) fn starting(&self, app: &AppId) {
        let lease = Arc::new(self.leases.take(app, false));
        self.change(app, |process| {
            process.trouble = None;
            process.started = Some(process::Started { pid: None, lease });
        });
    }

    /// It runs, under this id.
    pub(crate) fn started(&self, app: &AppId, pid: u32) {
        self.change(app, |process| {
            if let Some(started) = &mut process.started {
                started.pid = Some(pid);
            }
        });
    }

    /// It cannot be started. What waits for it is told; the next start asks anew.
    pub(crate) fn failed(&self, app: &AppId, why: &str) {
        self.change(app, |process| {
            process.started = None;
            process.trouble = Some(why.to_owned());
        });
    }

    /// It ended.
    pub(crate) fn ended(&self, app: &AppId, exit: Exit) {
        self.change(app, |process| process.ended(app, exit));
    }

    fn change(&self, app: &AppId, change: impl FnOnce(&mut Process)) {
        self.processes
            .send_modify(|all| change(all.entry(app.clone()).or_default()));
    }
}

/// What the door says.
impl Fronts {
    /// A process connected for its app.
    ///
    /// # Errors
    /// Another one is connected, for people.
    fn connect(
        &self,
        app: &AppId,
        pid: Pid,
        pidfd: OwnedFd,
    ) -> Result<(u64, mpsc::Receiver<Passing>), String> {
        let (to_process, passing) = mpsc::channel(RUNS);
        let lease = Arc::new(self.leases.take(app, false));
        let mut taken = Ok(0);
        self.change(app, |process| {
            if let Some(first) = &process.host {
                taken = Err(format!(
                    "process {} runs the tasks of app {app} already; an app has one such process",
                    first.pid
                ));
                return;
            }
            process.connections += 1;
            taken = Ok(process.connections);
            process.trouble = None;
            process.host = Some(Host {
                serial: process.connections,
                to_process,
                pid: pid.as_raw_nonzero().get().unsigned_abs(),
                pidfd: Arc::new(pidfd),
                lease,
            });
        });
        taken.map(|serial| (serial, passing))
    }

    /// Its connection is closed.
    fn disconnect(&self, app: &AppId, serial: u64, left: bool) {
        self.change(app, |process| {
            let Some(host) = process.host.take_if(|host| host.serial == serial) else {
                return;
            };
            process.departure = Some(Departure {
                serial,
                left,
                pid: host.pid,
                exit: process.exit_of(host.pid),
            });
        });
    }
}

/// A stream socket for one run. The node never waits on its end; the process does as it likes with its own.
fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::fs::fcntl_setfl(&ours, rustix::fs::OFlags::NONBLOCK)?;
    Ok((ours, theirs))
}
