//! Counting what runs use: when the host has to read a run's cage, and what the machine is told of it.
//!
//! The host reads totals and keeps one [`Meter`] beside the machine, which orders by [`Effect::Meter`](crate::Effect::Meter) and
//! [`Effect::Sample`](crate::Effect::Sample). Nothing is due while nothing was ordered, so that an idle node reads nothing.
//!
//! An app cannot use more CPU time than there are processors. So what is left of its budget says how long nobody needs to
//! look: it passes its budget by what it uses in [`SHORTEST`], and by what the host takes to read and to freeze.
//!
//! Deliberately absent: reading, and what follows from a spent quota or an idle run.

use std::collections::{BTreeMap, BTreeSet};

use crate::{AppId, Event, Resource, RunId, Running, Sample, Span};

/// Between two readings of a run, however little of a budget is left. Of the 2 CPU-seconds in a quarter of an hour (RES-13) that
/// is a fortieth for each processor; a reading is one message there and back, and one small file.
pub const SHORTEST: Span = Span::millis(50);

/// Between two readings while bytes are counted: nobody knows how fast a network is. At 10 Mbit/s 125 kB, a quarter of what
/// there is in a quarter of an hour (RES-14).
pub const BYTES: Span = Span::millis(100);

/// Between two readings of a run that follows its own memory (RES-08).
pub const MEMORY: Span = Span::seconds(1);

/// Between two readings while CPU time is counted, however much is left: processors may be switched on meanwhile.
const LONGEST: Span = Span::seconds(10);

/// What a run has used from its start, as read at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// CPU time in microseconds; absent = cannot be read.
    pub cpu_micros: Option<u64>,
    /// Bytes sent and received; absent = cannot be read.
    pub network_bytes: Option<u64>,
    /// Reads and writes on its device; absent = it has none, or they cannot be counted.
    pub device_ios: Option<u64>,
}

/// A run to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Which.
    pub run: RunId,
    /// Its bytes are wanted too.
    pub network: bool,
}

/// The count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    processors: u64,
    runs: BTreeMap<RunId, Metered>,
    budgets: BTreeMap<AppId, Budget>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent fact about one run"
)]
struct Metered {
    app: AppId,
    rationed: bool,
    frozen: bool,
    /// Its watchdogs want to know so often.
    every: Option<Span>,
    /// It follows its own memory.
    memory: bool,
    /// What it had used when it was read last; absent = not read yet, and what it used before is nobody's.
    last: Option<Totals>,
    /// What its watchdogs were not told yet, and since when.
    untold: Sample,
    told: Option<Running>,
    read: Option<Running>,
    /// What it used before its next reading is nobody's: a budget began in between.
    anew: BTreeSet<Resource>,
    /// It is being read.
    asked: bool,
}

/// What is left of an app's budgets; absent = not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Budget {
    cpu: Option<u64>,
    network: Option<u64>,
}

impl Budget {
    fn of(&mut self, resource: Resource) -> &mut Option<u64> {
        match resource {
            Resource::Cpu => &mut self.cpu,
            Resource::Network => &mut self.network,
        }
    }

    /// How long nobody needs to look.
    fn rest(&self, processors: u64) -> Option<Span> {
        let cpu = self
            .cpu
            .map(|left| Span::millis(left / 1_000 / processors).clamp(SHORTEST, LONGEST));
        let network = self.network.map(|_left| BYTES);
        cpu.into_iter().chain(network).min()
    }
}

impl Meter {
    /// A count on a device with so many processors.
    pub fn new(processors: usize) -> Self {
        Self {
            processors: u64::try_from(processors).unwrap_or(u64::MAX).max(1),
            runs: BTreeMap::new(),
            budgets: BTreeMap::new(),
        }
    }

