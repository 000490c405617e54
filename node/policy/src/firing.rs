//! Firings: from arrival through the gates to a start, a wait (latching, CND-03) or a drop.
//!
//! Absent here: pushes and other payloads, which queue instead of latching ([`trigger::push`](crate::trigger::push),
//! [`trigger::arrivals`](crate::trigger::arrivals)), and how a run is made ([`start`](crate::start)).

use std::collections::BTreeSet;

use crate::admission::{Judgement, Obstacle};
use crate::lifecycle::{self, Reception};
use crate::start::Cause;
use crate::turn::Turn;
use crate::{
    AppId, DropReason, Key, Latch, Observation, Policy, Profile, QuotaProfile, Reasons,
    RegistrationId, TriggerKind, Verdict,
};

impl Turn<'_> {
    /// A timer, a schedule or a system event fires a registration (AMB-12).
    pub(crate) fn fire(&mut self, id: RegistrationId) {
        if self.fires_otherwise(id) {
            return;
        }
        let standing = self.device.standing(id);
        match lifecycle::receive(standing, lifecycle::Arrival::Bare) {
            Reception::Admit => {
                self.observe_task(id, Observation::Triggered);
                self.admit(id);
            }
            Reception::Coalesce => {
                self.observe_task(id, Observation::Triggered);
                self.refuse_firing(id, DropReason::Coalesced);
            }
            Reception::Queue | Reception::CurrentlyRunning | Reception::Ignore => {}
        }
    }

    /// Sends a firing through the gates: it runs, waits latched, or is dropped.
    pub(crate) fn admit(&mut self, id: RegistrationId) {
        let Judgement { obstacle, reasons } = self.judge(id);
        match self.as_decided(obstacle) {
            None => {
                let run = self.start(id, Cause::Bare);
                self.record(id, Verdict::Ran, run);
            }
            Some(Obstacle::Drop(reason)) => self.refuse_firing(id, reason),
            Some(Obstacle::Wait(reason)) => {
                let firing = self.record(id, Verdict::Waiting(reason), None);
                let latch = Latch {
                    since: self.now.wall,
                    firing,
                    test: false,
                };
                self.edit(id, |registration| registration.latch = Some(latch));
                self.tell_waiting(id, reasons, true);
            }
        }
    }

    /// A firing that waits for a launch for test, which is decided next.
    pub(crate) fn latch_for_test(&mut self, id: RegistrationId) {
        self.observe_task(id, Observation::Triggered);
        let firing = self.record(id, Verdict::Waiting(crate::WaitReason::Slot), None);
        let latch = Latch {
            since: self.now.wall,
            firing,
            test: true,
        };
        self.edit(id, |registration| registration.latch = Some(latch));
    }

    /// What the gates say now. Nothing begins while the device shuts down.
    pub(crate) fn judge(&self, id: RegistrationId) -> Judgement {
        let mut judgement = self.device.judge(self.now, id, None);
        if self.device.closing && judgement.obstacle.is_none() {
            judgement.obstacle = Some(Obstacle::Wait(crate::WaitReason::Slot));
        }
        judgement
    }

    /// Tells what a firing waits for, when it begins to wait or that has changed.
    pub(crate) fn tell_waiting(&mut self, id: RegistrationId, reasons: Reasons, begins: bool) {
        let Some(registration) = self.device.registrations.get(&id) else {
            return;
        };
        let changed = registration.held_by != reasons;
        if changed {
            self.edit(id, |registration| registration.held_by = reasons);
        }
        if (changed || begins) && !self.device.closing {
            self.observe_task(id, |task| Observation::Waiting { task, reasons });
        }
    }

    /// Looks again at a latched firing.
    pub(crate) fn look_at(&mut self, id: RegistrationId) {
        let latch = self
            .device
            .registrations
            .get(&id)
            .and_then(|r| r.latch.as_ref());
        let Some(firing) = latch.map(|latch| latch.firing) else {
            return;
        };
        let Judgement { obstacle, reasons } = self.judge(id);
        match obstacle {
            None => {
                let run = self.start(id, Cause::Bare);
                self.settle(firing, Verdict::Ran, run);
            }
            Some(Obstacle::Drop(reason)) => self.drop_latch(id, reason.while_waiting()),
            Some(Obstacle::Wait(reason)) => {
                self.settle(firing, Verdict::Waiting(reason), None);
                self.tell_waiting(id, reasons, false);
            }
        }
    }

    /// Looks again at everything that waits.
    pub(crate) fn look_at_all(&mut self) {
        let all: BTreeSet<RegistrationId> = crate::Source::ALL
            .into_iter()
            .flat_map(|source| self.device.index.waiting_on(source))
            .collect();
        self.look_at_each(&all);
    }

    /// Looks again at what waits of an app.
    pub(crate) fn look_at_app(&mut self, app: &AppId) {
        let ids = self.device.index.of_app(app).into_iter().collect();
        self.look_at_each(&ids);
    }

    /// Looks again at these; resource-intensive agents in the order of their waiting, pushes app by app.
    pub(crate) fn look_at_each(&mut self, ids: &BTreeSet<RegistrationId>) {
        let mut pushes = BTreeSet::new();
        let mut intensive = false;
        for &id in ids {
            let Some(registration) = self.device.registrations.get(&id) else {
                continue;
            };
            let kind = registration.trigger.kind();
            if kind == TriggerKind::ResourceIntensive {
                intensive = true;
                continue;
            }
            match self.device.carries(kind) {
                lifecycle::Arrival::Push => drop(pushes.insert(registration.app.clone())),
                lifecycle::Arrival::Payload => self.look_at_arrivals(id),
                lifecycle::Arrival::Bare | lifecycle::Arrival::Raised => self.look_at(id),
            }
        }
        for app in &pushes {
            self.look_at_pushes(app);
        }
        if intensive {
            self.look_at_intensives();
        }
    }

    /// Drops whatever of a registration waits.
    pub(crate) fn drop_those_waiting(&mut self, id: RegistrationId, reason: DropReason) {
        self.drop_latch(id, reason);
        self.drop_queue(id, reason);
        self.drop_arrivals(id, reason);
    }

    pub(crate) fn drop_latch(&mut self, id: RegistrationId, reason: DropReason) {
        let mut latch = None;
        if self
            .device
            .registrations
            .get(&id)
            .is_some_and(|r| r.latch.is_some())
        {
            self.edit(id, |registration| {
                latch = registration.latch.take();
                registration.held_by = Reasons::default();
            });
        }
        if let Some(latch) = latch {
            self.drop_waiting(id, latch.firing, reason);
        }
    }

    /// The interval of a timer that waited for it is over.
    pub(crate) fn lift_intervals(&mut self) {
        while let Some((at, id)) = self.device.index.first_lift() {
            if at > self.horizon.elapsed {
                return;
            }
            self.edit(id, |registration| registration.not_before = None);
            self.look_again(id);
        }
    }

    /// What the device is. Runs under way keep the limits they started with (RUN-11).
    pub(crate) fn profile_changed(&mut self, profile: Profile) {
        if self.device.profile == profile {
            return;
        }
        self.device.profile = profile;
        self.touch(Key::Profile);
        self.warn_of_periodic_agents();
        self.look_at_all();
    }

    /// A new device policy. Runs under way keep the limits they started with (RUN-11). The fleet's documents come
    /// before the node's own configuration, which is generation 0; an older one is never applied.
    pub(crate) fn policy_changed(&mut self, generation: u64, policy: Policy) {
        let in_force = self.device.clock.policy_generation;
        if generation < in_force || generation == in_force && generation > 0 {
            self.pass_over(format!(
                "policy generation {generation} is not newer than {in_force}, which is in force"
            ));
            return;
        }
        if generation != in_force {
            self.device.clock.policy_generation = generation;
            self.touch(Key::Device);
        }
        if self.device.policy == policy {
            return;
        }
        let rationed = self.device.policy.quota_profile;
        self.device.policy = policy;
        self.touch(Key::Policy);
        let stretch_begins = self.follow_stretch();
        if self.device.policy.quota_profile == QuotaProfile::PerActivation
            && rationed != QuotaProfile::PerActivation
        {
            self.drop_quotas();
        }
        self.watch_idleness_anew();
        self.cancel_denied();
        self.saver_may_have_changed();
        if stretch_begins {
            self.intensive_agents_fall_due();
        }
        self.warn_of_periodic_agents();
        self.look_at_all();
    }
}
