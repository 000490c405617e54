//! The node's end of an agent's socket: whole lines, looked at before they are taken.
//!
//! A line stays in the kernel's buffer until what it says is durable, so that a daemon that dies in between loses none of it: the
//! next one reads it again. Deliberately absent: what the lines mean.

use std::io;
use std::os::fd::OwnedFd;

use lull_proto::agent::LINE_LIMIT;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use tokio::io::unix::AsyncFd;

use crate::broker::passing;
use crate::descriptor;

/// The socket.
#[derive(Debug)]
pub(super) struct AgentSocket {
    socket: AsyncFd<OwnedFd>,
}

/// What there is to hear.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Whole lines, each with its newline. They are still there.
    Lines(Vec<u8>),
    /// Nothing more will come.
    Closed,
    /// A line longer than the protocol allows.
    TooLong,
}

impl AgentSocket {
    /// Takes over a non-blocking stream socket. Must be called on the runtime.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: descriptor::watch(socket)?,
        })
    }

    /// Waits for something to hear. Dropping the future loses nothing.
    pub(super) async fn hear(&self) -> io::Result<Heard> {
        loop {
            let mut readable = self.socket.readable().await?;
            match self.look()? {
                Some(heard) => return Ok(heard),
                // An unfinished line of somebody who will not go on.
                None if readable.ready().is_read_closed() => return Ok(Heard::Closed),
                None => readable.clear_ready(),
            }
        }
    }

    /// What there is to hear now.
    pub(super) fn look(&self) -> io::Result<Option<Heard>> {
        let mut bytes = vec![0; LINE_LIMIT];
        let length = loop {
            match recv(self.socket.get_ref(), &mut bytes[..], RecvFlags::PEEK) {
                Ok((length, _whole)) => break length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        };
        bytes.truncate(length);
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        Ok(match end {
            _ if length == 0 => Some(Heard::Closed),
            Some(end) => {
                bytes.truncate(end + 1);
                Some(Heard::Lines(bytes))
            }
            None => (length >= LINE_LIMIT).then_some(Heard::TooLong),
        })
    }

    /// Takes bytes that were looked at, and the first descriptor that came with them.
    pub(super) fn take(&self, length: usize) -> io::Result<Option<OwnedFd>> {
        let mut rest = vec![0; length];
        let (mut taken, mut first) = (0, None);
        while let Some(part) = rest.get_mut(taken..).filter(|part| !part.is_empty()) {
            let (count, descriptor) = passing::receive(self.socket.get_ref(), part)?;
            first = first.or(descriptor);
            if count == 0 {
                break;
            }
            taken += count;
        }
        Ok(first)
    }

    /// Waits until some of the bytes could be said, and removes those. Dropping the future loses nothing.
    pub(super) async fn say(&self, bytes: &mut Vec<u8>) -> io::Result<()> {
        loop {
            let mut writable = self.socket.writable().await?;
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            match send(self.socket.get_ref(), bytes, flags) {
                Ok(count) => {
                    bytes.drain(..count);
                    return Ok(());
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => writable.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Ends the conversation for everybody who holds the socket, the launcher included.
    pub(super) fn hang_up(&self) {
        // One that is closed already is what is wanted.
        shutdown(self.socket.get_ref(), Shutdown::Both).ok();
    }
}
