//! The host of the machine: stamps events, splits effects, gathers records. Synchronous, and ignorant of actors.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::sync::Arc;

use lull_policy::{
    Answer, App, AppId, CallId, Caller, Deadline, Device, Effect, Event, Key, Order, Policy,
    Profile, Reading, Record, Request, RunId, invariants,
};
use tokio::sync::{oneshot, watch};

use super::hold::Hold;
use super::orders::Performer;
use super::recorder::Recorder;
use super::{HELD, Orders};
use crate::clock::ClockRef;
use crate::ports::{EngineError, Look};
use crate::status::StatusBoard;
use crate::store::{Batch, Contents};

/// Told when an event is durable.
pub(super) type Done = oneshot::Sender<Result<(), EngineError>>;
/// Told the answer of a call.
pub(super) type Answered = oneshot::Sender<Result<Answer, EngineError>>;

/// In a release, one event in so many is followed by a check of the invariants, which reads the whole state.
const CHECKED: u64 = if cfg!(debug_assertions) { 1 } else { 64 };

/// What an event set free or promised, waiting for its records.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) effects: Vec<Effect>,
    pub(super) credit: Vec<(AppId, u32)>,
    pub(super) ended: Option<RunId>,
    pub(super) done: Option<Done>,
}

/// The machine and all that surrounds it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) device: Device,
    pub(super) clock: ClockRef,
    pub(super) board: Arc<StatusBoard>,
    pub(super) performer: Performer,
    pub(super) hold: Hold<Held>,
    /// Changes of all events since the last commit was handed over, newest value of each key.
    gathering: Batch,
    pub(super) recorder: Recorder,
    pub(super) calls: BTreeMap<CallId, Answered>,
    next_call: u64,
    deadlines: watch::Sender<Deadline>,
    pub(super) memory: Memory,
    told_credit: BTreeMap<AppId, u32>,
    events: u64,
    /// No commit is possible; nothing begins.
    pub(super) down: bool,
    /// The disk is full: what begins is refused, what ends is written from the reserve.
    pub(super) scarce: bool,
    #[cfg(feature = "sabotage")]
    sabotage: super::sabotage::Sabotage,
}

/// What a rebuilt machine is told again: it stands in no record, or may be newer than the records.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Runs that were handed over for launch, or that the launcher held, and whose end is not durable.
    pub(super) live: BTreeSet<RunId>,
    /// The last reading of each kind.
    pub(super) readings: Vec<Reading>,
    pub(super) apps: Option<Vec<App>>,
    pub(super) policy: Option<Policy>,
    pub(super) profile: Option<Profile>,
}

impl Host {
    /// A host whose machine is restored and has been told that it booted.
    pub(super) fn new(
        clock: ClockRef,
        orders: Orders,
        board: Arc<StatusBoard>,
        contents: Contents,
        journal_bytes: usize,
    ) -> (Self, watch::Receiver<Deadline>) {
        let (deadlines, deadlines_rx) = watch::channel(Deadline::default());
        #[cfg(feature = "sabotage")]
        let sabotage = super::sabotage::Sabotage::from_environment(&contents.records);
        let boot = clock.boot();
        let scarce = contents.scarce;
        let mut recorder = Recorder::new(Arc::clone(&board), boot.clone(), journal_bytes);
        recorder.restored(clock.now(), &contents.records);
        let mut host = Self {
            device: Device::restore(contents.records),
            clock,
            performer: Performer::new(orders, Arc::clone(&board)),
            board,
            hold: Hold::new(),
            gathering: Batch::default(),
            recorder,
            calls: BTreeMap::new(),
            next_call: 1,
            deadlines,
            memory: Memory::default(),
            told_credit: BTreeMap::new(),
            events: 0,
            down: false,
            scarce,
            #[cfg(feature = "sabotage")]
            sabotage,
        };
        host.decide(Event::Booted { boot }, None);
        (host, deadlines_rx)
    }

    /// Takes an event. While the store is down, or has too much to do, an event whose sender waits is refused;
    /// of the others only those count that keep limits enforced.
    pub(super) fn event(&mut self, event: Event, done: Option<Done>) {
        if let Some(done) = done {
            if self.is_unavailable() || (self.scarce && takes_room(&event)) {
                drop(done.send(Err(EngineError::Unavailable)));
            } else {
                self.decide(event, Some(done));
            }
            return;
        }
        let overrun = self.hold.len() >= 2 * HELD;
        match event {
            Event::DeadlineReached
            | Event::ClockStepped
            | Event::Readings(_)
            | Event::ReadingsAnew(_) => {
                self.decide(event, None);
            }
            event if self.down || overrun || (self.scarce && takes_room(&event)) => {
                self.board.count("events-dropped");
            }
            event => self.decide(event, None),
        }
    }

