//! Debuggers (RES-22, PER-08, AMB-06): they hold a run's limits, and the schedule of their app's periodic agent.

use crate::admission::{Gate, Obstacle, Words};
use crate::turn::Turn;
use crate::{AppId, Device, Effect, RunId, TaskName, TriggerKind, WaitReason, limit};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Debugger),
    applies: |kind| kind == TriggerKind::Periodic,
    closed: |facts| facts.device.debugs_app(&facts.registration.app),
    words: |facts| Words {
        since: None,
        seen: format!("a debugger is attached to {}", facts.registration.app),
        needs: "the debugger has to leave, or the agent be launched for test".to_owned(),
        until: None,
    },
    sources: &[],
    waived_for_test: true,
};

impl Device {
    /// Whether a debugger is attached to any task of an app (PER-08).
    fn debugs_app(&self, app: &AppId) -> bool {
        self.debugged.iter().any(|(of, _)| of == app)
    }

    /// Whether a debugger holds the limits of a task's runs (RES-22).
    pub(crate) fn frees_of_limits(&self, app: &AppId, task: &TaskName) -> bool {
        !self.policy.debugger_keeps_limits && self.debugged.contains(&(app.clone(), task.clone()))
    }
}

impl Turn<'_> {
    /// A debugger came to a task or left it. Its runs lose their limits, or get them anew, counted from now.
    pub(crate) fn debugger(&mut self, app: &AppId, task: TaskName, attached: bool) {
        let session = (app.clone(), task);
        let changed = if attached {
            self.device.debugged.len() < crate::bounds::DEBUGGED
                && self.device.debugged.insert(session.clone())
        } else {
            self.device.debugged.remove(&session)
        };
        if !changed {
            return;
        }
        let runs = self.device.index.runs_of(app).into_iter();
        let of_task: Vec<RunId> = runs
            .filter(|run| {
                self.device
                    .runs
                    .get(run)
                    .is_some_and(|r| r.task == session.1)
            })
            .collect();
        for run in of_task {
            self.limit_anew(run);
        }
        self.look_at_app(app);
    }

    pub(crate) fn limit_anew(&mut self, id: RunId) {
        let Some(run) = self
            .device
            .runs
            .get(&id)
            .filter(|run| !run.state.is_ending())
        else {
            return;
        };
        let free = self.device.frees_of_limits(&run.app, &run.task);
        if free == run.debugged {
            return;
        }
        let (limits, memory) = if free {
            (limit::time::Limits::NONE, None)
        } else {
            self.limits_of(run)
        };
        self.edit_run(id, |run| {
            run.debugged = free;
            run.cancel_at = limits.cancel_at;
            run.kill_at = limits.kill_at;
            run.memory = memory;
        });
        self.effect(Effect::Limit {
            run: id,
            memory,
            kill_at: limits.kill_at,
        });
        self.watch_idleness(id);
    }
}
