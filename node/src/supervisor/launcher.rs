//! The connection to the launcher on the daemon's runtime.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use lull_launcher::wire::{Event, Request};
use lull_launcher::{Client, ClientError, HeldRun, VERSION};
use tokio::io::unix::AsyncFd;

use super::{Setup, SupervisorError};
use crate::broker::Broker;
use crate::descriptor;
use crate::retry::{Retry, random};

/// How long the launcher may leave a request unread. It never waits for anything itself; a swapped-out device takes a second.
const SEND: Duration = Duration::from_secs(10);

/// Attempts at a first connection: a launcher that was just ending is gone by the second.
const ATTEMPTS: usize = 5;

/// Connects again after a loss.
pub(super) fn retry() -> Retry {
    Retry::new(Duration::from_millis(200), Duration::from_secs(10))
}

/// Connects again, however long it takes.
pub(super) async fn reconnect(setup: Arc<Setup>) -> (Launcher, Vec<HeldRun>) {
    let mut retry = retry();
    loop {
        tokio::time::sleep(retry.next(random())).await;
        match Launcher::attempt(&setup).await {
            Ok(connection) => return connection,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::warn!(error, "no launcher yet");
            }
        }
    }
}

/// A connection that has said hello.
#[derive(Debug)]
pub(super) struct Launcher {
    client: Client,
    /// A second descriptor of the client's socket, known to the reactor.
    ready: AsyncFd<OwnedFd>,
    pid: u32,
}

impl Launcher {
    /// Connects, starting a launcher where none answers; also what it holds.
    pub(super) async fn connect(setup: &Setup) -> Result<(Self, Vec<HeldRun>), SupervisorError> {
        let mut retry = retry();
        let mut result = Self::attempt(setup).await;
        for _attempt in 1..ATTEMPTS {
            let refused = matches!(
                &result,
                Err(SupervisorError::Connection {
                    source: ClientError::Refused { .. },
                    ..
                })
            );
            if result.is_ok() || refused {
                break;
            }
            tokio::time::sleep(retry.next(random())).await;
            result = Self::attempt(setup).await;
        }
        result
    }

    /// As [`Self::connect`], once.
    pub(super) async fn attempt(setup: &Setup) -> Result<(Self, Vec<HeldRun>), SupervisorError> {
        let Setup {
            launcher_command,
            launcher_socket,
            cages,
            broker,
            ..
        } = setup.clone();
        let connecting = tokio::task::spawn_blocking(move || {
            lull_launcher::spawn(&launcher_command, &launcher_socket)
                .map_err(SupervisorError::Launcher)?;
            let connected = connect(&launcher_socket, &cages, &broker);
            connected.map_err(|source| SupervisorError::Connection {
                socket: launcher_socket.clone(),
                source,
            })
        });
        let (client, greeting, held) = connecting
            .await
            .map_err(|_panicked| SupervisorError::Fault)??;
        for line in &greeting.cleared {
            tracing::warn!(cage = %line, "a cage that nobody held was removed");
        }
        setup.board.set_launcher(greeting.pid);
        for line in &greeting.cannot_enforce {
            setup.board.cannot_enforce(line);
        }
        let ready = client
            .as_fd()
            .try_clone_to_owned()
            .and_then(descriptor::watch);
        let launcher = Self {
            ready: ready.map_err(SupervisorError::Descriptor)?,
            client,
            pid: greeting.pid,
        };
        tracing::info!(
            pid = launcher.pid,
            held = held.len(),
            "connected to the launcher"
        );
        Ok((launcher, held))
    }

    /// The launcher's process.
    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a request; waits while the launcher is behind.
    pub(super) async fn send(
        &self,
        request: &Request,
        fd: Option<BorrowedFd<'_>>,
    ) -> Result<(), ClientError> {
        let sending = async {
            loop {
                let mut writable = self.ready.writable().await.map_err(broken)?;
                match self.client.send(request, fd) {
                    Err(error) if error.would_block() => writable.clear_ready(),
                    other => return other,
                }
            }
        };
        let late = |_elapsed| broken(io::Error::from(io::ErrorKind::TimedOut));
        tokio::time::timeout(SEND, sending).await.map_err(late)?
    }

    /// What it says next. Dropping the future loses nothing.
    pub(super) async fn receive(&self) -> Result<(Event, Option<OwnedFd>), ClientError> {
        loop {
            let mut readable = self.ready.readable().await.map_err(broken)?;
            match self.client.receive() {
                Err(error) if error.would_block() => readable.clear_ready(),
                other => return other,
            }
        }
    }
}

type Connection = (Client, lull_launcher::Greeting, Vec<HeldRun>);

/// Connects; a launcher of another build that holds nothing is asked to make room for one of this build.
fn connect(
    socket: &std::path::Path,
    cages: &str,
    broker: &Broker,
) -> Result<Connection, ClientError> {
    let (client, mut greeting, held) = Client::connect(socket, cages)?;
    // Before it can be asked to end: the sockets that it keeps go on with the next one.
    broker.meet(greeting.kept.take());
    if greeting.version != VERSION && held.is_empty() {
        client.quit()?;
        // The next attempt starts a new one.
        return Err(ClientError::Closed);
    }
    client.set_nonblocking()?;
    Ok((client, greeting, held))
}

fn broken(error: io::Error) -> ClientError {
    ClientError::Channel(lull_launcher::ChannelError::Socket(error))
}
