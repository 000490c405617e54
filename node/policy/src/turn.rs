//! A turn: one event, decided from beginning to end.
//!
//! What a turn changes is noted by key and written as records once, at its end, so that the records always
//! say what the state says. The decisions stand in the files of their subjects, as further `impl Turn`.

use crate::index::Index;
use crate::{
    Answer, Caller, Device, Effect, Event, Key, Now, Push, Refusal, Registration, RegistrationId,
    Request, Run, RunId, Source,
};
use crate::{Elapsed, Running, Span, Wall};

/// One event under decision.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    pub(crate) device: &'a mut Device,
    pub(crate) now: Now,
    /// What fell due at or before these instants is dealt with in this turn.
    pub(crate) horizon: Now,
    /// A run began in this turn: the device is awake anyway (PER-02).
    pub(crate) woke: bool,
    effects: Vec<Effect>,
    /// Few, mostly the same ones again.
    touched: Vec<Key>,
}

impl<'a> Turn<'a> {
    /// What is past its life goes first, so that no event starts it; then the event; then what time brought.
    /// A run that ends at its very limit thereby ends by itself.
    pub(crate) fn take(device: &'a mut Device, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let now = device.as_seen(now);
        device.last = now;
        let mut turn = Turn {
            device,
            now,
            horizon: horizon(now, &event),
            woke: false,
            effects: Vec::new(),
            touched: Vec::new(),
        };
        turn.expire_pushes();
        turn.expire_tasks();
        turn.event(event);
        turn.time_passes();
        turn.close(effects);
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Booted { boot } => {
                self.booted(boot);
                // Offers are known again only now; some may have outlived their push.
                self.expire_offers();
            }
            Event::RunsHeld { runs } => self.runs_held(&runs),
            Event::Readings(readings) => self.readings(&readings),
            Event::ReadingsAnew(readings) => {
                self.device.history.forget_values();
                self.readings(&readings);
            }
            Event::Apps(apps) => self.apps(apps),
            Event::ProfileChanged(profile) => self.profile_changed(profile),
            Event::PolicyChanged(policy) => self.policy_changed(0, policy),
            Event::PolicyDocument { generation, policy } => {
                self.policy_changed(generation, policy);
            }
            Event::FrontChanged { app, state } => self.front_changed(&app, state),
            Event::Occurred(occurrence) => self.occurred(occurrence),
            Event::Call {
                call,
                caller,
                request,
            } => {
                let answer = self.call(&caller, request).unwrap_or_else(Answer::Refused);
                self.effect(Effect::Reply { call, answer });
            }
            Event::PushArrived(push) => self.push_arrived(push),
            Event::PushAnswered { push, handled } => self.push_answered(&push, handled),
            Event::ReceiptsAcknowledged { through } => self.receipts_acknowledged(through),
            Event::LinkUp => self.link_up(),
            Event::RunStarted { run } => self.run_started(run),
            Event::RunReported { run, report } => self.run_reported(run, report),
            Event::RunEnded {
                run,
                exit,
                usage,
                output,
            } => {
                self.run_ended(run, exit, usage, output);
            }
            Event::RunSampled { run, sample } => self.run_sampled(run, sample),
            Event::QuotaSpent { app, resource } => self.quota_spent(&app, resource),
            Event::MemoryShort => self.memory_short(),
            Event::ShuttingDown => self.shutting_down(),
            // Both only make the host look at the time.
            Event::DeadlineReached | Event::ClockStepped => {}
        }
    }

    fn call(&mut self, caller: &Caller, request: Request) -> Result<Answer, Refusal> {
        match request {
            Request::RequestAccess { app } => self.request_access(caller, &app),
            Request::RequestAccessKind { app, kind, reason } => {
                self.request_access_kind(caller, &app, kind, reason)
            }
            Request::RemoveAccess { app } => self.remove_access(caller, &app),
            Request::SetAccess { app, choice } => self.set_access(caller, &app, choice),
            Request::Choose { app, choice } => self.choose(caller, &app, choice),
            Request::Register { app, registration } => self.register(caller, &app, registration),
            Request::Unregister { app, id, cancel } => self.unregister(caller, &app, id, cancel),
            Request::Reconcile { app, desired } => self.reconcile(caller, &app, desired),
            Request::AnswerPush { app, push, handled } => {
                self.answer_push(caller, &app, &push, handled)
            }
            Request::AddScheduled {
                app,
                kind,
                description,
                expires,
            } => self.add_scheduled(caller, &app, kind, description, expires),
            Request::RemoveScheduled { app, kind } => self.remove_scheduled(caller, &app, kind),
            Request::LaunchForTest { app, kind, delay } => {
                self.launch_for_test(caller, &app, kind, delay)
            }
            Request::DebugFire { app, id } => self.debug_fire(caller, &app, id),
            Request::RequestRun { app, name } => self.request_run(caller, &app, &name),
            Request::RequestDevice {
                app,
                name,
                device,
                consent,
            } => self.request_device(caller, &app, &name, device, consent),
            Request::RequestServicing {
                app,
                name,
                device,
                expected,
                consent,
            } => self.request_servicing(caller, &app, &name, device, expected, consent),
            Request::GiveConsent { app, device } => self.give_consent(caller, &app, &device),
            Request::RevokeConsent { app, device } => self.revoke_consent(caller, &app, &device),
            Request::UpdateCard { app } => self.update_card(caller, &app),
        }
    }

    fn time_passes(&mut self) {
        self.enforce_limits();
        self.stop_awaiting_power();
        self.refill_quotas();
        self.withdraw_offers();
        self.network_settles();
        self.stretch_settles();
        self.launch_tests();
        self.tick();
        self.lift_intervals();
        self.align_periodic_agents();
        self.forget_pushes();
    }

    /// New interests, then the records of all that was touched, then the effects in order.
    fn close(mut self, effects: &mut Vec<Effect>) {
        self.settle_interests();
        if !self.touched.is_empty() {
            self.device.clock.wall = self.now.wall;
            self.device.clock.elapsed = self.now.elapsed;
            self.touch(Key::Device);
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for key in touched {
            effects.push(match self.device.record(&key) {
                Some(record) => Effect::Put(record),
                None => Effect::Remove(key),
            });
        }
        effects.append(&mut self.effects);
    }

    /// Starts and stops watchers. What an unwatched source said would grow stale and is forgotten.
    fn settle_interests(&mut self) {
        for source in Source::ALL {
            let wanted = self.device.index.interested(source);
            if wanted && self.device.watched.insert(source) {
                self.effect(Effect::Watch(source));
            }
            if !wanted && self.device.watched.remove(&source) {
                self.device.readings.forget(source);
                self.device.history.forget(source);
                self.effect(Effect::Unwatch(source));
            }
        }
    }

    /// Notes that a record changed.
    pub(crate) fn touch(&mut self, key: Key) {
        if self.touched.last() != Some(&key) {
            self.touched.push(key);
        }
    }

    /// Asks something of the host.
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// Changes a registration and everything by which it is found.
    pub(crate) fn edit(&mut self, id: RegistrationId, change: impl FnOnce(&mut Registration)) {
        let device = &mut *self.device;
        let Some(registration) = device.registrations.get_mut(&id) else {
            return;
        };
        device.index.edit(registration, &device.pushes, change);
        self.touch(Key::Registration(id));
    }

    /// Changes a run under way and everything by which it is found.
    pub(crate) fn edit_run(&mut self, id: RunId, change: impl FnOnce(&mut Run)) {
        let device = &mut *self.device;
        let Some(run) = device.runs.get_mut(&id) else {
            return;
        };
        device.index.remove_run(run);
        change(run);
        device.index.add_run(run);
        self.touch(Key::Run(id));
    }

    /// Lets a run begin or end in the index: its registration is found by other sources then.
    pub(crate) fn around_run(&mut self, id: RegistrationId, change: impl FnOnce(&mut Index)) {
        let device = &mut *self.device;
        match device.registrations.get(&id) {
            Some(registration) => device.index.around_run(registration, change),
            None => change(&mut device.index),
        }
    }

    /// The body of a push that a run is started with.
    pub(crate) fn body(&self, push: Option<&crate::QueuedPush>) -> Option<Push> {
        push.and_then(|queued| self.device.pushes.get(&queued.id))
            .cloned()
    }

    /// Looks again at a registration that waits.
    pub(crate) fn look_again(&mut self, id: RegistrationId) {
        let Some(registration) = self.device.registrations.get(&id) else {
            return;
        };
        match self.device.carries(registration.trigger.kind()) {
            crate::lifecycle::Arrival::Bare | crate::lifecycle::Arrival::Raised => self.look_at(id),
            crate::lifecycle::Arrival::Payload => self.look_at_arrivals(id),
            crate::lifecycle::Arrival::Push => {
                let app = registration.app.clone();
                self.look_at_pushes(&app);
            }
        }
    }
}

/// Until when a turn deals with what fell due: an event comes before the deadlines of its own instant.
fn horizon(now: Now, event: &Event) -> Now {
    if *event == Event::DeadlineReached {
        return now;
    }
    let instant = Span::millis(1);
    Now {
        running: Running::before(now.running, instant),
        elapsed: Elapsed::before(now.elapsed, instant),
        wall: Wall::before(now.wall, instant),
    }
}
