//! Packets with descriptors over a Unix `SOCK_SEQPACKET` socket, without waiting unless asked to.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Most bytes of one packet: a full launch order with its note fits several times; the kernel's default buffer holds three.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// One end of a connection.
pub struct Channel {
    socket: OwnedFd,
    /// Room for one packet, made once.
    packet: Mutex<Vec<u8>>,
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Channel").field(&self.socket).finish()
    }
}

/// Why a message could not be sent or received.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// It is larger than a packet may be.
    #[error("the message has {length} bytes, a packet holds at most {MESSAGE_LIMIT}")]
    TooLong {
        /// Bytes it has, as far as is known.
        length: usize,
    },
    /// The packet is no message.
    #[error("the packet is not a message")]
    Malformed(#[source] serde_json::Error),
    /// The socket said no; `WouldBlock` where nothing can be done now.
    #[error("the launcher's socket")]
    Socket(#[source] io::Error),
}

impl ChannelError {
    /// Nothing can be sent or received at this moment.
    pub fn would_block(&self) -> bool {
        matches!(self, Self::Socket(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// What came.
#[derive(Debug)]
pub enum Received<T> {
    /// A message, with its descriptor if there was one.
    Message(T, Option<OwnedFd>),
    /// The other side has closed.
    Closed,
}

impl Channel {
    /// Takes over a connected `SOCK_SEQPACKET` socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self {
            socket,
            packet: Mutex::default(),
        }
    }

    /// Encodes a message.
    pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, ChannelError> {
        let bytes = serde_json::to_vec(message).map_err(ChannelError::Malformed)?;
        if bytes.len() > MESSAGE_LIMIT {
            return Err(ChannelError::TooLong {
                length: bytes.len(),
            });
        }
        Ok(bytes)
    }

    /// Sends an encoded message, whole or not at all. Never waits unless the socket is blocking.
    pub fn send(&self, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> Result<(), ChannelError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds = fd.map(|fd| [fd]);
        if let Some(fds) = &fds {
            control.push(SendAncillaryMessage::ScmRights(fds));
        }
        retry(|| {
            let parts = [IoSlice::new(bytes)];
            sendmsg(&self.socket, &parts, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// Receives one message. Never waits unless the socket is blocking.
    pub fn receive<T: DeserializeOwned>(&self) -> Result<Received<T>, ChannelError> {
        let mut bytes = self.packet.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.resize(MESSAGE_LIMIT, 0);
        self.receive_into(&mut bytes)
    }

    fn receive_into<T: DeserializeOwned>(
        &self,
        bytes: &mut [u8],
    ) -> Result<Received<T>, ChannelError> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = retry(|| {
            let mut parts = [IoSliceMut::new(bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::TRUNC;
            recvmsg(&self.socket, &mut parts, &mut control, flags)
        })?;
        let descriptor = control.drain().find_map(first_descriptor);
        if message.bytes == 0 {
            return Ok(Received::Closed);
        }
        if message.flags.contains(ReturnFlags::TRUNC) {
            return Err(ChannelError::TooLong {
                length: message.bytes,
            });
        }
        let text = bytes.get(..message.bytes).unwrap_or_default();
        let message = serde_json::from_slice(text).map_err(ChannelError::Malformed)?;
        Ok(Received::Message(message, descriptor))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn first_descriptor(message: RecvAncillaryMessage<'_>) -> Option<OwnedFd> {
    match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    }
}

/// Again after a signal.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, ChannelError> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(|e| ChannelError::Socket(e.into())),
        }
    }
}
