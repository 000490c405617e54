//! How a run is made (rule book 14, 11): its number, host, limits, cap and network; the latch cleared, a one-shot spent.
//!
//! The gates have been asked. Absent here: any of them.

use crate::limit::time::{Limits, Subject};
use crate::turn::Turn;
use crate::{
    Broken, Details, DropReason, Effect, Elapsed, FrontReason, FrontState, HostKind, Key, Launch,
    Observation, Push, QueuedPush, Reasons, Registration, RegistrationId, Run, RunId, RunState,
    Span, Task, TaskType, Trigger, TriggerKind, limit, trigger,
};

/// What a run is started by.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Cause<'a> {
    /// Something that carries nothing.
    Bare,
    /// A push.
    Push(&'a QueuedPush),
    /// Something to tell.
    Details(&'a Details),
}

impl<'a> Cause<'a> {
    const fn push(self) -> Option<&'a QueuedPush> {
        match self {
            Self::Push(push) => Some(push),
            Self::Bare | Self::Details(_) => None,
        }
    }

    const fn details(self) -> Option<&'a Details> {
        match self {
            Self::Details(details) => Some(details),
            Self::Bare | Self::Push(_) => None,
        }
    }
}

impl Turn<'_> {
    /// Starts a run. Clears the latch or takes the push from the queue, and spends a one-shot (AMB-35).
    pub(crate) fn start(&mut self, id: RegistrationId, cause: Cause<'_>) -> Option<RunId> {
        let run = self.run_for(id, cause)?;
        let body = self.body(cause.push());
        self.begin_interval(id, run.number, cause);
        if self.device.registrations.get(&id).is_some_and(|r| r.spent) {
            // A one-shot runs once; what came after the first joins it.
            self.drop_arrivals(id, DropReason::Coalesced);
        }
        self.device.clock.next_run += 1;
        self.touch(Key::Run(run.id));
        if run.host == HostKind::InProcess {
            self.ready_front(&run);
        }
        self.observe_start(&run);
        let launch = self.launch(&run, body);
        let (started, of_push, first) = (run.id, run.push.clone(), run.attempt == 1);
        self.open_window(&run);
        let (kind, app, task) = (run.kind, run.app.clone(), run.task.clone());
        self.around_run(id, |index| index.add_run(&run));
        self.device.runs.insert(run.id, run);
        self.woke = true;
        if let Some(launch) = launch {
            self.effect(Effect::Launch(Box::new(launch)));
        }
        if let Some(push) = of_push.filter(|_| first) {
            self.push_started(&app, &push, task, started);
        }
        self.others_lose_the_place(kind, &app);
        Some(started)
    }

    /// What else waits for the place that this run took has a further reason to wait.
    fn others_lose_the_place(&mut self, kind: TriggerKind, app: &crate::AppId) {
        if !kind.is_scheduled() {
            return;
        }
        let mut others = self.device.index.of_app(app);
        if kind == TriggerKind::ResourceIntensive {
            others.extend(self.device.index.intensives.iter().copied());
        }
        for other in others {
            let scheduled = self
                .device
                .registrations
                .get(&other)
                .is_some_and(|r| r.schedule.is_some() && r.latch.is_some());
            if scheduled {
                self.look_at(other);
            }
        }
    }

    fn begin_interval(&mut self, id: RegistrationId, number: u64, cause: Cause<'_>) {
        let (now, wall) = (self.now.elapsed, self.now.wall);
        let policy = &self.device.policy;
        let (floor, interval, gap) = (
            policy.timer_floor,
            policy.periodic_interval,
            policy.intensive_gap,
        );
        let stretch = self.device.clock.stretch;
        let spend = !self.device.broken(Broken::OneShotNeverSpent);
        let counted = !self.device.broken(Broken::StretchNotCounted);
        let after = |span: Span| (span > Span::ZERO).then(|| Elapsed::after(now, span));
        self.edit(id, |registration| {
            let test = registration.latch.as_ref().is_some_and(|latch| latch.test);
            registration.runs = number;
            registration.last_run = Some(wall);
            registration.latch = None;
            registration
                .queue
                .retain(|queued| Some(&queued.id) != cause.push().map(|push| &push.id));
            if !crate::index::waits(registration) {
                registration.held_by = Reasons::default();
            }
            registration.spent = spend && trigger::one_shot(&registration.trigger);
            if registration.spent {
                registration.due = None;
            }
            registration.not_before = match trigger::timer::period(&registration.trigger) {
                Some(_) if !registration.spent => after(floor),
                None if registration.trigger == Trigger::ResourceIntensive => after(gap),
                Some(_) | None => None,
            };
            if registration.trigger == Trigger::Periodic && !test {
                registration.due = Some(now.after(interval));
            }
            if let Some(schedule) = &mut registration.schedule {
                schedule.last_scheduled = Some(wall);
                if counted && !test {
                    schedule.stretch = Some(stretch);
                }
            }
        });
    }

    fn run_for(&self, id: RegistrationId, cause: Cause<'_>) -> Option<Run> {
        let device = &*self.device;
        let registration = device.registrations.get(&id)?;
        let kind = registration.trigger.kind();
        let app = device.apps.get(&registration.app);
        let agent = registration
            .entry_point
            .as_ref()
            .and_then(|entry| app?.agent(entry));
        let host = match registration.entry_point {
            Some(_) => HostKind::OutOfProcess,
            None if device.broken(Broken::HostIgnored) => HostKind::OutOfProcess,
            None => HostKind::InProcess,
        };
        let timed = if device.broken(Broken::OneTimeClass) && !kind.is_scheduled() {
            TriggerKind::Timer
        } else {
            kind
        };
        let subject = Subject {
            kind: timed,
            policy: &device.policy,
            profile: &device.profile,
            app: app.filter(|_| !device.broken(Broken::ExtendedTimeIgnored)),
            agent,
        };
        let debugged = device.frees_of_limits(&registration.app, &registration.name)
            && !device.broken(Broken::DebuggerIgnored);
        let (limits, memory) = if debugged || device.unlimited(kind) {
            (Limits::NONE, None)
        } else {
            (
                limit::time::limits(subject, self.now.running),
                limit::memory::cap(subject, host),
            )
        };
        Some(Run {
            id: RunId(device.clock.next_run),
            registration: id,
            app: registration.app.clone(),
            task: registration.name.clone(),
            entry_point: registration.entry_point.clone(),
            number: registration.runs.saturating_add(1),
            state: RunState::Starting,
            started: self.now.wall,
            started_running: self.now.running,
            cancel_at: limits.cancel_at,
            kill_at: limits.kill_at,
            cancel_reason: None,
            said: None,
            progress: None,
            push: cause.push().map(|push| push.id.clone()),
            attempt: cause.push().map_or(1, |push| push.attempt),
            memory: memory.filter(|_| !device.broken(Broken::MemoryUncapped)),
            kind,
            host,
            details: cause.details().cloned(),
            network_requested: registration.network_requested,
            network: limit::standby::network(
                kind,
                registration.network_requested || device.broken(Broken::StandbyKeepsNetwork),
                &device.readings,
            ),
            suspended: None,
            debugged,
            termination: None,
            waived: self.waived(registration),
        })
    }

    /// AMB-38: what did not hold when a launch for test begins ends nothing by not holding.
    fn waived(&self, registration: &Registration) -> Vec<crate::WaitReason> {
        let test = registration.latch.as_ref().is_some_and(|latch| latch.test);
        if test {
            self.device.intensive_lacks()
        } else {
            Vec::new()
        }
    }

    /// RUN-04: the app's own process is started in the background where it does not run.
    fn ready_front(&mut self, run: &Run) {
        if self.device.front(&run.app) == FrontState::None {
            self.set_front(
                &run.app,
                FrontState::Background,
                FrontReason::StartedForTask,
            );
            self.effect(Effect::StartFront {
                app: run.app.clone(),
            });
        }
    }

    fn observe_start(&mut self, run: &Run) {
        self.observe(Observation::Started {
            task: Task::of_run(run),
            run: run.id,
            host: run.host,
            deadline: run.kill_at.map(|at| at.since(run.started_running)),
            network: run.network,
            push: run.push.clone(),
        });
    }

    fn launch(&self, run: &Run, push: Option<Push>) -> Option<Launch> {
        let registration = self.device.registrations.get(&run.registration)?;
        let app = self.device.apps.get(&run.app);
        let agent = run.entry_point.as_ref().and_then(|entry| app?.agent(entry));
        let audio = agent.is_some_and(|agent| agent.types.contains(&TaskType::Audio));
        let group = agent.and_then(|agent| agent.resource_group.clone());
        Some(Launch {
            run: run.id,
            registration: run.registration,
            app: run.app.clone(),
            task: run.task.clone(),
            entry_point: run.entry_point.clone(),
            host: run.host,
            group: if audio {
                Some(crate::model::AUDIO.into())
            } else {
                group
            },
            number: run.number,
            trigger: registration.trigger.clone(),
            details: run.details.clone(),
            push,
            attempt: run.attempt,
            memory: run.memory,
            cancel_at: run.cancel_at,
            kill_at: run.kill_at,
            network: run.network,
            network_requested: run.network_requested,
            cellular: run.kind != TriggerKind::ResourceIntensive,
            critical: run.kind.is_critical() && !self.device.broken(Broken::GuaranteeIgnored),
        })
    }
}