    /// As [`Effect::Meter`](crate::Effect::Meter) says.
    pub fn order(&mut self, app: &AppId, resource: Resource, budget: Option<u64>) {
        let of_app = self.runs.values_mut().filter(|run| run.app == *app);
        for run in of_app.filter(|run| run.read.is_some()) {
            run.anew.insert(resource);
        }
        let place = self.budgets.entry(app.clone()).or_default();
        *place.of(resource) = budget;
        if *place == Budget::default() {
            self.budgets.remove(app);
        }
    }

    /// As [`Effect::Sample`](crate::Effect::Sample) says.
    pub fn watch(&mut self, run: RunId, every: Option<Span>) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.every = every;
        }
    }

    /// A run can be read from now on. What one that is `new` has used already counts; of another only what it uses from its
    /// first reading on.
    pub fn begins(&mut self, run: RunId, app: AppId, rationed: bool, new: bool) {
        let zero = Totals {
            cpu_micros: Some(0),
            network_bytes: Some(0),
            device_ios: Some(0),
        };
        self.runs.entry(run).or_insert(Metered {
            app,
            rationed,
            frozen: false,
            every: None,
            memory: false,
            last: new.then_some(zero),
            untold: Sample::default(),
            told: None,
            read: None,
            anew: BTreeSet::new(),
            asked: false,
        });
    }

    /// A run stands still, or goes on: what stands still uses nothing of a budget.
    pub fn freezes(&mut self, run: RunId, frozen: bool) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.frozen = frozen;
        }
    }

    /// A run wants to know of its own memory from now on.
    pub fn follows_memory(&mut self, run: RunId) {
        if let Some(run) = self.runs.get_mut(&run) {
            run.memory = true;
        }
    }

    /// Whether a run wants to know of its own memory.
    pub fn is_followed(&self, run: RunId) -> bool {
        self.runs.get(&run).is_some_and(|run| run.memory)
    }

    /// Nobody answers what was asked: it is asked again.
    pub fn unanswered(&mut self) {
        for run in self.runs.values_mut() {
            run.asked = false;
        }
    }

    /// When the next run has to be read, or the machine to be told; absent = nothing is ordered.
    pub fn next(&self, now: Running) -> Option<Running> {
        let runs = self.runs.values().filter(|run| !run.asked);
        let due = runs.filter_map(|run| self.due(run, now));
        let told = (!self.spent().is_empty()).then(|| now.after(SHORTEST));
        due.chain(told).min()
    }

    fn due(&self, run: &Metered, now: Running) -> Option<Running> {
        let after = |last: Option<Running>, span| last.map_or(now, |last| last.after(span));
        let watch = run.every.map(|every| after(run.told, every));
        let memory = run.memory.then(|| after(run.read, MEMORY));
        let budget = self.budget_of(run).and_then(|budget| {
            let rest = budget.rest(self.processors)?;
            let last = run.read.filter(|_| run.anew.is_empty());
            Some(after(last, rest))
        });
        [watch, memory, budget].into_iter().flatten().min()
    }

    fn budget_of(&self, run: &Metered) -> Option<&Budget> {
        let counts = run.rationed && !run.frozen;
        self.budgets.get(&run.app).filter(|_| counts)
    }

    /// The runs to read now. The runs of an app are read together, so that what is left of its budget is known at one moment.
    pub fn looks(&mut self, now: Running) -> Vec<Look> {
        let due: BTreeSet<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| !run.asked && self.due(run, now).is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
            .collect();
        let apps: BTreeSet<AppId> = due
            .iter()
            .filter_map(|id| self.runs.get(id))
            .filter(|run| self.budget_of(run).is_some())
            .map(|run| run.app.clone())
            .collect();
        let mut looks = Vec::new();
        for (id, run) in &mut self.runs {
            let budget = self
                .budgets
                .get(&run.app)
                .filter(|_| run.rationed && !run.frozen);
            let with_its_app = budget.is_some() && apps.contains(&run.app);
            if !run.asked && (due.contains(id) || with_its_app) {
                run.asked = true;
                looks.push(Look {
                    run: *id,
                    network: run.every.is_some()
                        || budget.is_some_and(|budget| budget.network.is_some()),
                });
            }
        }
        looks
    }

    /// A run was read; what the machine is to be told of it for its watchdogs.
    pub fn read(&mut self, now: Running, id: RunId, totals: Totals) -> Option<Event> {
        let used = self.count(id, totals);
        let run = self.runs.get_mut(&id)?;
        run.asked = false;
        run.read = Some(now);
        run.untold = Sample {
            cpu_micros: run.untold.cpu_micros.saturating_add(used.cpu_micros),
            network_bytes: run.untold.network_bytes.saturating_add(used.network_bytes),
            device_ios: run.untold.device_ios.saturating_add(used.device_ios),
        };
        let every = run.every?;
        if run.told.is_some_and(|told| now < told.after(every)) {
            return None;
        }
        run.told = Some(now);
        let sample = std::mem::take(&mut run.untold);
        Some(Event::RunSampled { run: id, sample })
    }

    /// A run is gone; what it used last counts.
    pub fn ended(&mut self, id: RunId, totals: Totals) {
        self.count(id, totals);
        self.runs.remove(&id);
    }

    /// What a run used since it was read last, taken from what its app has left.
    fn count(&mut self, id: RunId, totals: Totals) -> Sample {
        let Some(run) = self.runs.get_mut(&id) else {
            return Sample::default();
        };
        let used = used(run.last, totals);
        run.last = Some(known(run.last, totals));
        let anew = std::mem::take(&mut run.anew);
        if let (true, Some(budget)) = (run.rationed, self.budgets.get_mut(&run.app)) {
            for (resource, used) in [
                (Resource::Cpu, used.cpu_micros),
                (Resource::Network, used.network_bytes),
            ] {
                let counts = if anew.contains(&resource) { 0 } else { used };
                let left = budget.of(resource);
                *left = left.map(|left| left.saturating_sub(counts));
            }
        }
        used
    }

    /// The budgets that are used up, until the machine has been told ([`Self::is_told`]).
    pub fn spent(&self) -> Vec<(AppId, Resource)> {
        let mut spent = Vec::new();
        for (app, budget) in &self.budgets {
            if budget.cpu == Some(0) {
                spent.push((app.clone(), Resource::Cpu));
            }
            if budget.network == Some(0) {
                spent.push((app.clone(), Resource::Network));
            }
        }
        spent
    }

    /// The machine knows that a budget is used up: it orders anew when there is another.
    pub fn is_told(&mut self, app: &AppId, resource: Resource) {
        self.order(app, resource, None);
    }
}

/// What was used between two readings. What happens on a device while its run uses no CPU time is not the run's doing, and what
/// cannot be counted is taken for done by a run that uses some: nobody is called idle for what nobody sees.
fn used(last: Option<Totals>, now: Totals) -> Sample {
    let Some(last) = last else {
        return Sample::default();
    };
    let between = |last: Option<u64>, now: Option<u64>| Some(now?.saturating_sub(last?));
    let cpu = between(last.cpu_micros, now.cpu_micros).unwrap_or(0);
    let at_work = u64::from(cpu > 0);
    Sample {
        cpu_micros: cpu,
        network_bytes: between(last.network_bytes, now.network_bytes).unwrap_or(0),
        device_ios: now.device_ios.map_or(at_work, |ios| {
            at_work * ios.saturating_sub(last.device_ios.unwrap_or(ios))
        }),
    }
}

/// What could not be read now stands where it was.
fn known(last: Option<Totals>, now: Totals) -> Totals {
    let last = last.unwrap_or_default();
    Totals {
        cpu_micros: now.cpu_micros.or(last.cpu_micros),
        network_bytes: now.network_bytes.or(last.network_bytes),
        device_ios: now.device_ios.or(last.device_ios),
    }
}
