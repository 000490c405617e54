//! I3: what runs ends, or is asked to end, in the turn that tells of a loss: a condition that its registration holds to, external
//! power for maintenance, the conjunction of resource-intensive agents, Battery Saver; and in standby it has no network.

use std::collections::BTreeSet;

use lull_policy::{Effect, Event, Run, RunId, RunState, Source, TriggerKind};

use super::{Checker, Found, Turn, View};
use crate::rulebook::{self, Access};

#[derive(Debug, Default)]
pub(super) struct Losses {
    asked: BTreeSet<RunId>,
    killed: BTreeSet<RunId>,
}

impl Checker for Losses {
    fn rule(&self) -> &'static str {
        "I3 losses"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        for effect in turn.effects {
            match effect {
                Effect::AskToCancel { run, .. } => drop(self.asked.insert(*run)),
                Effect::Kill { run } => drop(self.killed.insert(*run)),
                _ => {}
            }
        }
        let Some(Event::Readings(readings)) = &view.event else {
            return Ok(());
        };
        let power = readings.iter().any(|r| r.source() == Source::Power);
        for run in view.runs.values() {
            self.has_lost(view, run, power)?;
        }
        self.asked.retain(|run| view.runs.contains_key(run));
        self.killed.retain(|run| view.runs.contains_key(run));
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        let ending = |run: &&Run| matches!(run.state, RunState::Cancelling | RunState::Killing);
        let killing = |run: &&Run| run.state == RunState::Killing;
        let runs = || view.runs.values();
        self.asked = runs().filter(ending).map(|run| run.id).collect();
        self.killed = runs().filter(killing).map(|run| run.id).collect();
    }
}

impl Losses {
    fn has_lost(&self, view: &View, run: &Run, power: bool) -> Found {
        let (seen, policy) = (&view.told, &view.policy);
        let killed = self.killed.contains(&run.id);
        let asked = killed || self.asked.contains(&run.id);
        let err = |what: &str| {
            let (app, task, id) = (&run.app, &run.task, run.id.0);
            Err(format!("run {id} of {app}/{task} goes on: {what}"))
        };
        if run.kind == TriggerKind::ResourceIntensive {
            let lost = rulebook::conjunction(seen, policy)
                .into_iter()
                .any(|(reason, holds)| holds == Some(false) && !run.waived.contains(&reason));
            return if lost && !killed {
                err("a condition of its start is lost (INT-07)")
            } else {
                Ok(())
            };
        }
        let standing = view.registrations.get(&run.registration);
        let lost = standing
            .filter(|r| r.cancel_on_condition_loss)
            .is_some_and(|r| {
                let mut conditions = r.conditions.iter();
                conditions.any(|condition| rulebook::holds(*condition, seen) == Some(false))
            });
        if lost && !asked {
            return err("a condition is lost and it was to be cancelled (CND-05)");
        }
        if run.kind == TriggerKind::Maintenance
            && seen.external_power.value() == Some(false)
            && !asked
        {
            return err("external power is lost (TRGD-09)");
        }
        let exempt = rulebook::access(view, &run.app) == Access::Always;
        let saver = power && rulebook::saver_acts(seen, policy) && !run.kind.is_scheduled();
        if saver && !exempt && !asked {
            return err("Battery Saver came on (RES-12)");
        }
        let network =
            run.network_requested || run.kind.is_scheduled() || seen.standby.value() != Some(true);
        if run.network != network && !killed {
            return err("its network does not follow standby (RUN-31)");
        }
        Ok(())
    }
}
