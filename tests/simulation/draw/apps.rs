//! Apps, what they register at the beginning, and how their runs go.

use std::collections::BTreeMap;

use lull_policy::{
    AgentDeclaration, App, AppId, Bytes, Capability, Choice, Condition, DeviceKind, EntryPoint,
    FrontState, Profile, RegistrationRequest, ScheduledKind, Signer, Slot, Span, Subject,
    SystemEvent, TaskName, TaskType, Trigger, usual_capabilities,
};

use super::Drawing;
use crate::agents::{Behaviour, Ends};
use crate::plan::{Ask, DAY, Kind, MINUTE, PlannedApp, SECOND, Step};
use crate::random::Random;

const CONDITIONS: [Condition; 8] = [
    Condition::UserPresent,
    Condition::UserNotPresent,
    Condition::InternetAvailable,
    Condition::InternetNotAvailable,
    Condition::SessionConnected,
    Condition::SessionDisconnected,
    Condition::FreeNetworkAvailable,
    Condition::BackgroundWorkCostNotHigh,
];

pub(super) fn app_id(n: u64) -> AppId {
    AppId::new(["mail", "news", "maps"][usize::try_from(n % 3).unwrap_or(0)]).expect("an app id")
}

pub(super) fn task(name: &str) -> TaskName {
    TaskName::new(name).expect("a task name")
}

fn entry_point(name: &str) -> EntryPoint {
    EntryPoint::new(name).expect("an entry point")
}

pub(super) fn subject(name: &str) -> Subject {
    Subject::new(name).expect("a name")
}

impl Drawing {
    /// The apps of a device, installed, allowed and registered.
    pub(super) fn apps(&mut self, profile: &Profile) -> Vec<PlannedApp> {
        let count = self.random.between(1, 3);
        (0..count).map(|n| self.app(n, profile)).collect()
    }

    fn app(&mut self, n: u64, profile: &Profile) -> PlannedApp {
        let id = app_id(n);
        let app = App {
            id: id.clone(),
            version: "1.0".to_owned(),
            agents: self.agents(),
            capabilities: self.capabilities(),
            signed_by: if self.random.percent(5) {
                Signer::Operator
            } else {
                Signer::None
            },
        };
        let front = |state| Step::Front {
            app: app_id(n),
            state,
        };
        self.at(0, front(FrontState::Foreground));
        self.ask(0, &id, Ask::Access);
        if self.random.percent(15) {
            let choice = Some(lull_policy::AccessChoice::Always);
            self.ask(0, &id, Ask::SetAccess(choice));
        }
        if self.random.percent(20) {
            self.ask(0, &id, Ask::Choose(self_choice(&mut self.random.clone())));
        }
        let mut behaviours = BTreeMap::new();
        for m in 0..self.random.between(1, 4) {
            let name = task(&format!("task-{m}"));
            let request = self.request(&name, profile);
            behaviours.insert(name, self.runs(false));
            self.ask(0, &id, Ask::Register(Box::new(request)));
        }
        for (kind, share) in [
            (ScheduledKind::Periodic, 35),
            (ScheduledKind::ResourceIntensive, 35),
        ] {
            behaviours.insert(task(kind.word()), self.runs(true));
            if self.random.percent(share) {
                let expires = self
                    .random
                    .percent(40)
                    .then(|| self.random.between(1, 14) * DAY);
                self.ask(0, &id, Ask::AddScheduled { kind, expires });
            }
        }
        behaviours.insert(task("update-task"), self.runs(false));
        let then = self.random.pick(&[
            FrontState::None,
            FrontState::Background,
            FrontState::Suspended,
        ]);
        let then = front(*then);
        self.at(MINUTE, then);
        PlannedApp { app, behaviours }
    }

    pub(super) fn ask(&mut self, at: u64, app: &AppId, ask: Ask) {
        let app = app.clone();
        self.at(at, Step::Ask { app, ask });
    }

    fn capabilities(&mut self) -> std::collections::BTreeSet<Capability> {
        let mut capabilities = usual_capabilities();
        capabilities.insert(Capability::Sms);
        if self.random.percent(20) {
            capabilities.insert(Capability::ExtendedBackgroundTaskTime);
        }
        capabilities
    }

