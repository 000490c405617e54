//! Sockets that an app leaves with the node (TRG-15): what is handed over, by the app or by an agent, and what an agent gets.
//!
//! Deliberately absent: reading and writing. While the node holds a socket nobody does.

use std::io::{self, BufReader, IoSlice};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use lull_proto::agent as wire;
use lull_proto::handover::{self, hex, unhex};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

/// A socket with what the node is to know of it. The node holds it, wakes the agent of the registration of that id when something
/// happens on it, and hands it to that run.
///
/// The socket is taken by value, so that nothing can be under way on it (TRGD-17):
///
/// ```compile_fail
/// use std::io::{BufRead as _, BufReader};
/// use std::net::TcpStream;
///
/// use lull_agent::HandOver;
///
/// let stream = TcpStream::connect("127.0.0.1:7000").unwrap();
/// let mut reading = BufReader::new(&stream);
/// let handed = HandOver::new("chat", stream); // error: `reading` borrows it
/// reading.read_line(&mut String::new()).unwrap();
/// ```
///
/// What was read ahead is under way too, see [`HandOver::read_ahead`]. A socket of tokio comes by `into_std`, which its halves
/// have to be joined for. The app should not keep a duplicate: who reads from it takes the bytes from the agent.
#[derive(Debug)]
#[must_use = "it is closed unless it is handed over"]
pub struct HandOver {
    socket: OwnedFd,
    wire: handover::HandOver,
}

impl HandOver {
    /// A TCP listener, a connected TCP stream or a UDP socket, for the [`Trigger::Socket`](crate::Trigger::Socket) of this id. One that
    /// the node holds for it already is closed.
    pub fn new(id: impl Into<String>, socket: impl Into<OwnedFd>) -> Self {
        Self::of(id, socket, false)
    }

    /// The transport of a control channel, for the [`Trigger::ControlChannel`](crate::Trigger::ControlChannel) of this id: a
    /// connected TCP stream without a keep-alive of its own (TRGD-14).
    pub fn channel(id: impl Into<String>, transport: TcpStream) -> Self {
        Self::of(id, transport, true)
    }

    fn of(id: impl Into<String>, socket: impl Into<OwnedFd>, channel: bool) -> Self {
        let wire = handover::HandOver {
            id: id.into(),
            channel,
            context: String::new(),
            keep_alive_minutes: None,
        };
        Self {
            socket: socket.into(),
            wire,
        }
    }

    /// A stream that was read through a buffer.
    ///
    /// # Errors
    /// Bytes that were read ahead and not used would be lost: use them first (TRGD-17). The reader comes back.
    pub fn read_ahead(
        id: impl Into<String>,
        reader: BufReader<TcpStream>,
    ) -> Result<Self, ReadAhead> {
        if reader.buffer().is_empty() {
            return Ok(Self::new(id, reader.into_inner()));
        }
        Err(ReadAhead { reader })
    }

    /// Bytes for the run that gets it, at most 1,024.
    pub fn context(mut self, bytes: &[u8]) -> Self {
        self.wire.context = hex(bytes);
        self
    }

    /// Wakes the agent after so many minutes without anything else to tell it (15 to 1,439). Not for channels, whose registration
    /// says it.
    pub fn keep_alive_minutes(mut self, minutes: u32) -> Self {
        self.wire.keep_alive_minutes = Some(minutes);
        self
    }

    /// The socket again, for who changes its mind.
    pub fn into_socket(self) -> OwnedFd {
        self.socket
    }

    pub(crate) fn parts(&self) -> (&handover::HandOver, BorrowedFd<'_>) {
        (&self.wire, self.socket.as_fd())
    }

    pub(crate) fn refused(self, reason: NotTaken) -> NotHandedOver {
        NotHandedOver {
            hand_over: Box::new(self),
            reason,
        }
    }
}

/// Bytes were read ahead of what was used.
#[derive(Debug, thiserror::Error)]
#[error(
    "{} bytes were read from the socket and not used; use them before it is handed over",
    reader.buffer().len()
)]
pub struct ReadAhead {
    /// The reader, which still has them.
    pub reader: BufReader<TcpStream>,
}

/// A socket that the node did not take.
#[derive(Debug, thiserror::Error)]
#[error("the node did not take the socket: {reason}")]
pub struct NotHandedOver {
    /// What was to be handed over, which is still the caller's.
    pub hand_over: Box<HandOver>,
    /// Why.
    pub reason: NotTaken,
}

/// Why the node did not take a socket.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// For the caller: the node says no, and what to do about it.
    #[error("{message}")]
    Refused {
        /// `invalid-argument`, `failed-precondition`, `resource-exhausted`, `permission-denied` or `unavailable`; empty where an agent
        /// asked, which is told in words.
        code: String,
        /// The node's words.
        message: String,
    },
    /// For who runs the device: nobody answers.
    #[error("no node answers; start lull-node, or try again when it is back")]
    Away(#[source] io::Error),
}

/// What happened on a socket that the node held (TRGD-16).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketActivity {
    /// 1: there is something to read.
    Activity,
    /// 2: there is a connection to accept.
    ConnectionAccepted,
    /// 3: nothing happened for the time of its keep-alive.
    KeepAliveTimerExpired,
    /// 4: the other side has closed, or the connection failed.
    SocketClosed,
    /// An activity of a newer node, by its name there.
    Unrecognised(String),
}

