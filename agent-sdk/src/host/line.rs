//! The packets to and from the node, one descriptor with each at most.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use lull_proto::host::{FromHost, PACKET_LIMIT, ToHost};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg,
    sendmsg, socket_with,
};

/// A connected socket. Its calls wait.
#[derive(Debug)]
pub(super) struct Line {
    socket: OwnedFd,
}

impl Line {
    /// Connects; until [`wait_for_ever`](Self::wait_for_ever) each call waits so long at most.
    pub(super) fn dial(path: &Path, patience: Duration) -> io::Result<Self> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_timeout(&socket, Timeout::Send, Some(patience))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(patience))?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Self { socket })
    }

    /// From now on the next packet is waited for however long it takes.
    pub(super) fn wait_for_ever(&self) -> io::Result<()> {
        Ok(set_socket_timeout(&self.socket, Timeout::Recv, None)?)
    }

    /// Sends a packet, whole or not at all.
    pub(super) fn send(&self, packet: &FromHost) -> io::Result<()> {
        let bytes = serde_json::to_vec(packet)?;
        again(|| {
            let mut none = SendAncillaryBuffer::default();
            let parts = [IoSlice::new(&bytes)];
            sendmsg(&self.socket, &parts, &mut none, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// The next packet, with its descriptor; absent = the node closed. What is no packet reads as one that is not known.
    pub(super) fn receive(&self) -> io::Result<Option<(ToHost, Option<OwnedFd>)>> {
        let mut bytes = vec![0; PACKET_LIMIT];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let message = again(|| {
            let mut parts = [IoSliceMut::new(&mut bytes)];
            recvmsg(
                &self.socket,
                &mut parts,
                &mut control,
                RecvFlags::CMSG_CLOEXEC,
            )
        });
        let message = match message {
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
            other => other?,
        };
        let descriptor = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        if message.bytes == 0 {
            return Ok(None);
        }
        bytes.truncate(message.bytes);
        let whole = !message.flags.contains(ReturnFlags::TRUNC);
        let packet = whole.then(|| serde_json::from_slice(&bytes).ok()).flatten();
        Ok(Some((packet.unwrap_or(ToHost::Unknown), descriptor)))
    }
}

/// Again after a signal.
fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// How long to pause before an attempt: twice as long each time, at most `longest`, and anywhere in the upper half of that, so that the apps
/// of a device do not come all at once.
pub(super) fn pause(attempt: u32, longest: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    let whole = Duration::from_millis(200 << attempt.min(10)).min(longest);
    let chance = RandomState::new().hash_one(attempt) % 1_000;
    let chance = u32::try_from(chance).unwrap_or_default();
    whole / 2 + whole / 2 * chance / 1_000
}
