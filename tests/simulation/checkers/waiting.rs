//! What waits has a reason to, and says it: nothing is held back by what no longer is, and nothing waits that may never run.

use lull_policy::{Effect, Event, Reasons, Registration, TriggerKind, WaitReason};

use super::reasons::{self, Runs};
use super::{Checker, Found, Turn, View};

/// What other onlookers look after, or what a clock decides between two turns.
const NOT_LOOKED_AT: [WaitReason; 3] = [
    WaitReason::Interval,
    WaitReason::Settling,
    WaitReason::CpuPressure,
];

#[derive(Debug, Default)]
pub(super) struct Waiting {
    runs: Runs,
}

impl Checker for Waiting {
    fn rule(&self) -> &'static str {
        "CND-03 waiting"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        for effect in turn.effects {
            if let Effect::Observe(observation) = effect {
                self.runs.observe(observation);
            }
        }
        let looked = view.on_time
            || matches!(
                view.event,
                Some(Event::Readings(_) | Event::RunEnded { .. } | Event::Call { .. })
            );
        if !looked || view.closing || view.power_awaited.is_some() {
            return Ok(());
        }
        for registration in view.registrations.values() {
            if registration.latch.is_some() || !registration.arrivals.is_empty() {
                self.has_reasons(view, registration)?;
            } else if !registration.queue.is_empty() {
                self.is_held(view, registration)?;
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        self.runs.restored(view);
    }
}

impl Waiting {
    fn has_reasons(&self, view: &View, registration: &Registration) -> Found {
        let kind = registration.trigger.kind();
        if !reasons::may_run(view, registration) {
            return Err(format!("{} waits without access", name(registration)));
        }
        if registration.latch.as_ref().is_some_and(|latch| latch.test) {
            return Ok(());
        }
        let mut expected = reasons::by_others(view, &self.runs, registration);
        expected.extend(reasons::by_readings(
            view,
            &view.told,
            registration,
            None,
            true,
        ));
        let expected: Reasons = expected.into_iter().collect();
        let told = registration.held_by.iter();
        let told: Reasons = told
            .filter(|reason| !NOT_LOOKED_AT.contains(reason))
            .collect();
        if expected != told {
            return Err(format!(
                "{} says that it waits for {:?}, by the rule book it waits for {:?}",
                name(registration),
                told.iter().collect::<Vec<_>>(),
                expected.iter().collect::<Vec<_>>()
            ));
        }
        if registration.held_by.is_empty() && kind != TriggerKind::ResourceIntensive {
            return Err(format!("{} waits for nothing", name(registration)));
        }
        Ok(())
    }

    fn is_held(&self, view: &View, registration: &Registration) -> Found {
        if !reasons::may_run(view, registration) {
            return Err(format!(
                "pushes wait for {} without access",
                name(registration)
            ));
        }
        if !reasons::by_others(view, &self.runs, registration).is_empty() {
            return Ok(());
        }
        let free = registration.queue.iter().find(|queued| {
            let priority = view.pushes.get(&queued.id).map(|push| push.priority);
            let seen = &view.told;
            reasons::by_readings(view, seen, registration, priority, true).is_empty()
        });
        match free {
            None => Ok(()),
            Some(queued) => Err(format!(
                "{} waits for {} and nothing holds it back",
                queued.id,
                name(registration)
            )),
        }
    }
}

fn name(registration: &Registration) -> String {
    let (app, task, id) = (&registration.app, &registration.name, registration.id.0);
    format!("{app}/{task} (registration {id})")
}
