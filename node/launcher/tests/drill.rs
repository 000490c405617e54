//! A launcher under test, and a daemon's connection to it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lull_launcher::wire::{Class, Event, Exit, Launch, Process, Request};
use lull_launcher::{Client, Greeting, HeldRun, spawn};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use rustix::time::{ClockId, Timespec, clock_gettime};
use tempfile::TempDir;

/// Every wait ends by then.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A user that owns nothing.
pub(crate) const UID: u32 = 61_234;

/// Fails where the test cannot show what it is about.
pub(crate) fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: it makes cgroups and becomes other users"
    );
}

/// A launcher, and the connection of one daemon.
#[derive(Debug)]
pub(crate) struct Drill {
    pub(crate) folder: TempDir,
    pub(crate) cages: String,
    pub(crate) client: Option<Client>,
    pub(crate) greeting: Greeting,
    ends: RefCell<BTreeMap<u64, End>>,
}

impl Drill {
    pub(crate) fn new() -> Self {
        needs_root();
        Self::of_this_user()
    }

    pub(crate) fn of_this_user() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cages = cages_name();
        let socket = folder.path().join("launcher.sock");
        spawn(&command(&socket), &socket).unwrap();
        let (client, greeting, held) = Client::connect(&socket, &cages).unwrap();
        assert!(held.is_empty(), "{held:?}");
        Self {
            folder,
            cages,
            client: Some(client),
            greeting,
            ends: RefCell::default(),
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("launcher.sock")
    }

    pub(crate) fn client(&self) -> &Client {
        self.client.as_ref().unwrap()
    }

    pub(crate) fn send(&self, request: &Request) {
        self.client().send(request, None).unwrap();
    }

    /// The next event, within the test's patience.
    pub(crate) fn next(&self) -> (Event, Option<OwnedFd>) {
        next(self.client())
    }

    pub(crate) fn launch(&self, launch: Launch) {
        self.send(&Request::Launch(Box::new(launch)));
    }

    /// Launches and waits for the start.
    pub(crate) fn start(&self, launch: Launch) -> (Process, OwnedFd) {
        self.launch(launch);
        match self.next() {
            (Event::Started { process, .. }, Some(socket)) => (process, socket),
            other => panic!("not started: {other:?}"),
        }
    }

    /// Waits for the end of a run; ends of others are kept for when they are asked for.
    pub(crate) fn end(&self, id: u64) -> End {
        loop {
            if let Some(end) = self.ends.borrow_mut().remove(&id) {
                return end;
            }
            if let (
                Event::Ended {
                    run,
                    exit,
                    memory_peak,
                    cpu_micros,
                    network_bytes,
                    output,
                },
                _,
            ) = self.next()
            {
                let end = End {
                    exit,
                    memory_peak,
                    cpu_micros,
                    network_bytes,
                    output,
                };
                self.ends.borrow_mut().insert(run, end);
            }
        }
    }

    /// Launches, and waits for the end.
    pub(crate) fn complete(&self, launch: Launch) -> End {
        let id = launch.run;
        self.launch(launch);
        self.end(id)
    }

    /// The daemon is gone; another one comes.
    pub(crate) fn reconnect(&mut self) -> Vec<HeldRun> {
        self.client = None;
        self.ends.borrow_mut().clear();
        let (client, greeting, held) = connect(&self.socket(), &self.cages);
        self.client = Some(client);
        self.greeting = greeting;
        held
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.greeting.pid)
            .ok()
            .and_then(Pid::from_raw)
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        // By its own id, which it told; it kills what it holds and removes its cages.
        if let Some(pid) = self.pid()
            && let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
        {
            kill_process(pid, Signal::TERM).ok();
            readable(&process);
        }
    }
}

#[derive(Debug)]
pub(crate) struct End {
    pub(crate) exit: Exit,
    pub(crate) memory_peak: Option<u64>,
    pub(crate) cpu_micros: Option<u64>,
    pub(crate) network_bytes: Option<u64>,
    pub(crate) output: String,
}

pub(crate) fn status(status: u8) -> Exit {
    Exit::Status { status }
}

/// As soon as the launcher has seen that the last daemon is gone.
pub(crate) fn connect(socket: &Path, cages: &str) -> (Client, Greeting, Vec<HeldRun>) {
    until("a connection", || Client::connect(socket, cages).ok())
}

pub(crate) fn next(client: &Client) -> (Event, Option<OwnedFd>) {
    assert!(readable(client), "nothing came from the launcher in time");
    client.receive().unwrap()
}

/// Waits until something can be read, or a process has ended.
pub(crate) fn readable(fd: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    let timeout = Timespec {
        tv_sec: i64::try_from(PATIENCE.as_secs()).unwrap(),
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&timeout)).unwrap() > 0
}

/// Looks again and again until there is something to see.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let now = || clock_gettime(ClockId::Monotonic).tv_sec;
    let deadline = now() + i64::try_from(PATIENCE.as_secs()).unwrap();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(now() < deadline, "{what} did not come in time");
        let moment = Timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000,
        };
        poll(&mut [], Some(&moment)).unwrap();
    }
}

/// The launcher's own command.
pub(crate) fn command(socket: &Path) -> Vec<String> {
    vec![
        env!("CARGO_BIN_EXE_lull-launcher").to_owned(),
        "--socket".to_owned(),
        socket.to_str().unwrap().to_owned(),
    ]
}

/// A folder of cages that no other test has.
pub(crate) fn cages_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("lull-test-{}-{number}", std::process::id())
}

/// A shell script as an agent.
pub(crate) fn shell(run: u64, script: &str) -> Launch {
    let environment = BTreeMap::from([
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
        ("LULL_RUN".to_owned(), run.to_string()),
    ]);
    Launch {
        run,
        program: "/bin/sh".to_owned(),
        args: vec!["-c".to_owned(), script.to_owned()],
        environment,
        uid: UID,
        gid: UID,
        groups: Vec::new(),
        folder: "/".to_owned(),
        memory: None,
        data: None,
        pids: 64,
        open_files: 256,
        sandbox: None,
        class: Class::Background,
        offline: false,
        closed: Vec::new(),
        payload: false,
        socket: None,
        note: format!("note of {run}"),
    }
}

/// A process lives: it is there, and no zombie.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.trim().chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

/// A number of seconds that no other process on this machine sleeps, to which digits can be added.
pub(crate) fn mark() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("100.{:08}{number:02}", std::process::id())
}

/// Living processes whose command line holds a text.
pub(crate) fn living_with(mark: &str) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str()?.parse().ok());
    let marked = |pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(mark) && lives(*pid)
    };
    pids.filter(marked).collect()
}
