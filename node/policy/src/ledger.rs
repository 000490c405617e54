//! The verdict ledger: one verdict for every firing, as cumulative sums and, for the newest, in full.
//!
//! A firing that waits is one verdict that later moves. Sums are never forgotten: firings = sum of verdicts.

use std::collections::{BTreeMap, BTreeSet};

use crate::turn::Turn;
use crate::{
    AppId, Count, DropReason, Effect, Key, Notice, Observation, RegistrationId, RunId, Task,
    TaskName, Verdict, VerdictEntry, bounds,
};

/// The sums and the newest verdicts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ledger {
    pub(crate) counts: BTreeMap<(AppId, TaskName, Verdict), Count>,
    pub(crate) verdicts: BTreeMap<u64, VerdictEntry>,
    /// Firings of `verdicts` that wait no more: the first of them is the next to be forgotten.
    settled: BTreeSet<u64>,
    /// Which tasks have rows of their own.
    tasks: BTreeMap<AppId, BTreeSet<TaskName>>,
}

impl Ledger {
    /// Takes a stored sum in.
    pub(crate) fn restore_count(&mut self, count: Count) {
        self.tasks
            .entry(count.app.clone())
            .or_default()
            .insert(count.task.clone());
        self.counts.insert(
            (count.app.clone(), count.task.clone(), count.verdict),
            count,
        );
    }

    /// Takes a stored verdict in.
    pub(crate) fn restore_verdict(&mut self, entry: VerdictEntry) {
        if settled(entry.verdict) {
            self.settled.insert(entry.firing);
        }
        self.verdicts.insert(entry.firing, entry);
    }

    /// The row of a task: its own, or the shared one where the bound is reached. The same task always has the
    /// same row, because rows are never given up.
    fn row(&mut self, app: &AppId, task: &TaskName) -> (AppId, TaskName) {
        let known = self.tasks.contains_key(app) || self.tasks.len() < bounds::COUNTED_APPS;
        if !known {
            return (
                name(AppId::new(bounds::OTHER)),
                name(TaskName::new(bounds::OTHER)),
            );
        }
        let tasks = self.tasks.entry(app.clone()).or_default();
        if tasks.contains(task) || tasks.len() < bounds::COUNTED_TASKS_PER_APP {
            tasks.insert(task.clone());
            return (app.clone(), task.clone());
        }
        (app.clone(), name(TaskName::new(bounds::OTHER)))
    }

    fn add(&mut self, entry: &VerdictEntry, verdict: Verdict) -> Key {
        let (app, task) = self.row(&entry.app, &entry.task);
        let row = (app.clone(), task.clone(), verdict);
        let count = self.counts.entry(row).or_insert_with(|| Count {
            app,
            task,
            verdict,
            count: 0,
        });
        count.count += 1;
        Key::Count(count.app.clone(), count.task.clone(), verdict)
    }

    fn subtract(&mut self, entry: &VerdictEntry, verdict: Verdict) -> Key {
        let (app, task) = self.row(&entry.app, &entry.task);
        if let Some(count) = self.counts.get_mut(&(app.clone(), task.clone(), verdict)) {
            count.count = count.count.saturating_sub(1);
        }
        Key::Count(app, task, verdict)
    }

    /// Forgets the oldest settled verdict beyond the bound.
    fn trim(&mut self) -> Option<u64> {
        if self.settled.len() <= bounds::VERDICTS {
            return None;
        }
        let firing = self.settled.pop_first()?;
        self.verdicts.remove(&firing);
        Some(firing)
    }
}

/// A name made of a constant.
fn name<T, E: std::fmt::Debug>(parsed: Result<T, E>) -> T {
    parsed.expect("the bounds hold names")
}

const fn settled(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Ran | Verdict::Dropped(_) => true,
        Verdict::Waiting(_) => false,
    }
}

