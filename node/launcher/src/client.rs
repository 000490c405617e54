//! The daemon's side of the connection, without a runtime.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::socket::{Channel, ChannelError, Received};
use crate::spawn::{SpawnError, dial};
use crate::wire::{Event, PROTOCOL, Process, Request};

/// How long a launcher may take to answer hello: it may have to kill what an earlier one left behind, which it gives 5 s each.
const GREETING: Duration = Duration::from_secs(30);

/// Why a launcher cannot be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody answers.
    #[error("no launcher answers")]
    Dial(#[source] SpawnError),
    /// The connection failed.
    #[error("speaking to the launcher")]
    Channel(#[from] ChannelError),
    /// It does not want to.
    #[error("the launcher refused: {message}")]
    Refused {
        /// In its words.
        message: String,
    },
    /// It closed the connection.
    #[error("the launcher closed the connection")]
    Closed,
    /// It said something else than it should.
    #[error("the launcher answered hello with something else")]
    Unexpected,
}

/// What a launcher says first.
#[derive(Debug)]
pub struct Greeting {
    /// The protocol it speaks.
    pub protocol: u32,
    /// Its build.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// What this machine cannot enforce, a line each.
    pub cannot_enforce: Vec<String>,
    /// Cages that nobody held, now removed, a line each.
    pub cleared: Vec<String>,
    /// The sockets that it keeps; absent = it keeps none, being of an older build.
    pub kept: Option<Vec<KeptSocket>>,
}

/// A socket of an app that the launcher keeps.
#[derive(Debug)]
pub struct KeptSocket {
    /// The daemon's number for it.
    pub socket: u64,
    /// The words that were kept with it.
    pub note: String,
    /// The socket.
    pub descriptor: OwnedFd,
}

/// A run that the launcher holds. If it has ended, its end is the next thing told of it.
#[derive(Debug)]
pub struct HeldRun {
    /// Which.
    pub run: u64,
    /// Its main process; absent = not started yet, or never.
    pub process: Option<Process>,
    /// The words that were kept with it.
    pub note: String,
    /// The node's end of the agent's socket.
    pub socket: Option<OwnedFd>,
}

/// A connection to the launcher.
#[derive(Debug)]
pub struct Client {
    channel: Channel,
}

impl Client {
    /// Connects, and learns what is held. Blocks for up to 30 s. `cages` is the name of the folder of cages.
    pub fn connect(
        path: &Path,
        cages: &str,
    ) -> Result<(Self, Greeting, Vec<HeldRun>), ClientError> {
        let socket = dial(path).map_err(ClientError::Dial)?;
        set_socket_timeout(&socket, Timeout::Recv, Some(GREETING))
            .map_err(|e| ChannelError::Socket(e.into()))?;
        let client = Self {
            channel: Channel::new(socket),
        };
        let hello = Request::Hello {
            protocol: PROTOCOL,
            cages: cages.to_owned(),
        };
        client.send(&hello, None)?;
        let (mut greeting, held, kept) = client.greeting()?;
        let held = (0..held).map(|_| client.held()).collect::<Result<_, _>>()?;
        let kept = kept.map(|kept| (0..kept).map(|_| client.kept()).collect());
        greeting.kept = kept.transpose()?;
        set_socket_timeout(&client.channel, Timeout::Recv, None)
            .map_err(|e| ChannelError::Socket(e.into()))?;
        Ok((client, greeting, held))
    }

    fn greeting(&self) -> Result<(Greeting, u32, Option<u32>), ClientError> {
        match self.receive()? {
            (
                Event::Welcome {
                    protocol,
                    version,
                    pid,
                    held,
                    cannot_enforce,
                    cleared,
                    kept,
                },
                _,
            ) => {
                let greeting = Greeting {
                    protocol,
                    version,
                    pid,
                    cannot_enforce,
                    cleared,
                    kept: None,
                };
                Ok((greeting, held, kept))
            }
            (Event::Refused { message }, _) => Err(ClientError::Refused { message }),
            _ => Err(ClientError::Unexpected),
        }
    }

    fn held(&self) -> Result<HeldRun, ClientError> {
        match self.receive()? {
            (Event::Held { run, process, note }, socket) => Ok(HeldRun {
                run,
                process,
                note,
                socket,
            }),
            _ => Err(ClientError::Unexpected),
        }
    }

    fn kept(&self) -> Result<KeptSocket, ClientError> {
        match self.receive()? {
            (Event::Kept { socket, note }, Some(descriptor)) => Ok(KeptSocket {
                socket,
                note,
                descriptor,
            }),
            _ => Err(ClientError::Unexpected),
        }
    }

    /// Sends a request, whole or not at all.
    ///
    /// # Errors
    /// [`ChannelError::would_block`] says so where the connection does not wait and the launcher is behind.
    pub fn send(&self, request: &Request, fd: Option<BorrowedFd<'_>>) -> Result<(), ClientError> {
        let bytes = Channel::encode(request)?;
        Ok(self.channel.send(&bytes, fd)?)
    }

    /// Receives what the launcher says next, with the descriptor that came with it.
    pub fn receive(&self) -> Result<(Event, Option<OwnedFd>), ClientError> {
        match self.channel.receive()? {
            Received::Message(event, fd) => Ok((event, fd)),
            Received::Closed => Err(ClientError::Closed),
        }
    }

    /// Asks a launcher that holds nothing to end, and waits until it hangs up. Blocks for up to 30 s.
    pub fn quit(self) -> Result<(), ClientError> {
        set_socket_timeout(&self.channel, Timeout::Recv, Some(GREETING))
            .map_err(|e| ChannelError::Socket(e.into()))?;
        self.send(&Request::Quit {}, None)?;
        loop {
            match self.receive() {
                Ok((Event::Refused { message }, _)) => {
                    return Err(ClientError::Refused { message });
                }
                Ok(_other) => {}
                Err(ClientError::Closed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// From now on no call waits.
    pub fn set_nonblocking(&self) -> Result<(), ClientError> {
        rustix::fs::fcntl_setfl(&self.channel, OFlags::NONBLOCK)
            .map_err(|e| ChannelError::Socket(e.into()).into())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}

impl ClientError {
    /// Nothing can be sent or received at this moment.
    pub fn would_block(&self) -> bool {
        matches!(self, Self::Channel(error) if error.would_block())
    }
}
