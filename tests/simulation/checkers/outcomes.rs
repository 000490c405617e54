//! Section 4e: each run ends once and its end is recorded as the rule book says, from what it did and what was done to it.

use std::collections::BTreeMap;

use lull_policy::{
    Effect, Event, Exit, Observation, Outcome, Report, Run, RunId, RunState, Running, Said,
    Termination,
};

use super::{Checker, Found, Turn, View};
use crate::rulebook::{self, Past};

#[derive(Debug, Default)]
pub(super) struct Outcomes {
    runs: BTreeMap<RunId, (Past, Option<Running>)>,
}

impl Checker for Outcomes {
    fn rule(&self) -> &'static str {
        "4e outcomes"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        if let Some(Event::RunReported { run, report }) = &view.event {
            self.says(*run, report);
        }
        for effect in turn.effects {
            match effect {
                Effect::Launch(launch) => {
                    let past = Past {
                        scheduled: launch.trigger.kind().is_scheduled(),
                        ..Past::default()
                    };
                    self.runs.insert(launch.run, (past, launch.kill_at));
                }
                Effect::AskToCancel { run, .. } => {
                    if let Some((past, _)) = self.runs.get_mut(run) {
                        past.asked = true;
                    }
                }
                Effect::Kill { run } => {
                    if let Some((past, kill_at)) = self.runs.get_mut(run) {
                        // An event comes before the deadlines of its own instant.
                        let over = kill_at.is_some_and(|at| {
                            at < view.now.running || view.on_time && at == view.now.running
                        });
                        past.overdue |= over && !past.killed;
                        past.killed = true;
                    }
                }
                Effect::Limit { run, kill_at, .. } => {
                    if let Some((_, at)) = self.runs.get_mut(run) {
                        *at = *kill_at;
                    }
                }
                Effect::Observe(observation) => {
                    if let Observation::Ended { run, outcome, .. } = &**observation {
                        self.ends(view, *run, *outcome)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        let runs = view.runs.values();
        self.runs = runs.map(|run| (run.id, (past(run), run.kill_at))).collect();
    }
}

fn past(run: &Run) -> Past {
    Past {
        scheduled: run.kind.is_scheduled(),
        said: run
            .said
            .as_ref()
            .map(|said| matches!(said, Said::Completed)),
        asked: run.cancel_reason.is_some(),
        killed: run.state == RunState::Killing,
        overdue: run.termination == Some(Termination::Time),
    }
}

impl Outcomes {
    fn says(&mut self, run: RunId, report: &Report) {
        let Some((past, _)) = self.runs.get_mut(&run) else {
            return;
        };
        let said = match report {
            Report::Completed => Some(true),
            Report::Aborted { .. } => Some(false),
            Report::Progress(_)
            | Report::DeferralTaken
            | Report::DeferralCompleted
            | Report::CardUpdated => None,
        };
        past.said = past.said.or(said);
    }

    fn ends(&mut self, view: &View, run: RunId, outcome: Outcome) -> Found {
        let Some((past, _)) = self.runs.remove(&run) else {
            return Err(format!(
                "run {} ends, which did not begin or ended before",
                run.0
            ));
        };
        let exit = match &view.event {
            Some(Event::RunEnded { run: of, exit, .. }) if *of == run => exit.clone(),
            _ => Exit::Lost,
        };
        match rulebook::outcome(past, &exit) {
            Some(expected) if expected != outcome => Err(format!(
                "run {} with {past:?} and {exit:?} is recorded as {outcome:?}, by the rule book {expected:?}",
                run.0
            )),
            None if !matches!(outcome, Outcome::Hung | Outcome::Terminated) => Err(format!(
                "run {} was killed after its grace and is recorded as {outcome:?}",
                run.0
            )),
            _ => Ok(()),
        }
    }
}
