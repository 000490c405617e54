//! What a run is about, parsed from the wire.
//!
//! Deliberately absent: the payload's bytes, see [`Agent::payload`](super::Agent::payload).

use std::path::PathBuf;
use std::time::Duration;

use lull_proto::agent as wire;

use crate::{ChannelActivity, FiredBy, HandedSocket, RunId, SocketActivity};

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// The run's id on this device.
    pub run: RunId,
    /// The app.
    pub app: String,
    /// The registration's name.
    pub task: String,
    /// The entry point of the manifest that this run is of.
    pub entry_point: String,
    /// What fired it.
    pub fired_by: FiredBy,
    /// What it is about, where its trigger says more than its name.
    pub occasion: Option<Occasion>,
    /// The push that started it; absent where none did.
    pub push: Option<Push>,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// From the start of the run until it is asked to cancel; absent = no limit.
    pub cancel_after: Option<Duration>,
    /// From the start of the run until it is killed; absent = no limit.
    pub kill_after: Option<Duration>,
}

/// The push that started a run. Its body is [`Agent::payload`](super::Agent::payload).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// Its id: the same over attempts, so that work can be made idempotent by it.
    pub id: String,
}

/// What a firing is about (TRGC-04).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Occasion {
    /// A device arrived or left (TRG-46).
    Device {
        /// Its name: `usb:046d:c52b:1-1.2`.
        device: String,
        /// It is there.
        present: bool,
    },
    /// Something at a path changed (TRG-48).
    Files {
        /// The path.
        path: PathBuf,
    },
    /// A signal of the bus (TRG-47).
    Bus {
        /// A service and its signal.
        event: String,
    },
    /// Something happened on a socket that the node held (TRG-15).
    Socket {
        /// Its id.
        id: String,
        /// What.
        activity: SocketActivity,
        /// The socket, see [`Agent::take_socket`](super::Agent::take_socket); absent = the node does not hold it any more.
        socket: Option<HandedSocket>,
    },
    /// Something happened on a control channel (TRG-14).
    Channel {
        /// Its id.
        id: String,
        /// What.
        activity: ChannelActivity,
        /// Its transport, likewise.
        socket: Option<HandedSocket>,
    },
}

impl Occasion {
    fn parse(wire: wire::Occasion) -> Option<Self> {
        match wire {
            wire::Occasion::Device { device, present } => Some(Self::Device { device, present }),
            wire::Occasion::Files { path } => Some(Self::Files { path: path.into() }),
            wire::Occasion::Bus { event } => Some(Self::Bus { event }),
            wire::Occasion::Socket {
                id,
                activity,
                number: _,
                socket,
            } => Some(Self::Socket {
                id,
                activity: SocketActivity::named(activity),
                socket: socket.map(HandedSocket::parse),
            }),
            wire::Occasion::Channel {
                id,
                activity,
                socket,
            } => Some(Self::Channel {
                id,
                activity: ChannelActivity::named(activity),
                socket: socket.map(HandedSocket::parse),
            }),
            wire::Occasion::Unknown => None,
        }
    }
}

impl Invocation {
    /// The invocation, and the payload where it came as text.
    pub(super) fn parse(wire: wire::Invocation) -> (Self, Option<String>) {
        let text = wire.push.as_ref().and_then(|push| push.text.clone());
        let invocation = Self {
            run: RunId(wire.run),
            app: wire.app,
            task: wire.task,
            entry_point: wire.entry_point,
            fired_by: FiredBy::named(&wire.trigger),
            occasion: wire.occasion.and_then(Occasion::parse),
            push: wire.push.map(|push| Push { id: push.id }),
            attempt: wire.attempt,
            cancel_after: wire.cancel_after_ms.map(Duration::from_millis),
            kill_after: wire.kill_after_ms.map(Duration::from_millis),
        };
        (invocation, text)
    }
}
