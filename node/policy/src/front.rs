//! Front clients (RUN-17 to RUN-19, MNG-16): where an app's own process stands, and what it has not been told yet.
//!
//! Absent here: leases and connections, which are the host's.

use crate::turn::Turn;
use crate::{
    AppId, Broken, CancelReason, Front, FrontReason, FrontState, Happening, HostKind, Key, News,
    Observation, Run, RunId, Termination, TriggerKind, bounds,
};

impl Turn<'_> {
    /// The app said where it stands.
    pub(crate) fn front_changed(&mut self, app: &AppId, state: FrontState) {
        if !self.device.apps.contains_key(app) {
            self.pass_over(format!("a front client of {app}, which is not installed"));
            return;
        }
        let before = self.device.front(app);
        if before == state {
            return;
        }
        self.set_front(app, state, FrontReason::Step);
        match state {
            FrontState::Foreground => self.tell_unheard(app),
            FrontState::None => self.front_exited(app),
            FrontState::Background | FrontState::Suspended => {}
        }
    }

    /// Notes where an app's front client stands. What it has not heard goes with it.
    pub(crate) fn set_front(&mut self, app: &AppId, state: FrontState, reason: FrontReason) {
        match state {
            FrontState::None => drop(self.device.fronts.remove(app)),
            FrontState::Foreground | FrontState::Background | FrontState::Suspended => {
                let front = self.device.fronts.entry(app.clone());
                let front = front.or_insert_with(|| Front {
                    app: app.clone(),
                    state,
                    unheard: Vec::new(),
                });
                front.state = state;
            }
        }
        self.touch(Key::Front(app.clone()));
        self.observe(Observation::Front {
            app: app.clone(),
            state,
            reason,
        });
    }

    /// RUN-24: closing the app cancels its device-use tasks and its in-process tasks, nothing else.
    fn front_exited(&mut self, app: &AppId) {
        if self.device.broken(Broken::ExitSparesRuns) {
            return;
        }
        let agents_too = self.device.broken(Broken::ExitEndsAgents);
        for run in self.front_runs(app, |run| {
            run.host == HostKind::InProcess
                || run.kind == TriggerKind::DeviceUse
                || agents_too && run.kind.is_scheduled()
        }) {
            self.ask_to_cancel(run, CancelReason::Terminating);
        }
    }

    /// The app's process went down under a run: its other in-process runs go with it.
    pub(crate) fn front_gone(&mut self, app: &AppId, reason: FrontReason) {
        if self.device.front(app) != FrontState::None {
            self.set_front(app, FrontState::None, reason);
        }
        let others = |run: &Run| run.host == HostKind::InProcess && run.state.is_alive();
        for run in self.front_runs(app, others) {
            self.terminate(run, Termination::HostGone);
        }
        let users = |run: &Run| run.kind == TriggerKind::DeviceUse;
        for run in self.front_runs(app, users) {
            self.ask_to_cancel(run, CancelReason::Terminating);
        }
    }

    fn front_runs(&self, app: &AppId, which: impl Fn(&Run) -> bool) -> Vec<RunId> {
        let runs = self.device.index.runs_of(app).into_iter();
        runs.filter(|id| self.device.runs.get(id).is_some_and(&which))
            .collect()
    }

    /// RUN-18, RUN-19: told now in the foreground; kept while suspended; in the background progress is lost and
    /// completion kept.
    pub(crate) fn tell_front(&mut self, app: &AppId, news: News) {
        let progress = matches!(news.what, Happening::Progress(_));
        match self.device.front(app) {
            FrontState::None => {}
            FrontState::Foreground => self.observe(Observation::Told {
                app: app.clone(),
                news,
            }),
            FrontState::Background if progress => {}
            FrontState::Background | FrontState::Suspended => self.keep_news(app, news),
        }
    }

    fn keep_news(&mut self, app: &AppId, news: News) {
        let Some(front) = self.device.fronts.get_mut(app) else {
            return;
        };
        if matches!(news.what, Happening::Progress(_)) {
            // Only the newest progress of a run is worth telling.
            front.unheard.retain(|kept| {
                kept.run != news.run || !matches!(kept.what, Happening::Progress(_))
            });
        }
        front.unheard.push(news);
        while front.unheard.len() > bounds::UNHEARD {
            front.unheard.remove(0);
        }
        self.touch(Key::Front(app.clone()));
    }

    /// On resume: the newest progress of each run, then the completions, oldest first.
    fn tell_unheard(&mut self, app: &AppId) {
        let Some(front) = self.device.fronts.get_mut(app) else {
            return;
        };
        let unheard = std::mem::take(&mut front.unheard);
        if unheard.is_empty() {
            return;
        }
        self.touch(Key::Front(app.clone()));
        let is_progress = |news: &News| matches!(news.what, Happening::Progress(_));
        let (progress, completions): (Vec<News>, Vec<News>) =
            unheard.into_iter().partition(is_progress);
        for news in progress.into_iter().chain(completions) {
            self.observe(Observation::Told {
                app: app.clone(),
                news,
            });
        }
    }
}
