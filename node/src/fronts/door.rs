//! The door: processes that connect to run their app's tasks.
//!
//! Who may is the kernel's word on the peer, as at the node's other socket. Deliberately absent: what is said over a run's own socket.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lull_launcher::{Channel, ChannelError, Received};
use lull_policy::AppId;
use lull_proto::host::{FromHost, PROTOCOL, ToHost};
use rustix::fs::OFlags;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Fronts, Passing};
use crate::descriptor;
use crate::local::{Authority, Peer, Places, SocketError, Taken, in_place};
use crate::status::StatusBoard;

/// Connections that wait to be taken.
const BACKLOG: i32 = 16;

/// How long a process may take to say hello, and to take a packet.
const PATIENCE: Duration = Duration::from_secs(5);

/// Pause after the kernel had no descriptor or memory for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// The door, open.
#[derive(Debug)]
pub struct Door {
    listener: AsyncFd<OwnedFd>,
}

impl Door {
    /// Listens at `path` in place of whatever a former daemon left there. Everyone may connect. Must be called on the runtime.
    pub fn open(path: &Path) -> Result<Self, SocketError> {
        let listener = in_place(path, |new| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
            bind(&socket, &SocketAddrUnix::new(new)?)?;
            listen(&socket, BACKLOG)?;
            descriptor::watch(socket)
        })?;
        Ok(Self { listener })
    }

    async fn next(&self) -> io::Result<OwnedFd> {
        loop {
            let mut readable = self.listener.readable().await?;
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match accept_with(self.listener.get_ref(), flags) {
                Ok(connection) => return Ok(connection),
                Err(rustix::io::Errno::AGAIN) => readable.clear_ready(),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Takes connections until the daemon ends.
pub async fn serve(
    door: Door,
    fronts: Fronts,
    authority: Authority,
    board: Arc<StatusBoard>,
    ending: CancellationToken,
) {
    let mut connections = JoinSet::new();
    let places = Places::default();
    loop {
        let taken = tokio::select! {
            taken = door.next() => taken,
            Some(_over) = connections.join_next() => continue,
            () = ending.cancelled() => return,
        };
        match taken.map(|socket| admit(socket, &places, &authority)) {
            Ok(Some(visitor)) => {
                connections.spawn(converse(visitor, fronts.clone(), authority.clone()));
            }
            Ok(None) => board.count("host-connections-refused"),
            Err(error) => {
                tracing::warn!(%error, "a connection of an app's process could not be taken");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
}

/// A process that has not said hello yet.
#[derive(Debug)]
struct Visitor {
    line: Line,
    peer: Peer,
    _place: Taken,
}

/// Absent = there is no place left for its user, or the kernel does not say who it is.
fn admit(socket: OwnedFd, places: &Places, authority: &Authority) -> Option<Visitor> {
    let line = Line::new(socket).ok()?;
    let peer = peer(&line.channel, &authority.cage).ok()?;
    let place = places.take(peer.uid, authority.operate(&peer).is_ok())?;
    Some(Visitor {
        line,
        peer,
        _place: place,
    })
}

/// One process, from hello until its connection closes.
async fn converse(visitor: Visitor, fronts: Fronts, authority: Authority) {
    let line = &visitor.line;
    let (mut guest, passing) = match greet(line, &visitor.peer, &fronts, &authority).await {
        Ok(greeted) => greeted,
        Err(message) => {
            tracing::info!(%message, "an app's process was refused");
            // Whoever is refused may be gone already.
            line.say(&ToHost::Refused { message }, None).await.ok();
            return;
        }
    };
    pass_on(line, &mut guest, passing).await;
}

/// A process that is connected, until this is dropped.
#[derive(Debug)]
struct Guest {
    fronts: Fronts,
    app: AppId,
    serial: u64,
    /// It said that it would go.
    left: bool,
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.fronts.disconnect(&self.app, self.serial, self.left);
    }
}

type Greeted = (Guest, mpsc::Receiver<Passing>);

async fn greet(
    line: &Line,
    peer: &Peer,
    fronts: &Fronts,
    authority: &Authority,
) -> Result<Greeted, String> {
    let (protocol, app) = match tokio::time::timeout(PATIENCE, line.hear()).await {
        Ok(Ok(Some(FromHost::Hello { protocol, app }))) => (protocol, app),
        Ok(Ok(Some(_other))) => return Err("the first packet has to be hello".to_owned()),
        Ok(Ok(None)) => return Err("it hung up before it said hello".to_owned()),
        Ok(Err(error)) => return Err(format!("hello could not be read: {error}")),
        Err(_elapsed) => {
            return Err(format!("no hello within {} s", PATIENCE.as_secs()));
        }
    };
    let app = AppId::new(&app).map_err(|error| format!("app: {error}"))?;
    authority
        .act(peer, &app)
        .map_err(|status| status.message().to_owned())?;
    if authority.owners.uid_of(&app).is_none() {
        return Err(format!(
            "no app {app} is installed on this device; install its manifest first"
        ));
    }
    let gone = || "the calling process is in another process namespace, or gone".to_owned();
    let pid = peer.pid.and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).ok_or_else(gone)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).map_err(|_errno| gone())?;
    let (serial, passing) = fronts.connect(&app, pid, pidfd)?;
    let guest = Guest {
        fronts: fronts.clone(),
        app,
        serial,
        left: false,
    };
    let welcome = ToHost::Welcome {
        protocol: protocol.clamp(1, PROTOCOL),
    };
    let welcomed = line.say(&welcome, None).await;
    welcomed.map_err(|error| format!("it could not be welcomed: {error}"))?;
    Ok((guest, passing))
}

/// The kernel's word is asked for a stream socket's; it is the same for this one.
fn peer(channel: &Channel, cage: &str) -> io::Result<Peer> {
    let socket = UnixStream::from(channel.as_fd().try_clone_to_owned()?);
    Peer::of(&tokio::net::UnixStream::from_std(socket)?, cage)
}

/// Passes runs on until the process is gone.
async fn pass_on(line: &Line, guest: &mut Guest, mut passing: mpsc::Receiver<Passing>) {
    loop {
        tokio::select! {
            heard = line.hear() => match heard {
                Ok(Some(FromHost::Leaving {})) => guest.left = true,
                Ok(Some(FromHost::Hello { .. } | FromHost::Unknown)) => {}
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(app = %guest.app, %error, "the app's process is not understood; its connection is closed");
                    return;
                }
            },
            Some(Passing { run, payload, socket }) = passing.recv() => {
                let packet = ToHost::Run { run: run.0, payload };
                if let Err(error) = line.say(&packet, Some(socket)).await {
                    tracing::warn!(app = %guest.app, run = run.0, %error, "a run could not be handed to its app's process; the connection is closed");
                    return;
                }
            }
        }
    }
}

/// One connection.
#[derive(Debug)]
struct Line {
    channel: Channel,
    /// A second descriptor of the socket, known to the reactor.
    ready: AsyncFd<OwnedFd>,
}

impl Line {
    fn new(socket: OwnedFd) -> io::Result<Self> {
        rustix::fs::fcntl_setfl(&socket, OFlags::NONBLOCK)?;
        let ready = descriptor::watch(socket.try_clone()?)?;
        Ok(Self {
            channel: Channel::new(socket),
            ready,
        })
    }

    /// The next packet; absent = closed. Dropping the future loses nothing.
    async fn hear(&self) -> Result<Option<FromHost>, ChannelError> {
        loop {
            let mut readable = self.ready.readable().await.map_err(ChannelError::Socket)?;
            match self.channel.receive() {
                Ok(Received::Message(packet, _no_descriptor)) => return Ok(Some(packet)),
                Ok(Received::Closed) => return Ok(None),
                Err(error) if error.would_block() => readable.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Says a packet, waiting for room.
    async fn say(&self, packet: &ToHost, socket: Option<OwnedFd>) -> Result<(), ChannelError> {
        let bytes = Channel::encode(packet)?;
        let saying = async {
            loop {
                let mut writable = self.ready.writable().await.map_err(ChannelError::Socket)?;
                match self.channel.send(&bytes, socket.as_ref().map(AsFd::as_fd)) {
                    Err(error) if error.would_block() => writable.clear_ready(),
                    other => return other,
                }
            }
        };
        let late = |_elapsed| ChannelError::Socket(io::Error::from(io::ErrorKind::TimedOut));
        tokio::time::timeout(PATIENCE, saying).await.map_err(late)?
    }
}
