//! CPU time counted against a quota: when the runs of an app will together have used what they may.
//!
//! Network quotas are not counted: virtual runs send nothing.

use std::collections::BTreeMap;

use lull_policy::{AppId, Event, Resource, RunId, Running, Span};

use super::World;
use super::run::VirtualRun;

/// What is counted for whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meters {
    /// CPU time of runs that ended, in microseconds.
    ended: BTreeMap<AppId, u64>,
    /// At which sum the machine wants to be told.
    orders: BTreeMap<AppId, u64>,
}

impl Meters {
    /// A run that counts is gone with so much used.
    pub(crate) fn used_by_ended(&mut self, app: &AppId, micros: u64) {
        if micros == 0 {
            return;
        }
        let sum = self.ended.entry(app.clone()).or_default();
        *sum = sum.saturating_add(micros);
    }

    /// Everything is forgotten: the device lost its power.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// What an app has used up to an instant.
    fn used(&self, runs: &BTreeMap<RunId, VirtualRun>, app: &AppId, at: Running) -> u64 {
        let ended = self.ended.get(app).copied().unwrap_or_default();
        let live = counted(runs, app).map(|run| run.cpu_micros(at));
        live.fold(ended, u64::saturating_add)
    }

    /// When an app's order is due, if things go on as they do.
    fn due(
        &self,
        runs: &BTreeMap<RunId, VirtualRun>,
        app: &AppId,
        target: u64,
        now: Running,
    ) -> Option<Running> {
        let reached = |after: u64| self.used(runs, app, now.after(Span::millis(after))) >= target;
        let horizon = counted(runs, app)
            .map(|run| run.cpu_left_for(now))
            .max()
            .unwrap_or_default();
        let mut high = horizon.as_millis();
        if !reached(high) {
            return None;
        }
        // What is used never falls, so that the first millisecond at which it is enough can be halved upon.
        let mut low = 0;
        while low < high {
            let middle = low + (high - low) / 2;
            if reached(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(now.after(Span::millis(low)))
    }
}

fn counted<'r>(
    runs: &'r BTreeMap<RunId, VirtualRun>,
    app: &'r AppId,
) -> impl Iterator<Item = &'r VirtualRun> {
    runs.values()
        .filter(move |run| run.launch.app == *app && run.is_rationed())
}

impl World {
    /// The machine wants to be told, or not any more.
    pub(super) fn order_meter(&mut self, app: AppId, resource: Resource, budget: Option<u64>) {
        match (resource, budget) {
            (Resource::Network, _) => {}
            (Resource::Cpu, None) => {
                self.meters.orders.remove(&app);
            }
            (Resource::Cpu, Some(budget)) => {
                let used = self.meters.used(&self.runs, &app, self.clock.now.running);
                self.meters.orders.insert(app, used.saturating_add(budget));
            }
        }
    }

    /// When the next quota is used up, on the monotonic clock.
    pub(super) fn meter_due(&self) -> Option<Running> {
        let now = self.clock.now.running;
        let orders = self.meters.orders.iter();
        orders
            .filter_map(|(app, target)| self.meters.due(&self.runs, app, *target, now))
            .min()
    }

    /// Tells of every quota that is used up now; whether there was any.
    pub(super) fn spend_meters(&mut self) -> bool {
        let now = self.clock.now.running;
        let orders = self.meters.orders.iter();
        let spent: Vec<AppId> = orders
            .filter(|(app, target)| self.meters.used(&self.runs, app, now) >= **target)
            .map(|(app, _)| app.clone())
            .collect();
        for app in &spent {
            self.meters.orders.remove(app);
            self.hand(Event::QuotaSpent {
                app: app.clone(),
                resource: Resource::Cpu,
            });
        }
        !spent.is_empty()
    }
}
