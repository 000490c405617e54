//! The line protocol between a node and a running agent: one JSON object a line, over a Unix stream socket that the
//! agent inherits. The socket is the agent's identity; nothing else authenticates it.
//!
//! The agent speaks first (`hello`), the node answers with `invoke`. Unknown fields are ignored, an unknown message
//! type ends nothing: each side skips it, so that a newer one can talk to an older one.
//!
//! A *plain command* never speaks: exit 0 is completion, 75 is abort, anything else a crash. It finds what
//! it needs in the environment ([`environment`]) and is asked to cancel by SIGTERM.

use serde::{Deserialize, Serialize};

use crate::handover::HandOver;

/// The version spoken by this build.
pub const PROTOCOL: u32 = 1;

/// Most bytes of one line, newline included. A longer one ends the conversation.
pub const LINE_LIMIT: usize = 16 * 1024;

/// The exit status by which a plain command says that it could not do its work (`EX_TEMPFAIL`).
pub const EXIT_ABORT: u8 = 75;

/// What the node puts into an agent's environment; nothing else is inherited but `PATH`, `HOME`, `USER`, `LANG` and `TZ`.
pub mod environment {
    /// Descriptor of the socket to the node.
    pub const SOCKET_FD: &str = "LULL_SOCKET_FD";
    /// Descriptor of a read-only file with the payload; absent where there is none.
    pub const PAYLOAD_FD: &str = "LULL_PAYLOAD_FD";
    /// The payload itself, where it is text without NUL.
    pub const PAYLOAD: &str = "LULL_PAYLOAD";
    /// The run's id on this device.
    pub const RUN: &str = "LULL_RUN";
    /// The app's id.
    pub const APP: &str = "LULL_APP";
    /// The registration's name.
    pub const TASK: &str = "LULL_TASK";
    /// The device that arrived, left, or is the one to be used; absent where none did.
    pub const DEVICE: &str = "LULL_DEVICE";
    /// `arrived` or `left`, of that device.
    pub const DEVICE_CHANGE: &str = "LULL_DEVICE_CHANGE";
    /// The path whose files changed; absent where none did.
    pub const PATH_CHANGED: &str = "LULL_PATH_CHANGED";
    /// The signal of the bus that fired it; absent where none did.
    pub const BUS_EVENT: &str = "LULL_BUS_EVENT";
    /// The socket or control channel that fired it, by its id; absent where none did.
    pub const SOCKET_ID: &str = "LULL_SOCKET_ID";
    /// What happened on it: `socket-activity`, `connection-accepted`, `keep-alive-timer-expired`, `socket-closed`; on a
    /// channel `message` or `keep-alive`.
    pub const SOCKET_ACTIVITY: &str = "LULL_SOCKET_ACTIVITY";
    /// What it is: `listener`, `stream` or `datagram`; absent where the node does not hold it any more.
    pub const SOCKET_KIND: &str = "LULL_SOCKET_KIND";
    /// The bytes that were left with it, two hexadecimal digits each.
    pub const SOCKET_CONTEXT: &str = "LULL_SOCKET_CONTEXT";
    /// 1 where a socket is handed to the agent, as descriptor 3 (`sd_listen_fds(3)`; `LISTEN_PID` stands beside it). The socket
    /// to the node is another descriptor then: always ask [`SOCKET_FD`].
    pub const LISTEN_FDS: &str = "LISTEN_FDS";
    /// The id of that socket, or `unknown` where it cannot be written there.
    pub const LISTEN_FDNAMES: &str = "LISTEN_FDNAMES";
    /// What fired it: `timer`, `system:internet-available`, `push`, `application`.
    pub const TRIGGER: &str = "LULL_TRIGGER";
    /// The push's id; absent where no push started it.
    pub const PUSH_ID: &str = "LULL_PUSH_ID";
    /// 1, or more after a run that the node itself lost.
    pub const ATTEMPT: &str = "LULL_ATTEMPT";
    /// A folder that belongs to the app and stays between runs; also the working folder.
    pub const STATE: &str = "LULL_STATE";
    /// Seconds until it is asked to cancel; absent = no limit.
    pub const CANCEL_AFTER: &str = "LULL_CANCEL_AFTER";
}

