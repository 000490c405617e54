//! Stretches of eligibility (AMB-27, AMB-28): from when all conditions of resource-intensive agents hold together until
//! one is known to be missing. Each agent runs at most once in one.

use crate::limit::{battery_level, call, external_power, network_type, screen_locked};
use crate::turn::Turn;
use crate::{
    Broken, Device, Key, Policy, Readings, RegistrationId, Run, RunId, Termination, Trigger,
    TriggerKind, WaitReason,
};

/// INT-02 to INT-06, each with what it reads now.
fn conjunction(readings: &Readings, policy: &Policy) -> [(WaitReason, Option<bool>); 5] {
    [
        (WaitReason::ExternalPower, external_power::holds(readings)),
        (
            WaitReason::BatteryLevel,
            battery_level::holds(readings, policy),
        ),
        (
            WaitReason::NetworkType,
            network_type::holds(readings, policy),
        ),
        (
            WaitReason::ScreenLocked,
            screen_locked::holds(readings, policy),
        ),
        (WaitReason::Call, call::holds(readings, policy)),
    ]
}

impl Device {
    /// The conditions that are not known to hold now.
    pub(crate) fn intensive_lacks(&self) -> Vec<WaitReason> {
        conjunction(&self.readings, &self.policy)
            .into_iter()
            .filter(|(_, holds)| *holds != Some(true))
            .map(|(reason, _)| reason)
            .collect()
    }

    fn intensive_loss(&self, run: &Run) -> Option<WaitReason> {
        conjunction(&self.readings, &self.policy)
            .into_iter()
            .find(|(reason, holds)| *holds == Some(false) && !run.waived.contains(reason))
            .map(|(reason, _)| reason)
    }
}

impl Turn<'_> {
    /// Readings or policy changed: the stretch begins, lasts, settles or ends, before anything is started by them. What
    /// ran under it is ended first. Answers whether one begins.
    pub(crate) fn follow_stretch(&mut self) -> bool {
        self.end_intensive_runs();
        let device = &*self.device;
        let holds = conjunction(&device.readings, &device.policy);
        let all = holds.iter().all(|(_, holds)| *holds == Some(true));
        let lost = holds.iter().any(|(_, holds)| *holds == Some(false));
        let before = device.clock.clone();
        let clock = &mut self.device.clock;
        if !all {
            clock.settling_since = None;
            clock.stretch_lasts &= !lost;
        } else if clock.settling_since.is_none() {
            clock.settling_since = Some(self.now.elapsed);
        }
        let begins = all && !clock.stretch_lasts;
        if begins {
            clock.stretch += 1;
            clock.stretch_lasts = true;
        }
        if self.device.clock != before {
            self.touch(Key::Device);
        }
        begins
    }

    /// AMB-28: each new stretch makes every agent due that is idle. The reading right after a boot is no edge, unless
    /// the stretch had ended before.
    pub(crate) fn intensive_agents_fall_due(&mut self) {
        let due: Vec<RegistrationId> = self.device.index.intensives.iter().copied().collect();
        for id in due {
            let idle = self
                .device
                .registrations
                .get(&id)
                .is_some_and(|r| r.is_scheduled_now() && r.latch.is_none());
            if idle && self.device.index.run_of(id).is_none() {
                self.fire(id);
            }
        }
    }

    /// AMB-28: a stretch that began while a run of an older one was still ending makes its agent due when it has ended.
    pub(crate) fn due_in_this_stretch(&mut self, run: &Run) {
        let device = &*self.device;
        let standing = device.registrations.get(&run.registration);
        let Some(schedule) = standing.and_then(|r| r.schedule.as_ref()) else {
            return;
        };
        let ran = schedule.stretch == Some(device.clock.stretch)
            && !device.broken(Broken::StretchNotCounted);
        let idle = standing.is_some_and(|r| r.is_scheduled_now() && r.latch.is_none())
            && device.index.run_of(run.registration).is_none();
        if run.kind == TriggerKind::ResourceIntensive && device.clock.stretch_lasts && idle && !ran
        {
            self.fire(run.registration);
        }
    }

    /// AMB-28: an agent whose firing was dropped has had its turn in the stretch that lasts; a launch for test does not bring it
    /// back.
    pub(crate) fn turn_is_dropped(&mut self, id: RegistrationId) {
        let device = &*self.device;
        let registration = device.registrations.get(&id);
        if registration.is_some_and(|r| r.trigger == Trigger::ResourceIntensive) {
            let stretch = device.clock.stretch;
            self.edit(id, |registration| {
                if let Some(schedule) = &mut registration.schedule {
                    schedule.stretch = Some(stretch);
                }
            });
        }
    }

    /// INT-07, AMB-26: a condition known to be lost ends the run at once, without asking.
    fn end_intensive_runs(&mut self) {
        let device = &*self.device;
        if device.broken(Broken::LossIgnored) {
            return;
        }
        let lost: Vec<(RunId, WaitReason)> = device
            .index
            .intensive_runs
            .iter()
            .filter_map(|id| device.runs.get(id))
            .filter_map(|run| Some((run.id, device.intensive_loss(run)?)))
            .collect();
        let grace = device.broken(Broken::ScheduledGetsGrace);
        for (run, reason) in lost {
            if grace {
                self.ask_to_cancel(run, crate::CancelReason::ConditionLoss);
                continue;
            }
            self.terminate(run, Termination::Gate(reason));
        }
    }

    /// The settle time is over: who waits longest goes first (INT-08, AMB-28).
    pub(crate) fn stretch_settles(&mut self) {
        let over = self.device.clock.settling_since.is_some_and(|since| {
            since.after(self.device.policy.intensive_settle) <= self.horizon.elapsed
        });
        if over {
            self.look_at_intensives();
        }
    }

    /// Looks again at the resource-intensive agents that wait, the one that waits longest first.
    pub(crate) fn look_at_intensives(&mut self) {
        let index = &self.device.index.intensives;
        let mut waiting: Vec<(u64, RegistrationId)> = index
            .iter()
            .filter_map(|id| self.device.registrations.get(id))
            .filter_map(|r| Some((r.latch.as_ref()?.firing, r.id)))
            .collect();
        waiting.sort_unstable();
        for (_, id) in waiting {
            self.look_at(id);
        }
    }
}
