//! The agent's side: what a program speaks that a node starts.
//!
//! A node starts the program with a socket and a few variables; [`Agent::from_env`] says hello and learns what
//! the run is about. From then on:
//!
//! - **Cancellation** ([`Agent::cancellation`]): the node asks before it kills. By default it asks after 25 s of run and
//!   kills 5 s later (RUN-12, RUN-13); it may ask at any time, with a reason. Look between steps
//!   ([`Cancellation::is_requested`]) and pause by [`Cancellation::wait`]. SIGTERM reads as a request too.
//! - **Progress** ([`Agent::progress`]): a number whose meaning is the app's (RUN-18). Only the newest one counts.
//! - **Deferrals** ([`Agent::deferral`]): work on other threads that the end must wait for (RUN-11). They lengthen no
//!   limit.
//! - **Sockets** ([`Agent::take_socket`], [`Agent::hand_over`]): a run that activity on a socket started gets the socket, and hands it
//!   back before it ends (TRG-15).
//! - **The end**: [`Agent::complete`] or [`Agent::abort`] tell the node, and give the status that `main` returns. Both
//!   say the same: should the daemon be away at that moment, the status is what counts, so nothing is lost. An agent
//!   that panics, or returns another status, has crashed.
//! - A run may be killed with no notice (RUN-14): keep what is done as you go, in [`Agent::state_folder`], and make
//!   what a push asks for idempotent by its id.
//!
//! Nothing here needs async; one small thread talks to the node. A program that wants none of this is a full agent
//! too: 0 is completion, 75 is abort, SIGTERM asks to cancel.
//!
//! ```no_run
//! use std::process::ExitCode;
//! use std::time::Duration;
//!
//! use lull_agent::agent::Agent;
//!
//! fn main() -> ExitCode {
//!     let agent = match Agent::from_env() {
//!         Ok(agent) => agent,
//!         Err(error) => {
//!             eprintln!("{error}");
//!             return ExitCode::FAILURE;
//!         }
//!     };
//!     let cancellation = agent.cancellation();
//!     let names = String::from_utf8_lossy(agent.payload()).into_owned();
//!     for (done, name) in (0..).zip(names.lines()) {
//!         if cancellation.is_requested() {
//!             return agent.abort("cancelled; the rest is for the next run");
//!         }
//!         if let Err(error) = std::fs::write(name, b"seen\n") {
//!             return agent.abort(format!("failed to write {name}: {error}"));
//!         }
//!         agent.progress(done);
//!         cancellation.wait(Duration::from_millis(100));
//!     }
//!     agent.complete()
//! }
//! ```
//!
//! Deliberately absent: starting anything. Registering is the app's side, see [`front`](crate::front).

mod cancellation;
mod conversation;
mod error;
mod invocation;
mod memory;
mod shared;
mod sockets;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use lull_proto::agent::{EXIT_ABORT, FromAgent, PROTOCOL, environment};

pub use crate::inherited::InheritError;
pub use crate::memory::MemoryUsage;
pub use cancellation::{Cancel, Cancellation, Canceller};
use conversation::Signals;
pub use error::{NodeAway, StartError};
pub use invocation::{Invocation, Occasion, Push};
pub use memory::{MemoryLevel, MemoryLevels, MemoryNow};
use shared::Shared;

use crate::state::{State, StateError};

/// How long the node has to answer hello: longer than a restart of the daemon. The run's own limits end it sooner.
const INVOCATION_DEADLINE: Duration = Duration::from_secs(30);

/// How long a last word waits for room in the socket. The exit status says the same, so no longer.
const LAST_WORD: Duration = Duration::from_secs(2);

/// How long a question waits for its answer.
const ANSWER: Duration = Duration::from_secs(2);

/// The grace where a request to cancel names none (RUN-12).
const GRACE: Duration = Duration::from_secs(5);

