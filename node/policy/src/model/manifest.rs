//! What an app declares: the machine's view of a manifest, already parsed and checked by the host.

use serde::{Deserialize, Serialize};

use crate::{AppId, Bytes, EntryPoint, Span};

/// Task types an entry point may be used for (MAN-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskType {
    /// Application triggers.
    General,
    /// System events.
    SystemEvent,
    /// Timers.
    Timer,
    /// Raw pushes.
    PushNotification,
}

/// An entry point that the manifest declares (MAN-01, MAN-03).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentDeclaration {
    /// Its name.
    pub entry_point: EntryPoint,
    /// What it may be registered for; at least one.
    pub types: Vec<TaskType>,
    /// A memory cap of its own, lower than the policy's; absent = the policy's.
    pub memory: Option<Bytes>,
    /// A time limit of its own, lower than the policy's; absent = the policy's.
    pub time: Option<Span>,
}

/// An installed app. How its agents are started (command, user, folder) is the host's own business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its id.
    pub id: AppId,
    /// Its version; a change makes the grant stale (ACC-02).
    pub version: String,
    /// What it declares.
    pub agents: Vec<AgentDeclaration>,
}
