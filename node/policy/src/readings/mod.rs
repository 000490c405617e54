//! Readings: keeping the last level of each, and deriving edges from levels.
//!
//! Absent here: what a level means to a registration; that is its conditions' and the limits' business.

mod history;
mod quantity;
mod standby;

pub(crate) use history::History;
pub(crate) use quantity::{Quantity, percent};
pub use standby::standby;

use std::collections::BTreeSet;

use crate::admission::Obstacle;
use crate::turn::Turn;
use crate::{
    Broken, CancelReason, DropReason, Reading, Run, RunId, ScheduledKind, Source, SystemEvent,
    Termination, TriggerKind, WaitReason,
};
use crate::{condition, limit};

impl Turn<'_> {
    /// Levels that changed together: all are taken in before anything is decided. Runs that lose something are
    /// ended or asked to cancel first, then edges fire (so that they join what waits), then what waits is looked at.
    pub(crate) fn readings(&mut self, reported: &[Reading]) {
        let held = self.held_by_power();
        let was_on_battery = self.device.readings.external_power.is(false);
        let sources = self.take_in(reported);
        let stretch_begins = self.follow_stretch();
        let device = &mut *self.device;
        let edges = device.history.edges(&device.readings);
        if sources.contains(&Source::Power) {
            device.power_awaited = None;
            self.saver_may_have_changed();
            self.quotas_may_have_changed(was_on_battery);
        }
        if sources.contains(&Source::Screen) {
            self.standby_may_have_changed();
        }
        self.cancel_on_condition_loss(&sources);
        self.cancel_maintenance();
        if edges.network {
            let settled = self.now.elapsed.after(self.device.policy.network_debounce);
            self.device.network_settles = Some(settled);
        }
        let baseline = self.device.broken(Broken::BaselineFires) && !sources.is_empty();
        if baseline {
            self.system_event(SystemEvent::InternetAvailable, None);
            self.system_event(SystemEvent::UserPresent, None);
        }
        for event in edges.events {
            self.system_event(event, None);
        }
        if stretch_begins {
            self.intensive_agents_fall_due();
        }
        self.look_at_those(&sources, held);
        if self.device.broken(Broken::ConditionStarts) {
            self.start_by_condition();
        }
    }

    /// Puts the levels in their places; says whose levels changed.
    fn take_in(&mut self, reported: &[Reading]) -> BTreeSet<Source> {
        let device = &mut *self.device;
        let mut sources = BTreeSet::new();
        for &reading in reported {
            let quantity = Quantity::of(reading);
            let before = device.readings;
            if device.broken(Broken::AssumedCountsForNothing) && crate::broken::assumed(reading) {
                continue;
            }
            device.readings.put(reading);
            if device.readings != before || device.history.is_first(quantity) {
                device.history.note(quantity, self.now.wall);
                sources.insert(quantity.source());
            }
        }
        sources
    }

    /// A charge that creeps concerns nobody until something turns by it.
    fn held_by_power(&self) -> [bool; 6] {
        let device = &*self.device;
        let (readings, policy) = (&device.readings, &device.policy);
        [
            device.power_awaited.is_some(),
            limit::battery_saver::acts(readings, policy),
            limit::battery_saver::acts_on_periodic(readings, policy),
            readings.external_power.is(true),
            readings.external_power.is(false),
            limit::battery_level::holds(readings, policy) == Some(true),
        ]
    }

    fn look_at_those(&mut self, sources: &BTreeSet<Source>, held: [bool; 6]) {
        let mut sources = sources.clone();
        if self.held_by_power() == held {
            sources.remove(&Source::Power);
        }
        let mut seen = BTreeSet::new();
        for source in sources {
            seen.extend(self.device.index.waiting_on(source));
        }
        self.look_at_each(&seen);
    }

    /// The network's changes have settled: one event for all of them (TRG-02).
    pub(crate) fn network_settles(&mut self) {
        let settled = self.device.network_settles;
        if settled.is_some_and(|at| at <= self.horizon.elapsed) {
            self.device.network_settles = None;
            self.system_event(SystemEvent::NetworkStateChange, None);
        }
    }

    /// RES-12: trigger tasks under way are asked to cancel while Battery Saver acts, unless exempt. Periodic runs
    /// may finish, unless policy says otherwise (AMB-05).
    pub(crate) fn saver_may_have_changed(&mut self) {
        let device = &mut *self.device;
        let (readings, policy) = (&device.readings, &device.policy);
        let acts = limit::battery_saver::acts(readings, policy);
        let on_periodic = limit::battery_saver::acts_on_periodic(readings, policy);
        if acts {
            device.history.saver_since.get_or_insert(self.now.wall);
        } else {
            device.history.saver_since = None;
        }
        let device = &*self.device;
        let ends = |run: &&Run| match run.kind.scheduled() {
            Some(ScheduledKind::Periodic) => on_periodic && device.policy.periodic_ends_on_saver,
            Some(ScheduledKind::ResourceIntensive) => false,
            None => {
                acts && !device.broken(Broken::SaverNeverCancels)
                    && !limit::battery_saver::exempt(device.access(&run.app))
            }
        };
        let held: Vec<(RunId, bool)> = device
            .runs
            .values()
            .filter(ends)
            .map(|run| (run.id, run.kind.is_scheduled()))
            .collect();
        for (run, scheduled) in held {
            if scheduled {
                self.terminate(run, Termination::Gate(WaitReason::BatterySaver));
            } else {
                self.ask_to_cancel(run, CancelReason::EnergySaver);
            }
        }
    }

    /// CND-05, for runs whose registration still stands and asked for it.
    fn cancel_on_condition_loss(&mut self, sources: &BTreeSet<Source>) {
        let device = &*self.device;
        if device.broken(Broken::LossIgnored) {
            return;
        }
        let lost: BTreeSet<RunId> = sources
            .iter()
            .flat_map(|source| device.index.runs_watching(*source))
            .filter(|run| {
                let registration = device
                    .runs
                    .get(run)
                    .and_then(|run| device.registrations.get(&run.registration));
                registration.is_some_and(|registration| {
                    registration
                        .conditions
                        .iter()
                        .any(|c| condition::lost(*c, &device.readings))
                })
            })
            .collect();
        for run in lost {
            self.ask_to_cancel(run, CancelReason::ConditionLoss);
        }
    }

    /// TRGD-09: maintenance runs on external power only.
    fn cancel_maintenance(&mut self) {
        let device = &*self.device;
        let lost = limit::external_power::holds(&device.readings) == Some(false);
        if !lost || device.broken(Broken::LossIgnored) {
            return;
        }
        let runs = device.runs.values();
        let runs: Vec<RunId> = runs
            .filter(|run| run.kind == TriggerKind::Maintenance)
            .map(|run| run.id)
            .collect();
        for run in runs {
            self.ask_to_cancel(run, CancelReason::Abort);
        }
    }

    /// What a firing meets that a test wants dropped where it should wait (CND-03).
    pub(crate) fn as_decided(&self, obstacle: Option<Obstacle>) -> Option<Obstacle> {
        match obstacle {
            Some(Obstacle::Wait(_)) if self.device.broken(Broken::UnmetIsDropped) => {
                Some(Obstacle::Drop(DropReason::Policy))
            }
            other => other,
        }
    }
}
