//! Runs: started, reporting, asked to cancel, killed, ended.
//!
//! The moves stand in [`lifecycle`], the outcomes in [`outcome`].

use crate::lifecycle::{self, Move, RunEvent};
use crate::outcome;
use crate::turn::Turn;
use crate::{
    AppId, Broken, CancelReason, Effect, Exit, FinishedRun, FrontReason, Happening, Hop, HostKind,
    Key, News, Notice, Observation, Outcome, Report, Run, RunId, RunState, Said, ScheduledKind,
    Task, Termination, Usage, bounds,
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
                self.watch_idleness(id);
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
            Report::CardUpdated => self.card_updated(id),
            Report::Completed if self.device.broken(Broken::CompletionIgnored) => {}
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
        let news = News {
            run: id,
            number: run.number,
            task: run.task.clone(),
            what: Happening::Progress(value),
        };
        self.edit_run(id, |run| run.progress = Some(value));
        self.effect(Effect::Notify {
            app: app.clone(),
            notice,
        });
        self.tell_front(&app, news);
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
    /// own limit. Scheduled agents know no such request: they are ended (RUN-45).
    pub(crate) fn ask_to_cancel(&mut self, id: RunId, reason: CancelReason) {
        let Some(run) = self.device.runs.get(&id) else {
            return;
        };
        let timed = reason == CancelReason::ExecutionTimeExceeded;
        if self.device.broken(Broken::NothingCancels)
            && !timed
            && reason != CancelReason::EnergySaver
        {
            return;
        }
        if run.kind.is_scheduled() && !self.device.broken(Broken::ScheduledGetsGrace) {
            let why = match reason {
                CancelReason::ExecutionTimeExceeded => Termination::Time,
                CancelReason::Terminating => Termination::Shutdown,
                CancelReason::Abort
                | CancelReason::LoggingOff
                | CancelReason::ServicingUpdate
                | CancelReason::IdleTask
                | CancelReason::Uninstall
                | CancelReason::ConditionLoss
                | CancelReason::SystemPolicy
                | CancelReason::ResourceRevocation
                | CancelReason::EnergySaver => Termination::Servicing,
            };
            self.terminate(id, why);
            return;
        }
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
        self.observe_run(id, |task| Observation::CancelRequested {
            task,
            run: id,
            reason,
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

    /// Ends a run without asking it (4e): its whole tree, now. What fell due first is why: a host that comes late finds a scheduled
    /// agent's time over before anything that it reads now.
    pub(crate) fn terminate(&mut self, id: RunId, why: Termination) {
        let now = self.device.time_that_counts(self.now);
        let over = self.device.runs.get(&id).is_some_and(|run| {
            run.kind.is_scheduled() && run.kill_at.is_some_and(|limit| limit < now)
        });
        self.kill(id, Some(if over { Termination::Time } else { why }));
    }

    fn kill(&mut self, id: RunId, why: Option<Termination>) {
        let Some(run) = self.device.runs.get(&id) else {
            return;
        };
        let Move::To(state) = lifecycle::advance(run.state, RunEvent::KillDue) else {
            return;
        };
        let (app, host) = (run.app.clone(), run.host);
        self.edit_run(id, |run| {
            run.state = state;
            run.termination = why;
        });
        self.effect(Effect::Kill { run: id });
        let spared = self.device.broken(Broken::CrashSparesApp);
        if host == HostKind::InProcess && why.is_none() && !spared {
            // RUN-05: it did not leave in time, so its whole process goes.
            self.effect(Effect::KillFront { app: app.clone() });
            self.front_gone(&app, FrontReason::Killed);
        }
    }

    /// RES-01: cancel requests and kills that fell due. A run whose whole time is over, because nobody could
    /// decide in between, gets both at once.
    pub(crate) fn enforce_limits(&mut self) {
        if !self.device.unconfirmed.is_empty() {
            // A run may have ended while nobody looked: the launcher's word comes first.
            return;
        }
        let now = self.device.time_that_counts(self.horizon);
        while let Some((at, id)) = self.device.index.first_limit() {
            if at > now {
                return;
            }
            self.ask_to_cancel(id, CancelReason::ExecutionTimeExceeded);
            let limit = self.device.runs.get(&id).and_then(|run| run.kill_at);
            if limit.is_some_and(|limit| limit <= now) {
                let why = self.device.closing.then_some(Termination::Shutdown);
                self.kill(id, why);
            }
        }
    }

    /// RUN-14, AMB-43: the device is short of memory. What matters least goes without notice: a resource-intensive
    /// agent first, then a periodic one, then the newest trigger task that is not critical.
    pub(crate) fn memory_short(&mut self) {
        let rank = |run: &&Run| match run.kind.scheduled() {
            Some(ScheduledKind::ResourceIntensive) => Some(0),
            Some(ScheduledKind::Periodic) => Some(1),
            None => (!run.kind.is_critical()).then_some(2),
        };
        let alive = self.device.runs.values().filter(|run| run.state.is_alive());
        let victim = alive
            .filter_map(|run| Some((rank(&run)?, std::cmp::Reverse(run.id))))
            .min();
        if let Some((_, std::cmp::Reverse(run))) = victim {
            self.terminate(run, Termination::SystemMemory);
        }
    }

    /// The device shuts down: runs get the request and the grace, and nothing begins any more.
    pub(crate) fn shutting_down(&mut self) {
        self.device.closing = true;
        let runs: Vec<RunId> = self.device.runs.keys().copied().collect();
        for run in runs {
            self.ask_to_cancel(run, CancelReason::Terminating);
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
        self.device.idle.remove(&id);
        self.around_run(run.registration, |index| index.remove_run(&run));
        self.device.runs.remove(&id);
        self.touch(Key::Run(id));
        let finished = self.finish(&run, exit, usage, output);
        let outcome = finished.outcome;
        self.observe(Observation::Ended {
            task: Task::of_run(&run),
            run: id,
            outcome,
            cancelled: run.cancel_reason,
            terminated: finished.termination,
            ran: finished.ran,
        });
        self.keep(finished);
        self.after_end(&run, outcome);
    }

    /// What the end of a run sets free or sets off.
    fn after_end(&mut self, run: &Run, outcome: Outcome) {
        if run.host == HostKind::InProcess && outcome == Outcome::UnhandledException {
            // RUN-02: the app goes down with it.
            if !self.device.broken(Broken::CrashSparesApp) {
                self.front_gone(&run.app, FrontReason::Crashed);
            }
        }
        self.push_run_ended(run, outcome);
        if outcome == Outcome::UnhandledException && self.device.broken(Broken::CrashesUnregister) {
            self.remove_registration(run.registration, crate::DropReason::Unregistered);
        }
        if run.kind.is_scheduled() {
            self.scheduled_run_ended(run, outcome);
        }
        self.go_on_with_update(run);
        self.look_again(run.registration);
        if run.push.is_some() {
            // The app's place for pushes is free, also where this registration is gone.
            self.look_at_pushes(&run.app);
        }
        if run.kind.is_scheduled() {
            self.look_at_app(&run.app);
            self.look_at_intensives();
            self.due_in_this_stretch(run);
        }
    }

    fn finish(&self, run: &Run, exit: Exit, usage: Usage, output: String) -> FinishedRun {
        let exit = outcome::bounded(exit);
        let outcome = self
            .device
            .silence(run, &exit)
            .unwrap_or_else(|| outcome::outcome(run, &exit));
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
            termination: outcome::termination(run, outcome),
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
        let news = News {
            run: id,
            number: finished.number,
            task: finished.task.clone(),
            what: Happening::Completion(finished.outcome),
        };
        let notice = Notice::Completion(Box::new(finished));
        self.effect(Effect::Notify {
            app: app.clone(),
            notice,
        });
        self.tell_front(&app, news);
    }
}

/// Whether an exit shows that a run had begun.
const fn began(exit: &Exit) -> bool {
    match exit {
        Exit::Status(_)
        | Exit::Signal(_)
        | Exit::MemoryExceeded
        | Exit::SystemMemory
        | Exit::Vanished => true,
        Exit::LaunchFailed { .. } | Exit::Lost => false,
    }
}
