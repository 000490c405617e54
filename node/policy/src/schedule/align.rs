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

use crate::turn::Turn;
use crate::{Device, Elapsed, Now, Registration, RegistrationId};

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

impl Device {
    /// Agents that could start, each with its window; those held back by anything else come due on time and wait.
    fn windows(&self, now: Now) -> (Vec<Window>, Option<Elapsed>) {
        let drift = self.policy.periodic_drift;
        let mut free = Vec::new();
        let mut held: Option<Elapsed> = None;
        for (due, id) in &self.index.periodics {
            if self.obstacle(now, *id).is_some() {
                held = Some(held.map_or(*due, |earliest| earliest.min(*due)));
                continue;
            }
            free.push(Window {
                id: *id,
                opens: due.before(drift),
                due: *due,
                closes: due.after(drift),
            });
        }
        (free, held)
    }

    /// Whether a wake-up is worth waiting for.
    fn saves_wake_ups(&self) -> bool {
        self.readings.external_power.is(false)
    }

    /// Ticks on which a timer is certain to start; none where nobody waits for one.
    fn certain_ticks(&self, now: Now, until: Elapsed) -> Vec<Elapsed> {
        if !self.saves_wake_ups() {
            return Vec::new();
        }
        let ticks = self.ticks();
        let soon = self.index.first_dues().take(TIMERS_LOOKED_AT);
        let mut certain: Vec<Elapsed> = soon
            .filter(|(_, id)| {
                let timer = self.registrations.get(id);
                timer.is_some_and(|timer| timer.latch.is_none())
                    && self.obstacle(now, *id).is_none()
            })
            .map(|(due, _)| ticks.next(*due, now.elapsed))
            .filter(|tick| *tick <= until && *tick > now.elapsed)
            .collect();
        certain.sort_unstable();
        certain.dedup();
        certain
    }

    /// When a free agent starts, as things stand.
    fn start_of(
        &self,
        window: Window,
        free: &[Window],
        ticks: &[Elapsed],
        now: Elapsed,
    ) -> Elapsed {
        if !self.saves_wake_ups() {
            return window.due;
        }
        let within = |tick: &&Elapsed| **tick >= window.opens && **tick <= window.closes;
        if let Some(tick) = ticks.iter().rev().find(within) {
            return *tick;
        }
        // The first window to close gathers everybody whose window is open by then, if that is anybody else.
        // Who has a tick of its own to wait for is not counted on.
        let ticked = |other: &&Window| {
            let mut own = ticks.iter();
            own.any(|tick| *tick >= other.opens && *tick <= other.closes)
        };
        let others = free.iter().filter(|other| other.id != window.id);
        let meets = others
            .filter(|other| !ticked(other))
            .filter(|other| other.opens <= window.closes && window.opens <= other.closes)
            .map(|other| other.closes.min(window.closes))
            .filter(|at| *at > now)
            .min();
        meets.unwrap_or(window.due)
    }

    /// The next start among periodic agents, as things stand; an instant that has passed means at once.
    pub(crate) fn next_periodic(&self, now: Now) -> Option<Elapsed> {
        if self.index.periodics.is_empty() {
            return None;
        }
        let (free, held) = self.windows(now);
        let last = free.iter().map(|window| window.closes).max();
        let ticks = last.map_or_else(Vec::new, |last| self.certain_ticks(now, last));
        let starts = free
            .iter()
            .map(|window| self.start_of(*window, &free, &ticks, now.elapsed));
        starts.chain(held).min()
    }

    /// When one agent is planned to start (for `why` and `when`).
    pub(crate) fn planned_start(&self, now: Now, registration: &Registration) -> Option<Elapsed> {
        let due = registration.due?;
        let (mut free, _) = self.windows_as_if_due(now, registration);
        let ticks = self.certain_ticks(now, due.after(self.policy.periodic_drift));
        let own = free
            .iter()
            .position(|window| window.id == registration.id)?;
        let window = free.swap_remove(own);
        free.push(window);
        Some(self.start_of(window, &free, &ticks, now.elapsed))
    }

    /// As [`Device::windows`], without asking the gates of the agent itself: it is they who ask.
    fn windows_as_if_due(
        &self,
        now: Now,
        registration: &Registration,
    ) -> (Vec<Window>, Option<Elapsed>) {
        let drift = self.policy.periodic_drift;
        let (mut free, held) = self.windows(now);
        free.retain(|window| window.id != registration.id);
        if let Some(due) = registration.due {
            free.push(Window {
                id: registration.id,
                opens: due.before(drift),
                due,
                closes: due.after(drift),
            });
        }
        (free, held)
    }
}

impl Turn<'_> {
    /// Starts what is planned for now, and lets the others join if anything started in this turn.
    pub(crate) fn align_periodic_agents(&mut self) {
        if self.device.index.periodics.is_empty() {
            return;
        }
        let (free, _) = self.device.windows(self.now);
        let held: Vec<RegistrationId> = self
            .device
            .index
            .periodics
            .iter()
            .filter(|(due, id)| {
                *due <= self.horizon.elapsed && !free.iter().any(|window| window.id == *id)
            })
            .map(|(_, id)| *id)
            .collect();
        for id in held {
            self.periodic_falls_due(id);
        }
        let now = self.now.elapsed;
        let Some(last) = free.iter().map(|window| window.closes).max() else {
            return;
        };
        let ticks = self.device.certain_ticks(self.now, last);
        let planned = free.iter().filter(|window| {
            self.device.start_of(**window, &free, &ticks, now) <= self.horizon.elapsed
        });
        for id in planned.map(|window| window.id).collect::<Vec<_>>() {
            self.periodic_falls_due(id);
        }
        if !self.woke {
            return;
        }
        for window in &free {
            let waits_for_better = ticks
                .iter()
                .any(|tick| *tick > now && *tick >= window.opens && *tick <= window.closes);
            let same = |r: &Registration| r.due == Some(window.due);
            let waits = self.device.registrations.get(&window.id).is_some_and(same);
            if waits && window.opens <= now && !waits_for_better {
                self.periodic_falls_due(window.id);
            }
        }
    }

    fn periodic_falls_due(&mut self, id: RegistrationId) {
        let still = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|r| r.due.is_some());
        if still && self.device.index.periodic_waits_for_due(id) {
            self.fire(id);
        }
    }
}
