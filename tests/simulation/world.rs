//! A world with one device in it: its clocks, its store, its runs, its watchers, its coordinator. It hosts the machine as the
//! daemon does and performs what the machine asks for; onlookers see every event and every effect.
//!
//! Deliberately absent: decisions; and chance, which has all gone into the [`Plan`].

mod effects;
mod power;
mod runs;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use lull_policy::{
    App, AppId, Broken, CallId, Device, Effect, Event, FrontState, Key, Order, Policy, Readings,
    Resource, Sabotage, Source, TaskName, invariants,
};

use crate::agents::Launcher;
use crate::checkers::{Breach, Onlookers};
use crate::clocks::Clocks;
use crate::mailbox::Coordinator;
use crate::plan::{Plan, WEEK};
use crate::queue::{Due, Queue};
use crate::random::mix;
use crate::store::{Held, Store};
use crate::trace::Trace;

/// How a life is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// A decision that is broken on purpose.
    pub(crate) broken: Option<Broken>,
    /// The machine's own invariants are checked after every event, not only at the end of a week.
    pub(crate) thorough: bool,
    /// Everything goes into the trace hash, not only how much there was.
    pub(crate) traced: bool,
    /// The last turns are kept in words.
    pub(crate) told: bool,
}

/// What a life came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The first breach, if there was one.
    pub(crate) breach: Option<Breach>,
    /// What was counted.
    pub(crate) tally: Tally,
    /// Equal for equal lives.
    pub(crate) trace: u64,
    /// The last turns in words, where they were asked for.
    pub(crate) story: Vec<String>,
}

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// Events decided.
    pub(crate) events: u64,
    /// Effects asked for, records among them.
    pub(crate) effects: u64,
    /// Runs launched.
    pub(crate) runs: u64,
    /// Pushes accepted by the coordinator.
    pub(crate) pushes: u64,
    /// Times the device or its daemon was away.
    pub(crate) absences: u64,
    /// Commits.
    pub(crate) commits: u64,
    /// The most effects of one event.
    pub(crate) most_effects: u64,
    /// The most records at once.
    pub(crate) most_records: u64,
}

/// Whether the daemon decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// It decides, and the device is about to go down.
    Closing,
    Asleep {
        length: u64,
    },
    /// The daemon is away; the device may be too.
    Away {
        rebooted: bool,
    },
}

/// The world of one device.
#[derive(Debug)]
pub(crate) struct World<'p> {
    plan: &'p Plan,
    options: Options,
    at: u64,
    clocks: Clocks,
    boots: u32,
    state: State,
    device: Device,
    store: Store,
    commit: u64,
    late: u64,
    queue: Queue,
    launcher: Launcher,
    numbers: BTreeMap<(AppId, TaskName), u64>,
    coordinator: Coordinator,
    last_arrival: u64,
    acknowledging: bool,
    link: bool,
    truth: Readings,
    failed: BTreeSet<Source>,
    watched: BTreeSet<Source>,
    changed: BTreeMap<Source, u64>,
    up_since: u64,
    fronts: BTreeMap<AppId, FrontState>,
    installed: BTreeMap<AppId, App>,
    policy: Policy,
    meters: BTreeSet<(AppId, Resource)>,
    calls: u64,
    spare: Vec<Effect>,
    onlookers: Onlookers,
    tally: Tally,
    trace: Trace,
    weeks_looked_at: u64,
}

impl<'p> World<'p> {
    /// Lives a plan to its end, or to the first breach.
    pub(crate) fn live(plan: &'p Plan, options: Options) -> Outcome {
        let mut world = Self::new(plan, options);
        world.begin();
        world.go_on();
        world.finish()
    }

