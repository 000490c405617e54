//! The table of what each capability of a manifest allows its agents at run time (RUN-46, RUN-47, MAN-08). All else is denied.
//!
//! The launcher enforces it, `lull apps check` shows it. Deliberately absent: which registrations an app may make, which is the machine's
//! decision, and how a grant is enforced, which is the launcher's.

use std::collections::BTreeSet;

use lull_launcher::sandbox::{Grant, Sandbox};
use lull_policy::{AgentDeclaration, App, Capability, TaskType};

use super::{Agent, Program};

/// What a capability allows.
#[derive(Debug, Clone, Copy)]
pub struct Allowed {
    /// The capability.
    pub capability: Capability,
    /// What agents get with it; a type narrows it to agents that are declared for that type.
    pub grants: &'static [(Option<TaskType>, Grant)],
    /// Types of agents that can be registered only with it.
    pub needed_for: &'static [TaskType],
}

/// Every capability.
pub const TABLE: [Allowed; 7] = [
    Allowed {
        capability: Capability::Internet,
        grants: &[(None, Grant::Internet)],
        needed_for: &[TaskType::PushNotification, TaskType::ControlChannel],
    },
    // No device as such: a run for the use of a device has that one (TRGD-26), see `order` of the supervisor.
    Allowed {
        capability: Capability::Device,
        grants: &[],
        needed_for: &[TaskType::DeviceUse],
    },
    Allowed {
        capability: Capability::Media,
        grants: &[
            (Some(TaskType::Audio), Grant::Sound),
            (Some(TaskType::MediaProcessing), Grant::Render),
        ],
        needed_for: &[TaskType::Audio, TaskType::MediaProcessing],
    },
    // The text comes with the run; the modem stays out of reach (RUN-47).
    Allowed {
        capability: Capability::Sms,
        grants: &[],
        needed_for: &[],
    },
    Allowed {
        capability: Capability::DeviceServicing,
        grants: &[],
        needed_for: &[TaskType::DeviceServicing],
    },
    // These two lift limits, and open nothing.
    Allowed {
        capability: Capability::ExtendedBackgroundTaskTime,
        grants: &[],
        needed_for: &[],
    },
    Allowed {
        capability: Capability::ExtendedExecutionUnconstrained,
        grants: &[],
        needed_for: &[],
    },
];

/// What no agent may have, by the words in which a manifest may ask for it, and why (RUN-47).
pub const UNSUPPORTED: [(&str, &str); 24] = [
    ("audio-capture", CAPTURE),
    ("bluetooth", RADIO),
    ("camera", CAPTURE),
    ("clipboard", SCREEN),
    ("display", SCREEN),
    ("input", SCREEN),
    ("keyboard", SCREEN),
    ("launcher", SCREEN),
    ("location-live", SENSOR),
    ("message-box", SCREEN),
    ("microphone", CAPTURE),
    ("modem", RADIO),
    ("navigation", SCREEN),
    ("nfc", RADIO),
    ("phone-call", RADIO),
    ("privileged", ROOT),
    ("push-channel", CALLS),
    ("radio", RADIO),
    ("root", ROOT),
    ("scheduler", CALLS),
    ("screen", SCREEN),
    ("sensors", SENSOR),
    ("vibration", SENSOR),
    ("web-browser", SCREEN),
];

const CAPTURE: &str = "no agent captures sound or pictures";
const RADIO: &str = "no agent has a radio; SMS and pushes are triggers";
const SCREEN: &str =
    "agents have no display, input or session; they reach people by card and notification";
const SENSOR: &str =
    "no agent has sensors or actuators; conditions and triggers tell what the device does";
const CALLS: &str = "only the app's front registers and opens channels, never an agent";
const ROOT: &str = "agents never gain privileges";

/// Why nobody can have this as a capability; `None`: it is none that is known to be asked for.
pub fn unsupported(word: &str) -> Option<&'static str> {
    let found = UNSUPPORTED.iter().find(|(asked, _)| *asked == word);
    found.map(|(_, why)| *why)
}

/// What an agent is granted.
pub fn grants(app: &App, agent: &AgentDeclaration) -> BTreeSet<Grant> {
    let had = TABLE.iter().filter(|row| app.can(row.capability));
    had.flat_map(|row| row.grants)
        .filter(|(narrowed, _)| narrowed.is_none_or(|needed| agent.types.contains(&needed)))
        .map(|(_, grant)| *grant)
        .collect()
}

/// What an app's own process is granted, where the node starts it: all that its capabilities open to any of its agents.
fn grants_of_front(app: &App) -> BTreeSet<Grant> {
    let had = TABLE.iter().filter(|row| app.can(row.capability));
    had.flat_map(|row| row.grants)
        .map(|(_, grant)| *grant)
        .collect()
}

/// The sandbox of an agent, its app's own folder still to be added.
pub(super) fn sandbox(app: &App, agent: &Agent) -> Sandbox {
    confined(grants(app, &agent.declaration), &agent.program)
}

/// The sandbox of an app's own process, likewise.
pub(super) fn sandbox_of_front(app: &App, front: &Program) -> Sandbox {
    confined(grants_of_front(app), front)
}

fn confined(grants: BTreeSet<Grant>, program: &Program) -> Sandbox {
    Sandbox {
        grants,
        reads: program.reads.clone(),
        writes: program.writes.clone(),
        devices: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::{AppId, EntryPoint, Signer};

    use super::*;

    fn app(capabilities: &[Capability]) -> App {
        App {
            id: AppId::new("music").unwrap(),
            version: "1".to_owned(),
            agents: Vec::new(),
            capabilities: capabilities.iter().copied().collect(),
            signed_by: Signer::None,
        }
    }

    fn agent(types: &[TaskType]) -> AgentDeclaration {
        AgentDeclaration {
            entry_point: EntryPoint::new("play").unwrap(),
            types: types.to_vec(),
            memory: None,
            time: None,
            multiple_instances: false,
            resource_group: None,
        }
    }

    #[test]
    fn a_grant_needs_its_capability_and_its_type() {
        use Capability::{Device, Internet, Media, Sms};
        let all: &[Capability] = &[Internet, Device, Media, Sms];
        let cases: &[(&[Capability], &[TaskType], &[Grant])] = &[
            (&[], &[TaskType::Audio], &[]),
            (all, &[TaskType::Timer], &[Grant::Internet]),
            (&[Internet], &[TaskType::Audio], &[Grant::Internet]),
            (&[Media], &[TaskType::Audio], &[Grant::Sound]),
            (&[Media], &[TaskType::MediaProcessing], &[Grant::Render]),
            (&[Device, Sms], &[TaskType::DeviceUse], &[]),
        ];
        for (capabilities, types, wanted) in cases {
            let granted = grants(&app(capabilities), &agent(types));
            assert_eq!(
                granted,
                wanted.iter().copied().collect(),
                "{capabilities:?} {types:?}"
            );
        }
    }

    #[test]
    fn every_capability_has_one_row() {
        let rows: BTreeSet<Capability> = TABLE.iter().map(|row| row.capability).collect();
        let known: BTreeSet<Capability> = super::super::read::CAPABILITIES
            .iter()
            .map(|(_, c)| *c)
            .collect();
        assert_eq!((rows, TABLE.len()), (known.clone(), known.len()));
        assert!(UNSUPPORTED.is_sorted());
    }
}