impl Turn<'_> {
    /// A firing of a registration, with its first verdict. Returns its number.
    pub(crate) fn record(
        &mut self,
        id: RegistrationId,
        verdict: Verdict,
        run: Option<RunId>,
    ) -> u64 {
        let Some(registration) = self.device.registrations.get(&id) else {
            return 0;
        };
        let (app, task) = (registration.app.clone(), registration.name.clone());
        self.enter(app, id, task, verdict, run)
    }

    /// A firing that is dropped on arrival.
    pub(crate) fn refuse_firing(&mut self, id: RegistrationId, reason: DropReason) {
        self.record(id, Verdict::Dropped(reason), None);
        self.notify_dropped(id, reason);
    }

    /// A push that reaches no registration.
    pub(crate) fn unrouted(&mut self, app: &AppId, reason: DropReason) {
        let task = name(TaskName::new(bounds::UNROUTED));
        self.enter(
            app.clone(),
            RegistrationId(0),
            task,
            Verdict::Dropped(reason),
            None,
        );
    }

    /// Moves a waiting firing to another verdict. Firing 0 is a further attempt of one that ran: it stays.
    pub(crate) fn settle(&mut self, firing: u64, verdict: Verdict, run: Option<RunId>) {
        let ledger = &mut self.device.ledger;
        let Some(entry) = ledger.verdicts.get_mut(&firing) else {
            return;
        };
        let before = entry.verdict;
        if before == verdict || settled(before) {
            return;
        }
        entry.verdict = verdict;
        entry.decided = self.now.wall;
        entry.run = run;
        let entry = entry.clone();
        if settled(verdict) {
            ledger.settled.insert(firing);
        }
        let touched = [ledger.subtract(&entry, before), ledger.add(&entry, verdict)];
        for key in touched {
            self.touch(key);
        }
        self.touch(Key::Verdict(firing));
        self.trim_verdicts();
    }

    /// A waiting firing will never run.
    pub(crate) fn drop_waiting(&mut self, id: RegistrationId, firing: u64, reason: DropReason) {
        self.settle(firing, Verdict::Dropped(reason), None);
        self.notify_dropped(id, reason);
    }

    fn enter(
        &mut self,
        app: AppId,
        registration: RegistrationId,
        task: TaskName,
        verdict: Verdict,
        run: Option<RunId>,
    ) -> u64 {
        self.device.clock.firings += 1;
        let firing = self.device.clock.firings;
        let wall = self.now.wall;
        let entry = VerdictEntry {
            firing,
            app,
            registration,
            task,
            fired: wall,
            verdict,
            decided: wall,
            run,
        };
        let ledger = &mut self.device.ledger;
        let key = ledger.add(&entry, verdict);
        ledger.restore_verdict(entry);
        self.touch(key);
        self.touch(Key::Verdict(firing));
        self.trim_verdicts();
        firing
    }

    fn trim_verdicts(&mut self) {
        while let Some(forgotten) = self.device.ledger.trim() {
            self.touch(Key::Verdict(forgotten));
        }
    }

    fn notify_dropped(&mut self, id: RegistrationId, reason: DropReason) {
        let Some(registration) = self.device.registrations.get(&id) else {
            return;
        };
        let (app, task) = (registration.app.clone(), registration.name.clone());
        let observed = Task::of(registration);
        self.turn_is_dropped(id);
        self.observe(Observation::Dropped {
            task: observed,
            reason,
        });
        self.effect(Effect::Notify {
            app,
            notice: Notice::Dropped { task, reason },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Wall;

    fn entry(app: &str, task: &str) -> VerdictEntry {
        VerdictEntry {
            firing: 1,
            app: AppId::new(app).unwrap(),
            registration: RegistrationId(1),
            task: TaskName::new(task).unwrap(),
            fired: Wall::default(),
            verdict: Verdict::Ran,
            decided: Wall::default(),
            run: None,
        }
    }

    #[test]
    fn tasks_beyond_the_bound_share_a_row() {
        let mut ledger = Ledger::default();
        for n in 0..bounds::COUNTED_TASKS_PER_APP + 2 {
            ledger.add(&entry("mail", &format!("t{n}")), Verdict::Ran);
        }
        let rows: Vec<_> = ledger
            .counts
            .values()
            .filter(|c| c.task.as_str() == ":other")
            .collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].count, 2);
        assert_eq!(ledger.counts.len(), bounds::COUNTED_TASKS_PER_APP + 1);
    }

    #[test]
    fn apps_beyond_the_bound_share_a_row() {
        let mut ledger = Ledger::default();
        for n in 0..bounds::COUNTED_APPS + 3 {
            ledger.add(&entry(&format!("a{n}"), "t"), Verdict::Ran);
        }
        let rows: Vec<_> = ledger
            .counts
            .values()
            .filter(|c| c.app.as_str() == ":other")
            .collect();
        assert_eq!((rows.len(), rows[0].count), (1, 3));
    }
}