    fn new(plan: &'p Plan, options: Options) -> Self {
        let installed = plan.apps.iter().map(|planned| planned.app.clone());
        Self {
            plan,
            options,
            at: 0,
            clocks: Clocks::new(plan.wall),
            boots: 1,
            state: State::Up,
            device: Device::new(),
            store: Store::default(),
            commit: plan.commit,
            late: 0,
            queue: Queue::default(),
            launcher: Launcher::default(),
            numbers: BTreeMap::new(),
            coordinator: Coordinator::new(),
            last_arrival: 0,
            acknowledging: false,
            link: true,
            truth: plan.readings,
            failed: BTreeSet::new(),
            watched: BTreeSet::new(),
            changed: BTreeMap::new(),
            up_since: 0,
            fronts: BTreeMap::new(),
            installed: installed.map(|app| (app.id.clone(), app)).collect(),
            policy: plan.policy.clone(),
            meters: BTreeSet::new(),
            calls: 0,
            spare: Vec::new(),
            onlookers: Onlookers::new(),
            tally: Tally::default(),
            trace: Trace::new(options.traced, options.told),
            weeks_looked_at: 0,
        }
    }

    fn begin(&mut self) {
        for (place, planned) in self.plan.steps.iter().enumerate() {
            self.queue.push(planned.at, Due::Step(place));
        }
        self.boot_daemon();
    }

    fn go_on(&mut self) {
        while self.onlookers.breach.is_none() {
            let next = self.queue.next();
            let deadline = self.next_deadline();
            let Some(at) = next.into_iter().chain(deadline).min() else {
                return;
            };
            if at > self.plan.length {
                return;
            }
            self.look_at_state(at);
            self.at = self.at.max(at);
            if next == Some(at) {
                if let Some((_, due)) = self.queue.pop() {
                    self.comes(due);
                }
            } else {
                self.decide(Event::DeadlineReached);
            }
        }
    }

    /// When the host comes back by itself; late where the plan says so.
    fn next_deadline(&self) -> Option<u64> {
        match self.state {
            State::Up | State::Closing => {}
            State::Asleep { .. } | State::Away { .. } => return None,
        }
        let earliest = self.clocks.earliest(self.device.deadline())?;
        Some(earliest.saturating_add(self.late).max(self.at))
    }

    fn comes(&mut self, due: Due) {
        match due {
            Due::Step(place) => self.step(&self.plan.steps[place].step),
            Due::Run {
                run,
                generation,
                word,
            } => self.word(run, generation, word),
            Due::Committed => self.committed(),
            Due::Report(source) => self.report(source),
            Due::Arrives {
                session,
                delivery,
                push,
            } => self.arrives(session, delivery, *push),
            Due::Acknowledges(session) => self.acknowledges(session),
            Due::Connects => self.connect(),
            Due::Off { length } => self.off(length),
            Due::Up => self.up(),
            Due::Answers { push, handled } => {
                if self.decides() {
                    self.decide(Event::PushAnswered { push, handled });
                }
            }
        }
    }

    fn decides(&self) -> bool {
        matches!(self.state, State::Up | State::Closing)
    }

    fn decide(&mut self, event: Event) {
        self.decide_and(event, Held::default());
    }

    /// One event, from stamp to effects.
    fn decide_and(&mut self, event: Event, mut held: Held) {
        if self.onlookers.breach.is_some() {
            return;
        }
        let now = self.clocks.at(self.at);
        self.onlookers.input(now, &event);
        self.trace.event(self.at, now, &event);
        let mut effects = std::mem::take(&mut self.spare);
        self.device.handle(now, event, &mut effects);
        self.tally.events += 1;
        self.tally.effects += effects.len() as u64;
        self.tally.most_effects = self.tally.most_effects.max(effects.len() as u64);
        self.trace.effects(&effects);
        let starts = effects.iter().any(is_start);
        let stable = starts.then(|| self.stable());
        let deadline = self.device.deadline();
        self.onlookers.output(self.at, &effects, deadline, stable);
        if self.options.thorough {
            self.check_invariants();
        }
        let mut changed = false;
        for effect in effects.drain(..) {
            match effect {
                Effect::Put(record) => {
                    changed = true;
                    self.store.gather(record.key(), Some(record));
                }
                Effect::Remove(key) => {
                    changed = true;
                    self.store.gather(key, None);
                }
                effect if effect.order() == Order::AtOnce => self.at_once(effect),
                effect => held.effects.push(effect),
            }
        }
        self.spare = effects;
        self.hold(held, changed);
    }