    /// Takes a call.
    pub(super) fn call(&mut self, caller: Caller, request: Request, answered: Answered) {
        if self.is_unavailable() || self.scarce {
            drop(answered.send(Err(EngineError::Unavailable)));
            return;
        }
        let call = CallId(self.next_call);
        self.next_call += 1;
        self.calls.insert(call, answered);
        let event = Event::Call {
            call,
            caller,
            request,
        };
        self.decide(event, None);
    }

    /// Shows the machine.
    pub(super) fn look(&self, look: Look, done: Done) {
        look(&self.device, self.clock.now());
        drop(done.send(Ok(())));
    }

    /// Has what rides for the flight recorder written; `done` is told when it is durable.
    pub(super) fn flush(&mut self, done: Done) {
        if self.is_unavailable() {
            drop(done.send(Err(EngineError::Unavailable)));
            return;
        }
        if !self.recorder.is_empty() {
            self.hold.changed();
        }
        let held = Held {
            done: Some(done),
            ..Held::default()
        };
        if let Some(free) = self.hold.hold(held) {
            self.perform(free);
        }
    }

    fn is_unavailable(&self) -> bool {
        self.down || self.hold.len() >= HELD
    }

    /// One event, from stamp to effects.
    pub(super) fn decide(&mut self, event: Event, done: Option<Done>) {
        #[cfg(feature = "sabotage")]
        let event = self.sabotage.twist(event);
        let now = self.clock.now();
        self.remember(&event);
        // What is decided while the store is down leads to nothing that lasts.
        if !self.down {
            self.recorder.event(now, &event);
        }
        let mut held = Held {
            done,
            ended: ended(&event),
            ..Held::default()
        };
        let link_up = event == Event::LinkUp;
        let mut effects = Vec::new();
        self.device.handle(now, event, &mut effects);
        if !self.down {
            self.recorder.decided(now, &self.device);
        }
        self.split(effects, &mut held, link_up);
        if self.down {
            self.refuse(held);
        } else if let Some(free) = self.hold.hold(held) {
            self.perform(free);
        }
        self.arm();
        self.check();
    }

    fn split(&mut self, effects: Vec<Effect>, held: &mut Held, link_up: bool) {
        let mut changed = false;
        let mut credit_moved = link_up;
        let mut registered = false;
        for effect in effects {
            match effect.order() {
                Order::Record => {
                    changed = true;
                    registered |= is_of_registration(&effect);
                    credit_moved |= moves_credit(&effect);
                    self.gather(effect);
                }
                Order::AtOnce => self.performer.at_once(effect),
                Order::AfterCommit => held.effects.push(effect),
            }
        }
        if changed && !self.down {
            self.hold.changed();
        }
        if registered {
            self.performer.registrations_changed();
        }
        if link_up {
            self.told_credit.clear();
        }
        if credit_moved {
            held.credit = self.new_credit();
        }
    }

    fn gather(&mut self, effect: Effect) {
        if self.down {
            return;
        }
        match effect {
            Effect::Put(record) => self.gathering.changes.insert(record.key(), Some(record)),
            Effect::Remove(key) => self.gathering.changes.insert(key, None),
            _ => None,
        };
    }

    /// How many pushes each app can take now, where the link was last told otherwise.
    fn new_credit(&mut self) -> Vec<(AppId, u32)> {
        let mut moved = Vec::new();
        for app in self.device.apps() {
            let free = self.device.push_credit(&app.id);
            if self.told_credit.get(&app.id) != Some(&free) {
                self.told_credit.insert(app.id.clone(), free);
                moved.push((app.id.clone(), free));
            }
        }
        moved
    }

    /// Tells the link every app's credit, whatever it was told before.
    pub(super) fn tell_credit_again(&mut self) {
        self.told_credit.clear();
        let held = Held {
            credit: self.new_credit(),
            ..Held::default()
        };
        if let Some(free) = self.hold.hold(held) {
            self.perform(free);
        }
    }

