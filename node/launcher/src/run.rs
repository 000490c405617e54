//! One run as the launcher holds it: from the clone until the daemon has made its end durable.
//!
//! Deliberately absent: why it is killed, and what its end is called.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitStatus, kill_process};

use crate::cage::{self, Cage, CageError, Cages, LOOK_AGAIN};
use crate::launch::{Child, Origin, describe};
use crate::output::Output;
use crate::sys::{Failure, Identity};
use crate::wire::{Event, Exit, Process};

/// How long a child may take to reach `execve`: a local program takes a millisecond, a network file system that does not answer
/// for ever.
const START: Duration = Duration::from_secs(10);

/// Bytes read of a run's output at one turn, so that no run keeps the others waiting.
const TURN: usize = 16 * 1024;

/// Bytes of output taken from a run in one [`WINDOW`]; one that prints more waits in its own `write`. 10 MiB a second.
const ALLOWANCE: usize = 1024 * 1024;
const WINDOW: Duration = Duration::from_millis(100);

/// Longest wait between two looks at processes that do not die (in the middle of an uninterruptible system call).
const LOOK_AGAIN_CAP: Duration = Duration::from_millis(500);

/// How long the kill counter may lag behind the notice that a cage is out of memory.
const OOM_PATIENCE: Duration = Duration::from_secs(2);

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Cloned; `execve` was not seen yet.
    Starting { deadline: Duration },
    /// The program executes.
    Running,
    /// The main process has ended, others of the tree may live.
    Ending,
    /// Nobody lives.
    Ended { exit: Exit },
}

/// Which of a run's descriptors is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Output,
    Report,
    Oom,
    Changes,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: u64,
    pub(crate) note: String,
    origin: Origin,
    phase: Phase,
    main: Option<Pid>,
    process: Option<Process>,
    cage: Option<Cage>,
    socket: Option<OwnedFd>,
    pipe: Option<OwnedFd>,
    report: Option<OwnedFd>,
    output: Output,
    /// Bytes taken in the window that ends then.
    taken: (usize, Duration),
    /// The child told why it did not start.
    failure: Option<String>,
    status: Option<WaitStatus>,
    /// Everybody is to be killed; the next look, and the wait after it.
    kill: Option<(Duration, Duration)>,
    /// The cage was out of memory; the kill counter is looked at until then.
    oom_until: Option<Duration>,
    memory_peak: Option<u64>,
    cpu_micros: Option<u64>,
    network_bytes: Option<u64>,
}

impl Run {
    /// A run whose child was cloned.
    pub(crate) fn started(
        id: u64,
        note: String,
        origin: Origin,
        child: Child,
        now: Duration,
    ) -> Self {
        Self {
            phase: Phase::Starting {
                deadline: now + START,
            },
            main: Some(child.main),
            process: Some(child.process),
            cage: Some(child.cage),
            socket: Some(child.socket),
            pipe: Some(child.output),
            report: Some(child.report),
            ..Self::failed(id, note, origin, String::new())
        }
    }

    /// A run of which nothing was started.
    pub(crate) fn failed(id: u64, note: String, origin: Origin, message: String) -> Self {
        Self {
            id,
            note,
            origin,
            phase: Phase::Ended {
                exit: Exit::LaunchFailed { message },
            },
            main: None,
            process: None,
            cage: None,
            socket: None,
            pipe: None,
            report: None,
            output: Output::default(),
            taken: (0, Duration::ZERO),
            failure: None,
            status: None,
            kill: None,
            oom_until: None,
            memory_peak: None,
            cpu_micros: None,
            network_bytes: None,
        }
    }

    /// Its main process, while it was not waited for.
    pub(crate) fn main(&self) -> Option<Pid> {
        self.main.filter(|_| self.status.is_none())
    }