/// Bytes of a payload: the bound of work items, far above a push's 5,000 (PSH-08).
pub const PAYLOAD_LIMIT: usize = 64 * 1024;

/// Bytes of an abort's message; the rest is cut off.
pub const MESSAGE_LIMIT: usize = 1024;

/// A run, from its agent's side.
#[derive(Debug)]
pub struct Agent {
    invocation: Invocation,
    payload: Vec<u8>,
    listening: Option<OwnedFd>,
    shared: Arc<Shared>,
}

impl Agent {
    /// Takes over what the node handed down, says hello, and waits for the invocation (30 s at most). Once per process.
    pub fn from_env() -> Result<Self, StartError> {
        let Some(socket) = std::env::var_os(environment::SOCKET_FD) else {
            let program = std::env::args_os().next().unwrap_or_default();
            return Err(StartError::NotStartedByNode {
                variable: environment::SOCKET_FD,
                program: program.to_string_lossy().into_owned(),
            });
        };
        let socket = crate::inherited::socket(environment::SOCKET_FD, &socket.to_string_lossy())?;
        let payload = std::env::var_os(environment::PAYLOAD_FD)
            .map(|fd| crate::inherited::file(environment::PAYLOAD_FD, &fd.to_string_lossy()))
            .transpose()?;
        let listening = std::env::var_os(environment::LISTEN_FDS)
            .map(|_one| crate::inherited::listening(environment::LISTEN_FDS))
            .transpose()?;
        let mut agent = Self::over(socket, payload)?;
        agent.listening = listening;
        Ok(agent)
    }

    /// The agent's side over a given socket: for a harness that plays the node.
    pub fn over(socket: UnixStream, payload: Option<File>) -> Result<Self, StartError> {
        let payload = payload.map(read).transpose()?;
        Self::meet(socket, payload, Signals::Heeded)
    }

    /// The agent's side in the app's own process, whose signals are the app's.
    pub(crate) fn hosted(socket: UnixStream, payload: Vec<u8>) -> Result<Self, StartError> {
        Self::meet(socket, Some(payload), Signals::LeftAlone)
    }

    fn meet(
        socket: UnixStream,
        payload: Option<Vec<u8>>,
        signals: Signals,
    ) -> Result<Self, StartError> {
        let shared = Arc::new(Shared::default());
        let thread = |source| StartError::Thread { source };
        let invocation = conversation::start(socket, &shared, signals).map_err(thread)?;
        let invocation = match invocation.recv_timeout(INVOCATION_DEADLINE) {
            Ok(invocation) => invocation.map_err(thread),
            Err(RecvTimeoutError::Disconnected) => Err(StartError::HungUp),
            Err(RecvTimeoutError::Timeout) => Err(StartError::NoInvocation {
                seconds: INVOCATION_DEADLINE.as_secs(),
            }),
        };
        let invocation = invocation.inspect_err(|_| shared.close())?;
        if !(1..=PROTOCOL).contains(&invocation.protocol) {
            shared.close();
            return Err(StartError::Protocol {
                chosen: invocation.protocol,
                spoken: PROTOCOL,
            });
        }
        let (invocation, text) = Invocation::parse(invocation);
        let payload = payload.or_else(|| text.map(String::into_bytes));
        Ok(Self {
            invocation,
            payload: payload.unwrap_or_default(),
            listening: None,
            shared,
        })
    }

    /// What the run is about.
    pub fn invocation(&self) -> &Invocation {
        &self.invocation
    }

    /// The payload: a push's body; empty where there is none. At most [`PAYLOAD_LIMIT`] bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The folder that belongs to the app and stays between runs; absent where the node named none.
    pub fn state_folder(&self) -> Option<PathBuf> {
        std::env::var_os(environment::STATE).map(PathBuf::from)
    }

    /// The key-value state that the app and its agents share (RUN-22, RUN-48). Blocks on files for some milliseconds.
    ///
    /// # Errors
    /// [`StateError::Folder`] where the node named no folder, or it cannot be used.
    pub fn state(&self) -> Result<State, StateError> {
        State::open(self.state_folder().unwrap_or_default())
    }

