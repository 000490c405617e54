//! Hears the kernel over a netlink multicast socket. Says only that something changed; who hears it reads anew.

use std::io;

use futures_util::FutureExt as _;
use netlink_sys::{AsyncSocket as _, AsyncSocketExt as _, SocketAddr, TokioSocket};

/// `ENOBUFS`: the kernel dropped messages because nobody read; the same as a change.
const OVERRUN: i32 = libc::ENOBUFS;

/// The kernel's group of the uevent socket; the other is udev's.
pub(super) const KERNEL: u32 = 1;

/// Messages taken in one go; more are taken at the next ring.
const AT_ONCE: usize = 1_024;

/// A socket that hears one or more multicast groups.
pub(super) struct NetlinkBell {
    socket: TokioSocket,
    /// Whether a message matters.
    matters: fn(&[u8]) -> bool,
}

impl NetlinkBell {
    /// Joins `groups` (a mask) of a netlink protocol. Must be called on the runtime.
    pub(super) fn new(
        protocol: isize,
        groups: u32,
        matters: fn(&[u8]) -> bool,
    ) -> io::Result<Self> {
        let mut socket = TokioSocket::new(protocol)?;
        socket.socket_mut().bind(&SocketAddr::new(0, groups))?;
        Ok(Self { socket, matters })
    }

    /// Resolves at the next message that matters.
    pub(super) async fn ring(&mut self) -> io::Result<()> {
        loop {
            let message = self.socket.recv_from_full().await;
            if self.counts(message)? {
                return Ok(());
            }
        }
    }

    /// Takes what is waiting, and answers how many messages of it mattered.
    pub(super) fn drain(&mut self) -> io::Result<u64> {
        let mut counted = 0;
        for _ in 0..AT_ONCE {
            let Some(message) = self.socket.recv_from_full().now_or_never() else {
                break;
            };
            counted += u64::from(self.counts(message)?);
        }
        Ok(counted)
    }

    fn counts(&self, message: io::Result<(Vec<u8>, SocketAddr)>) -> io::Result<bool> {
        match message {
            // Port 0 is the kernel; other processes can send here too.
            Ok((bytes, sender)) => Ok(sender.port_number() == 0 && (self.matters)(&bytes)),
            Err(error) if error.raw_os_error() == Some(OVERRUN) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

impl std::fmt::Debug for NetlinkBell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetlinkBell").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use netlink_sys::Socket;
    use netlink_sys::protocols::NETLINK_KOBJECT_UEVENT;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    static FORGED: AtomicBool = AtomicBool::new(false);

    fn has(message: &[u8], part: &[u8]) -> bool {
        message.windows(part.len()).any(|window| window == part)
    }

    /// The kernel makes a synthetic uevent for a network device when it is asked to (root only). A process that sent one
    /// before is not heard.
    #[tokio::test]
    async fn the_kernel_is_heard_and_nobody_else() {
        let matters = |message: &[u8]| {
            FORGED.fetch_or(has(message, b"FORGED"), Ordering::Relaxed);
            has(message, b"INTERFACE=lo")
        };
        let mut bell = NetlinkBell::new(NETLINK_KOBJECT_UEVENT, 1, matters).unwrap();
        let mut address = SocketAddr::new(0, 0);
        bell.socket.socket_ref().get_address(&mut address).unwrap();
        let liar = Socket::new(NETLINK_KOBJECT_UEVENT).unwrap();
        let to = SocketAddr::new(address.port_number(), 0);
        let lied = liar.send_to(b"change@/x\0FORGED=1\0INTERFACE=lo\0", &to, 0);
        let asked = std::fs::write("/sys/class/net/lo/uevent", "change");
        let root = rustix::process::geteuid().is_root();
        assert_eq!(
            (lied.is_ok(), asked.is_ok()),
            (root, root),
            "{lied:?} {asked:?}"
        );
        if root {
            tokio::time::timeout(PATIENCE, bell.ring())
                .await
                .unwrap()
                .unwrap();
        }
        assert!(
            !FORGED.load(Ordering::Relaxed),
            "a process was taken for the kernel"
        );
    }
}
