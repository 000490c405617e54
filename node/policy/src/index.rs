//! How an event finds what it concerns without looking at the rest.
//!
//! Everything here follows from the state and can be built from it; nothing here is stored. An entry changes
//! only with its registration or run, through [`Index::add`] and its siblings.

use std::collections::{BTreeMap, BTreeSet};

use crate::condition;
use crate::limit;
use crate::trigger::{self, Route, push::Holders};
use crate::{
    AppId, Device, Elapsed, FinishedRun, Push, PushId, Registration, RegistrationId, Run, RunId,
    RunState, Running, SeenPush, Source, Wall,
};

/// The ways to find registrations, runs and pushes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Index {
    apps: Many<AppId, RegistrationId>,
    routes: Many<Route, RegistrationId>,
    dues: BTreeSet<(Elapsed, RegistrationId)>,
    /// Those that wait, by the sources whose readings could let them go.
    waiting: Many<Source, RegistrationId>,
    /// Those that wait and may not start before.
    lifts: BTreeSet<(Elapsed, RegistrationId)>,
    /// Sources that someone is interested in.
    interests: Many<Source, RegistrationId>,
    /// Those whose run is cancelled when a condition is lost.
    losses: Many<Source, RegistrationId>,
    run_of: BTreeMap<RegistrationId, RunId>,
    app_runs: Many<AppId, RunId>,
    push_runs: Many<AppId, RunId>,
    limits: BTreeSet<(Running, RunId)>,
    holders: BTreeMap<PushId, Holders>,
    pub(crate) expiries: BTreeSet<(Wall, PushId)>,
    pub(crate) forgets: BTreeSet<(Wall, PushId)>,
    pub(crate) ended: BTreeSet<(Wall, RunId)>,
}

/// A map to sets without empty ones.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Many<K, V>(BTreeMap<K, BTreeSet<V>>);

impl<K, V> Default for Many<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord, V: Ord + Copy> Many<K, V> {
    fn insert(&mut self, key: K, value: V) {
        self.0.entry(key).or_default().insert(value);
    }
    fn remove(&mut self, key: &K, value: V) {
        if let Some(set) = self.0.get_mut(key) {
            set.remove(&value);
            if set.is_empty() {
                self.0.remove(key);
            }
        }
    }
    fn list(&self, key: &K) -> Vec<V> {
        self.0
            .get(key)
            .map(|set| set.iter().copied().collect())
            .unwrap_or_default()
    }
    fn first(&self, key: &K) -> Option<V> {
        self.0.get(key).and_then(|set| set.first().copied())
    }
}

const SOURCES: [Source; 3] = [Source::Power, Source::Network, Source::Session];

impl Index {
    /// The index of a state.
    pub(crate) fn build(device: &Device) -> Self {
        let mut index = Self::default();
        device.runs.values().for_each(|run| index.add_run(run));
        device
            .registrations
            .values()
            .for_each(|r| index.add(r, &device.pushes));
        device.seen.values().for_each(|seen| index.add_seen(seen));
        device
            .finished
            .values()
            .for_each(|run| index.add_finished(run));
        index
    }

    /// Takes a registration in.
    pub(crate) fn add(&mut self, registration: &Registration, pushes: &BTreeMap<PushId, Push>) {
        let id = registration.id;
        self.apps.insert(registration.app.clone(), id);
        if let Some(route) = trigger::route(registration) {
            self.routes.insert(route, id);
        }
        if let Some(due) = registration.due {
            self.dues.insert((due, id));
        }
        let running = self.run_of.contains_key(&id);
        for source in SOURCES {
            let conditional = conditional_on(registration, source);
            if waits(registration) && (conditional || source == Source::Power) {
                self.waiting.insert(source, id);
            }
            if interested(registration, running, source) {
                self.interests.insert(source, id);
            }
            if running && registration.cancel_on_condition_loss && conditional {
                self.losses.insert(source, id);
            }
        }
        if let Some(at) = registration.not_before.filter(|_| waits(registration)) {
            self.lifts.insert((at, id));
        }
        for queued in &registration.queue {
            self.holders
                .entry(queued.id.clone())
                .or_default()
                .queued
                .insert(id);
            if let Some(push) = pushes.get(&queued.id) {
                self.expiries.insert((push.expires, push.id.clone()));
            }
        }
    }

    /// Takes a registration out, as it was taken in.
    pub(crate) fn remove(&mut self, registration: &Registration, pushes: &BTreeMap<PushId, Push>) {
        let id = registration.id;
        self.apps.remove(&registration.app, id);
        if let Some(route) = trigger::route(registration) {
            self.routes.remove(&route, id);
        }
        if let Some(due) = registration.due {
            self.dues.remove(&(due, id));
        }
        for source in SOURCES {
            self.waiting.remove(&source, id);
            self.interests.remove(&source, id);
            self.losses.remove(&source, id);
        }
        if let Some(at) = registration.not_before {
            self.lifts.remove(&(at, id));
        }
        for queued in &registration.queue {
            self.let_go(&queued.id, |holders| holders.queued.remove(&id));
            let waits = self
                .holders
                .get(&queued.id)
                .is_some_and(|h| !h.queued.is_empty());
            if let Some(push) = pushes.get(&queued.id).filter(|_| !waits) {
                self.expiries.remove(&(push.expires, push.id.clone()));
            }
        }
    }

    /// Takes a run in. Its registration is taken out before and in again after.
    pub(crate) fn add_run(&mut self, run: &Run) {
        self.run_of.insert(run.registration, run.id);
        self.app_runs.insert(run.app.clone(), run.id);
        if let Some(push) = &run.push {
            self.push_runs.insert(run.app.clone(), run.id);
            self.holders
                .entry(push.clone())
                .or_default()
                .running
                .insert(run.id);
        }
        if let Some(at) = next_limit(run) {
            self.limits.insert((at, run.id));
        }
    }

