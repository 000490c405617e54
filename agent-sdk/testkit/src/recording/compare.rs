//! Two lives of one device side by side: who gains, who loses, who starves.

use std::collections::{BTreeMap, BTreeSet};

use lull_document::policy_figures::FigureChange;
use lull_policy::{AppId, Blocker, DropReason, Span, TaskName, WaitReason};

use super::Recording;
use super::follow::{Life, follow};
use super::study::TaskKey;
use super::tape::Departure;
use crate::scenario::words;

/// What another policy would have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatIf {
    /// Every task that started or could have, by its name.
    pub tasks: Vec<TaskChange>,
    /// How long the recording is; of several, all together.
    pub length: Span,
    /// Starts that were recorded.
    pub recorded: u64,
    /// Starts with virtual runs under the policy of that time: how far virtual runs are from what was.
    pub now: u64,
    /// Starts under the other policy.
    pub then: u64,
    /// Instants at which something started, under the policy of that time and the other.
    pub wake_ups: (u64, u64),
    /// Calls that could not be made again, under the other policy.
    pub left_out: u64,
    /// Where the replay does not agree with the recording.
    pub departures: Vec<Departure>,
}

/// What another policy would have changed for a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// Whose.
    pub app: AppId,
    /// Its name.
    pub task: TaskName,
    /// Starts that were recorded.
    pub recorded: u64,
    /// Starts with virtual runs under the policy of that time.
    pub now: u64,
    /// Starts under the other policy.
    pub then: u64,
    /// In one word.
    pub change: Change,
    /// What keeps it, where it never starts under the other policy; of several recordings, in the first of those.
    pub blocked: Option<Blocked>,
    /// Recordings in which it started, and would not any more.
    pub starving: u64,
}

/// How many tasks another policy concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// They start more often.
    pub gain: usize,
    /// They start less often, or never any more.
    pub lose: usize,
    /// Those of the latter that would never start any more, in one recording at least.
    pub starve: usize,
}

/// What becomes of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It starts more often.
    More,
    /// It starts less often.
    Fewer,
    /// It starts as often.
    Same,
    /// It started, and would not any more.
    Never,
    /// It did not start, and would.
    New,
}

impl Change {
    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::More => "more",
            Self::Fewer => "fewer",
            Self::Same => "same",
            Self::Never => "never",
            Self::New => "new",
        }
    }

    fn of(now: u64, then: u64) -> Self {
        match (now, then) {
            (0, 1..) => Self::New,
            (1.., 0) => Self::Never,
            _ if then > now => Self::More,
            _ if then < now => Self::Fewer,
            _ => Self::Same,
        }
    }
}

/// What keeps a task from ever starting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Blocked {
    /// It waits for this, the first gate of all that hold it.
    Waits(WaitReason),
    /// Its firings are dropped for this.
    Drops(DropReason),
    /// It is not registered: what its app is told.
    Refused(String),
    /// Nothing holds it; nothing fired it.
    NotFired,
}

impl Blocked {
    /// Its word; of a refusal, what the app is told.
    pub fn word(&self) -> &str {
        match self {
            Self::Waits(reason) => words::wait(*reason),
            Self::Drops(reason) => words::drop_reason(*reason),
            Self::Refused(message) => message,
            Self::NotFired => "not fired",
        }
    }
}

impl Recording {
    /// Lives through it twice, under the policy of that time and with these figures over it.
    ///
    /// # Panics
    /// If machine and world never come to rest, which is a fault of the machine.
    pub fn what_if(&self, figures: &[FigureChange]) -> WhatIf {
        let study = self.study();
        let now = follow(self, &study, &[]);
        let then = follow(self, &study, figures);
        let mut keys: BTreeSet<TaskKey> = study.starts.keys().cloned().collect();
        for life in [&now, &then] {
            keys.extend(life.starts.keys().cloned());
            keys.extend(life.refused.keys().cloned());
            let registrations = life.device.registrations();
            keys.extend(registrations.map(|r| (r.app.clone(), r.name.clone())));
        }
        let starts = |life: &BTreeMap<TaskKey, u64>, key: &TaskKey| {
            life.get(key).copied().unwrap_or_default()
        };
        let tasks = keys.into_iter().map(|key| {
            let (before, after) = (starts(&now.starts, &key), starts(&then.starts, &key));
            TaskChange {
                recorded: starts(&study.starts, &key),
                now: before,
                then: after,
                change: Change::of(before, after),
                blocked: (after == 0).then(|| blocked(&then, &key)),
                starving: u64::from(before > 0 && after == 0),
                app: key.0,
                task: key.1,
            }
        });
        WhatIf {
            tasks: tasks.collect(),
            length: study.length,
            recorded: study.starts.values().sum(),
            now: now.starts.values().sum(),
            then: then.starts.values().sum(),
            wake_ups: (now.wake_ups, then.wake_ups),
            left_out: then.left_out,
            departures: study.departures,
        }
    }
}