impl SocketActivity {
    pub(crate) fn named(name: String) -> Self {
        match name.as_str() {
            "socket-activity" => Self::Activity,
            "connection-accepted" => Self::ConnectionAccepted,
            "keep-alive-timer-expired" => Self::KeepAliveTimerExpired,
            "socket-closed" => Self::SocketClosed,
            _newer => Self::Unrecognised(name),
        }
    }
}

/// Why a control channel's agent runs (TRGD-10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChannelActivity {
    /// There is something to read.
    Message,
    /// The connection is to be kept alive: say something to the server.
    KeepAlive,
    /// An activity of a newer node, by its name there.
    Unrecognised(String),
}

impl ChannelActivity {
    pub(crate) fn named(name: String) -> Self {
        match name.as_str() {
            "message" => Self::Message,
            "keep-alive" => Self::KeepAlive,
            _newer => Self::Unrecognised(name),
        }
    }
}

/// What an agent knows of the socket that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandedSocket {
    /// What it is.
    pub kind: SocketKind,
    /// The bytes that were left with it.
    pub context: Vec<u8>,
}

impl HandedSocket {
    pub(crate) fn parse(wire: wire::HandedSocket) -> Self {
        Self {
            kind: match wire.kind.as_str() {
                "listener" => SocketKind::Listener,
                "stream" => SocketKind::Stream,
                "datagram" => SocketKind::Datagram,
                _newer => SocketKind::Unrecognised(wire.kind),
            },
            context: unhex(&wire.context).unwrap_or_default(),
        }
    }
}

/// What a socket is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketKind {
    /// A TCP socket that listens.
    Listener,
    /// A connected TCP socket.
    Stream,
    /// A UDP socket.
    Datagram,
    /// A kind of a newer node, by its name there.
    Unrecognised(String),
}

/// A socket that an agent got, ready to be used.
#[derive(Debug)]
pub enum Socket {
    /// See [`SocketKind::Listener`].
    Listener(TcpListener),
    /// See [`SocketKind::Stream`].
    Stream(TcpStream),
    /// See [`SocketKind::Datagram`].
    Datagram(UdpSocket),
    /// See [`SocketKind::Unrecognised`].
    Other(OwnedFd),
}

impl Socket {
    pub(crate) fn of(kind: &SocketKind, socket: OwnedFd) -> Self {
        match kind {
            SocketKind::Listener => Self::Listener(socket.into()),
            SocketKind::Stream => Self::Stream(socket.into()),
            SocketKind::Datagram => Self::Datagram(socket.into()),
            SocketKind::Unrecognised(_) => Self::Other(socket),
        }
    }
}

/// Sends bytes, and a descriptor with the first of them. Never waits; how many went.
pub(crate) fn send(
    stream: impl AsFd,
    bytes: &[u8],
    descriptor: BorrowedFd<'_>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let descriptors = [descriptor];
    loop {
        let mut control = SendAncillaryBuffer::new(&mut space);
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match sendmsg(&stream, &[IoSlice::new(bytes)], &mut control, flags) {
            Err(Errno::INTR) => {}
            sent => return sent.map_err(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, Write as _};

    use super::*;

    /// TRGD-17.
    #[test]
    fn what_was_read_ahead_keeps_a_socket_from_being_handed_over() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.write_all(b"one\ntwo\n").unwrap();
        let mut reader = BufReader::new(listener.accept().unwrap().0);
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        // Both lines came in one segment or in two; the second is waited for in either case.
        while !reader.buffer().ends_with(b"two\n") {
            reader.fill_buf().unwrap();
        }
        let mut pending = HandOver::read_ahead("chat", reader).unwrap_err();
        assert!(
            pending.to_string().starts_with("4 bytes were read"),
            "{pending}"
        );
        pending.reader.read_line(&mut line).unwrap();
        assert_eq!(line, "one\ntwo\n");
        let handed = HandOver::read_ahead("chat", pending.reader).unwrap();
        let handed = handed.context(&[0, 255]).keep_alive_minutes(20);
        let (wire, _socket) = handed.parts();
        assert_eq!((wire.id.as_str(), wire.context.as_str()), ("chat", "00ff"));
        assert_eq!((wire.channel, wire.keep_alive_minutes), (false, Some(20)));
    }

    #[test]
    fn what_an_agent_gets_is_known_by_its_names() {
        let wire = |kind: &str| wire::HandedSocket {
            kind: kind.to_owned(),
            context: "6869".to_owned(),
        };
        let handed = HandedSocket::parse(wire("listener"));
        assert_eq!(
            (handed.kind, handed.context),
            (SocketKind::Listener, b"hi".to_vec())
        );
        let newer = HandedSocket::parse(wire("pigeon")).kind;
        assert_eq!(newer, SocketKind::Unrecognised("pigeon".to_owned()));
        let closed = SocketActivity::named("socket-closed".to_owned());
        assert_eq!(closed, SocketActivity::SocketClosed);
    }
}
