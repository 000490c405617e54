//! Runs: started, reporting, asked to cancel, killed, ended.
//!
//! The moves stand in [`lifecycle`], the outcomes in [`outcome`].

use crate::lifecycle::{self, Move, RunEvent};
use crate::outcome;
use crate::turn::Turn;
use crate::{
    AppId, CancelReason, Effect, Exit, FinishedRun, Hop, Key, Notice, Report, Run, RunId, RunState,
    Said, Usage, bounds,
};

impl Turn<'_> {
    /// The host started a run's processes.
    pub(crate) fn run_started(&mut self, id: RunId) {
        let Some(run) = self.device.runs.get(&id).cloned() else {
            return;
        };
        self.device.unconfirmed.remove(&id);
        match lifecycle::advance(run.state, RunEvent::Started) {
            Move::To(state) => {
                self.edit_run(id, |run| run.state = state);
                self.began(&run);
            }
            Move::Repeat => {
                self.began(&run);
                self.repeat_order(&run);
            }
            Move::Stay => {}
        }
    }

    /// Tells the app and the sender of its push that a run began: once, when the host has confirmed it.
    fn began(&mut self, run: &Run) {
        if let Some(push) = &run.push {
            self.receipt(
                push,
                Hop::Started {
                    run: run.id,
                    attempt: run.attempt,
                },
            );
        }
        let notice = Notice::Started {
            run: run.id,
            task: run.task.clone(),
        };
        self.effect(Effect::Notify {
            app: run.app.clone(),
            notice,
        });
    }

    /// Orders again what a run was asked before: harmless, and needed where the first order was lost.
    pub(crate) fn repeat_order(&mut self, run: &Run) {
        match (run.state, run.cancel_reason) {
            (RunState::Cancelling, Some(reason)) => {
                self.effect(Effect::AskToCancel {
                    run: run.id,
                    reason,
                    kill_at: run.kill_at,
                });
            }
            (RunState::Killing, _) => self.effect(Effect::Kill { run: run.id }),
            (RunState::Starting | RunState::Running | RunState::Cancelling, _) => {}
        }
    }

    /// An agent said something. Deferrals move no deadline (RUN-11) and are the host's to count.
    pub(crate) fn run_reported(&mut self, id: RunId, report: Report) {
        match report {
            Report::Progress(value) => self.progress(id, value),
            Report::DeferralTaken | Report::DeferralCompleted => {}
            Report::Completed => self.said(id, Said::Completed),
            Report::Aborted { message } => {
                let message = outcome::cut(&message, bounds::MESSAGE).to_owned();
                self.said(id, Said::Aborted { message });
            }
        }
    }

    /// RUN-18: the newest value wins.
    fn progress(&mut self, id: RunId, value: u32) {
        let Some(run) = self
            .device
            .runs
            .get(&id)
            .filter(|run| run.progress != Some(value))
        else {
            return;
        };
        let notice = Notice::Progress {
            run: id,
            task: run.task.clone(),
            value,
        };
        let app = run.app.clone();
        self.edit_run(id, |run| run.progress = Some(value));
        self.effect(Effect::Notify { app, notice });
    }

    /// What it said first stands. The run is over only when its processes are.
    fn said(&mut self, id: RunId, said: Said) {
        let unsaid = self
            .device
            .runs
            .get(&id)
            .is_some_and(|run| run.said.is_none());
        if unsaid {
            self.edit_run(id, |run| run.said = Some(said));
        }
    }

    /// RUN-12, RUN-16: asks a run to cancel, once; the first reason stands. It is never killed later than its
    /// own limit.
    pub(crate) fn ask_to_cancel(&mut self, id: RunId, reason: CancelReason) {
        let Some(run) = self.device.runs.get(&id) else {
            return;
        };
        let Move::To(state) = lifecycle::advance(run.state, RunEvent::CancelDue) else {
            return;
        };
        let grace = self.now.running.after(self.device.policy.cancel_grace);
        let kill_at = Some(run.kill_at.map_or(grace, |limit| limit.min(grace)));
        self.edit_run(id, |run| {
            run.state = state;
            run.cancel_reason = Some(reason);
            run.cancel_at = None;
            run.kill_at = kill_at;
        });
        self.effect(Effect::AskToCancel {
            run: id,
            reason,
            kill_at,
        });
    }

    /// Asks every run of an app to cancel.
    pub(crate) fn ask_app_to_cancel(&mut self, app: &AppId, reason: CancelReason) {
        for run in self.device.index.runs_of(app) {
            self.ask_to_cancel(run, reason);
        }
    }

    fn kill(&mut self, id: RunId) {
        let Some(run) = self.device.runs.get(&id) else {
            return;
        };
        let Move::To(state) = lifecycle::advance(run.state, RunEvent::KillDue) else {
            return;
        };
        self.edit_run(id, |run| run.state = state);
        self.effect(Effect::Kill { run: id });
    }

    /// RES-01: cancel requests and kills that fell due. A run whose whole time is over, because nobody could
    /// decide in between, gets both at once.
    pub(crate) fn enforce_limits(&mut self) {
        while let Some((at, id)) = self.device.index.first_limit() {
            if at > self.now.running {
                return;
            }
            self.ask_to_cancel(id, CancelReason::ExecutionTimeExceeded);
            let limit = self.device.runs.get(&id).and_then(|run| run.kill_at);
            if limit.is_some_and(|limit| limit <= self.now.running) {
                self.kill(id);
            }
        }
    }

    /// Every process of a run is gone. One that the records do not know is nobody's.
    pub(crate) fn run_ended(&mut self, id: RunId, exit: Exit, usage: Usage, output: String) {
        let Some(run) = self.device.runs.get(&id).cloned() else {
            return;
        };
        if run.state == RunState::Starting && began(&exit) {
            self.began(&run);
        }
        self.device.unconfirmed.remove(&id);
        self.around_run(run.registration, |device| {
            device.index.remove_run(&run);
            device.runs.remove(&id);
        });
        self.touch(Key::Run(id));
        let finished = self.finish(&run, exit, usage, output);
        let outcome = finished.outcome;
        self.keep(finished);
        self.push_run_ended(&run, outcome);
        self.look_again(run.registration);
        if run.push.is_some() {
            // The app's place for pushes is free, also where this registration is gone.
            self.look_at_pushes(&run.app);
        }
    }

    fn finish(&self, run: &Run, exit: Exit, usage: Usage, output: String) -> FinishedRun {
        let exit = outcome::bounded(exit);
        let outcome = outcome::outcome(run, &exit);
        FinishedRun {
            id: run.id,
            registration: run.registration,
            app: run.app.clone(),
            task: run.task.clone(),
            number: run.number,
            outcome,
            cancel_reason: run.cancel_reason,
            message: outcome::message(run, &exit, outcome),
            exit,
            started: run.started,
            ended: self.now.wall,
            ran: self.now.running.since(run.started_running),
            progress: run.progress,
            usage,
            push: run.push.clone(),
            attempt: run.attempt,
            output: outcome::tail(output, bounds::OUTPUT),
        }
    }

    fn keep(&mut self, finished: FinishedRun) {
        let (app, id) = (finished.app.clone(), finished.id);
        self.device.index.add_finished(&finished);
        self.device.finished.insert(id, finished.clone());
        self.touch(Key::Finished(id));
        while self.device.finished.len() > bounds::FINISHED_RUNS {
            let Some((_, oldest)) = self.device.index.ended.pop_first() else {
                break;
            };
            self.device.finished.remove(&oldest);
            self.touch(Key::Finished(oldest));
        }
        let notice = Notice::Completion(Box::new(finished));
        self.effect(Effect::Notify { app, notice });
    }
}

/// Whether an exit shows that a run had begun.
const fn began(exit: &Exit) -> bool {
    match exit {
        Exit::Status(_) | Exit::Signal(_) | Exit::MemoryExceeded => true,
        Exit::LaunchFailed { .. } | Exit::Lost => false,
    }
}
