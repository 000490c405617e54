//! How an event finds what it concerns without looking at the rest.
//!
//! Everything here follows from the state and can be built from it; nothing here is stored. An entry changes
//! only with its registration or run, through [`Index::add`] and its siblings.

mod by_source;

use std::collections::{BTreeMap, BTreeSet};

use by_source::BySource;

use crate::schedule::expiry::end_of_life;
use crate::trigger::{self, Route, push::Holders};
use crate::{
    App, AppId, Device, DueQueue, Elapsed, FinishedRun, Push, PushId, Quota, Registration,
    RegistrationId, Run, RunId, RunState, Running, ScheduledKind, SeenPush, Source, TaskType,
    Trigger, TriggerKind, Wall,
};

/// The ways to find registrations, runs and pushes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Index {
    apps: Many<AppId, RegistrationId>,
    routes: Many<Route, RegistrationId>,
    /// Timers by their due time.
    dues: DueQueue,
    /// Periodic agents that are to come due, by the middle of their window.
    pub(crate) periodics: DueQueue,
    /// All periodic agents.
    pub(crate) periodic_agents: BTreeSet<RegistrationId>,
    /// All resource-intensive agents.
    pub(crate) intensives: BTreeSet<RegistrationId>,
    /// Launches for test to come.
    pub(crate) tests: BTreeSet<(Elapsed, RegistrationId)>,
    /// Ends of lives to come.
    pub(crate) lives: BTreeSet<(Wall, RegistrationId)>,
    /// Those that wait, by the sources whose readings could let them go.
    waiting: Many<Source, RegistrationId>,
    /// Those that wait and may not start before.
    lifts: BTreeSet<(Elapsed, RegistrationId)>,
    /// Sources that someone is interested in.
    interests: Many<Source, RegistrationId>,
    /// Apps whose agent could be scheduled: its conditions have to be known for how long they hold.
    agents: BTreeSet<AppId>,
    /// Those whose run is cancelled when a condition is lost.
    losses: Many<Source, RegistrationId>,
    runs_of: Many<RegistrationId, RunId>,
    app_runs: Many<AppId, RunId>,
    push_runs: Many<AppId, RunId>,
    agent_runs: Many<AppId, RunId>,
    pub(crate) intensive_runs: BTreeSet<RunId>,
    servicing_runs: BTreeSet<RunId>,
    limits: BTreeSet<(Running, RunId)>,
    holders: BTreeMap<PushId, Holders>,
    pub(crate) refills: BTreeSet<(Elapsed, AppId)>,
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

impl Index {
    /// The index of a state.
    pub(crate) fn build(device: &Device) -> Self {
        let mut index = Self::default();
        device.apps.values().for_each(|app| index.add_app(app));
        device.runs.values().for_each(|run| index.add_run(run));
        device
            .registrations
            .values()
            .for_each(|r| index.add(r, &device.pushes));
        device.seen.values().for_each(|seen| index.add_seen(seen));
        device
            .quotas
            .values()
            .for_each(|quota| index.add_quota(quota));
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
        self.by_sources(id, BySource::default(), self.by_source(registration));
        self.add_waits(registration, pushes);
    }

    /// Lets a registration change, but for its app and its trigger.
    pub(crate) fn edit(
        &mut self,
        registration: &mut Registration,
        pushes: &BTreeMap<PushId, Push>,
        change: impl FnOnce(&mut Registration),
    ) {
        let id = registration.id;
        let (route, sources) = (trigger::route(registration), self.by_source(registration));
        self.remove_waits(registration, pushes);
        change(registration);
        self.add_waits(registration, pushes);
        self.by_sources(id, sources, self.by_source(registration));
        let now = trigger::route(registration);
        if route != now {
            if let Some(route) = route {
                self.routes.remove(&route, id);
            }
            if let Some(route) = now {
                self.routes.insert(route, id);
            }
        }
    }

    /// Puts what differs between two answers of [`Index::by_source`] in its place.
    fn by_sources(&mut self, id: RegistrationId, before: BySource, after: BySource) {
        let lists = [
            (&mut self.waiting, before.waiting, after.waiting),
            (&mut self.interests, before.interests, after.interests),
            (&mut self.losses, before.losses, after.losses),
        ];
        for (list, before, after) in lists {
            for source in before.without(after).iter() {
                list.remove(&source, id);
            }
            for source in after.without(before).iter() {
                list.insert(source, id);
            }
        }
    }

