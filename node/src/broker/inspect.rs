//! What a descriptor is, and what it shows, without a byte of it being read.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use lull_policy::Sight;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_keepalive, socket_type};
use rustix::net::{AddressFamily, RecvFlags, SocketType, getpeername, recv};
use serde::{Deserialize, Serialize};

/// What is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A stream socket that listens.
    Listener,
    /// A connected stream socket.
    Stream,
    /// A datagram socket.
    Datagram,
}

impl Kind {
    /// Its name on the wire.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Listener => "listener",
            Self::Stream => "stream",
            Self::Datagram => "datagram",
        }
    }
}

/// Why a descriptor is not held.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSocket {
    /// It is something else.
    #[error("the descriptor is no socket; hand over a TCP or UDP socket")]
    NoSocket,
    /// It speaks to no network.
    #[error("the socket is neither IPv4 nor IPv6; hand over a TCP or UDP socket")]
    Family,
    /// It is a kind of its own.
    #[error("the socket is neither a stream nor for datagrams; hand over a TCP or UDP socket")]
    Type,
    /// Nothing can happen on it.
    #[error(
        "the stream socket neither listens nor is connected; listen on it or connect it before it is handed over"
    )]
    Idle,
    /// A channel is one connection.
    #[error("the transport of a control channel is a connected stream, and this is a {kind}")]
    Transport {
        /// What it is.
        kind: &'static str,
    },
    /// TRGD-14.
    #[error("TCP's own keep-alive is on; turn SO_KEEPALIVE off, the node keeps the channel alive")]
    KeepAlive,
}

/// What a descriptor is.
pub(super) fn kind(descriptor: impl AsFd) -> Result<Kind, NoSocket> {
    let fd = descriptor.as_fd();
    let stat = rustix::fs::fstat(fd).map_err(|_bad| NoSocket::NoSocket)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Socket {
        return Err(NoSocket::NoSocket);
    }
    let network = [AddressFamily::INET, AddressFamily::INET6];
    if !socket_domain(fd).is_ok_and(|family| network.contains(&family)) {
        return Err(NoSocket::Family);
    }
    match socket_type(fd) {
        Ok(SocketType::DGRAM) => Ok(Kind::Datagram),
        Ok(SocketType::STREAM) if socket_acceptconn(fd) == Ok(true) => Ok(Kind::Listener),
        Ok(SocketType::STREAM) if getpeername(fd).is_ok() || is_over(fd) => Ok(Kind::Stream),
        Ok(SocketType::STREAM) => Err(NoSocket::Idle),
        _ => Err(NoSocket::Type),
    }
}

/// Whether it can carry a control channel.
pub(super) fn transport(descriptor: impl AsFd) -> Result<Kind, NoSocket> {
    match kind(&descriptor)? {
        Kind::Stream if socket_keepalive(&descriptor) == Ok(true) => Err(NoSocket::KeepAlive),
        Kind::Stream => Ok(Kind::Stream),
        other @ (Kind::Listener | Kind::Datagram) => {
            let kind = other.word();
            Err(NoSocket::Transport { kind })
        }
    }
}

/// A stream that was connected and has been reset has no peer any more; that it says so is what it is handed over for.
fn is_over(fd: BorrowedFd<'_>) -> bool {
    // One that was never connected hangs up too, but cannot have been read to its end.
    matches!(recv(fd, &mut [0_u8; 1][..], PEEK), Ok((0, _)))
}

const PEEK: RecvFlags = RecvFlags::PEEK.union(RecvFlags::DONTWAIT);

/// What it shows now.
pub(super) fn sight(descriptor: impl AsFd, kind: Kind) -> Sight {
    let fd = descriptor.as_fd();
    let Ok(seen) = events(fd) else {
        return Sight::Closed;
    };
    let over = seen.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::RDHUP);
    let readable = seen.contains(PollFlags::IN);
    match kind {
        Kind::Listener if readable && !over => Sight::Connection,
        Kind::Datagram if readable => Sight::Data,
        // What waits to be read counts before the end that comes after it.
        Kind::Stream if readable && (!over || has_data(fd)) => Sight::Data,
        Kind::Listener | Kind::Stream if over => Sight::Closed,
        Kind::Listener | Kind::Stream | Kind::Datagram => Sight::Quiet,
    }
}

fn events(fd: BorrowedFd<'_>) -> io::Result<PollFlags> {
    let mut fds = [PollFd::from_borrowed_fd(
        fd,
        PollFlags::IN | PollFlags::RDHUP,
    )];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    loop {
        match poll(&mut fds, Some(&now)) {
            Ok(_count) => return Ok(fds[0].revents()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn has_data(fd: BorrowedFd<'_>) -> bool {
    recv(fd, &mut [0_u8; 1][..], PEEK).is_ok_and(|(length, _)| length > 0)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;

    use rustix::net::sockopt::set_socket_keepalive;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (ours, listener.accept().unwrap().0)
    }

    /// Loopback takes a moment too.
    fn shows(descriptor: &impl AsFd, kind: Kind, sight: Sight) {
        let mut fds = [PollFd::new(descriptor, PollFlags::IN | PollFlags::RDHUP)];
        let patience = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        assert_eq!(poll(&mut fds, Some(&patience)), Ok(1));
        assert_eq!(super::sight(descriptor, kind), sight);
    }

    #[test]
    fn what_is_held_is_a_tcp_or_udp_socket() {
        let (stream, _peer) = pair();
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(kind(&stream), Ok(Kind::Stream));
        assert_eq!(kind(&listener), Ok(Kind::Listener));
        assert_eq!(kind(&datagram), Ok(Kind::Datagram));
        let (unix, _other) = UnixStream::pair().unwrap();
        assert_eq!(kind(&unix), Err(NoSocket::Family));
        assert_eq!(kind(tempfile::tempfile().unwrap()), Err(NoSocket::NoSocket));
        let idle = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        assert_eq!(kind(&idle), Err(NoSocket::Idle));
    }

    #[test]
    fn a_transport_is_one_connection_without_a_keep_alive_of_its_own() {
        let (stream, _peer) = pair();
        assert_eq!(transport(&stream), Ok(Kind::Stream));
        set_socket_keepalive(&stream, true).unwrap();
        assert_eq!(transport(&stream), Err(NoSocket::KeepAlive), "TRGD-14");
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        let refused = transport(&datagram).unwrap_err().to_string();
        assert!(refused.ends_with("this is a datagram"), "{refused}");
    }

    #[test]
    fn data_comes_before_the_end_and_is_still_there() {
        let (mut ours, mut peer) = pair();
        assert_eq!(sight(&ours, Kind::Stream), Sight::Quiet);
        peer.write_all(b"last words").unwrap();
        shows(&ours, Kind::Stream, Sight::Data);
        peer.shutdown(Shutdown::Both).unwrap();
        drop(peer);
        shows(&ours, Kind::Stream, Sight::Data);
        let mut words = String::new();
        ours.read_to_string(&mut words).unwrap();
        assert_eq!(words, "last words");
        shows(&ours, Kind::Stream, Sight::Closed);
        assert_eq!(
            kind(&ours),
            Ok(Kind::Stream),
            "it can be handed over to say so"
        );
    }

    #[test]
    fn a_listener_shows_connections_and_a_datagram_socket_what_came() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(sight(&listener, Kind::Listener), Sight::Quiet);
        let _guest = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        shows(&listener, Kind::Listener, Sight::Connection);
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(sight(&datagram, Kind::Datagram), Sight::Quiet);
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"", datagram.local_addr().unwrap()).unwrap();
        shows(&datagram, Kind::Datagram, Sight::Data);
    }
}
