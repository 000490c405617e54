//! The socket that a run was started for, and handing sockets to the node.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::time::Duration;

use super::{Agent, Occasion};
use crate::socket::{HandOver, NotHandedOver, NotTaken, Socket};

/// How long the node has to take a socket: it has its launcher keep it.
const TAKEN: Duration = Duration::from_secs(10);

impl Agent {
    /// The socket that the run was started for, once; absent where it was started for something else, or the node does not hold it any
    /// more. What happened on it, its id and the bytes left with it stand in
    /// [`Invocation::occasion`](super::Invocation::occasion).
    ///
    /// It closes with the run, and nothing more is told of it, unless the run [hands it over](Self::hand_over) again (TRGD-18).
    pub fn take_socket(&mut self) -> Option<Socket> {
        let kind = match &self.invocation.occasion {
            Some(Occasion::Socket { socket, .. } | Occasion::Channel { socket, .. }) => {
                &socket.as_ref()?.kind
            }
            Some(Occasion::Device { .. } | Occasion::Files { .. } | Occasion::Bus { .. })
            | None => {
                return None;
            }
        };
        self.listening.take().map(|socket| Socket::of(kind, socket))
    }

    /// Hands a socket to the node (TRGD-15): the one that it got, or one that it made. Waits 10 s at most.
    ///
    /// # Errors
    /// Why the node did not take it; the error has the socket.
    pub fn hand_over(&self, hand_over: HandOver) -> Result<(), NotHandedOver> {
        let (wire, socket) = hand_over.parts();
        // The caller keeps its own until the node has taken it.
        let answer = match socket.as_fd().try_clone_to_owned() {
            Ok(duplicate) => self.shared.hand_over(wire.clone(), duplicate, TAKEN),
            Err(error) => return Err(hand_over.refused(NotTaken::Away(error))),
        };
        match answer {
            Some(Ok(())) => Ok(()),
            Some(Err(message)) => {
                let code = String::new();
                Err(hand_over.refused(NotTaken::Refused { code, message }))
            }
            None => {
                let error = io::Error::from(ErrorKind::NotConnected);
                Err(hand_over.refused(NotTaken::Away(error)))
            }
        }
    }
}