/// What keeps a task that never starts: its registration, what the machine calls starvation, what holds it at the end,
/// what its firings were dropped for; the first that is known.
fn blocked(life: &Life, key: &TaskKey) -> Blocked {
    if let Some(refusal) = life.refused.get(key) {
        return Blocked::Refused(refusal.to_string());
    }
    let (app, task) = key;
    let explanations = life.device.explain(life.now, app, task);
    let mut starving = explanations.iter().filter_map(|why| why.starves.as_ref());
    let gate = starving.find_map(|starves| starves.blocked_by);
    let held = || {
        let drops = explanations.iter().find_map(|why| why.blocked);
        let waits = explanations.iter().filter(|why| why.waiting > 0);
        let mut waits = waits.filter_map(|why| why.reasons.first());
        let waits = waits.next().map(|why| Blocker::Waits(why.reason));
        drops.map(Blocker::Drops).or(waits)
    };
    let dropped = || {
        let reasons = life.dropped.get(key)?.iter();
        let most = reasons.max_by_key(|(_, count)| **count);
        most.map(|(reason, _)| Blocker::Drops(*reason))
    };
    match gate.or_else(held).or_else(dropped) {
        Some(Blocker::Waits(reason)) => Blocked::Waits(reason),
        Some(Blocker::Drops(reason)) => Blocked::Drops(reason),
        None => Blocked::NotFired,
    }
}

/// The comparisons of several recordings as one: tasks of one name are added up. Departures stay with their recordings.
pub fn combine(comparisons: &[WhatIf]) -> WhatIf {
    let mut tasks: BTreeMap<(&AppId, &TaskName), TaskChange> = BTreeMap::new();
    for task in comparisons.iter().flat_map(|one| &one.tasks) {
        let sum = tasks.entry((&task.app, &task.task));
        sum.and_modify(|sum| {
            sum.recorded += task.recorded;
            sum.now += task.now;
            sum.then += task.then;
            sum.change = Change::of(sum.now, sum.then);
            if sum.starving == 0 && task.starving > 0 {
                sum.blocked.clone_from(&task.blocked);
            }
            sum.starving += task.starving;
            sum.blocked = sum.blocked.take().or_else(|| task.blocked.clone());
        })
        .or_insert_with(|| task.clone());
    }
    let mut tasks: Vec<TaskChange> = tasks.into_values().collect();
    // What keeps it on a device where it never did start is no news.
    let starts = |task: &&mut TaskChange| task.then > 0 && task.starving == 0;
    for task in tasks.iter_mut().filter(starts) {
        task.blocked = None;
    }
    let sum = |of: fn(&WhatIf) -> u64| comparisons.iter().map(of).sum();
    let lengths = comparisons.iter().map(|one| one.length);
    WhatIf {
        tasks,
        length: lengths.fold(Span::ZERO, Span::saturating_add),
        recorded: sum(|one| one.recorded),
        now: sum(|one| one.now),
        then: sum(|one| one.then),
        wake_ups: (sum(|one| one.wake_ups.0), sum(|one| one.wake_ups.1)),
        left_out: sum(|one| one.left_out),
        departures: Vec::new(),
    }
}

impl WhatIf {
    /// How many tasks gain starts, how many lose some, and how many starve: lose all, in any of the recordings.
    pub fn tally(&self) -> Tally {
        let count = |of: &[Change]| {
            let tasks = self.tasks.iter();
            tasks.filter(|task| of.contains(&task.change)).count()
        };
        Tally {
            gain: count(&[Change::More, Change::New]),
            lose: count(&[Change::Fewer, Change::Never]),
            starve: self.tasks.iter().filter(|task| task.starving > 0).count(),
        }
    }
}
