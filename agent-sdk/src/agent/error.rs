//! Why an agent's side cannot start, sorted by who must act.
//!
//! Deliberately absent: errors of the work itself, which are the agent's own.

use std::io;

use crate::inherited::InheritError;

/// Why [`Agent::from_env`](super::Agent::from_env) failed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// For who ran it: it was started by hand.
    #[error(
        "{variable} is not set: {program} is an agent, and agents are started by a Lull node. Name it as the \
         `command` of an `[[agent]]` in a manifest in the node's apps folder, register it there or from its app, and \
         fire its trigger (for a push: `lull push`)"
    )]
    NotStartedByNode {
        /// The variable that is absent.
        variable: &'static str,
        /// The program's path.
        program: String,
    },
    /// For who started it: a descriptor is not what the environment says.
    #[error("failed to take over what the node handed down")]
    Inherited {
        /// What is wrong with it.
        #[from]
        source: InheritError,
    },
    /// For who started it: the payload cannot be read.
    #[error("failed to read the payload from {variable}")]
    PayloadUnreadable {
        /// The variable that names its descriptor.
        variable: &'static str,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For who started it: the payload is longer than any node sends.
    #[error("the payload has more than {limit} bytes, which is the most that an agent takes")]
    PayloadTooLong {
        /// Bytes it may have.
        limit: usize,
    },
    /// For the device: no thread, or no descriptor for one.
    #[error("failed to start the thread that talks to the node")]
    Thread {
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For the node: its end of the socket is closed.
    #[error(
        "the node hung up before it said what the run is about; exit with 75 and it is noted as aborted"
    )]
    HungUp,
    /// For the node: it does not answer.
    #[error("the node did not say what the run is about within {seconds} s")]
    NoInvocation {
        /// How long it was waited for.
        seconds: u64,
    },
    /// For who installs: the node chose a version that this build does not speak.
    #[error(
        "the node speaks version {chosen} of the agent protocol, this agent 1 to {spoken}; update the older one"
    )]
    Protocol {
        /// What the node chose.
        chosen: u32,
        /// The newest version of this build.
        spoken: u32,
    },
}

/// The node did not answer a question. The run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the node did not answer; it may be starting anew, and the run goes on meanwhile")]
pub struct NodeAway;
