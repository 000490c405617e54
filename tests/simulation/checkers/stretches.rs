//! Resource-intensive agents: each once in a stretch in which everything holds (AMB-28), never before it has settled (AMB-27), and
//! then without delay.

use std::collections::BTreeMap;

use lull_policy::{
    Effect, Elapsed, Event, Observation, Registration, RegistrationId, Scheduling, Task,
    TriggerKind,
};

use super::reasons::{self, Runs};
use super::{Checker, Found, Turn, View};
use crate::rulebook;

#[derive(Debug, Default)]
pub(super) struct Stretches {
    stretch: u64,
    lasts: bool,
    since: Option<Elapsed>,
    ran_in: BTreeMap<RegistrationId, u64>,
    runs: Runs,
}

impl Checker for Stretches {
    fn rule(&self) -> &'static str {
        "AMB-27 and AMB-28 stretches"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        self.looks_at_readings(view);
        for effect in turn.effects {
            let Effect::Observe(observation) = effect else {
                continue;
            };
            match &**observation {
                Observation::Started { task, .. } if is_intensive(task) => {
                    self.starts(view, task.id)?;
                }
                // Its turn came and went: policy denied it, or the operator did.
                Observation::Dropped { task, .. } if is_intensive(task) => {
                    self.ran_in.insert(task.id, self.stretch);
                }
                _ => {}
            }
            self.runs.observe(observation);
        }
        if view.on_time && !view.closing {
            self.nobody_is_forgotten(view)?;
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        self.runs.restored(view);
        self.stretch = view.device.stretch;
        self.lasts = view.device.stretch_lasts;
        self.since = None;
        // What does not wait has run in this stretch, or was denied. Of one that waits as a launch for test, which is nobody's turn,
        // only its record tells.
        let ran = view.registrations.values().filter(|registration| {
            let schedule = registration.schedule.as_ref();
            let recorded = schedule.is_some_and(|s| s.stretch == Some(self.stretch));
            let had_its_turn = match &registration.latch {
                None => true,
                Some(latch) => latch.test && recorded,
            };
            registration.trigger.kind() == TriggerKind::ResourceIntensive && had_its_turn
        });
        let ran = ran.map(|registration| (registration.id, self.stretch));
        self.ran_in = ran.collect();
    }
}

fn is_intensive(task: &Task) -> bool {
    task.trigger == TriggerKind::ResourceIntensive
}

impl Stretches {
    fn looks_at_readings(&mut self, view: &View) {
        let changes = matches!(
            view.event,
            None | Some(Event::Readings(_) | Event::Booted { .. })
        );
        let forgot = view.told.external_power.value().is_none();
        let goes = forgot && self.since.is_some();
        if !changes && !goes {
            return;
        }
        let holds = rulebook::conjunction(&view.told, &view.policy);
        let all = holds.iter().all(|(_, holds)| *holds == Some(true));
        if holds.iter().any(|(_, holds)| *holds == Some(false)) {
            self.lasts = false;
        }
        if !all {
            self.since = None;
            return;
        }
        self.since = self.since.or(Some(view.now.elapsed));
        if !self.lasts {
            self.lasts = true;
            self.stretch += 1;
        }
    }

    fn is_settled(&self, view: &View) -> bool {
        let settle = view.policy.intensive_settle;
        self.since
            .is_some_and(|since| since.after(settle) <= view.now.elapsed)
    }

    fn starts(&mut self, view: &View, id: RegistrationId) -> Found {
        if reasons::is_test(view, id) {
            // It takes no turn of its stretch (AMB-38).
            return Ok(());
        }
        let before = self.ran_in.insert(id, self.stretch);
        if !self.is_settled(view) {
            return Err(format!(
                "agent {} starts before the stretch has settled",
                id.0
            ));
        }
        if before == Some(self.stretch) {
            return Err(format!("agent {} starts twice in one stretch", id.0));
        }
        Ok(())
    }

    fn nobody_is_forgotten(&self, view: &View) -> Found {
        if !self.is_settled(view) || !self.lasts {
            return Ok(());
        }
        let due = |registration: &&Registration| {
            let schedule = registration.schedule.as_ref();
            registration.trigger.kind() == TriggerKind::ResourceIntensive
                && schedule.is_some_and(|s| s.scheduling == Scheduling::Scheduled)
                && self.ran_in.get(&registration.id) != Some(&self.stretch)
                && reasons::may_run(view, registration)
                && reasons::by_others(view, &self.runs, registration).is_empty()
        };
        match view.registrations.values().find(due) {
            None => Ok(()),
            Some(registration) => Err(format!(
                "{}/{} did not run in this stretch, and nothing is in its way",
                registration.app, registration.name
            )),
        }
    }
}
