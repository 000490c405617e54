//! Run numbers that count on over everything: 1, 2, … for each task name of an app.

use std::collections::BTreeMap;

use lull_policy::{AppId, RunId, TaskName};

/// The numbers given so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    given: BTreeMap<RunId, u64>,
    last: BTreeMap<AppId, BTreeMap<TaskName, u64>>,
}

impl Numbers {
    /// The number of a run; the next one of its task where it has none yet.
    pub(crate) fn of(&mut self, app: &AppId, task: &TaskName, run: RunId) -> u64 {
        if let Some(number) = self.given.get(&run) {
            return *number;
        }
        let tasks = self.last.entry(app.clone()).or_default();
        let last = tasks.entry(task.clone()).or_default();
        *last += 1;
        self.given.insert(run, *last);
        *last
    }

    /// A run has this number already.
    pub(crate) fn note(&mut self, run: RunId, number: u64) {
        self.given.insert(run, number);
    }

    /// So many runs of a task have numbers already.
    pub(crate) fn go_on(&mut self, app: &AppId, task: &TaskName, runs: u64) {
        let tasks = self.last.entry(app.clone()).or_default();
        *tasks.entry(task.clone()).or_default() += runs;
    }

    /// The number of a run that has one; 0 for one that nobody has heard of.
    pub(crate) fn known(&self, run: RunId) -> u64 {
        self.given.get(&run).copied().unwrap_or_default()
    }
}