    fn agents(&mut self) -> Vec<AgentDeclaration> {
        let random = &mut self.random;
        let blank = |name: &str, types: &[TaskType]| AgentDeclaration {
            entry_point: entry_point(name),
            types: types.to_vec(),
            memory: None,
            time: None,
            multiple_instances: false,
            resource_group: None,
        };
        let mut agents = vec![
            blank(
                "sync",
                &[
                    TaskType::General,
                    TaskType::SystemEvent,
                    TaskType::Timer,
                    TaskType::PushNotification,
                    TaskType::ControlChannel,
                    TaskType::DeviceUse,
                    TaskType::MediaProcessing,
                ],
            ),
            blank("upkeep", &[TaskType::Scheduled]),
        ];
        if random.percent(30) {
            agents.push(blank("updater", &[TaskType::UpdateTask]));
        }
        for agent in &mut agents {
            agent.multiple_instances = random.percent(10);
            if random.percent(15) {
                agent.time = Some(Span::seconds(*random.pick(&[3, 10, 20, 900])));
            }
            if random.percent(15) {
                agent.memory = Some(Bytes::mib(*random.pick(&[8, 64])));
            }
        }
        agents
    }

    pub(super) fn request(&mut self, name: &TaskName, profile: &Profile) -> RegistrationRequest {
        let trigger = self.trigger(profile);
        let inside = self.random.percent(12) && trigger != Trigger::DeviceUse;
        let point = (!inside).then(|| entry_point("sync"));
        let mut request = RegistrationRequest::new(name.clone(), point, trigger);
        let takes_conditions = request.trigger != Trigger::DeviceUse;
        for _ in 0..self.random.below(3) {
            if takes_conditions && self.random.percent(45) {
                request.conditions.push(*self.random.pick(&CONDITIONS));
            }
        }
        request.cancel_on_condition_loss = self.random.percent(40);
        request.network_requested = self.random.percent(30);
        request
    }

    fn trigger(&mut self, profile: &Profile) -> Trigger {
        let random = &mut self.random;
        let one_shot = random.percent(12);
        let minutes = *random.pick(&[15, 20, 30, 45, 60, 60, 90, 120, 240, 720, 1_500]);
        match random.below(100) {
            0..25 => Trigger::Timer { minutes, one_shot },
            25..35 => Trigger::Maintenance { minutes, one_shot },
            35..55 => {
                let event = *random.pick(&SystemEvent::ALL);
                let one_shot = one_shot && event != SystemEvent::ControlChannelReset;
                Trigger::System { event, one_shot }
            }
            55..75 => Trigger::Push,
            75..80 => Trigger::Socket {
                id: subject("socket"),
            },
            80..85 if profile.kind != DeviceKind::Phone => Trigger::ControlChannel {
                id: subject("channel"),
                keep_alive_minutes: 30,
                slot: Slot::Software,
            },
            80..90 => Trigger::Application,
            90..94 => Trigger::DeviceUse,
            94..97 => Trigger::Files {
                path: subject("/data"),
            },
            _ => Trigger::Bus {
                event: subject("docked"),
            },
        }
    }

    /// How the runs of a task go, one after the other.
    fn runs(&mut self, scheduled: bool) -> Vec<Behaviour> {
        let faulty = self.kind == Kind::Faulty;
        let count = self.random.between(1, 5);
        let mut runs: Vec<_> = (0..count)
            .map(|_| behaviour(&mut self.random, faulty, scheduled))
            .collect();
        // What repeats for ever is mostly good, so that schedules last.
        if self.random.percent(80)
            && let Some(last) = runs.last_mut()
        {
            *last = Behaviour {
                takes: Some(self.random.between(1, 20) * SECOND),
                ..Behaviour::default()
            };
        }
        runs
    }
}

fn self_choice(random: &mut Random) -> Choice {
    Choice {
        pinned: Some(random.percent(50)),
        lock_screen: Some(random.percent(50)),
        auto_upload: Some(random.percent(50)),
        agents_disabled: None,
    }
}

fn behaviour(random: &mut Random, faulty: bool, scheduled: bool) -> Behaviour {
    let hangs = random.percent(if faulty { 15 } else { 4 });
    let bad = random.percent(if faulty { 30 } else { 8 });
    let ends = if bad {
        *random.pick(&[Ends::Abort, Ends::Crash, Ends::Crash, Ends::Silent])
    } else {
        Ends::Complete
    };
    let takes = *random.pick(&[
        0, 200, 1_000, 3_000, 10_000, 20_000, 26_000, 40_000, 300_000, 900_000,
    ]);
    let maybe = |random: &mut Random, share, most| {
        random.percent(share).then(|| random.between(1, most) * 500)
    };
    Behaviour {
        takes: (!hangs).then_some(takes),
        ends,
        on_cancel: (!random.percent(15)).then(|| random.between(0, 6) * SECOND),
        greedy: random.percent(if faulty { 12 } else { 3 }),
        starts_after: if faulty {
            random.below(4_000)
        } else {
            random.below(50)
        },
        unlaunchable: faulty && random.percent(4),
        progress: maybe(random, 20, 20),
        card: maybe(random, if scheduled { 40 } else { 5 }, 10),
        lies: if faulty { maybe(random, 8, 40) } else { None },
        hungry: random.percent(20),
        idle: random.percent(10),
    }
}