    /// Says how far it is: a number whose meaning is the app's (RUN-18). Never waits; the
    /// newest arrives, 20 a second at most.
    pub fn progress(&self, value: u32) {
        self.shared.progress(value);
    }

    /// Says that the app's card has new content: a pinned card renews its scheduled agent (EXP-04, EXP-05). Never waits; several
    /// before the node has heard of one count as one.
    pub fn update_card(&self) {
        self.shared.update_card();
    }

    /// Takes a deferral (RUN-11): [`complete`](Self::complete) and [`abort`](Self::abort) wait until it is completed or
    /// dropped. For work on other threads.
    pub fn deferral(&self) -> Deferral {
        self.shared.defer();
        Deferral {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Tells whether the run was asked to cancel, and waits for it.
    pub fn cancellation(&self) -> Cancellation {
        Cancellation {
            shared: Arc::clone(&self.shared),
        }
    }

    /// What the run's whole cage uses now and may use (RES-07). Waits 2 s at most.
    pub fn memory_usage(&self) -> Result<MemoryUsage, NodeAway> {
        self.shared.ask_memory(ANSWER).ok_or(NodeAway)
    }

    /// Follows how near the run is to its memory cap (RES-08). The node reads the cage for it once a second from then on.
    pub fn memory_levels(&self) -> MemoryLevels {
        self.shared.follow_memory();
        MemoryLevels {
            shared: Arc::clone(&self.shared),
            seen: 0,
        }
    }

    /// Whether the node's end of the socket is open. While it is not, the agent goes on: its exit status tells.
    pub fn node_is_there(&self) -> bool {
        !self.shared.is_away()
    }

    /// The work is done. Waits for the deferrals, tells the node, and gives the status 0.
    #[must_use = "return it from `main`: the exit status is what counts while the daemon is away"]
    pub fn complete(self) -> ExitCode {
        self.end(FromAgent::Complete {});
        ExitCode::SUCCESS
    }

    /// The work cannot be done now. Waits for the deferrals, tells the node why, and gives the status 75. The message
    /// is for people and cut to [`MESSAGE_LIMIT`] bytes.
    #[must_use = "return it from `main`: the exit status is what counts while the daemon is away"]
    pub fn abort(self, message: impl Into<String>) -> ExitCode {
        let mut message = message.into();
        message.truncate(message.floor_char_boundary(MESSAGE_LIMIT));
        self.end(FromAgent::Abort { message });
        ExitCode::from(EXIT_ABORT)
    }

    fn end(&self, end: FromAgent) {
        self.shared.wait_for_deferrals(GRACE);
        self.shared.end(end, LAST_WORD);
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Keeps the run's end waiting until it is completed or dropped (RUN-11).
#[derive(Debug)]
pub struct Deferral {
    shared: Arc<Shared>,
}

impl Deferral {
    /// Completes it.
    pub fn complete(self) {
        drop(self);
    }
}

impl Drop for Deferral {
    fn drop(&mut self) {
        self.shared.undefer();
    }
}

fn read(mut payload: File) -> Result<Vec<u8>, StartError> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(PAYLOAD_LIMIT).unwrap_or(u64::MAX);
    // Who wrote it shares the position, and may have left it at the end.
    let rewound = payload.rewind();
    let mut bounded = payload.take(limit.saturating_add(1));
    let unreadable = |source| StartError::PayloadUnreadable {
        variable: environment::PAYLOAD_FD,
        source,
    };
    let read = rewound.and_then(|()| bounded.read_to_end(&mut bytes));
    read.map_err(unreadable)?;
    if bytes.len() > PAYLOAD_LIMIT {
        return Err(StartError::PayloadTooLong {
            limit: PAYLOAD_LIMIT,
        });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
