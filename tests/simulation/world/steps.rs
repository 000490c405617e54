//! The plan's steps: what they do to the world, and what of it the device is told.

use lull_policy::{
    App, AppId, Caller, Event, FrontState, Occurrence, Push, PushId, Reading, Readings, Request,
    ScheduledKind, Source, Span, Wall,
};

use super::World;
use crate::mailbox::Place;
use crate::plan::{Ask, PlannedPush, SECOND, Step};
use crate::queue::Due;
use crate::store::Held;

impl World<'_> {
    pub(super) fn step(&mut self, step: &Step) {
        match step {
            Step::Set(readings) => self.set(readings),
            Step::Source { source, up } => self.source(*source, *up),
            Step::Occur(occurrence) => self.occurs(occurrence),
            Step::Ask { app, ask } => self.ask(app, ask),
            Step::Push(push) => self.is_sent(push),
            Step::PushAgain(number) => self.comes_again(*number),
            Step::Front { app, state } => self.front(app, *state),
            Step::Installed { app, version } => self.install(app, *version),
            Step::Policy(policy) => {
                self.policy = (**policy).clone();
                if self.decides() {
                    self.decide(Event::PolicyChanged(self.policy.clone()));
                }
            }
            Step::Down { how, length } => self.down(*how, *length),
            Step::Clock(by) => {
                self.clocks.step(self.at, *by);
                if self.decides() {
                    self.decide(Event::ClockStepped);
                }
            }
            Step::Link(up) => {
                self.link = *up;
                if *up {
                    self.connect();
                } else {
                    self.coordinator.end();
                }
            }
            Step::Disk(takes) => self.commit = *takes,
            Step::Late(late) => self.late = *late,
            Step::MemoryShort => {
                if self.decides() {
                    self.decide(Event::MemoryShort);
                }
            }
        }
    }

    fn occurs(&mut self, occurrence: &Occurrence) {
        if self.decides() {
            self.decide(Event::Occurred(occurrence.clone()));
        }
    }

    fn set(&mut self, readings: &[Reading]) {
        let before = self.truth;
        let mut changed = Vec::new();
        for reading in readings {
            let was = self.truth;
            self.truth.put(*reading);
            if self.truth != was {
                let source = reading.source();
                self.changed.insert(source, self.at);
                if self.watched.contains(&source) && !self.failed.contains(&source) {
                    changed.push(*reading);
                }
            }
        }
        if self.truth != before && !changed.is_empty() && self.decides() {
            self.decide(Event::Readings(changed));
        }
    }

    fn source(&mut self, source: Source, up: bool) {
        let moved = if up {
            self.failed.remove(&source)
        } else {
            self.failed.insert(source)
        };
        if moved {
            self.changed.insert(source, self.at);
            if self.decides() {
                self.tell_of(&[source]);
            }
        }
    }

    /// What the watchers of these sources say now, as one report.
    pub(super) fn tell_of(&mut self, sources: &[Source]) {
        let readings = self.seen_by(sources);
        if !readings.is_empty() {
            self.decide(Event::Readings(readings));
        }
    }

    /// What they see, as far as they are watched.
    pub(super) fn seen_by(&self, sources: &[Source]) -> Vec<Reading> {
        let mut readings = Vec::new();
        for source in sources {
            if !self.watched.contains(source) {
                continue;
            }
            if self.failed.contains(source) {
                readings.extend(Readings::default().of(*source));
            } else {
                readings.extend(self.truth.of(*source));
            }
        }
        readings
    }

    /// A watcher that was started reports.
    pub(super) fn report(&mut self, source: Source) {
        if self.decides() {
            self.tell_of(&[source]);
        }
    }

    fn front(&mut self, app: &AppId, state: FrontState) {
        if state == FrontState::None {
            self.fronts.remove(app);
        } else {
            self.fronts.insert(app.clone(), state);
        }
        if self.decides() {
            let app = app.clone();
            self.decide(Event::FrontChanged { app, state });
        }
        if state == FrontState::None {
            self.front_dies(app);
        }
    }

    fn install(&mut self, app: &AppId, version: Option<u32>) {
        match version {
            None => {
                self.installed.remove(app);
                self.fronts.remove(app);
            }
            Some(version) => {
                let planned = self.plan.apps.iter().find(|planned| planned.app.id == *app);
                if let Some(planned) = planned {
                    let updated = App {
                        version: format!("{version}.0"),
                        ..planned.app.clone()
                    };
                    self.installed.insert(app.clone(), updated);
                }
            }
        }
        if self.decides() {
            self.decide(Event::Apps(self.installed.values().cloned().collect()));
        }
    }

    fn ask(&mut self, app: &AppId, ask: &Ask) {
        if !self.decides() {
            return;
        }
        let own = Caller::Front {
            app: app.clone(),
            foreground: self.fronts.get(app) == Some(&FrontState::Foreground),
        };
        let id = app.clone();
        let (caller, request) = match ask.clone() {
            Ask::Access => (own, Request::RequestAccess { app: id }),
            Ask::RemoveAccess => (own, Request::RemoveAccess { app: id }),
            Ask::Register(registration) => {
                let registration = *registration;
                let app = id;
                (own, Request::Register { app, registration })
            }
            Ask::Unregister { name, cancel } => {
                self.unregister(&own, app, &name, cancel);
                return;
            }
            Ask::AddScheduled { kind, expires } => (own, self.add_scheduled(id, kind, expires)),
            Ask::RemoveScheduled(kind) => (own, Request::RemoveScheduled { app: id, kind }),
            Ask::LaunchForTest { kind, delay } => {
                let delay = Span::millis(delay);
                let app = id;
                (own, Request::LaunchForTest { app, kind, delay })
            }
            Ask::RequestRun(name) => (own, Request::RequestRun { app: id, name }),
            Ask::RequestDevice { name, device } => {
                let (app, consent) = (id, true);
                let request = Request::RequestDevice {
                    app,
                    name,
                    device,
                    consent,
                };
                (own, request)
            }
            Ask::Choose(choice) => (Caller::Operator, Request::Choose { app: id, choice }),
            Ask::SetAccess(choice) => (Caller::Operator, Request::SetAccess { app: id, choice }),
        };
        self.call(caller, request);
    }

    fn call(&mut self, caller: Caller, request: Request) {
        let call = self.next_call();
        self.decide(Event::Call {
            call,
            caller,
            request,
        });
    }

    fn add_scheduled(&self, app: AppId, kind: ScheduledKind, expires: Option<u64>) -> Request {
        let now = self.clocks.at(self.at).wall;
        Request::AddScheduled {
            app,
            kind,
            description: "keeps up".to_owned(),
            expires: expires.map(|after| now.after(Span::millis(after))),
        }
    }

    fn unregister(
        &mut self,
        caller: &Caller,
        app: &AppId,
        name: &lull_policy::TaskName,
        cancel: bool,
    ) {
        let named = self
            .device
            .registrations()
            .filter(|r| r.app == *app && r.name == *name && r.is_the_apps_own());
        let ids: Vec<_> = named.map(|r| r.id).collect();
        for id in ids {
            let app = app.clone();
            self.call(caller.clone(), Request::Unregister { app, id, cancel });
        }
    }

    fn coordinators_wall(&self) -> u64 {
        self.plan.wall + self.at
    }

    fn is_sent(&mut self, push: &PlannedPush) {
        let id = PushId::new(format!("push-{}", push.number)).expect("a push id");
        self.coordinator.accept(Push {
            id,
            app: push.app.clone(),
            payload: vec![7; 16],
            expires: Wall::from_millis(self.coordinators_wall() + push.life),
            retention: push.retention,
            priority: push.priority,
            collapse_key: push.collapse_key.map(Into::into),
        });
        self.dispatch();
    }

    /// The network repeats a push that the device has had.
    fn comes_again(&mut self, number: u32) {
        let id = PushId::new(format!("push-{number}")).expect("a push id");
        let row = self.coordinator.row(&id);
        let had = row.filter(|row| row.place == Place::Delivered);
        if let Some(push) = had.map(|row| row.push.clone())
            && self.decides()
        {
            self.decide(Event::PushArrived(push));
        }
    }

    /// What can be sent is on its way.
    pub(super) fn dispatch(&mut self) {
        let Some(session) = self.coordinator.session else {
            return;
        };
        for (delivery, push) in self.coordinator.send(self.coordinators_wall()) {
            let takes = 20 + self.own(delivery ^ (session << 32)) % 300;
            self.last_arrival = self.last_arrival.max(self.at + takes);
            let push = Box::new(push);
            self.queue.push(
                self.last_arrival,
                Due::Arrives {
                    session,
                    delivery,
                    push,
                },
            );
        }
    }

    pub(super) fn arrives(&mut self, session: u64, delivery: u64, push: Push) {
        if self.coordinator.session != Some(session) || !self.decides() {
            return;
        }
        self.coordinator.arrived(&push.app);
        let held = Held {
            delivered: Some((session, delivery)),
            ..Held::default()
        };
        self.decide_and(Event::PushArrived(push), held);
    }

    pub(super) fn connect(&mut self) {
        if !self.link || !self.decides() || self.coordinator.session.is_some() {
            return;
        }
        self.coordinator.begin(None);
        let held = Held {
            link_up: true,
            ..Held::default()
        };
        self.decide_and(Event::LinkUp, held);
    }

    pub(super) fn acknowledge_soon(&mut self) {
        if let Some(session) = self.coordinator.session
            && !self.acknowledging
        {
            self.acknowledging = true;
            self.queue
                .push(self.at + 5 * SECOND, Due::Acknowledges(session));
        }
    }

    pub(super) fn acknowledges(&mut self, session: u64) {
        self.acknowledging = false;
        if self.coordinator.session != Some(session) {
            return;
        }
        if let Some(through) = self.coordinator.through.take()
            && self.decides()
        {
            self.decide(Event::ReceiptsAcknowledged { through });
        }
    }
}
