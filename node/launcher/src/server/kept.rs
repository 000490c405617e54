//! Sockets of apps that the daemon holds and nobody uses now (TRG-15): a second descriptor of each is kept here, so that they
//! outlive the daemon.
//!
//! Deliberately absent: what they are and what happens on them. They are neither read nor waited on.

use std::os::fd::{AsFd, OwnedFd};

use super::Launcher;
use crate::wire::{Event, KEPT, NOTE};

/// A socket that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) descriptor: OwnedFd,
    note: String,
}

impl Launcher {
    pub(super) fn keep(&mut self, socket: u64, note: String, descriptor: Option<OwnedFd>) {
        let full = self.kept.len() >= KEPT && !self.kept.contains_key(&socket);
        let Some(descriptor) = descriptor.filter(|_| !full && note.len() <= NOTE) else {
            // Its daemon has it all the same; it ends with that.
            return self.refuse(format!("socket {socket} cannot be kept: {KEPT} are, or it did not come with its descriptor and a note of {NOTE} bytes at most"));
        };
        self.kept.insert(socket, Kept { descriptor, note });
    }

    /// Says what is kept to a daemon that has just said hello.
    pub(super) fn tell_kept(&mut self) {
        let all: Vec<(Event, OwnedFd)> = self.told_kept().collect();
        for (event, descriptor) in all {
            self.tell(&event, Some(descriptor));
        }
    }

    /// How many [`Self::tell_kept`] tells.
    pub(super) fn count_kept(&self) -> u32 {
        u32::try_from(self.kept.len()).unwrap_or(u32::MAX)
    }

    /// One whose descriptor cannot be had a second time is not told; nothing of it is lost while this process lives.
    fn told_kept(&self) -> impl Iterator<Item = (Event, OwnedFd)> {
        self.kept.iter().filter_map(|(socket, kept)| {
            let event = Event::Kept {
                socket: *socket,
                note: kept.note.clone(),
            };
            Some((event, kept.descriptor.as_fd().try_clone_to_owned().ok()?))
        })
    }
}
