//! Every firing has one fate: it begins, or is dropped, or waits and is written down; and the sums say so too.

use std::collections::BTreeMap;

use lull_policy::{Effect, Observation, Registration, RegistrationId};

use super::{Checker, Found, Turn, View};

#[derive(Debug, Default)]
pub(super) struct Verdicts {
    open: BTreeMap<RegistrationId, i64>,
}

/// Firings that wait at a registration.
fn waiting(registration: &Registration) -> i64 {
    let count = usize::from(registration.latch.is_some())
        + registration.queue.len()
        + registration.arrivals.len();
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Checker for Verdicts {
    fn rule(&self) -> &'static str {
        "firings = verdicts"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        for effect in turn.effects {
            match effect {
                Effect::Observe(observation) => match &**observation {
                    Observation::Triggered(task) => *self.open.entry(task.id).or_default() += 1,
                    Observation::Dropped { task, .. } => {
                        *self.open.entry(task.id).or_default() -= 1;
                    }
                    _ => {}
                },
                Effect::Launch(launch) => {
                    *self.open.entry(launch.registration).or_default() -= 1;
                }
                _ => {}
            }
        }
        for (id, open) in &self.open {
            let waits = view.registrations.get(id).map_or(0, waiting);
            if *open != waits {
                return Err(format!(
                    "registration {}: {open} firings have no fate and {waits} wait",
                    id.0
                ));
            }
        }
        self.open.retain(|_, open| *open != 0);
        if view.counted != view.device.firings {
            return Err(format!(
                "{} firings, {} verdicts",
                view.device.firings, view.counted
            ));
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        let standing = view.registrations.values();
        self.open = standing
            .map(|registration| (registration.id, waiting(registration)))
            .filter(|(_, waits)| *waits != 0)
            .collect();
    }
}
