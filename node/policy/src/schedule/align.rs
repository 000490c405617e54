//! When periodic agents start (PER-01, PER-02, AMB-04): an interval after their last start, drifting by at most so
//! much to meet another wake-up of the device.
//!
//! An agent's window is its due time plus or minus the drift. From the opening of its window it joins any other start;
//! one that meets none starts alone, exactly at its due time.
//!
//! That is all on external power, where a wake-up costs nothing. On battery a wake-up is what the drift is there to save,
//! so there the agent also waits beyond its due time, and lets a start pass, for what is certain: a tick within its window
//! on which a timer will start, or the end of another agent's window, at which both start together. Meeting as late
//! as the windows allow is what an optimal schedule does: whoever starts later has a later window.
//! What the plan counts on can vanish (a timer unregistered, an agent held back); then it is made anew at that moment.

use crate::admission::Obstacle;
use crate::turn::Turn;
use crate::{Device, Elapsed, Now, Registration, RegistrationId, Run, Span, WaitReason};

/// Timers looked at for a certain tick: the next few; more would not be nearer.
const TIMERS_LOOKED_AT: usize = 16;

/// A periodic agent and the window of its next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    id: RegistrationId,
    opens: Elapsed,
    due: Elapsed,
    closes: Elapsed,
}

impl Window {
    fn of(id: RegistrationId, due: Elapsed, drift: Span) -> Self {
        Self {
            id,
            opens: due.before(drift),
            due,
            closes: due.after(drift),
        }
    }

    fn contains(&self, at: Elapsed) -> bool {
        self.opens <= at && at <= self.closes
    }
}

/// The agents that could start, and what is certain to come in their windows.
#[derive(Debug)]
struct Plan {
    free: Vec<Window>,
    /// Ticks ahead on which a timer is certain to start; none where nobody waits for one.
    ticks: Vec<Elapsed>,
    /// When the first of those that are held back comes due, to wait for what holds it back.
    held: Option<Elapsed>,
    /// Whether a wake-up is worth waiting for.
    saving: bool,
    now: Elapsed,
}

impl Plan {
    /// When a free agent starts, as things stand.
    fn start_of(&self, window: Window) -> Elapsed {
        if !self.saving {
            return window.due;
        }
        let within = |tick: &&Elapsed| window.contains(**tick);
        if let Some(tick) = self.ticks.iter().rev().find(within) {
            return *tick;
        }
        // The first window to close gathers everybody whose window is open by then, if that is anybody else. Who has a
        // tick of its own to wait for is not counted on.
        let ticked = |other: &&Window| self.ticks.iter().any(|tick| other.contains(*tick));
        let others = self.free.iter().filter(|other| other.id != window.id);
        let meets = others
            .filter(|other| !ticked(other))
            .filter(|other| other.opens <= window.closes && window.opens <= other.closes)
            .map(|other| other.closes.min(window.closes))
            .filter(|at| *at > self.now)
            .min();
        meets.unwrap_or(window.due)
    }

    /// Whether an agent lets a start pass that it could join: a certain one is still to come in its window.
    fn lets_pass(&self, window: Window) -> bool {
        let mut ahead = self.ticks.iter();
        ahead.any(|tick| *tick > self.now && window.contains(*tick))
    }
}

impl Device {
    /// On battery a wake-up is worth waiting for; on external power it costs nothing.
    fn saves_wake_ups(&self) -> bool {
        self.readings.external_power.is(false)
    }

    /// Agents that could start, each with its window; those held back by anything else come due on time and wait.
    fn periodic_plan(&self, now: Now) -> Plan {
        let drift = self.policy.periodic_drift;
        let (held, free): (Vec<_>, Vec<_>) = self
            .index
            .periodics
            .iter()
            .partition(|(_, id)| self.obstacle(now, *id).is_some());
        let free: Vec<Window> = free
            .into_iter()
            .map(|(due, id)| Window::of(id, due, drift))
            .collect();
        let last = free.iter().map(|window| window.closes).max();
        Plan {
            ticks: last.map_or_else(Vec::new, |last| self.certain_ticks(now, last)),
            held: held.into_iter().map(|(due, _)| due).min(),
            free,
            saving: self.saves_wake_ups(),
            now: now.elapsed,
        }
    }