    /// What of a registration comes and goes with its firings.
    fn add_waits(&mut self, registration: &Registration, pushes: &BTreeMap<PushId, Push>) {
        let id = registration.id;
        self.add_schedule(registration);
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

    /// Lets a run of a registration begin or end: it is found by other sources then.
    pub(crate) fn around_run(
        &mut self,
        registration: &Registration,
        change: impl FnOnce(&mut Self),
    ) {
        let before = self.by_source(registration);
        change(self);
        self.by_sources(registration.id, before, self.by_source(registration));
    }

    /// By which sources a registration is found: the same when it is taken in and when it is taken out.
    fn by_source(&self, registration: &Registration) -> BySource {
        let running = self.runs_of.first(&registration.id).is_some();
        BySource::of(registration, running)
    }

    fn add_schedule(&mut self, registration: &Registration) {
        let id = registration.id;
        match (&registration.trigger, registration.due) {
            (Trigger::Periodic, Some(due)) if registration.latch.is_none() => {
                self.periodics.arm(due, id);
            }
            (Trigger::Periodic, _) | (_, None) => {}
            (_, Some(due)) => {
                self.dues.arm(due, id);
            }
        }
        match registration.trigger.kind().scheduled() {
            Some(ScheduledKind::Periodic) => drop(self.periodic_agents.insert(id)),
            Some(ScheduledKind::ResourceIntensive) => drop(self.intensives.insert(id)),
            None => {}
        }
        if let Some(at) = registration.schedule.as_ref().and_then(|s| s.test) {
            self.tests.insert((at, id));
        }
        if let Some(expires) = end_of_life(registration) {
            self.lives.insert((expires, id));
        }
    }

    /// Takes a registration out, as it was taken in.
    pub(crate) fn remove(&mut self, registration: &Registration, pushes: &BTreeMap<PushId, Push>) {
        let id = registration.id;
        self.apps.remove(&registration.app, id);
        if let Some(route) = trigger::route(registration) {
            self.routes.remove(&route, id);
        }
        self.by_sources(id, self.by_source(registration), BySource::default());
        self.remove_waits(registration, pushes);
    }

    fn remove_waits(&mut self, registration: &Registration, pushes: &BTreeMap<PushId, Push>) {
        let id = registration.id;
        if let Some(due) = registration.due {
            self.dues.disarm(due, id);
            self.periodics.disarm(due, id);
        }
        if let Some(schedule) = &registration.schedule {
            self.periodic_agents.remove(&id);
            self.intensives.remove(&id);
            self.lives.remove(&(schedule.expires, id));
            if let Some(at) = schedule.test {
                self.tests.remove(&(at, id));
            }
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
        self.runs_of.insert(run.registration, run.id);
        self.app_runs.insert(run.app.clone(), run.id);
        if let Some(push) = &run.push {
            self.push_runs.insert(run.app.clone(), run.id);
            self.holders
                .entry(push.clone())
                .or_default()
                .running
                .insert(run.id);
        }
        if run.kind.is_scheduled() {
            self.agent_runs.insert(run.app.clone(), run.id);
        }
        if run.kind == TriggerKind::ResourceIntensive {
            self.intensive_runs.insert(run.id);
        }
        if run.kind == TriggerKind::DeviceServicing {
            self.servicing_runs.insert(run.id);
        }
        if let Some(at) = next_limit(run) {
            self.limits.insert((at, run.id));
        }
    }

    /// Takes a run out, as it was taken in.
    pub(crate) fn remove_run(&mut self, run: &Run) {
        self.runs_of.remove(&run.registration, run.id);
        self.app_runs.remove(&run.app, run.id);
        if let Some(push) = &run.push {
            self.push_runs.remove(&run.app, run.id);
            self.let_go(push, |holders| holders.running.remove(&run.id));
        }
        self.agent_runs.remove(&run.app, run.id);
        self.intensive_runs.remove(&run.id);
        self.servicing_runs.remove(&run.id);
        if let Some(at) = next_limit(run) {
            self.limits.remove(&(at, run.id));
        }
    }

    /// Takes an app in.
    pub(crate) fn add_app(&mut self, app: &App) {
        if app.declared_for(TaskType::Scheduled).is_some() {
            self.agents.insert(app.id.clone());
        } else {
            self.agents.remove(&app.id);
        }
    }

    pub(crate) fn remove_app(&mut self, app: &AppId) {
        self.agents.remove(app);
    }

    pub(crate) fn add_seen(&mut self, seen: &SeenPush) {
        self.forgets.insert((seen.forget, seen.id.clone()));
    }

    pub(crate) fn add_quota(&mut self, quota: &Quota) {
        self.refills.insert((quota.refill, quota.app.clone()));
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
        self.dues.until(tick).map(|(_, id)| id).collect()
    }

    /// The earliest due time of a timer.
    pub(crate) fn first_due(&self) -> Option<Elapsed> {
        self.dues.first().map(|(due, _)| due)
    }

    /// Timers in the order of their due times.
    pub(crate) fn first_dues(&self) -> impl Iterator<Item = (Elapsed, RegistrationId)> {
        self.dues.iter()
    }

    /// When the first registration that waits for its interval may start.
    pub(crate) fn first_lift(&self) -> Option<(Elapsed, RegistrationId)> {
        self.lifts.first().copied()
    }

    /// Those that wait and whose fate this source could change.
    pub(crate) fn waiting_on(&self, source: Source) -> Vec<RegistrationId> {
        self.waiting.list(&source)
    }

    /// Whether anyone is interested in a source. Power and standby also concern runs whose registration is gone.
    pub(crate) fn interested(&self, source: Source) -> bool {
        let running = !self.app_runs.0.is_empty();
        let everybody = match source {
            Source::Power | Source::Screen => running || !self.agents.is_empty(),
            Source::Network | Source::Telephony => !self.agents.is_empty(),
            Source::Session | Source::Zone | Source::Pressure => false,
        };
        everybody || self.interests.0.contains_key(&source)
    }

    /// Runs that are cancelled when a condition on this source is lost.
    pub(crate) fn runs_watching(&self, source: Source) -> Vec<RunId> {
        let runs = self.losses.list(&source).into_iter();
        runs.flat_map(|id| self.runs_of.list(&id)).collect()
    }

    /// A run of a registration.
    pub(crate) fn run_of(&self, id: RegistrationId) -> Option<RunId> {
        self.runs_of.first(&id)
    }

    /// All runs of a registration; more than one only with multiple instances.
    pub(crate) fn all_runs_of(&self, id: RegistrationId) -> Vec<RunId> {
        self.runs_of.list(&id)
    }

    /// Runs of an app.
    pub(crate) fn runs_of(&self, app: &AppId) -> Vec<RunId> {
        self.app_runs.list(app)
    }

    /// The push run of an app.
    pub(crate) fn push_run(&self, app: &AppId) -> Option<RunId> {
        self.push_runs.first(app)
    }

    /// The run of an app's scheduled agent.
    pub(crate) fn agent_run(&self, app: &AppId) -> Option<RunId> {
        self.agent_runs.first(app)
    }

    /// The resource-intensive run of the device.
    pub(crate) fn intensive_run(&self) -> Option<RunId> {
        self.intensive_runs.first().copied()
    }

    /// The servicing run of the device.
    pub(crate) fn servicing_run(&self) -> Option<RunId> {
        self.servicing_runs.first().copied()
    }

    /// The earliest limit of a run.
    pub(crate) fn first_limit(&self) -> Option<(Running, RunId)> {
        self.limits.first().copied()
    }

    /// Pushes that wait nowhere and run nowhere: those offered to an app in the foreground.
    pub(crate) fn unheld(&self, pushes: &BTreeMap<PushId, Push>) -> impl Iterator<Item = PushId> {
        let unheld = pushes
            .keys()
            .filter(|push| !self.holders.contains_key(push));
        unheld.cloned()
    }

    /// Who still has something to do with a push.
    pub(crate) fn holders(&self, push: &PushId) -> Holders {
        self.holders.get(push).cloned().unwrap_or_default()
    }
}

/// Whether a firing of it waits.
pub(crate) fn waits(registration: &Registration) -> bool {
    registration.latch.is_some()
        || !registration.queue.is_empty()
        || !registration.arrivals.is_empty()
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
