//! The socket: made so that everyone may connect, and a connection for no more callers than there is room for.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::server::Connected;

use super::authority::Authority;
use super::peer::Peer;
use crate::status::StatusBoard;

/// Connections at one time: 64 KiB each at most, so 16 MiB.
const CONNECTIONS: usize = 256;

/// Connections of one user: an app has a few front clients.
const PER_USER: usize = 32;

/// Connections kept free for the operator, who must be able to look when apps hold all others.
const FOR_OPERATOR: usize = 16;

/// Pause after the kernel had no descriptor or memory for a connection.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Why the socket could not be made.
#[derive(Debug, thiserror::Error)]
#[error("making the socket {path}")]
pub struct SocketError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The socket, listening.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalSocket {
    /// Listens at `path` in place of whatever a former daemon left there; the caller holds the lock that says no other daemon
    /// lives. Everyone may connect: the peer's credentials decide what it may do. Must be called on the runtime.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let listener = in_place(path, |new| UnixListener::bind(new))?;
        Ok(Self {
            listener,
            path: path.into(),
        })
    }

    /// Removes what the daemon leaves behind: a socket that nobody listens on would only puzzle.
    pub fn remove(path: &Path) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, socket = %path.display(), "the socket could not be removed");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Connections as they come, without end; those beyond a bound are closed at once.
    pub(super) fn connections(
        self,
        authority: Authority,
        board: Arc<StatusBoard>,
    ) -> impl Stream<Item = io::Result<Connection>> {
        let door = Door {
            listener: self.listener,
            authority,
            board,
            places: Places::default(),
        };
        unfold(door, async |door| {
            let connection = door.next().await;
            Some((Ok(connection), door))
        })
    }
}

/// Makes a socket with `bind`, in place of whatever a former daemon left at `path`. Everyone may connect.
///
/// # Errors
/// What the kernel said.
pub(crate) fn in_place<T>(
    path: &Path,
    bind: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, SocketError> {
    let failed = |source| SocketError {
        path: path.into(),
        source,
    };
    // Under its name it appears with its permissions, or not at all.
    let new = path.with_extension("new");
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let socket = bind(&new).map_err(failed)?;
    std::fs::set_permissions(&new, Permissions::from_mode(0o666)).map_err(failed)?;
    std::fs::rename(&new, path).map_err(failed)?;
    Ok(socket)
}

#[derive(Debug)]
struct Door {
    listener: UnixListener,
    authority: Authority,
    board: Arc<StatusBoard>,
    places: Places,
}

impl Door {
    async fn next(&self) -> Connection {
        loop {
            match self.listener.accept().await {
                Ok((stream, _address)) => match self.admit(stream) {
                    Some(connection) => return connection,
                    None => self.board.count("local-connections-refused"),
                },
                Err(error) => {
                    self.board.count("local-connections-refused");
                    tracing::warn!(%error, "a local connection could not be taken");
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    }

    fn admit(&self, stream: UnixStream) -> Option<Connection> {
        let peer = Peer::of(&stream, &self.authority.cage).ok()?;
        let operator = self.authority.operate(&peer).is_ok();
        let place = self.places.take(peer.uid, operator)?;
        Some(Connection {
            stream,
            peer,
            _place: place,
        })
    }
}

/// How many connections each user has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places(Arc<Mutex<BTreeMap<u32, usize>>>);

impl Places {
    /// A place for a connection of this user; absent = there is none left.
    pub(crate) fn take(&self, uid: u32, operator: bool) -> Option<Taken> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = held.values().sum();
        let room = CONNECTIONS - if operator { 0 } else { FOR_OPERATOR };
        let own = held.entry(uid).or_default();
        // The operator speaks for many apps at once (an installer, the command line), within the whole.
        if total >= room || (!operator && *own >= PER_USER) {
            return None;
        }
        *own += 1;
        Some(Taken {
            places: self.clone(),
            uid,
        })
    }
}

/// A connection's place, given back with it.
#[derive(Debug)]
pub(crate) struct Taken {
    places: Places,
    uid: u32,
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut held = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = held.get_mut(&self.uid) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                held.remove(&self.uid);
            }
        }
    }
}

/// One connection with its caller.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    peer: Peer,
    _place: Taken,
}

impl Connection {
    /// The stream, for what is more than bytes.
    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Its caller.
    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
