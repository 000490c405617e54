//! The lock of an app's state: on the folder itself, which both sides have and nobody can leave behind locked.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Held until it is dropped, or its process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _folder: OwnedFd,
}

/// Takes the lock over a descriptor of its own: it then excludes other threads too. None = others held it all the time.
pub(super) fn take(folder: OwnedFd, wait: Duration) -> io::Result<Option<Lock>> {
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(Some(Lock { _folder: folder })),
        Err(Errno::WOULDBLOCK | Errno::INTR) => {}
        Err(error) => return Err(error.into()),
    }
    // The kernel knows no lock with a deadline: a thread waits for it, in the order of all who wait.
    let (tx, rx) = sync_channel(1);
    let waiting = move || {
        let locked = loop {
            match flock(&folder, FlockOperation::LockExclusive) {
                Err(Errno::INTR) => {}
                locked => break locked,
            }
        };
        // Nobody takes what came too late: then it is let go with the channel.
        drop(tx.send(locked.map(|()| Lock { _folder: folder })));
    };
    let name = "lull-state-lock".to_owned();
    std::thread::Builder::new().name(name).spawn(waiting)?;
    match rx.recv_timeout(wait) {
        Ok(locked) => Ok(Some(locked?)),
        Err(_late) => Ok(None),
    }
}
