//! One virtual run: its own time, what it does at which moment of it, and how it ends.
//!
//! A run's own time stands still while it is frozen and while the device sleeps. Limits are not here: the machine sets them
//! on its own clock.

use std::collections::VecDeque;

use lull_policy::{Bytes, Exit, Launch, Report, Running, Span, Usage};

use crate::scenario::{Behaviour, Ends, Interface, OnCancel};

/// Something a run does on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// It tries to schedule itself from the background.
    Schedule,
    /// It reports progress.
    Progress(u32),
    /// It binds a socket.
    Bind(Interface),
    /// It updates its app's card.
    Card,
}

/// What becomes of a run at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    /// What it says before.
    pub(crate) report: Option<Report>,
    /// How its process ends.
    pub(crate) exit: Exit,
}

impl End {
    fn of(ends: Ends) -> Self {
        let (report, status) = match ends {
            Ends::Complete | Ends::ReturnWithWork => (Some(Report::Completed), 0),
            Ends::Abort => {
                let message = "could not do its work".to_owned();
                (Some(Report::Aborted { message }), 75)
            }
            Ends::Crash => (None, 1),
            Ends::ExitWithoutCompleting => (None, 0),
        };
        Self {
            report,
            exit: Exit::Status(status),
        }
    }

    /// It leaves because it was asked to cancel.
    fn left() -> Self {
        Self::of(Ends::ExitWithoutCompleting)
    }
}

/// A run under way.
#[derive(Debug, Clone)]
pub(crate) struct VirtualRun {
    /// As it was ordered.
    pub(crate) launch: Box<Launch>,
    behaviour: Behaviour,
    /// Own time used up to `since`.
    own: Span,
    since: Running,
    frozen: bool,
    plan: VecDeque<(Span, Act)>,
    end: Option<(Span, End)>,
}

impl VirtualRun {
    /// A run that starts now.
    pub(crate) fn new(launch: Box<Launch>, behaviour: Behaviour, now: Running) -> Self {
        let end = behaviour
            .takes
            .map(|takes| (takes, End::of(behaviour.ends)));
        Self {
            plan: plan(&behaviour),
            launch,
            behaviour,
            own: Span::ZERO,
            since: now,
            frozen: false,
            end,
        }
    }

    /// Whether its peak is over the cap and it does not live with that.
    pub(crate) fn runs_out_of_memory(&self) -> bool {
        let over = |cap: Bytes| self.behaviour.memory > cap;
        let handles =
            self.behaviour.handles_out_of_memory && !self.launch.trigger.kind().is_scheduled();
        self.launch.memory.is_some_and(over) && !handles
    }

    /// Whether quotas count it: trigger tasks that are not critical (RES-13, RES-16).
    pub(crate) fn is_rationed(&self) -> bool {
        !self.launch.critical && !self.launch.trigger.kind().is_scheduled()
    }

    /// What it uses of its memory: a failed allocation is not used.
    pub(crate) fn memory(&self) -> Bytes {
        let cap = self.launch.memory.unwrap_or(self.behaviour.memory);
        self.behaviour.memory.min(cap)
    }

    fn own_at(&self, now: Running) -> Span {
        if self.frozen {
            self.own
        } else {
            self.own.saturating_add(now.since(self.since))
        }
    }

    /// When something of it is due next, on the monotonic clock; absent while frozen, and for one that only waits.
    pub(crate) fn due(&self) -> Option<Running> {
        let act = self.plan.front().map(|(at, _)| *at);
        let end = self.end.as_ref().map(|(at, _)| *at);
        let at = [act, end].into_iter().flatten().min()?;
        (!self.frozen).then(|| self.since.after(at.saturating_sub(self.own)))
    }

    /// Its next act that is due: one at the moment of its end comes before the end.
    pub(crate) fn act(&mut self, now: Running) -> Option<Act> {
        let (at, act) = *self.plan.front()?;
        let over = self.end.as_ref().is_some_and(|(end, _)| *end < at);
        let due = !self.frozen && !over && at <= self.own_at(now);
        due.then(|| self.plan.pop_front())?;
        Some(act)
    }

    /// Whether its end is due.
    pub(crate) fn is_over(&self, now: Running) -> bool {
        let end = self.end.as_ref();
        !self.frozen && end.is_some_and(|(at, _)| *at <= self.own_at(now))
    }

    /// How it ends; absent for one that never does.
    pub(crate) fn into_end(self) -> Option<End> {
        self.end.map(|(_, end)| end)
    }

    /// It is asked to cancel.
    pub(crate) fn ask_to_cancel(&mut self, now: Running) {
        match self.behaviour.on_cancel {
            OnCancel::Ignores => {}
            OnCancel::LeavesAfter(span) => {
                let out = self.own_at(now).saturating_add(span);
                if self.end.as_ref().is_none_or(|(at, _)| *at > out) {
                    self.end = Some((out, End::left()));
                }
            }
        }
    }

    /// Its processes are stopped where they are.
    pub(crate) fn freeze(&mut self, now: Running) {
        self.own = self.own_at(now);
        self.since = now;
        self.frozen = true;
    }

    /// They go on.
    pub(crate) fn thaw(&mut self, now: Running) {
        self.own = self.own_at(now);
        self.since = now;
        self.frozen = false;
    }

    /// CPU time used up to an instant, in microseconds: spread evenly over what the run takes.
    pub(crate) fn cpu_micros(&self, now: Running) -> u64 {
        let all = u128::from(self.behaviour.cpu.as_millis()) * 1_000;
        let Some(takes) = self.behaviour.takes else {
            return 0;
        };
        let takes = u128::from(takes.as_millis());
        let own = u128::from(self.own_at(now).as_millis()).min(takes);
        let used = (all * own).checked_div(takes).unwrap_or(all);
        u64::try_from(used).unwrap_or(u64::MAX)
    }

    /// For how long it can go on using CPU time.
    pub(crate) fn cpu_left_for(&self, now: Running) -> Span {
        let takes = self.behaviour.takes.unwrap_or_default();
        if self.frozen {
            Span::ZERO
        } else {
            takes.saturating_sub(self.own_at(now))
        }
    }

    /// What it has used.
    pub(crate) fn usage(&self, now: Running) -> Usage {
        Usage {
            memory_peak: Some(self.memory()),
            cpu_micros: Some(self.cpu_micros(now)),
        }
    }
}

/// What a run does on the way, in time order; at one moment in the order in which the file can say it.
fn plan(behaviour: &Behaviour) -> VecDeque<(Span, Act)> {
    let schedules = behaviour
        .adds_scheduled
        .then_some((Span::ZERO, Act::Schedule));
    let progress = behaviour
        .progress
        .iter()
        .map(|said| (said.after, Act::Progress(said.value)));
    let binds = behaviour
        .binds
        .iter()
        .map(|bind| (bind.after, Act::Bind(bind.interface)));
    let card = behaviour.updates_card.map(|at| (at, Act::Card));
    let mut plan: Vec<_> = schedules
        .into_iter()
        .chain(progress)
        .chain(binds)
        .chain(card)
        .collect();
    plan.sort_by_key(|(at, _)| *at);
    plan.into()
}