    fn hold(&mut self, held: Held, changed: bool) {
        if !changed && self.store.is_quiet() {
            self.perform(held);
            return;
        }
        self.store.hold(held);
        self.commit();
    }

    fn commit(&mut self) {
        if !self.store.begin() {
            return;
        }
        if self.commit == 0 {
            self.committed();
        } else {
            self.queue.push(self.at + self.commit, Due::Committed);
        }
    }

    fn committed(&mut self) {
        for held in self.store.end() {
            self.perform(held);
        }
        self.commit();
    }

    /// What has been so for ten seconds, and could be known as long.
    fn stable(&self) -> Readings {
        const WHILE: u64 = 10_000;
        let mut stable = self.truth;
        for source in Source::ALL {
            let since = self.changed.get(&source).copied().unwrap_or(0);
            let since = since.max(self.up_since);
            if self.failed.contains(&source) || self.at < since + WHILE {
                stable.forget(source);
            }
        }
        stable
    }

    /// At the end of each week the whole state is looked at.
    fn look_at_state(&mut self, at: u64) {
        if at / WEEK > self.weeks_looked_at && self.decides() {
            self.weeks_looked_at = at / WEEK;
            self.check_invariants();
            self.check_records();
        }
        self.tally.most_records = self.tally.most_records.max(self.store.len() as u64);
    }

    fn breach(&mut self, rule: &'static str, found: String) {
        if self.onlookers.breach.is_none() {
            self.onlookers.breach = Some(Breach {
                rule,
                at: self.at,
                found,
            });
        }
    }

    fn check_invariants(&mut self) {
        if let Some(violation) = invariants::check(&self.device).into_iter().next() {
            let found = format!("invariant {}: {}", violation.number, violation.found);
            self.breach("the machine's own invariants", found);
        }
    }

    /// I8: what is written says what the state is, and a machine made of it is the same.
    fn check_records(&mut self) {
        let mut written = self.store.folded();
        let mut state = self.device.records();
        // The device's own record is written with the others of its event; between them it may differ by nothing.
        written.sort_by_cached_key(lull_policy::Record::key);
        state.sort_by_cached_key(lull_policy::Record::key);
        let known = |key: &Key| !matches!(key, Key::Policy | Key::Profile | Key::Device);
        let differ = |(one, other): &(&lull_policy::Record, &lull_policy::Record)| one != other;
        let (written, state): (Vec<_>, Vec<_>) = (
            written.iter().filter(|r| known(&r.key())).collect(),
            state.iter().filter(|r| known(&r.key())).collect(),
        );
        let first = written
            .iter()
            .copied()
            .zip(state.iter().copied())
            .find(differ);
        if let Some((written, state)) = first {
            self.breach(
                "I8 records",
                format!("written {written:?}, state {state:?}"),
            );
        } else if written.len() != state.len() {
            let found = format!(
                "{} records written, {} in the state",
                written.len(),
                state.len()
            );
            self.breach("I8 records", found);
        }
    }

    fn finish(mut self) -> Outcome {
        if self.onlookers.breach.is_none() {
            if self.decides() {
                self.decide(Event::DeadlineReached);
            }
            for held in self.store.flush() {
                self.perform(held);
            }
            self.check_invariants();
            self.check_records();
            if self.decides() {
                self.onlookers.over(self.at, &self.coordinator);
            }
        }
        self.tally.commits = self.store.commits;
        self.tally.pushes = self.coordinator.rows.len() as u64;
        Outcome {
            breach: self.onlookers.breach,
            tally: self.tally,
            trace: self.trace.hash(),
            story: self.trace.story(),
        }
    }

    /// A number that belongs to this life, whatever else happens in it.
    fn own(&self, what: u64) -> u64 {
        mix(self.plan.seed, what)
    }

    fn sabotage(&mut self) {
        self.device.sabotage(Sabotage {
            broken: self.options.broken,
            gate: None,
        });
    }

    fn next_call(&mut self) -> CallId {
        self.calls += 1;
        CallId(self.calls)
    }
}

fn is_start(effect: &Effect) -> bool {
    match effect {
        Effect::Observe(observation) => {
            matches!(**observation, lull_policy::Observation::Started { .. })
        }
        _ => false,
    }
}
