//! Scheduled agents (sections 6 to 9 of the rule book): put on the schedule by their app from the foreground, due by their
//! interval or by the device's idleness, gone by expiry, abort or crashes.
//!
//! A scheduled task is a registration whose trigger is its schedule. Absent here: its conditions, which are limits.

pub(crate) mod align;
pub(crate) mod crash;
pub(crate) mod expiry;
pub(crate) mod launch_for_test;
pub(crate) mod stretch;

use crate::admission::{Gate, Obstacle, Words};
use crate::trigger::raised;
use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Caller, Device, DropReason, EntryPoint, Key, Observation, Refusal,
    Registration, RegistrationId, Schedule, ScheduledKind, Scheduling, Span, TaskName, TaskType,
    TriggerKind, Wall, bounds,
};

/// Rule book 14, agents 1: only what is scheduled runs.
pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Drop(DropReason::Unscheduled),
    applies: TriggerKind::is_scheduled,
    closed: |facts| {
        let schedule = facts.registration.schedule.as_ref();
        schedule.is_none_or(|schedule| schedule.scheduling != Scheduling::Scheduled)
    },
    words: |facts| Words {
        seen: facts
            .registration
            .schedule
            .as_ref()
            .map_or_else(String::new, |schedule| seen(schedule.scheduling)),
        needs: format!(
            "{} has to schedule it again, from the foreground",
            facts.registration.app
        ),
        ..Words::default()
    },
    sources: &[],
    waived_for_test: false,
};

fn seen(scheduling: Scheduling) -> String {
    match scheduling {
        Scheduling::Scheduled => "it is scheduled",
        Scheduling::Expired => "its life is over: it expired",
        Scheduling::Aborted => "it is unscheduled: it said that it cannot do its work",
        Scheduling::Crashed => "it is unscheduled: it crashed too often in a row",
    }
    .to_owned()
}

impl Registration {
    /// Whether it is a scheduled task that still runs.
    pub(crate) fn is_scheduled_now(&self) -> bool {
        let schedule = self.schedule.as_ref();
        schedule.is_some_and(|schedule| schedule.scheduling == Scheduling::Scheduled)
    }
}

impl Device {
    /// The scheduled task of an app and kind, whether it still runs or not (ACC-47).
    pub fn scheduled(&self, app: &AppId, kind: ScheduledKind) -> Option<&Registration> {
        let trigger = kind.trigger().kind();
        self.index
            .of_app(app)
            .into_iter()
            .filter_map(|id| self.registrations.get(&id))
            .find(|registration| registration.trigger.kind() == trigger)
    }

    /// Periodic agents that hold a place (AMB-19).
    fn periodic_agents(&self) -> u32 {
        let held = self.index.periodic_agents.iter();
        let held = held.filter(|id| {
            self.registrations.get(id).is_some_and(|registration| {
                registration.is_scheduled_now() || self.broken(Broken::UnscheduledKeepsPlace)
            })
        });
        let held = held.chain(self.intensives_with_a_place());
        u32::try_from(held.count()).unwrap_or(u32::MAX)
    }
}