    /// Takes a run out, as it was taken in.
    pub(crate) fn remove_run(&mut self, run: &Run) {
        self.run_of.remove(&run.registration);
        self.app_runs.remove(&run.app, run.id);
        if let Some(push) = &run.push {
            self.push_runs.remove(&run.app, run.id);
            self.let_go(push, |holders| holders.running.remove(&run.id));
        }
        if let Some(at) = next_limit(run) {
            self.limits.remove(&(at, run.id));
        }
    }

    pub(crate) fn add_seen(&mut self, seen: &SeenPush) {
        self.forgets.insert((seen.forget, seen.id.clone()));
    }

    pub(crate) fn add_finished(&mut self, run: &FinishedRun) {
        self.ended.insert((run.ended, run.id));
    }

    fn let_go(&mut self, push: &PushId, what: impl FnOnce(&mut Holders) -> bool) {
        if let Some(holders) = self.holders.get_mut(push) {
            what(holders);
            if holders.queued.is_empty() && holders.running.is_empty() {
                self.holders.remove(push);
            }
        }
    }

    /// An app's registrations.
    pub(crate) fn of_app(&self, app: &AppId) -> Vec<RegistrationId> {
        self.apps.list(app)
    }

    /// Whom an arrival concerns.
    pub(crate) fn routed(&self, route: &Route) -> Vec<RegistrationId> {
        self.routes.list(route)
    }

    /// Timers due at this tick.
    pub(crate) fn due(&self, tick: Elapsed) -> Vec<RegistrationId> {
        let last = (tick, RegistrationId(u64::MAX));
        self.dues.range(..=last).map(|(_, id)| *id).collect()
    }

    /// The earliest due time.
    pub(crate) fn first_due(&self) -> Option<Elapsed> {
        self.dues.first().map(|(due, _)| *due)
    }

    /// When the first registration that waits for its interval may start.
    pub(crate) fn first_lift(&self) -> Option<(Elapsed, RegistrationId)> {
        self.lifts.first().copied()
    }

    /// Those that wait and whose fate this source could change. Power concerns them all.
    pub(crate) fn waiting_on(&self, source: Source) -> Vec<RegistrationId> {
        self.waiting.list(&source)
    }

    /// Whether anyone is interested in a source. Power also concerns runs whose registration is gone.
    pub(crate) fn interested(&self, source: Source) -> bool {
        let runs = source == Source::Power && !self.app_runs.0.is_empty();
        runs || self.interests.0.contains_key(&source)
    }

    /// Runs that are cancelled when a condition on this source is lost.
    pub(crate) fn runs_watching(&self, source: Source) -> Vec<RunId> {
        let runs = self.losses.list(&source).into_iter();
        runs.filter_map(|id| self.run_of.get(&id).copied())
            .collect()
    }

    /// The run of a registration.
    pub(crate) fn run_of(&self, id: RegistrationId) -> Option<RunId> {
        self.run_of.get(&id).copied()
    }

    /// Runs of an app.
    pub(crate) fn runs_of(&self, app: &AppId) -> Vec<RunId> {
        self.app_runs.list(app)
    }

    /// The push run of an app.
    pub(crate) fn push_run(&self, app: &AppId) -> Option<RunId> {
        self.push_runs.first(app)
    }

    /// The earliest limit of a run.
    pub(crate) fn first_limit(&self) -> Option<(Running, RunId)> {
        self.limits.first().copied()
    }

    /// Who still has something to do with a push.
    pub(crate) fn holders(&self, push: &PushId) -> Holders {
        self.holders.get(push).cloned().unwrap_or_default()
    }
}

/// Whether a firing of it waits.
pub(crate) fn waits(registration: &Registration) -> bool {
    registration.latch.is_some() || !registration.queue.is_empty()
}

/// The next limit of a run, which the host has to come back for.
fn next_limit(run: &Run) -> Option<Running> {
    match run.state {
        RunState::Starting | RunState::Running => match (run.cancel_at, run.kill_at) {
            (Some(cancel), Some(kill)) => Some(cancel.min(kill)),
            (cancel, kill) => cancel.or(kill),
        },
        RunState::Cancelling => run.kill_at,
        RunState::Killing => None,
    }
}

fn conditional_on(registration: &Registration, source: Source) -> bool {
    let mut conditions = registration.conditions.iter();
    conditions.any(|c| condition::predicate(*c).quantity.source() == source)
}

/// CND-04. Sources are watched while a registration stands that could need them, not only while a firing
/// waits: a reading that is there when the trigger fires saves the wait for a watcher, and an event-driven
/// watcher costs nothing while nothing changes. Power is everybody's, because Battery Saver has to be known
/// before a start (RES-09).
fn interested(registration: &Registration, running: bool, source: Source) -> bool {
    let stands = !registration.spent;
    let guards = running && registration.cancel_on_condition_loss;
    match source {
        Source::Power => stands || running,
        Source::Network | Source::Session => {
            let fires = stands && trigger::source(registration.trigger) == Some(source);
            fires || (stands || guards) && conditional_on(registration, source)
        }
    }
}

impl Device {
    /// The run that holds the place a registration needs (RUN-23; PSH-12 for pushes).
    pub(crate) fn holder(&self, registration: &Registration) -> Option<&Run> {
        let own = self.index.run_of(registration.id);
        let run = own.or_else(|| {
            let serial = limit::slot::serial_by_app(registration.trigger);
            serial
                .then(|| self.index.push_run(&registration.app))
                .flatten()
        });
        self.runs.get(&run?)
    }
}
