//! I4: every run has the limits of its kind, is asked in time and killed in time, and no scheduled agent is asked at all.

use std::collections::BTreeMap;

use lull_policy::{
    Bytes, CancelReason, Effect, Launch, Run, RunId, RunState, Running, TriggerKind,
};

use super::{Checker, Found, Turn, View};
use crate::rulebook;

#[derive(Debug, Clone)]
struct Limited {
    kind: TriggerKind,
    cancel_at: Option<Running>,
    kill_at: Option<Running>,
    asked: bool,
    killed: bool,
    /// It began in this turn; a life shorter than the grace is asked at once, in the next one.
    new: bool,
}

#[derive(Debug, Default)]
pub(super) struct Limits {
    runs: BTreeMap<RunId, Limited>,
}

impl Checker for Limits {
    fn rule(&self) -> &'static str {
        "I4 limits"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        self.runs
            .values_mut()
            .for_each(|limited| limited.new = false);
        for effect in turn.effects {
            match effect {
                Effect::Launch(launch) => self.begins(view, launch)?,
                Effect::AskToCancel {
                    run,
                    reason,
                    kill_at,
                } => self.is_asked(view, *run, *reason, *kill_at)?,
                Effect::Kill { run } => {
                    if let Some(limited) = self.runs.get_mut(run) {
                        limited.killed = true;
                    }
                }
                Effect::Limit { run, kill_at, .. } => self.is_limited_anew(view, *run, *kill_at),
                _ => {}
            }
        }
        self.runs.retain(|run, _| view.runs.contains_key(run));
        if view.unconfirmed {
            // A run may have ended while nobody looked: the launcher's word comes first.
            return Ok(());
        }
        self.nobody_is_late(view)
    }

    fn restored(&mut self, view: &View) {
        let limited = |run: &Run| Limited {
            kind: run.kind,
            cancel_at: run.cancel_at,
            kill_at: run.kill_at,
            asked: matches!(run.state, RunState::Cancelling | RunState::Killing),
            killed: run.state == RunState::Killing,
            new: false,
        };
        let runs = view.runs.values();
        self.runs = runs.map(|run| (run.id, limited(run))).collect();
    }
}

impl Limits {
    fn begins(&mut self, view: &View, launch: &Launch) -> Found {
        let kind = launch.trigger.kind();
        let app = view.apps.get(&launch.app);
        let entry_point = launch.entry_point.as_ref();
        let agent = entry_point.and_then(|entry_point| app.and_then(|app| app.agent(entry_point)));
        let session = (launch.app.clone(), launch.task.clone());
        let freed = !view.policy.debugger_keeps_limits && view.debugged.contains(&session);
        let (policy, profile) = (&view.policy, &view.profile);
        let (life, cap) = if freed {
            (None, None)
        } else {
            (
                rulebook::life(kind, policy, profile, app, agent),
                rulebook::cap(kind, launch.host, policy, profile, agent),
            )
        };
        let start = view.now.running;
        let kill_at = life.map(|life| start.after(life));
        let notice = life.map(|life| start.after(life.saturating_sub(policy.cancel_grace)));
        let cancel_at = notice.filter(|_| !kind.is_scheduled());
        let expected: (Option<Running>, Option<Running>, Option<Bytes>) = (cancel_at, kill_at, cap);
        let found = (launch.cancel_at, launch.kill_at, launch.memory);
        if expected != found {
            return Err(format!(
                "run {} of {}/{} ({}) has the limits {found:?}, by the rule book {expected:?}",
                launch.run.0,
                launch.app,
                launch.task,
                kind.word()
            ));
        }
        self.runs.insert(
            launch.run,
            Limited {
                kind,
                cancel_at,
                kill_at,
                asked: false,
                killed: false,
                new: true,
            },
        );
        Ok(())
    }

    fn is_asked(
        &mut self,
        view: &View,
        run: RunId,
        reason: CancelReason,
        kill_at: Option<Running>,
    ) -> Found {
        let Some(limited) = self.runs.get_mut(&run) else {
            return Ok(());
        };
        if limited.kind.is_scheduled() {
            return Err(format!(
                "run {} is a scheduled agent's and is asked (RUN-45)",
                run.0
            ));
        }
        if limited.asked {
            // Asked again, because it may not have heard.
            return Ok(());
        }
        let early = limited.cancel_at.is_none_or(|at| !past(view, at));
        if reason == CancelReason::ExecutionTimeExceeded && early {
            return Err(format!("run {} is asked before its time is over", run.0));
        }
        let grace = view.now.running.after(view.policy.cancel_grace);
        let latest = limited.kill_at.map_or(grace, |limit| limit.min(grace));
        if kill_at != Some(latest) {
            return Err(format!(
                "run {} is asked and killed at {kill_at:?}, by the rule book at {latest:?}",
                run.0
            ));
        }
        limited.asked = true;
        limited.cancel_at = None;
        limited.kill_at = kill_at;
        Ok(())
    }

    fn is_limited_anew(&mut self, view: &View, run: RunId, kill_at: Option<Running>) {
        if let Some(limited) = self.runs.get_mut(&run) {
            limited.kill_at = kill_at;
            // One shorter than the grace is asked at once.
            let grace = view.policy.cancel_grace;
            let notice = kill_at.map(|at| at.before(grace).max(view.now.running));
            limited.cancel_at = notice.filter(|_| !limited.kind.is_scheduled());
        }
    }

    fn nobody_is_late(&self, view: &View) -> Found {
        for (run, limited) in &self.runs {
            if limited.killed || limited.new {
                continue;
            }
            if limited.kill_at.is_some_and(|at| past(view, at)) {
                return Err(format!("run {} is past its kill and lives", run.0));
            }
            if !limited.asked && limited.cancel_at.is_some_and(|at| past(view, at)) {
                return Err(format!("run {} is past its time and was not asked", run.0));
            }
        }
        Ok(())
    }
}

/// Whether an instant had to be acted on by now.
fn past(view: &View, at: Running) -> bool {
    if view.on_time {
        at <= view.now.running
    } else {
        at < view.now.running
    }
}