/// What an agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromAgent {
    /// The first message.
    Hello {
        /// Versions of this protocol that the agent speaks: the highest.
        protocol: u32,
    },
    /// A number whose meaning is the app's.
    Progress {
        /// The number.
        value: u32,
    },
    /// A deferral was taken; the run goes on until each is completed. No limit moves.
    DeferralTaken {},
    /// A deferral was completed.
    DeferralCompleted {},
    /// It has put new content on its app's card (EXP-04, EXP-05).
    UpdateCard {},
    /// The work is done. The agent should now exit with 0.
    Complete {},
    /// The work cannot be done now. The agent should now exit with 75.
    Abort {
        /// Why, for people; cut to 1,024 bytes.
        message: String,
    },
    /// Asks for `memory-usage`.
    MemoryUsage {},
    /// Asks for `memory-level`, now and whenever it is another one (RES-08).
    FollowMemory {},
    /// Hands a socket over, whose descriptor rides on this line. Answered by `handed-over`; an agent that ends without waiting
    /// for it has handed it over all the same, unless it is refused.
    HandOver(HandOver),
    /// A message of a newer protocol.
    #[serde(other)]
    Unknown,
}

/// What the node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, on its way to a line or from one"
)]
pub enum ToAgent {
    /// Answers `hello`.
    Invoke(Invocation),
    /// Get out: save what matters and exit.
    Cancel {
        /// Why, by its name in the rule book (RUN-16), for instance `execution-time-exceeded`.
        reason: String,
        /// Its number there.
        number: u8,
        /// Milliseconds until the kill; absent = no kill is set.
        grace_ms: Option<u64>,
    },
    /// Answers `memory-usage`.
    MemoryUsage {
        /// Bytes in use by the whole cage; absent = this machine cannot tell.
        usage: Option<u64>,
        /// The cap in bytes; absent = none.
        limit: Option<u64>,
    },
    /// How near the run is to its memory cap (RES-08). Said once after `follow-memory`, then when the level rises or falls, a second
    /// late at most, and just before the cap is changed.
    MemoryLevel {
        /// `low`, `medium` (from half of the cap on), `high` (from four fifths on), `over-limit`.
        level: String,
        /// Its number there: 0 to 3.
        number: u8,
        /// Bytes in use by the whole cage, with what the kernel caches of its files.
        usage: u64,
        /// The cap in bytes, as it is or is about to be; absent = none.
        limit: Option<u64>,
    },
    /// Answers `hand-over`.
    HandedOver {
        /// Of which id.
        id: String,
        /// Why the node does not hold it; absent = it does.
        refused: Option<String>,
    },
    /// A message of a newer protocol.
    #[serde(other)]
    Unknown,
}

/// What a run is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invocation {
    /// The protocol chosen.
    pub protocol: u32,
    /// The run's id on this device.
    pub run: u64,
    /// The app.
    pub app: String,
    /// The registration's name.
    pub task: String,
    /// The agent's own entry point.
    pub entry_point: String,
    /// What fired it, as in [`environment::TRIGGER`].
    pub trigger: String,
    /// What it is about, where its trigger says more than its name.
    #[serde(default)]
    pub occasion: Option<Occasion>,
    /// The push that started it.
    pub push: Option<PushDetails>,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// Milliseconds until it is asked to cancel; absent = no limit.
    pub cancel_after_ms: Option<u64>,
    /// Milliseconds until it is killed; absent = no limit.
    pub kill_after_ms: Option<u64>,
}

/// What a firing is about (TRGC-04).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Occasion {
    /// A device arrived or left (TRG-46), or is the one to be used.
    Device {
        /// Its name, `usb:046d:c52b:1-1.2`.
        device: String,
        /// It is there.
        present: bool,
    },
    /// Something at a path changed (TRG-48).
    Files {
        /// The path.
        path: String,
    },
    /// A signal of the bus (TRG-47).
    Bus {
        /// A service and its signal.
        event: String,
    },
    /// Something happened on a socket that the node held (TRGD-16).
    Socket {
        /// Its id.
        id: String,
        /// What, as in [`environment::SOCKET_ACTIVITY`].
        activity: String,
        /// Its number: 1 to 4 in that order.
        number: u8,
        /// The socket, which the agent has got; absent = the node does not hold it any more.
        #[serde(default)]
        socket: Option<HandedSocket>,
    },
    /// Something happened on a control channel (TRGD-10).
    Channel {
        /// Its id.
        id: String,
        /// `message` or `keep-alive`.
        activity: String,
        /// Its transport, which the agent has got; absent = the node does not hold it any more.
        #[serde(default)]
        socket: Option<HandedSocket>,
    },
    /// An occasion of a newer node.
    #[serde(other)]
    Unknown,
}

/// A raw push as its agent sees it. The body is at most 5,000 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushDetails {
    /// The push's id: the same over attempts, so that work can be made idempotent.
    pub id: String,
    /// The body where it is text; else it is on [`environment::PAYLOAD_FD`] only.
    pub text: Option<String>,
}

/// A socket that an agent gets, as descriptor 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandedSocket {
    /// `listener`, `stream` or `datagram`.
    pub kind: String,
    /// The bytes that were left with it, two hexadecimal digits each.
    #[serde(default)]
    pub context: String,
}
