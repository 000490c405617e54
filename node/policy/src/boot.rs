//! Starts of the daemon: within a boot, and after one.
//!
//! Within a boot nothing was lost but readings; runs wait for the launcher to say which it still holds. After a
//! boot every run is lost, and what counts on the boot clock is moved to the new one by the wall time that
//! passed since the last record (architecture, 2).

use crate::turn::Turn;
use crate::{
    BootId, Broken, DropReason, Effect, Elapsed, Exit, Key, RegistrationId, RunId, Span, Trigger,
    Usage, bounds,
};

impl Turn<'_> {
    /// The daemon is up. Watchers are ordered anew with the turn's end, and every reading is unknown till then.
    pub(crate) fn booted(&mut self, boot: BootId) {
        if self.device.broken(Broken::BootForgets) {
            self.forget_registrations(None);
        }
        let device = &mut *self.device;
        device.watched.clear();
        device.readings = crate::Readings::default();
        device.history = crate::readings::History::default();
        device.network_settles = None;
        let until = self.now.elapsed.after(device.policy.push_offer_time);
        device.offers = device
            .index
            .unheld(&device.pushes)
            .map(|push| (push, until))
            .collect();
        device.debugged.clear();
        device.idle.clear();
        device.closing = false;
        device.power_awaited = device
            .index
            .interested(crate::Source::Power)
            .then(|| self.now.elapsed.after(bounds::POWER_AWAITED));
        device.unconfirmed = device.runs.keys().copied().collect();
        if device.clock.boot.as_ref() == Some(&boot) {
            return;
        }
        let (then, down) = (device.clock.elapsed, self.now.wall.since(device.clock.wall));
        device.clock.boot = Some(boot);
        device.clock.tick_zero = self.now.elapsed;
        device.clock.settling_since = None;
        self.touch(Key::Device);
        self.move_clocks(then, down);
        self.forget_fronts();
        self.drop_latches_of_the_old_boot();
        let runs: Vec<RunId> = self.device.runs.keys().copied().collect();
        for run in runs {
            // The old boot's monotonic clock says nothing any more: how long it ran is not known. The launcher of the new
            // boot holds none of them, so its word loses them.
            let now = self.now.running;
            self.edit_run(run, |run| run.started_running = now);
        }
    }

    /// Moves due times to the new boot clock. What fell due meanwhile is due now and starts at the first tick,
    /// once; a recurring timer goes on from there (AMB-44).
    fn move_clocks(&mut self, then: Elapsed, down: Span) {
        let now = self.now.elapsed;
        let moved = |at: Elapsed| now.after(at.since(then).saturating_sub(down));
        let timed: Vec<RegistrationId> = self
            .device
            .registrations
            .values()
            .filter(|r| r.due.is_some() || r.not_before.is_some() || r.schedule.is_some())
            .map(|r| r.id)
            .collect();
        for id in timed {
            self.edit(id, |registration| {
                registration.due = registration.due.map(moved);
                registration.not_before = registration.not_before.map(moved);
                if let Some(schedule) = &mut registration.schedule {
                    schedule.test = schedule.test.map(moved);
                }
            });
        }
        let quotas: Vec<_> = self.device.quotas.keys().cloned().collect();
        for app in quotas {
            if let Some(quota) = self.device.quotas.get(&app).cloned() {
                let refill = moved(quota.refill);
                self.set_quota(&app, Some(crate::Quota { refill, ..quota }));
            }
        }
    }

    /// A boot ends every front client, and what it had not heard.
    fn forget_fronts(&mut self) {
        for app in std::mem::take(&mut self.device.fronts).into_keys() {
            self.touch(Key::Front(app));
        }
    }

    /// AMB-36: what waited because somebody came or left is about a session that is over.
    fn drop_latches_of_the_old_boot(&mut self) {
        if self.device.broken(Broken::RebootKeepsAll) {
            return;
        }
        let about_somebody = |trigger: &Trigger| {
            let system = if let Trigger::System { event, .. } = trigger {
                Some(*event)
            } else {
                None
            };
            system.is_some_and(crate::trigger::system::about_somebody)
        };
        let gone: Vec<RegistrationId> = self
            .device
            .registrations
            .values()
            .filter(|r| r.latch.is_some() && about_somebody(&r.trigger))
            .map(|r| r.id)
            .collect();
        for id in gone {
            self.drop_latch(id, DropReason::Reboot);
        }
    }

    /// What the launcher still holds. A run of the records that it does not hold is lost, one that it holds and
    /// the records do not know is killed, and what a run was asked before is asked again.
    pub(crate) fn runs_held(&mut self, held: &[RunId]) {
        let unconfirmed = std::mem::take(&mut self.device.unconfirmed);
        let launched = |id: &RunId| {
            let starting = self
                .device
                .runs
                .get(id)
                .is_some_and(|run| run.state.is_starting());
            unconfirmed.contains(id) || !starting
        };
        let lost: Vec<_> = self
            .device
            .runs
            .keys()
            .copied()
            .filter(|id| !held.contains(id) && launched(id))
            .collect();
        for &id in held {
            match self.device.runs.get(&id).cloned() {
                None => {
                    // A store that began anew must not give its number again while its cage still stands.
                    let after = id.0.saturating_add(1);
                    self.device.clock.next_run = self.device.clock.next_run.max(after);
                    self.touch(Key::Device);
                    self.effect(Effect::Kill { run: id });
                }
                Some(run) if run.state.is_starting() => self.run_started(id),
                Some(run) => self.repeat_order(&run),
            }
        }
        for id in lost {
            self.lose(id);
        }
        self.limit_what_was_debugged();
        self.freeze_what_was_frozen();
        self.watch_idleness_anew();
    }

    /// A debugger that nobody speaks of any more holds no limits (AMB-06); one that is still there says so again.
    fn limit_what_was_debugged(&mut self) {
        let runs = self.device.runs.values();
        let debugged: Vec<RunId> = runs.filter(|run| run.debugged).map(|run| run.id).collect();
        for run in debugged {
            self.limit_anew(run);
        }
    }

    /// Frozen runs stand still still, and counting begins anew: the host may have forgotten both.
    fn freeze_what_was_frozen(&mut self) {
        let runs = self.device.runs.values();
        let frozen: Vec<RunId> = runs
            .filter(|run| run.suspended.is_some())
            .map(|run| run.id)
            .collect();
        for run in frozen {
            self.effect(Effect::Freeze { run });
        }
        self.meter_again();
    }

    fn lose(&mut self, run: RunId) {
        self.run_ended(run, Exit::Lost, Usage::default(), String::new());
    }

    /// No reading of power came in time after the start: it counts as unknown, which holds nothing back.
    pub(crate) fn stop_awaiting_power(&mut self) {
        if self
            .device
            .power_awaited
            .is_some_and(|until| until <= self.horizon.elapsed)
        {
            self.device.power_awaited = None;
            self.look_at_all();
        }
    }
}