    /// Nobody of it lives.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended { .. })
    }

    /// The daemon's end of its socket.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Its cage.
    pub(crate) fn cage(&self) -> Option<&Cage> {
        self.cage.as_ref()
    }

    /// What a new daemon is told of it first.
    pub(crate) fn held(&self) -> Event {
        let began = !matches!(self.phase, Phase::Starting { .. });
        Event::Held {
            run: self.id,
            process: self.process.clone().filter(|_| began),
            note: self.note.clone(),
        }
    }

    /// What is told when its program executes; absent before, and where nothing was started.
    pub(crate) fn start(&self) -> Option<Event> {
        let began = !matches!(self.phase, Phase::Starting { .. });
        let process = self.process.clone().filter(|_| began)?;
        Some(Event::Started {
            run: self.id,
            process,
        })
    }

    /// What is told of its end; absent before.
    pub(crate) fn end(&self) -> Option<Event> {
        let Phase::Ended { exit } = &self.phase else {
            return None;
        };
        Some(Event::Ended {
            run: self.id,
            exit: exit.clone(),
            memory_peak: self.memory_peak,
            cpu_micros: self.cpu_micros,
            network_bytes: self.network_bytes,
            output: self.output.text(),
        })
    }

    /// The descriptors to wait for.
    pub(crate) fn interests(&self, now: Duration) -> Vec<(Source, BorrowedFd<'_>, PollFlags)> {
        let mut interests = Vec::new();
        if let (Some(pipe), false) = (&self.pipe, self.throttled(now)) {
            interests.push((Source::Output, pipe.as_fd(), PollFlags::IN));
        }
        if let Some(report) = &self.report {
            interests.push((Source::Report, report.as_fd(), PollFlags::IN));
        }
        let Some(cage) = &self.cage else {
            return interests;
        };
        if let (Some((oom, flags)), None) = (cage.oom(), self.kill) {
            interests.push((Source::Oom, oom, flags));
        }
        if let (Some(changes), Some(_)) = (cage.changes(), self.kill) {
            interests.push((Source::Changes, changes, PollFlags::PRI));
        }
        interests
    }

    /// When it must be looked at even if no descriptor becomes ready.
    pub(crate) fn wake(&self, now: Duration) -> Option<Duration> {
        let start = match self.phase {
            Phase::Starting { deadline } => Some(deadline),
            Phase::Running | Phase::Ending | Phase::Ended { .. } => None,
        };
        let throttle = self.taken.1;
        let output = (self.pipe.is_some() && self.throttled(now)).then_some(throttle);
        let kill = self.kill.map(|(look, _wait)| look);
        let oom = self.oom_until.map(|_until| now + LOOK_AGAIN);
        [start, output, kill, oom].into_iter().flatten().min()
    }

    fn throttled(&self, now: Duration) -> bool {
        self.taken.0 >= ALLOWANCE && now < self.taken.1
    }

    /// One of its descriptors is ready. True: its program has begun to execute.
    pub(crate) fn ready(&mut self, source: Source, now: Duration) -> bool {
        match source {
            Source::Output => drop(self.take_output(now)),
            Source::Report => return self.take_report(),
            Source::Oom => {
                self.oom_until = Some(now + OOM_PATIENCE);
                let oom = self.cage.as_ref().and_then(Cage::oom);
                oom.map(|(fd, _flags)| fd).into_iter().for_each(rearm);
            }
            Source::Changes => {
                let changes = self.cage.as_ref().and_then(Cage::changes);
                changes.into_iter().for_each(rearm);
                self.kill = self.kill.map(|(_look, wait)| (now, wait));
            }
        }
        false
    }

    /// False: there is nothing to take now.
    fn take_output(&mut self, now: Duration) -> bool {
        if now >= self.taken.1 {
            self.taken = (0, now + WINDOW);
        }
        let Some(pipe) = &self.pipe else {
            return false;
        };
        let mut bytes = [0; TURN];
        match rustix::io::read(pipe, &mut bytes) {
            Ok(0) => self.pipe = None,
            Ok(length) => {
                self.taken.0 += length;
                self.output.push(bytes.get(..length).unwrap_or_default());
                return true;
            }
            Err(Errno::INTR) => return true,
            Err(Errno::AGAIN) => {}
            Err(_broken) => self.pipe = None,
        }
        false
    }

    /// True: the report ended without a failure, so the program executes.
    fn take_report(&mut self) -> bool {
        let Some(report) = &self.report else {
            return false;
        };
        let mut bytes = [0; Failure::LENGTH];
        match rustix::io::read(report, &mut bytes) {
            Err(Errno::AGAIN | Errno::INTR) => false,
            Ok(Failure::LENGTH) => {
                self.failure = Some(describe(&Failure::decode(bytes), &self.origin));
                self.report = None;
                false
            }
            _ => {
                self.report = None;
                let began = matches!(self.phase, Phase::Starting { .. });
                if began {
                    self.phase = Phase::Running;
                }
                began
            }
        }
    }

    /// The main process was waited for. True: its program has begun to execute before, and that was not told yet.
    pub(crate) fn reaped(&mut self, status: WaitStatus, now: Duration) -> bool {
        let began = self.take_report();
        self.status = Some(status);
        self.phase = Phase::Ending;
        self.kill.get_or_insert((now, LOOK_AGAIN));
        began
    }

    /// Everybody is to be killed.
    pub(crate) fn kill(&mut self, now: Duration) {
        if !self.has_ended() {
            self.kill = Some((now, LOOK_AGAIN));
        }
    }

    /// Its cage, to change what it holds.
    pub(crate) fn cage_mut(&mut self) -> Option<&mut Cage> {
        self.cage.as_mut()
    }

    /// Another memory cap, and another bound beyond which asking for memory fails.
    pub(crate) fn set_memory(
        &mut self,
        cages: &Cages,
        root: bool,
        cap: Option<u64>,
        data: Option<u64>,
    ) -> Result<(), CageError> {
        let main = self.main();
        let identity = root.then_some(Identity {
            uid: self.origin.uid,
            gid: self.origin.gid,
            groups: &[],
        });
        let of = cage::Process { main, identity };
        let cage = self.cage.as_mut();
        cage.map_or(Ok(()), |cage| cages.set_memory(cage, of, cap, data))
    }

    /// Stops everybody, or lets them go on.
    pub(crate) fn freeze(&self, cages: &Cages, frozen: bool) -> Result<(), CageError> {
        let Some(cage) = &self.cage else {
            return Ok(());
        };
        cages.freeze(cage, self.main, frozen)
    }

    /// SIGTERM to the main process.
    pub(crate) fn terminate(&self) {
        if let Some(main) = self.main() {
            // It was not waited for, so its id is its own.
            kill_process(main, Signal::TERM).ok();
        }
    }

    /// Does what is due. True: it has just ended.
    pub(crate) fn step(&mut self, now: Duration, cages: &Cages, others: &[Pid]) -> bool {
        self.watch_start(now);
        self.watch_memory(now, cages);
        let Some((look, wait)) = self.kill else {
            return false;
        };
        if now < look || self.has_ended() {
            return false;
        }
        if self.status.is_some() && self.is_empty(cages, others) {
            self.finish(cages);
            return true;
        }
        if let Some(cage) = &mut self.cage {
            // Without a notice it is looked at again all the same.
            cages.watch_changes(cage).ok();
        }
        if let Some(main) = self.main() {
            // The child may not be in all of its cage yet.
            kill_process(main, Signal::KILL).ok();
        }
        if let Some(cage) = &self.cage {
            // Tried again at the next look.
            drop(cages.kill(cage, self.main, others));
        }
        self.kill = Some((now + wait, (wait * 2).min(LOOK_AGAIN_CAP)));
        false
    }

    fn is_empty(&self, cages: &Cages, others: &[Pid]) -> bool {
        let empty = |cage| cages.is_empty(cage, self.main, others).unwrap_or(false);
        self.cage.as_ref().is_none_or(empty)
    }

    fn watch_start(&mut self, now: Duration) {
        let Phase::Starting { deadline } = self.phase else {
            return;
        };
        if now >= deadline && self.failure.is_none() {
            let program = &self.origin.program;
            self.failure = Some(format!(
                "{program:?} could not be executed within {} s; does its file system answer?",
                START.as_secs()
            ));
            self.kill(now);
        }
    }

    /// v1 kills one process of a cage that is out of memory; the rest goes with it.
    fn watch_memory(&mut self, now: Duration, cages: &Cages) {
        let Some(until) = self.oom_until else {
            return;
        };
        let exceeded = self
            .cage
            .as_ref()
            .is_some_and(|cage| cages.memory_exceeded(cage));
        if exceeded || now >= until {
            self.oom_until = None;
        }
        if exceeded && self.kill.is_none() {
            self.kill(now);
        }
    }

    fn finish(&mut self, cages: &Cages) {
        // Nobody writes any more: what is in the pipe is all there is, and the pipe holds at most a mebibyte.
        for _turn in 0..(1024 * 1024 / TURN) {
            if !self.take_output(Duration::ZERO) {
                break;
            }
        }
        let exit = self.exit(cages);
        if let Some(cage) = &mut self.cage {
            self.memory_peak = cages.memory_peak(cage);
            self.cpu_micros = cages.cpu_micros(cage);
            self.network_bytes = cage.network_bytes();
            cage.close_notices();
        }
        self.pipe = None;
        self.report = None;
        self.kill = None;
        self.oom_until = None;
        self.phase = Phase::Ended { exit };
    }

    fn exit(&mut self, cages: &Cages) -> Exit {
        if let Some(message) = self.failure.take() {
            self.process = None;
            return Exit::LaunchFailed { message };
        }
        if self
            .cage
            .as_ref()
            .is_some_and(|cage| cages.memory_exceeded(cage))
        {
            return Exit::MemoryExceeded;
        }
        let byte = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        let status = self.status;
        match (
            status.and_then(WaitStatus::exit_status),
            status.and_then(WaitStatus::terminating_signal),
        ) {
            (Some(status), _) => Exit::Status {
                status: byte(status),
            },
            (None, Some(signal)) => Exit::Signal {
                signal: byte(signal),
            },
            (None, None) => Exit::LaunchFailed {
                message: "its process has no exit status".to_owned(),
            },
        }
    }
}

/// Reads a notice, so that the next one is seen.
fn rearm(notice: BorrowedFd<'_>) {
    let mut text = [0; 512];
    // An event counter cannot be read at a position, a control file must be.
    if rustix::io::pread(notice, &mut text, 0) == Err(Errno::SPIPE) {
        rustix::io::read(notice, &mut text).ok();
    }
}

/// Waits a moment for something that gives no notice.
pub(crate) fn pause(span: Duration) {
    let timeout = rustix::time::Timespec {
        tv_sec: 0,
        tv_nsec: span.subsec_nanos().into(),
    };
    // Interrupted early is no harm: the caller looks again.
    rustix::event::poll(&mut [], Some(&timeout)).ok();
}
