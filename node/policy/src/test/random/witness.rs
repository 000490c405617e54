//! What somebody who only hears the timeline can say against a device. Independent of its gates and its state.

use std::collections::{BTreeMap, BTreeSet};

use crate::test::*;

/// Follows the timeline of one bench.
#[derive(Debug, Default)]
pub(super) struct Witness {
    heard: usize,
    /// Firings of a registration without verdict.
    open: BTreeMap<RegistrationId, u64>,
    /// Runs under way, with whose they are.
    running: BTreeMap<RunId, Task>,
    started: BTreeSet<RunId>,
    unscheduled: BTreeSet<RegistrationId>,
}

impl Witness {
    /// Hears what was told since the last time.
    pub(super) fn hear(&mut self, bench: &Bench) {
        for (_, observation) in &bench.told[self.heard..] {
            self.note(observation);
        }
        self.heard = bench.told.len();
        self.compare(bench);
    }

    fn note(&mut self, observation: &Observation) {
        match observation {
            Observation::Triggered(task) => *self.open.entry(task.id).or_default() += 1,
            Observation::Dropped { task, .. } => self.decided(task),
            Observation::Started { task, run, .. } => {
                self.decided(task);
                assert!(
                    !self.unscheduled.contains(&task.id),
                    "{task:?} is unscheduled"
                );
                assert!(self.started.insert(*run), "{run:?} started twice");
                self.alone(task);
                self.running.insert(*run, task.clone());
            }
            Observation::Ended { task, run, .. } => {
                let of = self.running.remove(run);
                assert_eq!(
                    of.as_ref(),
                    Some(task),
                    "{run:?} ended once, after its start"
                );
            }
            Observation::Unscheduled { task, .. } => {
                self.unscheduled.insert(task.id);
            }
            Observation::CancelRequested { run, .. } => {
                assert!(self.running.contains_key(run), "{run:?} is not under way");
            }
            _ => {}
        }
    }

    /// Exactly one verdict for each firing.
    fn decided(&mut self, task: &Task) {
        let open = self.open.entry(task.id).or_default();
        assert!(*open > 0, "a verdict without firing: {task:?}");
        *open -= 1;
    }

    /// INT-08, TRGD-38, RUN-41: who has to be alone is.
    fn alone(&self, task: &Task) {
        let single = |kind: TriggerKind| {
            matches!(
                kind,
                TriggerKind::ResourceIntensive | TriggerKind::DeviceServicing
            )
        };
        let scheduled = |kind: TriggerKind| {
            matches!(kind, TriggerKind::ResourceIntensive | TriggerKind::Periodic)
        };
        let clash = self.running.values().find(|other| {
            let same = single(task.trigger) && other.trigger == task.trigger;
            let agent = scheduled(task.trigger) && scheduled(other.trigger);
            same || agent && other.app == task.app
        });
        assert!(clash.is_none(), "{task:?} beside {clash:?}");
    }

    /// What is open waits in the device, and nothing else does.
    fn compare(&self, bench: &Bench) {
        let waiting = |r: &Registration| {
            let queued = r.queue.len() + r.arrivals.len() + usize::from(r.latch.is_some());
            (r.id, u64::try_from(queued).unwrap())
        };
        let held: BTreeMap<_, _> = bench.device.registrations().map(waiting).collect();
        for (id, open) in &self.open {
            let held = held.get(id).copied().unwrap_or_default();
            assert_eq!(
                *open, held,
                "firings of registration {id:?} without verdict"
            );
        }
        let running: Vec<RunId> = bench.device.runs().map(|run| run.id).collect();
        assert!(running.iter().eq(self.running.keys()), "runs under way");
    }
}
