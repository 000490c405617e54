//! Firings: from arrival through the gates to a start, a wait (latching, CND-03) or a drop.
//!
//! Absent here: pushes, which queue instead of latching ([`trigger::push`](crate::trigger::push)).

use std::collections::BTreeSet;

use crate::admission::Obstacle;
use crate::lifecycle::{self, Reception};
use crate::trigger;
use crate::turn::Turn;
use crate::{
    AppId, DropReason, Effect, Key, Latch, Launch, Policy, QueuedPush, RegistrationId, Run, RunId,
    RunState, Source, Trigger, Verdict, limit,
};

impl Turn<'_> {
    /// A timer or a system event fires a registration (AMB-12).
    pub(crate) fn fire(&mut self, id: RegistrationId) {
        let standing = self.device.standing(id);
        match lifecycle::receive(standing, lifecycle::Arrival::Bare) {
            Reception::Admit => drop(self.admit(id)),
            Reception::Coalesce => self.refuse_firing(id, DropReason::Coalesced),
            Reception::Queue | Reception::CurrentlyRunning | Reception::Ignore => {}
        }
    }

    /// Sends a firing through the gates: it runs, waits latched, or is dropped.
    pub(crate) fn admit(&mut self, id: RegistrationId) -> Option<RunId> {
        match self.device.obstacle(self.now, id) {
            None => {
                let run = self.start(id, None);
                self.record(id, Verdict::Ran, run);
                run
            }
            Some(Obstacle::Drop(reason)) => {
                self.refuse_firing(id, reason);
                None
            }
            Some(Obstacle::Wait(reason)) => {
                let firing = self.record(id, Verdict::Waiting(reason), None);
                let latch = Latch {
                    since: self.now.wall,
                    firing,
                };
                self.edit(id, |registration| registration.latch = Some(latch));
                None
            }
        }
    }

    /// Looks again at a latched firing.
    pub(crate) fn look_at(&mut self, id: RegistrationId) {
        let latch = self
            .device
            .registrations
            .get(&id)
            .and_then(|r| r.latch.as_ref());
        let Some(firing) = latch.map(|latch| latch.firing) else {
            return;
        };
        match self.device.obstacle(self.now, id) {
            None => {
                let run = self.start(id, None);
                self.settle(firing, Verdict::Ran, run);
            }
            Some(Obstacle::Drop(reason)) => self.drop_latch(id, reason.while_waiting()),
            Some(Obstacle::Wait(reason)) => self.settle(firing, Verdict::Waiting(reason), None),
        }
    }

    /// Looks again at everything that waits and that a source could let go.
    pub(crate) fn look_at_those_waiting_on(&mut self, source: Source) {
        let ids = self.device.index.waiting_on(source);
        self.look_at_each(&ids);
    }

    /// Looks again at everything that waits.
    pub(crate) fn look_at_all(&mut self) {
        // Power concerns everything that waits.
        self.look_at_those_waiting_on(Source::Power);
    }

    /// Looks again at what waits of an app.
    pub(crate) fn look_at_app(&mut self, app: &AppId) {
        let ids = self.device.index.of_app(app);
        self.look_at_each(&ids);
    }

    fn look_at_each(&mut self, ids: &[RegistrationId]) {
        let mut pushes = BTreeSet::new();
        for &id in ids {
            let Some(registration) = self.device.registrations.get(&id) else {
                continue;
            };
            match registration.trigger {
                Trigger::Push => drop(pushes.insert(registration.app.clone())),
                Trigger::Timer { .. } | Trigger::System { .. } | Trigger::Application => {
                    self.look_at(id);
                }
            }
        }
        for app in &pushes {
            self.look_at_pushes(app);
        }
    }

    /// Drops whatever of a registration waits.
    pub(crate) fn drop_those_waiting(&mut self, id: RegistrationId, reason: DropReason) {
        self.drop_latch(id, reason);
        self.drop_queue(id, reason);
    }

    fn drop_latch(&mut self, id: RegistrationId, reason: DropReason) {
        let mut latch = None;
        if self
            .device
            .registrations
            .get(&id)
            .is_some_and(|r| r.latch.is_some())
        {
            self.edit(id, |registration| latch = registration.latch.take());
        }
        if let Some(latch) = latch {
            self.drop_waiting(id, latch.firing, reason);
        }
    }

    /// The interval of a timer that waited for it is over.
    pub(crate) fn lift_intervals(&mut self) {
        while let Some((at, id)) = self.device.index.first_lift() {
            if at > self.now.elapsed {
                return;
            }
            self.edit(id, |registration| registration.not_before = None);
            self.look_again(id);
        }
    }

    /// A new device policy. Runs under way keep the limits they started with (RUN-11).
    pub(crate) fn policy_changed(&mut self, policy: Policy) {
        if self.device.policy == policy {
            return;
        }
        self.device.policy = policy;
        self.touch(Key::Policy);
        self.saver_may_have_changed();
        self.look_at_all();
    }

    /// Starts a run; the gates have been asked. Clears the latch or takes the push from the queue, and spends
    /// a one-shot (AMB-35).
    pub(crate) fn start(&mut self, id: RegistrationId, push: Option<&QueuedPush>) -> Option<RunId> {
        let run = self.run_for(id, push)?;
        let (number, body) = (run.number, self.body(push));
        let earliest_next = self.now.elapsed.after(self.device.policy.timer_floor);
        self.edit(id, |registration| {
            registration.runs = number;
            registration.latch = None;
            registration
                .queue
                .retain(|queued| Some(&queued.id) != push.map(|push| &push.id));
            registration.spent = trigger::one_shot(registration.trigger);
            registration.not_before = match registration.trigger {
                Trigger::Timer {
                    one_shot: false, ..
                } => Some(earliest_next),
                Trigger::Timer { one_shot: true, .. }
                | Trigger::System { .. }
                | Trigger::Push
                | Trigger::Application => None,
            };
        });
        self.device.clock.next_run += 1;
        self.touch(Key::Run(run.id));
        let launch = self.launch(&run, body);
        let started = run.id;
        self.around_run(id, |device| {
            device.index.add_run(&run);
            device.runs.insert(run.id, run);
        });
        if let Some(launch) = launch {
            self.effect(Effect::Launch(Box::new(launch)));
        }
        Some(started)
    }

    fn run_for(&self, id: RegistrationId, push: Option<&QueuedPush>) -> Option<Run> {
        let device = &*self.device;
        let registration = device.registrations.get(&id)?;
        let app = device.apps.get(&registration.app);
        let agent = app.and_then(|app| {
            app.agents
                .iter()
                .find(|agent| agent.entry_point == registration.entry_point)
        });
        let limits = limit::time::limits(
            registration.trigger,
            &device.policy,
            agent,
            self.now.running,
        );
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
            cancel_at: Some(limits.cancel_at),
            kill_at: Some(limits.kill_at),
            cancel_reason: None,
            said: None,
            progress: None,
            push: push.map(|push| push.id.clone()),
            attempt: push.map_or(1, |push| push.attempt),
            memory: limit::memory::cap(&device.policy, agent),
        })
    }

    fn launch(&self, run: &Run, push: Option<crate::Push>) -> Option<Launch> {
        Some(Launch {
            run: run.id,
            registration: run.registration,
            app: run.app.clone(),
            task: run.task.clone(),
            entry_point: run.entry_point.clone(),
            number: run.number,
            trigger: self.device.registrations.get(&run.registration)?.trigger,
            push,
            attempt: run.attempt,
            memory: run.memory,
            cancel_at: run.cancel_at,
            kill_at: run.kill_at,
        })
    }
}
