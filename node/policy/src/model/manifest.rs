//! What an app declares: the machine's view of a manifest, already parsed and checked by the host.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{AppId, Bytes, EntryPoint, Span};

/// Task types an entry point may be used for (MAN-04).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskType {
    /// Application, socket, device-watcher, file and bus triggers; maintenance too.
    General,
    /// System events; maintenance too.
    SystemEvent,
    /// Timers.
    Timer,
    /// Raw pushes.
    PushNotification,
    /// Background audio: its runs share one process and one cap (RES-06).
    Audio,
    /// Control channels.
    ControlChannel,
    /// Device use.
    DeviceUse,
    /// Device servicing.
    DeviceServicing,
    /// Media processing.
    MediaProcessing,
    /// The app's one scheduled-task agent (ACC-40, MAN-09).
    Scheduled,
    /// The update task (MAN-07).
    UpdateTask,
}

/// What an app may do beyond running (MAN-08). Each is checked when something that needs it is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Pushes, channels and sockets.
    Internet,
    /// Device use.
    Device,
    /// Media processing, background audio.
    Media,
    /// The SMS event (TRG-04).
    Sms,
    /// Device servicing; counts only when the maker signed (TRGD-34).
    DeviceServicing,
    /// No time limit on trigger tasks (ENT-01, ENT-02); counts only when the operator signed.
    ExtendedBackgroundTaskTime,
    /// Extended sessions without gates (ENT-03); counts only when the operator signed.
    ExtendedExecutionUnconstrained,
}

/// Whose signature a manifest carries; the host has verified it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Signer {
    /// Nobody's.
    #[default]
    None,
    /// The fleet operator's (ENT-01).
    Operator,
    /// A device maker's (TRGD-34).
    Maker,
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
    /// Every activation gets a process and limits of its own (RUN-07, AMB-11).
    #[serde(default)]
    pub multiple_instances: bool,
    /// Runs of one resource group share a host (RUN-07); absent = a host each.
    #[serde(default)]
    pub resource_group: Option<Box<str>>,
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
    /// What it may do beyond running.
    #[serde(default = "usual_capabilities")]
    pub capabilities: BTreeSet<Capability>,
    /// Whose signature its manifest carries.
    #[serde(default)]
    pub signed_by: Signer,
}

/// What an app has that declares nothing else: the Internet, devices and media.
pub fn usual_capabilities() -> BTreeSet<Capability> {
    [Capability::Internet, Capability::Device, Capability::Media].into()
}

impl App {
    /// The agent of an entry point.
    pub fn agent(&self, entry_point: &EntryPoint) -> Option<&AgentDeclaration> {
        self.agents
            .iter()
            .find(|agent| agent.entry_point == *entry_point)
    }

    /// The entry point declared for a type, where one is: the scheduled agent, the update task.
    pub fn declared_for(&self, task_type: TaskType) -> Option<&AgentDeclaration> {
        self.agents
            .iter()
            .find(|agent| agent.types.contains(&task_type))
    }

    /// Whether it has a capability that counts: privileged ones only under the right signature (ENT-01, TRGD-34).
    pub fn can(&self, capability: Capability) -> bool {
        let signed = match capability {
            Capability::Internet | Capability::Device | Capability::Media | Capability::Sms => true,
            Capability::DeviceServicing => self.signed_by == Signer::Maker,
            Capability::ExtendedBackgroundTaskTime | Capability::ExtendedExecutionUnconstrained => {
                self.signed_by == Signer::Operator
            }
        };
        signed && self.capabilities.contains(&capability)
    }
}
