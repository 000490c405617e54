//! Listening: sockets, TLS handshakes with their budgets, and the connections that come of them.
//!
//! tonic's own TLS takes fixed files and cannot rotate, so this stands in front of it. Deliberately absent: HTTP/2 and
//! everything above it.

mod peer;
pub mod tls;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

pub use peer::{Peer, Principal};

/// A fleet that comes back at once stands in the kernel's queue instead of retrying its SYN.
const BACKLOG: u32 = 4_096;
/// How long a handshake may take (threat T4): many round trips of a bad mobile link.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long to wait when the system has no more descriptors, so as not to spin.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// Connections that are ready and not yet taken by the server; it takes each at once.
const READY: usize = 64;

/// Budgets of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Connections that stand at once; beyond, new ones wait in the backlog.
    pub connections: usize,
    /// Handshakes under way at once; beyond, a new connection is closed.
    pub handshakes: usize,
    /// Of these, from one address.
    pub handshakes_per_address: usize,
}

/// What a listener counts.
#[derive(Debug, Default)]
pub struct Tally {
    /// Handshakes that succeeded.
    pub accepted: AtomicU64,
    /// Connections closed for want of budget.
    pub refused: AtomicU64,
    /// Handshakes that failed or took too long.
    pub failed: AtomicU64,
}

/// Binds an address.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A connection over TLS whose peer is known. Gives its place in the budget back when dropped.
#[derive(Debug)]
pub struct Secured {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    _place: OwnedSemaphorePermit,
}

impl Connected for Secured {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Arc<Peer> {
        Arc::clone(&self.peer)
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Handshakes under way, in all and by address.
#[derive(Debug)]
struct Turns {
    budget: Budget,
    under_way: Mutex<(usize, HashMap<IpAddr, usize>)>,
}

/// One handshake's place; given back when dropped.
#[derive(Debug)]
struct Turn {
    turns: Arc<Turns>,
    address: IpAddr,
}

impl Turns {
    fn take(self: &Arc<Self>, address: IpAddr) -> Option<Turn> {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *under_way;
        if *all >= self.budget.handshakes {
            return None;
        }
        let mine = by_address.entry(address).or_default();
        if *mine >= self.budget.handshakes_per_address {
            return None;
        }
        *mine += 1;
        *all += 1;
        let turns = Arc::clone(self);
        Some(Turn { turns, address })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut under_way = self
            .turns
            .under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *under_way;
        *all = all.saturating_sub(1);
        if let Some(mine) = by_address.get_mut(&self.address) {
            *mine = mine.saturating_sub(1);
            if *mine == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

/// Accepts connections until told to end; those whose handshake succeeds come out of the stream.
///
/// Must be called within the runtime. The listening socket is closed as soon as `ending` is cancelled.
pub fn accept(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    budget: Budget,
    tally: Arc<Tally>,
    ending: CancellationToken,
) -> ReceiverStream<io::Result<Secured>> {
    let (ready, taken) = mpsc::channel(READY);
    let door = Door {
        acceptor: TlsAcceptor::from(tls),
        places: Arc::new(Semaphore::new(budget.connections)),
        turns: Arc::new(Turns {
            budget,
            under_way: Mutex::default(),
        }),
        tally,
        ready,
    };
    tokio::spawn(async move {
        ending.run_until_cancelled(door.run(listener)).await;
    });
    ReceiverStream::new(taken)
}

struct Door {
    acceptor: TlsAcceptor,
    places: Arc<Semaphore>,
    turns: Arc<Turns>,
    tally: Arc<Tally>,
    ready: mpsc::Sender<io::Result<Secured>>,
}

impl Door {
    async fn run(self, listener: TcpListener) {
        loop {
            let Ok(place) = Arc::clone(&self.places).acquire_owned().await else {
                return;
            };
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                    continue;
                }
            };
            let Some(turn) = self.turns.take(address.ip()) else {
                let refused = self.tally.refused.fetch_add(1, Ordering::Relaxed) + 1;
                // Once is told, then ever less often: a flood must not become one in the log.
                if refused.is_power_of_two() {
                    tracing::warn!(%address, refused, "connections are closed for want of a handshake's place \
                        (limits.handshakes, limits.handshakes_per_address)");
                }
                continue;
            };
            let acceptor = self.acceptor.clone();
            let (tally, ready) = (Arc::clone(&self.tally), self.ready.clone());
            tokio::spawn(async move {
                let secured = handshake(acceptor, stream, address, place).await;
                drop(turn);
                match secured {
                    Ok(secured) => {
                        tally.accepted.fetch_add(1, Ordering::Relaxed);
                        // Fails only where the server is ending.
                        drop(ready.send(Ok(secured)).await);
                    }
                    Err(error) => {
                        tally.failed.fetch_add(1, Ordering::Relaxed);
                        tracing::debug!(%address, %error, "a handshake failed");
                    }
                }
            });
        }
    }
}

async fn handshake(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    address: SocketAddr,
    place: OwnedSemaphorePermit,
) -> io::Result<Secured> {
    stream.set_nodelay(true)?;
    let stream = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await??;
    let peer = Arc::new(Peer::of(address, stream.get_ref().1.peer_certificates()));
    Ok(Secured {
        stream,
        peer,
        _place: place,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshakes_are_counted_in_all_and_by_address_and_given_back() {
        let turns = Arc::new(Turns {
            budget: Budget {
                connections: 1,
                handshakes: 3,
                handshakes_per_address: 2,
            },
            under_way: Mutex::default(),
        });
        let [one, two, three] = [1, 2, 3].map(|n| IpAddr::from([127, 0, 0, n]));
        let first = turns.take(one).unwrap();
        let second = turns.take(one).unwrap();
        assert!(turns.take(one).is_none(), "two from one address");
        let other = turns.take(two).unwrap();
        assert!(turns.take(three).is_none(), "three in all");
        drop(first);
        let again = turns.take(one).unwrap();
        drop((second, other, again));
        let under_way = turns.under_way.lock().unwrap();
        assert_eq!((under_way.0, under_way.1.len()), (0, 0));
    }
}