    /// The changes that are to be committed together now, if the store is free and there are any.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        if self.down || !self.hold.may_commit() {
            return None;
        }
        self.hold.committing();
        Some(self.take_batch())
    }

    /// The events that ride, without waiting for a change, if the store is free.
    pub(super) fn riders(&mut self) -> Option<Batch> {
        let free = !self.down && self.hold.is_quiet() && !self.recorder.is_empty();
        free.then(|| {
            self.hold.committing();
            self.take_batch()
        })
    }

    fn take_batch(&mut self) -> Batch {
        let mut batch = take(&mut self.gathering);
        batch.journal = self.recorder.take();
        batch
    }

    /// The batch is durable: what waited for it is performed, in order.
    pub(super) fn committed(&mut self) {
        self.board.count("commits");
        for held in self.hold.committed() {
            self.perform(held);
        }
    }

    /// Nothing that is not durable will become so: whoever waits is told, nothing begins.
    pub(super) fn give_up(&mut self) {
        self.down = true;
        self.gathering = Batch::default();
        self.recorder.miss();
        for held in self.hold.failed() {
            self.refuse(held);
        }
        for (_call, answered) in take(&mut self.calls) {
            drop(answered.send(Err(EngineError::Unavailable)));
        }
    }

    fn refuse(&mut self, held: Held) {
        if let Some(done) = held.done {
            drop(done.send(Err(EngineError::Unavailable)));
        }
        for effect in held.effects {
            if let Effect::Reply { call, .. } = effect
                && let Some(answered) = self.calls.remove(&call)
            {
                drop(answered.send(Err(EngineError::Unavailable)));
            }
        }
    }

    fn perform(&mut self, held: Held) {
        let mut answers = Vec::new();
        for effect in held.effects {
            match effect {
                Effect::Reply { call, answer } => {
                    if let Some(answered) = self.calls.remove(&call) {
                        drop(answered.send(Ok(answer)));
                    }
                }
                Effect::Launch(launch) => {
                    self.memory.live.insert(launch.run);
                    answers.extend(self.performer.launch(launch));
                }
                Effect::OfferPush(push) => answers.extend(self.performer.offer(&push)),
                effect => self.performer.after_commit(effect),
            }
        }
        for (app, free) in held.credit {
            self.performer.credit(app, free);
        }
        if let Some(run) = held.ended {
            self.memory.live.remove(&run);
        }
        if let Some(done) = held.done {
            drop(done.send(Ok(())));
        }
        for answer in answers {
            self.decide(answer, None);
        }
    }

    fn remember(&mut self, event: &Event) {
        match event {
            Event::Readings(readings) | Event::ReadingsAnew(readings) => {
                for reading in readings {
                    let same = |known: &Reading| {
                        std::mem::discriminant(known) == std::mem::discriminant(reading)
                    };
                    self.memory.readings.retain(|known| !same(known));
                    self.memory.readings.push(*reading);
                }
            }
            Event::Apps(apps) => self.memory.apps = Some(apps.clone()),
            Event::ProfileChanged(profile) => self.memory.profile = Some(profile.clone()),
            Event::PolicyChanged(policy) => self.memory.policy = Some(policy.clone()),
            Event::RunsHeld { runs } => self.memory.live = runs.iter().copied().collect(),
            _ => {}
        }
    }

    fn arm(&self) {
        self.performer.stay_awake(self.device.stays_awake());
        let deadline = self.device.deadline();
        self.deadlines.send_if_modified(|armed| {
            let moved = *armed != deadline;
            *armed = deadline;
            moved
        });
    }

    fn check(&mut self) {
        self.events += 1;
        if !self.events.is_multiple_of(CHECKED) {
            return;
        }
        for violation in invariants::check(&self.device) {
            self.board.count("invariant-violations");
            tracing::error!(
                invariant = violation.number,
                found = violation.found,
                "the machine's state breaks an invariant"
            );
        }
    }
}

/// Whether an event asks for something new to be kept, for which a full disk has no room.
fn takes_room(event: &Event) -> bool {
    matches!(
        event,
        Event::PushArrived(_) | Event::Call { .. } | Event::Occurred(_)
    )
}

/// Whether a change can move what an app can take of pushes.
fn moves_credit(effect: &Effect) -> bool {
    let key = match effect {
        Effect::Put(record) => match record {
            Record::Device(_) | Record::Count(_) | Record::Verdict(_) => return false,
            record => record.key(),
        },
        Effect::Remove(key) => key.clone(),
        _ => return false,
    };
    matches!(
        key,
        Key::Policy
            | Key::App(_)
            | Key::Registration(_)
            | Key::Push(_)
            | Key::SeenPush(_)
            | Key::Receipt(_)
    )
}

fn is_of_registration(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::Put(Record::Registration(_)) | Effect::Remove(Key::Registration(_))
    )
}

fn ended(event: &Event) -> Option<RunId> {
    match event {
        Event::RunEnded { run, .. } => Some(*run),
        _ => None,
    }
}
