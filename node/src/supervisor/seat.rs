//! What the desk keeps of each run, and the words between the desk and the run's conversation.

use std::os::fd::OwnedFd;

use lull_launcher::wire;
use lull_policy::{AppId, Bytes, CancelReason, Exit, MemoryLayers, RunId, Running, Usage, bounds};
use tokio::sync::{mpsc, watch};

use super::memory::MemorySender;
use super::metering::Metered;
use super::order::Order;
use crate::ports::Hold;

/// What the desk says to a conversation: one start, one end, one kill, and one answer at a time about memory.
pub(super) const TO_RUN: usize = 4;

/// What conversations say to the desk. Each waits for room, and the desk never waits for them.
pub(super) const FROM_RUNS: usize = 256;

/// A request to get out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cancel {
    /// Why.
    pub(super) reason: CancelReason,
    /// When the kill comes.
    pub(super) kill_at: Option<Running>,
}

/// The desk's words to a conversation.
#[derive(Debug)]
pub(super) enum ToRun {
    /// The program executes; the node's end of its socket.
    Started(Option<OwnedFd>),
    /// What its cage holds.
    Memory {
        usage: Option<u64>,
        limit: Option<u64>,
    },
    /// Its kill was ordered: said to runs in the app's own process only, the others are killed by the launcher.
    Killed,
    /// Nobody of it lives.
    Ended(End),
}

/// How a run ended.
#[derive(Debug)]
pub(super) struct End {
    pub(super) exit: Exit,
    pub(super) usage: Usage,
    pub(super) output: String,
}

impl End {
    /// Nothing of it ran.
    pub(super) fn never(message: &str) -> Self {
        let end = message.floor_char_boundary(bounds::MESSAGE);
        Self::bare(Exit::LaunchFailed {
            message: message.get(..end).unwrap_or_default().to_owned(),
        })
    }

    /// Nobody held it any more.
    pub(super) fn lost() -> Self {
        Self::bare(Exit::Lost)
    }

    /// As the node saw it itself.
    pub(super) fn seen(exit: Exit) -> Self {
        Self::bare(exit)
    }

    fn bare(exit: Exit) -> Self {
        Self {
            exit,
            usage: Usage::default(),
            output: String::new(),
        }
    }

    /// As the launcher tells it.
    pub(super) fn told(
        exit: wire::Exit,
        memory_peak: Option<u64>,
        cpu_micros: Option<u64>,
        output: &str,
    ) -> Self {
        let exit = match exit {
            wire::Exit::Status { status } => Exit::Status(status),
            wire::Exit::Signal { signal } => Exit::Signal(signal),
            wire::Exit::MemoryExceeded => Exit::MemoryExceeded,
            wire::Exit::LaunchFailed { message } => return Self::never(&message),
        };
        let start = output.ceil_char_boundary(output.len().saturating_sub(bounds::OUTPUT));
        Self {
            exit,
            usage: Usage {
                memory_peak: memory_peak.map(Bytes),
                cpu_micros,
            },
            output: output.get(start..).unwrap_or_default().to_owned(),
        }
    }
}

/// A conversation's words to the desk.
#[derive(Debug)]
pub(super) enum FromRun {
    /// Start it.
    Ordered(RunId, Order),
    /// Keep this note with it.
    Note(RunId, String),
    /// What does its cage hold?
    Memory(RunId),
    /// It wants to be told of its memory from now on.
    FollowMemory(RunId),
    /// Signal its main process.
    Terminate(RunId),
    /// Its end is durable.
    Done(RunId),
    /// The order of an app's own process, or why there is none.
    Front(AppId, Result<Box<wire::Launch>, String>),
}

/// What the desk keeps of a run.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) to_run: mpsc::Sender<ToRun>,
    pub(super) cancel: watch::Sender<Option<Cancel>>,
    /// What it holds of memory, while it follows that.
    pub(super) memory: MemorySender,
    pub(super) stage: Stage,
    /// Its kill was ordered.
    pub(super) killed: bool,
    /// Its main process was to be signalled.
    pub(super) terminated: bool,
    /// Its newest note, if it changed after the launch.
    pub(super) note: Option<String>,
    /// A question about its memory is with the launcher.
    pub(super) asked: bool,
    /// What holds it, as far as that was ordered since its launch.
    pub(super) holds: Holds,
    /// What its metering needs to know, until that begins with its launch.
    pub(super) metered: Option<Metered>,
}

impl Seat {
    /// Whoever follows its memory hears of another cap before it holds (RES-08).
    pub(super) fn announce(&self, hold: Hold) {
        if let Hold::Memory(cap) = hold {
            self.memory.send_if_modified(|held| {
                let limit = cap.map(|cap| cap.0);
                let known = held.as_mut().filter(|held| held.limit != limit);
                known.map(|held| held.limit = limit).is_some()
            });
        }
    }
}

/// The newest of each kind of hold that was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Holds {
    /// Its memory cap fails before it kills.
    pub(super) forgiven: bool,
    memory: Option<Hold>,
    network: Option<Hold>,
    frozen: Option<Hold>,
}

impl Holds {
    pub(super) fn put(&mut self, hold: Hold) {
        let place = match hold {
            Hold::Memory(_) => &mut self.memory,
            Hold::Network(_) => &mut self.network,
            Hold::Frozen(_) => &mut self.frozen,
        };
        *place = Some(hold);
    }

    /// All of it, in the launcher's words. Freezing comes last: a frozen run takes the rest as well, and does nothing meanwhile.
    pub(super) fn requests(&self, run: RunId) -> Vec<wire::Request> {
        let all = [self.memory, self.network, self.frozen]
            .into_iter()
            .flatten();
        all.map(|hold| self.request(run, hold)).collect()
    }

    /// A hold in the launcher's words.
    pub(super) fn request(&self, run: RunId, hold: Hold) -> wire::Request {
        let run = run.0;
        match hold {
            Hold::Frozen(frozen) => wire::Request::Freeze { run, frozen },
            Hold::Memory(cap) => {
                let layers = MemoryLayers::of(cap, self.forgiven);
                wire::Request::Memory {
                    run,
                    cap: layers.killing.map(|cap| cap.0),
                    data: layers.failing.map(|cap| cap.0),
                }
            }
            Hold::Network(allowed) => wire::Request::Network { run, allowed },
        }
    }
}

/// Where a run stands, as the desk sees it.
#[derive(Debug)]
pub(super) enum Stage {
    /// Its order is being made.
    Preparing,
    /// Its order is made, and was sent to the launcher of this process id, if it was.
    Ordered { order: Order, sent_to: Option<u32> },
    /// The launcher has told of it.
    Known {
        /// Its program executes.
        started: bool,
    },
    /// It runs in the app's own process; the launcher knows nothing of it.
    Hosted(AppId),
    /// Its end was told to its conversation.
    Ended,
}
