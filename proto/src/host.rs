//! The packets between a node and an app's own process that runs the app's tasks (RUN-01, RUN-03): one JSON object a packet, over a
//! `SOCK_SEQPACKET` Unix socket named [`SOCKET`] in the folder of the node's other one.
//!
//! The process says hello for its app; the kernel's word on its user decides whether it may. For each run the node sends one end of a
//! stream socket, over which the run speaks the agents' own line protocol ([`agent`](crate::agent)). The connection is the
//! process's life: when it closes, what runs in the process is over. Unknown fields are ignored, an unknown packet is skipped.

use serde::{Deserialize, Serialize};

/// The version spoken by this build.
pub const PROTOCOL: u32 = 1;

/// The socket's name.
pub const SOCKET: &str = "host.sock";

/// Most bytes of one packet: a payload of 5,000 bytes, each written as a number.
pub const PACKET_LIMIT: usize = 32 * 1024;

/// What an app's process says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum FromHost {
    /// The first packet.
    Hello {
        /// The highest version of this protocol that it speaks.
        protocol: u32,
        /// Whose process it is.
        app: String,
    },
    /// It ends because it wants to. Without this word a process that goes in the middle of a run has crashed (RUN-02).
    Leaving {},
    /// A packet of a newer protocol.
    #[serde(other)]
    Unknown,
}

/// What the node says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ToHost {
    /// Answers `hello`: runs come from now on.
    Welcome {
        /// The version chosen.
        protocol: u32,
    },
    /// Answers `hello`: the connection ends.
    Refused {
        /// Why, and the way out.
        message: String,
    },
    /// A run begins. Comes with its socket.
    Run {
        /// Its id on this device.
        run: u64,
        /// The payload: a push's body; empty where there is none.
        payload: Vec<u8>,
    },
    /// A packet of a newer protocol.
    #[serde(other)]
    Unknown,
}
