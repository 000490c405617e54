//! The app's own process as the host of its tasks (RUN-01): work that is registered without an entry point.
//!
//! An app that runs anyway can do short work itself, with no program beside it: [`Registration::in_process`] names it, and [`Host`] takes
//! its runs. Such a run has the same limits and requests to cancel as any other, but no process of its own:
//!
//! - where the app does not run, the node starts it in the background, by the `[front]` of its manifest, with `--background` as its last
//!   argument (RUN-04). It should connect first of all; it has 10 s.
//! - a run that panics takes the app with it (RUN-02), and one that is not out of its code 5 s after it was asked to cancel has the
//!   whole process killed (RUN-05).
//! - an app that closes says so ([`Host::leave`], [`Leaver`], or dropping the host): its runs count as cancelled (RUN-24). One that goes
//!   without a word in the middle of a run counts as crashed.
//!
//! Nothing here needs async. A run is an [`Agent`]: progress, cancellation, deferrals, payload.
//!
//! ```no_run
//! use lull_agent::host::{Host, HostError};
//!
//! fn take_tasks() -> Result<(), HostError> {
//!     let mut host = Host::connect("photos")?;
//!     loop {
//!         let run = host.next_run()?;
//!         let task = run.invocation().task.clone();
//!         std::thread::spawn(move || match task.as_str() {
//!             "refresh" => run.complete(),
//!             other => run.abort(format!("there is no task {other} in this version")),
//!         });
//!     }
//! }
//! ```
//!
//! Deliberately absent: registering, see [`front`](crate::front), and programs of their own, see [`agent`](crate::agent).
//!
//! [`Registration::in_process`]: crate::front::Named::in_process

mod line;
#[cfg(test)]
mod tests;

use std::io;
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lull_proto::host::{FromHost, PROTOCOL, SOCKET, ToHost};

use crate::agent::{Agent, StartError};
use crate::front::{DEFAULT_SOCKET, SOCKET_VARIABLE};
use line::Line;

/// How long the node may take to answer hello.
const GREETING: Duration = Duration::from_secs(10);

/// Attempts to connect again after the node went: with pauses of up to [`PAUSE`] this is three minutes, longer than any restart.
const ATTEMPTS: u32 = 24;

/// The longest pause between two of them.
const PAUSE: Duration = Duration::from_secs(10);

