//! What expectations ask for, kept by task while the scenario runs.

use std::collections::BTreeMap;

use lull_policy::{AppId, Observation, Outcome, Reasons, RegistrationId, Span, Task, TaskName};

use crate::world::{Entry, Happening};

/// What is known of each task.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    tasks: BTreeMap<AppId, BTreeMap<TaskName, TaskFacts>>,
}

/// What is known of one task: of all registrations of its name.
#[derive(Debug, Clone, Default)]
pub(super) struct TaskFacts {
    /// Its starts.
    pub(super) starts: Vec<Span>,
    /// The ends of its runs.
    pub(super) ends: Vec<(Span, Outcome)>,
    firings: BTreeMap<RegistrationId, Firings>,
}

/// The firings of one registration.
#[derive(Debug, Clone, Default)]
struct Firings {
    /// That have neither started nor been dropped.
    pending: u64,
    /// What held them back, from each moment on.
    held: Vec<(Span, Reasons)>,
}

impl Facts {
    /// Takes in what happened.
    pub(super) fn take(&mut self, entry: &Entry) {
        let Happening::Observed(observation) = &entry.what else {
            return;
        };
        let at = entry.at;
        match observation.as_ref() {
            Observation::Triggered(task) => self.firings(task).pending += 1,
            Observation::Waiting { task, reasons } => self.firings(task).hold(at, *reasons),
            Observation::Started { task, .. } => {
                self.firings(task).settle(at);
                self.of(task).starts.push(at);
            }
            Observation::Dropped { task, .. } => self.firings(task).settle(at),
            Observation::Ended { task, outcome, .. } => self.of(task).ends.push((at, *outcome)),
            _ => {}
        }
    }

    /// What is known of a task; absent where nothing ever happened to it.
    pub(super) fn task(&self, app: &AppId, task: &TaskName) -> Option<&TaskFacts> {
        self.tasks.get(app)?.get(task)
    }

    fn of(&mut self, task: &Task) -> &mut TaskFacts {
        let tasks = self.tasks.entry(task.app.clone()).or_default();
        tasks.entry(task.task.clone()).or_default()
    }

    fn firings(&mut self, task: &Task) -> &mut Firings {
        self.of(task).firings.entry(task.id).or_default()
    }
}

impl TaskFacts {
    /// What held its firings back at a moment.
    pub(super) fn waiting_for(&self, at: Span) -> Reasons {
        let held = self.firings.values().filter_map(|firings| {
            let until = firings.held.partition_point(|(since, _)| *since <= at);
            until.checked_sub(1).and_then(|last| firings.held.get(last))
        });
        held.flat_map(|(_, reasons)| reasons.iter()).collect()
    }
}

impl Firings {
    fn hold(&mut self, at: Span, reasons: Reasons) {
        self.held.push((at, reasons));
    }

    /// One of them starts or is dropped.
    fn settle(&mut self, at: Span) {
        self.pending = self.pending.saturating_sub(1);
        let held = self.held.last();
        if self.pending == 0 && held.is_some_and(|(_, reasons)| !reasons.is_empty()) {
            self.hold(at, Reasons::default());
        }
    }
}