    fn certain_ticks(&self, now: Now, until: Elapsed) -> Vec<Elapsed> {
        if !self.saves_wake_ups() {
            return Vec::new();
        }
        let ticks = self.ticks();
        let soon = self.index.first_dues().take(TIMERS_LOOKED_AT);
        let mut certain: Vec<Elapsed> = soon
            .filter_map(|(due, id)| {
                let tick = ticks.next(due, now.elapsed);
                let ahead = tick <= until && tick > now.elapsed;
                (ahead && self.starts_at(now, id, tick)).then_some(tick)
            })
            .collect();
        certain.sort_unstable();
        certain.dedup();
        certain
    }

    /// Whether a timer will start on a tick as things stand: nothing holds it back but what is over by then.
    fn starts_at(&self, now: Now, id: RegistrationId, tick: Elapsed) -> bool {
        let Some(timer) = self.registrations.get(&id) else {
            return false;
        };
        let judgement = self.judge(now, id, None);
        let dropped = matches!(judgement.obstacle, Some(Obstacle::Drop(_)));
        let passes =
            |reason: WaitReason| reason == WaitReason::Interval || reason == WaitReason::Slot;
        let over = |run: &Run| {
            let kill = run.kill_at.map(|at| at.since(now.running));
            kill.is_some_and(|left| now.elapsed.after(left) < tick)
        };
        !dropped
            && timer.latch.is_none()
            && judgement.reasons.iter().all(passes)
            && timer.not_before.is_none_or(|at| at <= tick)
            && self.holder(timer).is_none_or(over)
    }

    /// The next start among periodic agents, as things stand; an instant that has passed means at once.
    pub(crate) fn next_periodic(&self, now: Now) -> Option<Elapsed> {
        let (first, _) = self.index.periodics.first()?;
        if !self.saves_wake_ups() {
            return Some(first);
        }
        let plan = self.periodic_plan(now);
        let starts = plan.free.iter().map(|window| plan.start_of(*window));
        starts.chain(plan.held).min()
    }

    /// When one agent is planned to start (for `why` and `when`), whatever its own gates say: it is they who ask.
    pub(crate) fn planned_start(&self, now: Now, registration: &Registration) -> Option<Elapsed> {
        let due = registration.due?;
        let window = Window::of(registration.id, due, self.policy.periodic_drift);
        let mut plan = self.periodic_plan(now);
        plan.free.retain(|other| other.id != registration.id);
        plan.ticks = self.certain_ticks(now, window.closes);
        Some(plan.start_of(window))
    }
}

impl Turn<'_> {
    /// Starts what is planned for now, and lets the others join if anything started in this turn.
    pub(crate) fn align_periodic_agents(&mut self) {
        let drift = self.device.policy.periodic_drift;
        let first = self.device.index.periodics.first();
        if first.is_none_or(|(due, _)| due.before(drift) > self.now.elapsed) {
            return;
        }
        let plan = self.device.periodic_plan(self.now);
        let is_free = |id: RegistrationId| plan.free.iter().any(|window| window.id == id);
        let held: Vec<RegistrationId> = self
            .device
            .index
            .periodics
            .until(self.horizon.elapsed)
            .filter(|(_, id)| !is_free(*id))
            .map(|(_, id)| id)
            .collect();
        for id in held {
            self.periodic_falls_due(id);
        }
        for window in &plan.free {
            if plan.start_of(*window) <= self.horizon.elapsed {
                self.periodic_falls_due(window.id);
            }
        }
        for window in &plan.free {
            if self.woke && window.opens <= plan.now && !plan.lets_pass(*window) {
                self.join(*window);
            }
        }
    }

    /// An agent starts because the device is awake anyway, unless it has just started by itself.
    fn join(&mut self, window: Window) {
        let same = |r: &Registration| r.due == Some(window.due);
        if self.device.registrations.get(&window.id).is_some_and(same) {
            self.periodic_falls_due(window.id);
        }
    }

    fn periodic_falls_due(&mut self, id: RegistrationId) {
        let due = self.device.registrations.get(&id).and_then(|r| r.due);
        if due.is_none() || !self.device.index.periodics.holds(id) {
            return;
        }
        self.fire(id);
        let next = self.now.elapsed.after(self.device.policy.periodic_interval);
        let dropped = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|r| r.due == due && r.latch.is_none());
        if dropped {
            // It is denied as things stand, and comes due again an interval later.
            self.edit(id, |registration| registration.due = Some(next));
        }
    }
}
