//! A descriptor the runtime waits on: the one place where one is registered with tokio's reactor.
//!
//! Owning the descriptor is what makes this sound: it stays open and the same until the returned value is dropped.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Registers an owned descriptor (non-blocking, of a kind that epoll takes). Must be called on the runtime.
///
/// # Errors
/// What the kernel said of `epoll_ctl`.
pub fn watch(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "deprecated for types that may close or swap their descriptor; an `OwnedFd` does neither, and its successor is unsafe code"
    )]
    AsyncFd::new(descriptor)
}

/// Registers an owned descriptor that becomes urgent instead of readable, such as one of the kernel's pressure files.
///
/// # Errors
/// What the kernel said of `epoll_ctl`.
pub fn watch_urgent(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[expect(deprecated, reason = "as in `watch`")]
    AsyncFd::with_interest(descriptor, Interest::PRIORITY)
}
