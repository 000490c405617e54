//! The launcher's connections: one daemon, whose words are taken and who is told everything, and guests who are turned away.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::SocketFlags;
use rustix::net::sockopt::socket_peercred;
use rustix::process::geteuid;

use super::{Launcher, RUNS, timespec};
use crate::clock;
use crate::launch::chain;
use crate::socket::{Channel, ChannelError, Received};
use crate::wire::{Event, Request};

/// Messages that wait for a daemon that does not read: all that is told of every run, twice over.
const OUTBOX: usize = 8 * RUNS;

/// Requests taken at one turn of the loop, so that a daemon with much to say does not keep its agents waiting.
const REQUESTS: usize = 32;

/// Refused connections that are kept until they have spoken, and how long at most.
const GUESTS: usize = 4;
const GUEST: Duration = Duration::from_secs(1);

/// A connection that is served.
#[derive(Debug)]
pub(super) struct Daemon {
    pub(super) channel: Channel,
    pub(super) greeted: bool,
    pub(super) outbox: VecDeque<(Vec<u8>, Option<OwnedFd>)>,
}

impl Launcher {
    pub(super) fn accept(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // A connection that is gone again is no connection.
        let Ok(socket) = rustix::net::accept_with(&self.listening.socket, flags) else {
            return;
        };
        let channel = Channel::new(socket);
        if self
            .daemon
            .as_ref()
            .is_some_and(|daemon| has_hung_up(&daemon.channel))
        {
            // What it said before it died holds: its launches were durable before they were sent.
            while self.daemon.is_some() {
                self.listen_to_daemon();
            }
        }
        let ours = socket_peercred(&channel).is_ok_and(|peer| peer.uid == geteuid());
        let message = if !ours {
            "the launcher serves its own user only"
        } else if self.daemon.is_some() {
            "the launcher already serves a daemon that is running"
        } else {
            self.alone_since = clock::now();
            self.daemon = Some(Daemon {
                channel,
                greeted: false,
                outbox: VecDeque::new(),
            });
            return;
        };
        self.turn_away(channel, message);
    }

    /// Says why not. The connection is kept until the guest has spoken: closing it over unread words would take the answer back.
    pub(super) fn turn_away(&mut self, channel: Channel, message: &str) {
        let refusal = Event::Refused {
            message: message.to_owned(),
        };
        let told = Channel::encode(&refusal).and_then(|bytes| channel.send(&bytes, None));
        if told.is_ok() {
            self.guests.push_back((channel, clock::now() + GUEST));
        }
        if self.guests.len() > GUESTS {
            self.guests.pop_front();
        }
    }

    pub(super) fn see_off(&mut self) {
        let now = clock::now();
        let speechless = |error: ChannelError| error.would_block();
        self.guests.retain(|(channel, until)| {
            now < *until && channel.receive::<Request>().is_err_and(speechless)
        });
    }

    pub(super) fn listen_to_daemon(&mut self) {
        for _request in 0..REQUESTS {
            let Some(daemon) = &self.daemon else {
                return;
            };
            match daemon.channel.receive() {
                Ok(Received::Message(request, fd)) => self.obey(request, fd),
                Ok(Received::Closed) => return self.lose_daemon(),
                Err(error) if error.would_block() => break,
                Err(error @ (ChannelError::TooLong { .. } | ChannelError::Malformed(_))) => {
                    self.refuse(chain(&error));
                }
                Err(ChannelError::Socket(_broken)) => return self.lose_daemon(),
            }
        }
    }

    pub(super) fn lose_daemon(&mut self) {
        self.daemon = None;
        self.alone_since = clock::now();
    }

    pub(super) fn refuse(&mut self, message: String) {
        self.tell(&Event::Refused { message }, None);
    }

    /// Puts a message where the daemon will read it. Not before it has said hello, unless it is told why not.
    pub(super) fn tell(&mut self, event: &Event, fd: Option<OwnedFd>) {
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        if !daemon.greeted && !matches!(event, Event::Refused { .. }) {
            return;
        }
        match Channel::encode(event) {
            Ok(bytes) if daemon.outbox.len() < OUTBOX => daemon.outbox.push_back((bytes, fd)),
            // It does not read; or the message is too long, which the bounds of its parts rule out. Both come anew with the next hello.
            Ok(_) | Err(_) => self.lose_daemon(),
        }
    }

    pub(super) fn flush(&mut self) {
        let Some(daemon) = &mut self.daemon else {
            return;
        };
        while let Some((bytes, fd)) = daemon.outbox.front() {
            match daemon.channel.send(bytes, fd.as_ref().map(AsFd::as_fd)) {
                Ok(()) => drop(daemon.outbox.pop_front()),
                Err(error) if error.would_block() => return,
                Err(_broken) => return self.lose_daemon(),
            }
        }
    }
}

fn has_hung_up(channel: &Channel) -> bool {
    let mut fds = [PollFd::new(channel, PollFlags::empty())];
    let now = timespec(Duration::ZERO);
    match poll(&mut fds, Some(&now)) {
        Ok(_count) => {
            let gone = PollFlags::HUP | PollFlags::ERR;
            fds.iter().any(|fd| fd.revents().intersects(gone))
        }
        Err(_unknown) => false,
    }
}