impl Turn<'_> {
    /// ACC-42 to ACC-46, EXP-01, PER-05 to PER-07. Refused in the order: caller, argument, already there, switched off,
    /// limit.
    pub(crate) fn add_scheduled(
        &mut self,
        caller: &Caller,
        app: &AppId,
        kind: ScheduledKind,
        description: String,
        expires: Option<Wall>,
    ) -> Result<Answer, Refusal> {
        self.may_schedule(caller, app)?;
        let entry_point = self.scheduled_agent(app)?;
        if !self.device.broken(Broken::DescriptionNotNeeded) {
            valid_description(kind, &description)?;
        }
        let expires = self.valid_expiry(expires)?;
        let standing = self.device.scheduled(app, kind);
        let (before, crashes) = (
            standing.map(|standing| standing.id),
            standing
                .and_then(|r| r.schedule.as_ref())
                .map_or(0, |schedule| schedule.crashes),
        );
        let taken = standing.is_some_and(Registration::is_scheduled_now)
            && !self.device.broken(Broken::AddReplaces);
        if taken || self.device.schedules_the_other_kind(app, kind) {
            return Err(Refusal::AlreadyExists {
                message: format!(
                    "{app} has scheduled its {} agent already; remove it first to schedule it anew",
                    kind.word()
                ),
            });
        }
        self.agents_enabled(app)?;
        self.place_for(kind)?;
        if let Some(before) = before {
            self.remove_registration(before, DropReason::Unregistered);
        }
        let keep = self.device.broken(Broken::CounterNeverCleared);
        let schedule = Schedule {
            description,
            scheduling: Scheduling::Scheduled,
            expires,
            crashes: if keep { crashes } else { 0 },
            last_scheduled: None,
            last_exit: None,
            mortal: self.device.mortal(app, kind),
            stretch: None,
            test: None,
        };
        let id = self.insert_scheduled(app, kind, entry_point, schedule);
        self.warn_of_periodic_agents();
        if kind == ScheduledKind::ResourceIntensive {
            self.fire(id);
        }
        Ok(Answer::Registered {
            id,
            warnings: Vec::new(),
        })
    }

    fn insert_scheduled(
        &mut self,
        app: &AppId,
        kind: ScheduledKind,
        entry_point: EntryPoint,
        schedule: Schedule,
    ) -> RegistrationId {
        let due = match kind {
            ScheduledKind::Periodic => {
                Some(self.now.elapsed.after(self.device.policy.periodic_interval))
            }
            ScheduledKind::ResourceIntensive => None,
        };
        let mut registration = self.blank(app, task_name(kind), Some(entry_point), kind.trigger());
        registration.due = due;
        registration.schedule = Some(Box::new(schedule));
        self.insert(registration)
    }

    /// ACC-47: taken off by its app. A run under way may finish.
    pub(crate) fn remove_scheduled(
        &mut self,
        caller: &Caller,
        app: &AppId,
        kind: ScheduledKind,
    ) -> Result<Answer, Refusal> {
        self.may_schedule(caller, app)?;
        let id = self.scheduled_id(app, kind)?;
        self.observe_task(id, |task| Observation::Unscheduled { task, reason: None });
        if !self.device.broken(Broken::RemoveKeepsSchedule) {
            self.remove_registration(id, DropReason::Unregistered);
        }
        self.warn_of_periodic_agents();
        Ok(Answer::Unregistered)
    }

    /// The registration of a kind that is on the list, whether it still runs or not.
    pub(crate) fn scheduled_id(
        &self,
        app: &AppId,
        kind: ScheduledKind,
    ) -> Result<RegistrationId, Refusal> {
        let found = self.device.scheduled(app, kind).map(|found| found.id);
        found.ok_or_else(|| Refusal::NotFound {
            message: format!("{app} has no {} agent scheduled; add it first", kind.word()),
        })
    }

    /// ACC-42, ACC-50: only the app itself, from the foreground.
    fn may_schedule(&self, caller: &Caller, app: &AppId) -> Result<(), Refusal> {
        let by_agent = matches!(caller, Caller::Agent { .. });
        if by_agent && self.device.broken(Broken::AgentMaySchedule) {
            return Ok(());
        }
        raised::foreground(self.device, caller, app)?;
        self.installed(app).map(drop)
    }

    fn scheduled_agent(&self, app: &AppId) -> Result<EntryPoint, Refusal> {
        let agent = self.installed(app)?.declared_for(TaskType::Scheduled);
        agent
            .map(|agent| agent.entry_point.clone())
            .ok_or_else(|| Refusal::InvalidArgument {
                field: "kind".to_owned(),
                message: format!(
                    "the manifest of {app} declares no scheduled agent; give one entry point the type scheduled"
                ),
            })
    }

    /// EXP-01, EXP-02, AMB-32.
    fn valid_expiry(&self, expires: Option<Wall>) -> Result<Wall, Refusal> {
        let limit = self.device.policy.expiry_limit;
        let latest = self.now.wall.after(limit);
        let Some(expires) = expires else {
            return Ok(latest);
        };
        let wrong = |message| {
            Err(Refusal::InvalidArgument {
                field: "expires".to_owned(),
                message,
            })
        };
        if expires <= self.now.wall {
            return wrong("it lies in the past; give a time from now on".to_owned());
        }
        if expires > latest.after(bounds::EXPIRY_TOLERANCE) {
            return wrong(format!(
                "it lies more than {} days ahead; give at most that",
                limit.as_millis() / Span::days(1).as_millis()
            ));
        }
        Ok(expires)
    }

    /// ACC-44, MNG-07.
    fn agents_enabled(&self, app: &AppId) -> Result<(), Refusal> {
        let disabled = self
            .device
            .choices
            .get(app)
            .is_some_and(|choices| choices.agents_disabled);
        if disabled && !self.device.broken(Broken::DisabledMayAdd) {
            return Err(Refusal::FailedPrecondition {
                message: format!(
                    "the operator switched the agents of {app} off; they can be scheduled when they are on again"
                ),
            });
        }
        Ok(())
    }

    /// PER-05, PER-06, INT-12: a limit for periodic agents, none for the others.
    fn place_for(&self, kind: ScheduledKind) -> Result<(), Refusal> {
        match kind {
            ScheduledKind::ResourceIntensive
                if !self.device.broken(Broken::IntensiveCountsAsPeriodic) =>
            {
                return Ok(());
            }
            ScheduledKind::Periodic | ScheduledKind::ResourceIntensive => {}
        }
        let device = &*self.device;
        let (count, limit) = (
            device.periodic_agents(),
            device.policy.periodic_hard_limit(&device.profile),
        );
        if count >= limit {
            return Err(Refusal::LimitReached {
                message: format!(
                    "{count} periodic agents are scheduled and this device has places for {limit}; one of another \
                     app has to go first"
                ),
            });
        }
        Ok(())
    }

    /// PER-07: told once for each crossing upwards; armed again when the count is back at the limit.
    pub(crate) fn warn_of_periodic_agents(&mut self) {
        let device = &*self.device;
        let (count, limit) = (
            device.periodic_agents(),
            device.policy.periodic_warning_limit(&device.profile),
        );
        let over = count > limit;
        if over == device.clock.warned_of_periodic {
            return;
        }
        self.device.clock.warned_of_periodic = over;
        self.touch(Key::Device);
        if over {
            self.observe(Observation::PeriodicAgents { count, limit });
        }
    }
}

/// ACC-46: the user is shown what runs every half an hour.
fn valid_description(kind: ScheduledKind, description: &str) -> Result<(), Refusal> {
    let wrong = |message: String| {
        Err(Refusal::InvalidArgument {
            field: "description".to_owned(),
            message,
        })
    };
    if description.len() > bounds::MESSAGE {
        return wrong(format!(
            "it has {} bytes, at most {} are kept",
            description.len(),
            bounds::MESSAGE
        ));
    }
    match kind {
        ScheduledKind::Periodic if description.trim().is_empty() => {
            wrong("it is empty; say what the agent does, the user is shown it".to_owned())
        }
        ScheduledKind::Periodic | ScheduledKind::ResourceIntensive => Ok(()),
    }
}

/// The name of a scheduled task.
pub(crate) fn task_name(kind: ScheduledKind) -> TaskName {
    #[expect(clippy::expect_used, reason = "both words are names")]
    TaskName::new(kind.word()).expect("a task name")
}
