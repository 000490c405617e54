//! Events go to the machine, its effects are performed on the world, and what follows from them goes to it again.

use std::collections::VecDeque;

use lull_policy::{Effect, Event, FrontState, Observation, PushFate, Readings, Source};

use super::{EVENTS_PER_INSTANT, Entry, Happening, World};

impl World {
    /// Hands an event to the machine and performs what it asks for, and what follows from that.
    ///
    /// # Panics
    /// If machine and world never come to rest, which is a fault of the machine.
    pub(crate) fn hand(&mut self, event: Event) {
        let mut waiting = VecDeque::from([event]);
        let mut handled = 0;
        let mut effects = Vec::new();
        while let Some(event) = waiting.pop_front() {
            handled += 1;
            self.assert_rest(handled);
            self.deadline.set(None);
            self.record(&event);
            self.device.handle(self.clock.now, event, &mut effects);
            for effect in effects.drain(..) {
                waiting.extend(self.perform(effect));
            }
            if waiting.is_empty() {
                let through = self.receipt.take();
                waiting.extend(through.map(|through| Event::ReceiptsAcknowledged { through }));
            }
        }
    }

    pub(super) fn assert_rest(&self, rounds: u32) {
        assert!(
            rounds < EVENTS_PER_INSTANT,
            "machine and world do not come to rest at {:?}",
            self.clock.now
        );
    }

    fn perform(&mut self, effect: Effect) -> Vec<Event> {
        let now = self.clock.now.running;
        match effect {
            Effect::Put(record) => {
                self.store.insert(record.key(), record);
            }
            Effect::Remove(key) => {
                self.store.remove(&key);
            }
            Effect::Launch(launch) => return self.launch(launch),
            Effect::AskToCancel { run, reason, .. } => {
                self.note(Happening::AskedToCancel(run, reason));
                if let Some(run) = self.runs.get_mut(&run) {
                    run.ask_to_cancel(now);
                }
            }
            Effect::Kill { run } => return self.kill(run),
            Effect::Freeze { run } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.freeze(now);
                }
            }
            Effect::Thaw { run } => {
                if let Some(run) = self.runs.get_mut(&run) {
                    run.thaw(now);
                }
            }
            Effect::Limit { run, memory, .. } => {
                // A cap that comes back meets memory that is there already: nothing is allocated any more (AMB-06).
                if let Some(run) = self.runs.get_mut(&run) {
                    run.launch.memory = memory;
                }
            }
            // A virtual run is at work whenever it runs.
            Effect::Sample { .. } => {}
            Effect::Meter {
                app,
                resource,
                budget,
            } => self.order_meter(app, resource, budget),
            Effect::StartFront { app } => {
                self.fronts.insert(app, FrontState::Background);
            }
            Effect::KillFront { app } => {
                self.fronts.remove(&app);
                return self.kill_front(&app);
            }
            Effect::OfferPush(push) => {
                return vec![Event::PushAnswered {
                    push: push.id,
                    handled: false,
                }];
            }
            Effect::Reply { call, answer } => self.answer = Some((call, answer)),
            Effect::SendReceipt(receipt) => {
                self.receipt = self.receipt.max(Some(receipt.seq));
                self.note(Happening::Receipt(receipt));
            }
            Effect::Notify { app, notice } => self.note(Happening::Told(app, notice)),
            Effect::Observe(observation) => self.observe(observation),
            Effect::Watch(source) => return self.watch(source).into_iter().collect(),
            // The world watches everything, and the limits of a run's network are seen in what is observed.
            Effect::Unwatch(_) | Effect::Network { .. } => {}
        }
        Vec::new()
    }

    /// The first report of a watcher, where the machine has forgotten what it knew while nobody was interested.
    fn watch(&self, source: Source) -> Option<Event> {
        let now = self.readings.of(source);
        let known = self.device.readings().of(source);
        let told = now == known || now == Readings::default().of(source);
        (!told && !self.booting).then_some(Event::Readings(now))
    }

    fn observe(&mut self, observation: Box<Observation>) {
        match observation.as_ref() {
            Observation::Started { task, run, .. } => {
                self.numbers.of(&task.app, &task.task, *run);
            }
            Observation::Push {
                app,
                fate: PushFate::Started { task, run },
                ..
            } => {
                self.numbers.of(app, task, *run);
            }
            Observation::Front { app, state, .. } => {
                self.fronts.insert(app.clone(), *state);
            }
            _ => {}
        }
        self.note(Happening::Observed(observation));
    }

    pub(super) fn note(&mut self, what: Happening) {
        self.note_at(self.log.len(), what);
    }

    /// Writes what happened before what followed from it.
    pub(super) fn note_at(&mut self, place: usize, what: Happening) {
        if !self.quiet {
            let entry = Entry {
                at: self.clock.t,
                wall: self.clock.now.wall,
                what,
            };
            self.log.insert(place.min(self.log.len()), entry);
        }
    }
}
