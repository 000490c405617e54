//! Who behaves how: by task and run number, or by entry point.

use std::collections::BTreeMap;

use lull_policy::{AppId, EntryPoint, Launch, TaskName};

use crate::scenario::Behaviour;

/// The behaviour of every run to come.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviours {
    tasks: BTreeMap<AppId, BTreeMap<TaskName, Vec<Behaviour>>>,
    entry_points: BTreeMap<EntryPoint, Behaviour>,
}

impl Behaviours {
    /// How the runs of an app's tasks go, by run number from 1; the last repeats.
    pub(crate) fn of_tasks(&mut self, app: AppId, tasks: BTreeMap<TaskName, Vec<Behaviour>>) {
        self.tasks.insert(app, tasks);
    }

    /// How the runs of one task go.
    pub(crate) fn of_task(&mut self, app: AppId, task: TaskName, runs: Vec<Behaviour>) {
        self.tasks.entry(app).or_default().insert(task, runs);
    }

    /// How the runs of an entry point go where nothing is said of their task.
    pub(crate) fn of_entry_point(&mut self, entry_point: EntryPoint, behaviour: Behaviour) {
        self.entry_points.insert(entry_point, behaviour);
    }

    /// How this run goes.
    pub(crate) fn of(&self, launch: &Launch, number: u64) -> Behaviour {
        let tasks = self.tasks.get(&launch.app);
        let runs = tasks.and_then(|tasks| tasks.get(&launch.task));
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let by_task = runs.and_then(|runs| runs.get(index).or(runs.last()));
        let by_entry_point = || {
            let entry_point = launch.entry_point.as_ref()?;
            self.entry_points.get(entry_point)
        };
        by_task.or_else(by_entry_point).cloned().unwrap_or_default()
    }
}