/// Why an app's process gets no runs, sorted by who must act.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// For who runs the device: nothing listens there.
    #[error(
        "no node answers at {}; start lull-node, or name its socket in LULL_NODE_SOCKET",
        socket.display()
    )]
    NoNode {
        /// The socket's path.
        socket: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For the app: the node does not want it, and says why.
    #[error("{message}")]
    Refused {
        /// In the node's words.
        message: String,
    },
    /// For nobody: the connection broke while it was used.
    #[error("failed to speak to the node at {}", socket.display())]
    Broken {
        /// The socket's path.
        socket: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For who installs: the node said something that this build does not know.
    #[error("the node answered hello with something else; update the older one of the two")]
    Unexpected,
}

/// The connection by which an app's process takes its runs. An app has one such process.
#[derive(Debug)]
pub struct Host {
    app: String,
    socket: PathBuf,
    /// Shared with whoever says that the app leaves.
    line: Arc<Mutex<Arc<Line>>>,
}

impl Host {
    /// Connects for an app, by its id in the manifest. The node's socket is the one beside that of
    /// [`SOCKET_VARIABLE`], else of [`DEFAULT_SOCKET`]. Waits 10 s at most.
    pub fn connect(app: impl Into<String>) -> Result<Self, HostError> {
        let socket = std::env::var_os(SOCKET_VARIABLE).filter(|path| !path.is_empty());
        let socket = socket.unwrap_or_else(|| DEFAULT_SOCKET.into());
        Self::connect_to(app, PathBuf::from(socket))
    }

    /// As [`connect`](Self::connect), by the path of the node's socket for apps (`local.sock`).
    pub fn connect_to(
        app: impl Into<String>,
        local_socket: impl AsRef<Path>,
    ) -> Result<Self, HostError> {
        let app = app.into();
        let socket = local_socket.as_ref().with_file_name(SOCKET);
        let line = greet(&socket, &app)?;
        Ok(Self {
            app,
            socket,
            line: Arc::new(Mutex::new(Arc::new(line))),
        })
    }

    /// The next run, however long it takes. A node that starts anew is connected to again, for three minutes.
    ///
    /// # Errors
    /// The node is gone for good, or does not want this process any more.
    pub fn next_run(&mut self) -> Result<Run, HostError> {
        loop {
            match self.line().receive() {
                Ok(Some((ToHost::Run { payload, .. }, Some(socket)))) => {
                    // One whose node hung up meanwhile is nobody's: the node tells of the run what there is to tell.
                    if let Ok(run) = Run::over(UnixStream::from(socket), payload) {
                        return Ok(run);
                    }
                }
                Ok(Some(_of_a_newer_node)) => {}
                Ok(None) => self.connect_again()?,
                Err(source) => {
                    return Err(HostError::Broken {
                        socket: self.socket.clone(),
                        source,
                    });
                }
            }
        }
    }

    /// Says that the app leaves, and closes the connection: what still runs here counts as cancelled.
    pub fn leave(self) {
        drop(self);
    }

    /// Says that the app leaves, from another thread than the one that waits for runs.
    pub fn leaver(&self) -> Leaver {
        Leaver(Arc::clone(&self.line))
    }

    fn line(&self) -> Arc<Line> {
        current(&self.line)
    }

    fn connect_again(&mut self) -> Result<(), HostError> {
        let mut attempt = 0;
        loop {
            std::thread::park_timeout(line::pause(attempt, PAUSE));
            match greet(&self.socket, &self.app) {
                Ok(line) => {
                    *self.line.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(line);
                    return Ok(());
                }
                Err(HostError::NoNode { .. } | HostError::Broken { .. }) if attempt < ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // A process that panics has not chosen to go.
        if !std::thread::panicking() {
            leave(&self.line);
        }
    }
}

/// Says that the app leaves.
#[derive(Debug, Clone)]
pub struct Leaver(Arc<Mutex<Arc<Line>>>);

impl Leaver {
    /// Says it. The process should end now.
    pub fn leave(&self) {
        leave(&self.0);
    }
}

fn current(line: &Mutex<Arc<Line>>) -> Arc<Line> {
    Arc::clone(&line.lock().unwrap_or_else(PoisonError::into_inner))
}

fn leave(line: &Mutex<Arc<Line>>) {
    // A node that is gone needs no telling.
    current(line).send(&FromHost::Leaving {}).ok();
}

fn greet(socket: &Path, app: &str) -> Result<Line, HostError> {
    let line = Line::dial(socket, GREETING).map_err(|source| HostError::NoNode {
        socket: socket.to_owned(),
        source,
    })?;
    let broken = |source| HostError::Broken {
        socket: socket.to_owned(),
        source,
    };
    let hello = FromHost::Hello {
        protocol: PROTOCOL,
        app: app.to_owned(),
    };
    line.send(&hello).map_err(broken)?;
    match line.receive().map_err(broken)? {
        Some((ToHost::Welcome { .. }, _)) => {
            line.wait_for_ever().map_err(broken)?;
            Ok(line)
        }
        Some((ToHost::Refused { message }, _)) => Err(HostError::Refused { message }),
        Some(_) => Err(HostError::Unexpected),
        None => Err(broken(io::ErrorKind::UnexpectedEof.into())),
    }
}

/// A run in this process. Dropped without a word it is done, as code that returns is (RUN-11); dropped by a panic it takes the process with
/// it (RUN-02).
#[derive(Debug)]
pub struct Run {
    /// Absent once it has said its last word.
    agent: Option<Agent>,
}

impl Run {
    fn over(socket: UnixStream, payload: Vec<u8>) -> Result<Self, StartError> {
        let agent = Agent::hosted(socket, payload)?;
        Ok(Self { agent: Some(agent) })
    }

    /// The work is done. Waits for the deferrals, and tells the node.
    pub fn complete(mut self) {
        self.say_complete();
    }

    /// The work cannot be done now; the message is for people.
    pub fn abort(mut self, message: impl Into<String>) {
        if let Some(agent) = self.agent.take() {
            // There is no process to end by it.
            let _status = agent.abort(message);
        }
    }

    fn say_complete(&mut self) {
        if let Some(agent) = self.agent.take() {
            let _status = agent.complete();
        }
    }
}

impl Deref for Run {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        #[expect(
            clippy::expect_used,
            reason = "only the methods that consume a run, and its end, take the agent out of it"
        )]
        self.agent.as_ref().expect("it is there until its end")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
        self.say_complete();
    }
}
