//! The device: the state of one machine, and the reads that need no event.
//!
//! The one way to change it is [`Device::handle`], which opens a [`Turn`]. Absent
//! here: every decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::{Index, waits};
use crate::ledger::Ledger;
use crate::lifecycle::Standing;
use crate::readings::History;
use crate::trigger::{Route, timer::Ticks};
use crate::turn::Turn;
use crate::{
    AccessStatus, App, AppId, Count, Deadline, DeviceRecord, Effect, Elapsed, Event, FinishedRun,
    Grant, Now, Policy, Push, PushId, Readings, Receipt, ReceiptSeq, Registration, RegistrationId,
    Run, RunId, SeenPush, Source, access, bounds,
};

/// The machine of one device.
///
/// Two parts: what its records say, which survives, and what this process of the daemon has seen (readings, the
/// last instant), which does not: after a restart every reading is unknown until its watcher reports. Compare
/// [`Device::records`] to compare what survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub(crate) clock: DeviceRecord,
    pub(crate) policy: Policy,
    pub(crate) apps: BTreeMap<AppId, App>,
    pub(crate) grants: BTreeMap<AppId, Grant>,
    pub(crate) registrations: BTreeMap<RegistrationId, Registration>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) finished: BTreeMap<RunId, FinishedRun>,
    pub(crate) pushes: BTreeMap<PushId, Push>,
    pub(crate) seen: BTreeMap<PushId, SeenPush>,
    pub(crate) receipts: BTreeMap<ReceiptSeq, Receipt>,
    pub(crate) ledger: Ledger,
    pub(crate) index: Index,
    /// What the watchers said, and when. Transient, as all below.
    pub(crate) readings: Readings,
    pub(crate) history: History,
    /// Sources that the host was told to watch.
    pub(crate) watched: BTreeSet<Source>,
    /// Runs of the records that the launcher has not confirmed since the start.
    pub(crate) unconfirmed: BTreeSet<RunId>,
    /// Until then firings wait for the first reading of power.
    pub(crate) power_awaited: Option<Elapsed>,
    /// The instants of the last event.
    pub(crate) last: Now,
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

impl Device {
    /// A device with an empty store.
    pub fn new() -> Self {
        Self {
            clock: DeviceRecord {
                next_registration: 1,
                next_run: 1,
                next_receipt: 1,
                ..DeviceRecord::default()
            },
            policy: Policy::default(),
            apps: BTreeMap::new(),
            grants: BTreeMap::new(),
            registrations: BTreeMap::new(),
            runs: BTreeMap::new(),
            finished: BTreeMap::new(),
            pushes: BTreeMap::new(),
            seen: BTreeMap::new(),
            receipts: BTreeMap::new(),
            ledger: Ledger::default(),
            index: Index::default(),
            readings: Readings::default(),
            history: History::default(),
            watched: BTreeSet::new(),
            unconfirmed: BTreeSet::new(),
            power_awaited: None,
            last: Now::default(),
        }
    }

    /// Decides one event. Records come first among the effects, each key at most once.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        Turn::take(self, now, event, effects);
    }

    /// When the host must come back if nothing else happens. An instant that has passed means at once.
    pub fn deadline(&self) -> Deadline {
        let tick = self
            .index
            .first_due()
            .map(|due| self.ticks().next(due, self.last.elapsed));
        let lift = self.index.first_lift().map(|(at, _)| at);
        Deadline {
            running: self.index.first_limit().map(|(at, _)| at),
            elapsed: [tick, lift, self.power_awaited].into_iter().flatten().min(),
            wall: self.index.expiries.first().map(|(at, _)| *at),
        }
    }

    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The last level of every reading; unknown for sources that are not watched now.
    pub fn readings(&self) -> &Readings {
        &self.readings
    }

    /// Installed apps.
    pub fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.values()
    }

    /// One installed app.
    pub fn app(&self, id: &AppId) -> Option<&App> {
        self.apps.get(id)
    }

    /// The access of an app; `Unspecified` when it never asked or its grant is stale (ACC-11, AMB-07).
    pub fn access(&self, app: &AppId) -> AccessStatus {
        access::status(self.grants.get(app), self.apps.get(app))
    }

    /// All registrations, spent ones included.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.values()
    }

    /// Runs under way.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// Runs that ended, newest last; the newest [`bounds::FINISHED_RUNS`].
    pub fn finished(&self) -> impl Iterator<Item = &FinishedRun> {
        self.index
            .ended
            .iter()
            .filter_map(|(_, run)| self.finished.get(run))
    }

    /// Receipts that are not acknowledged yet, in order.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.values()
    }

    /// How many further pushes of an app the device can take now. What comes beyond is dropped as `QueueFull`.
    pub fn push_credit(&self, app: &AppId) -> u32 {
        let full =
            self.receipts.len() >= bounds::RECEIPTS || self.seen.len() >= bounds::SEEN_PUSHES;
        if full {
            return 0;
        }
        let targets = self.index.routed(&Route::Push(app.clone())).into_iter();
        let longest = targets
            .filter_map(|id| self.registrations.get(&id))
            .map(|registration| registration.queue.len())
            .max()
            .unwrap_or(0);
        self.policy
            .push_queue
            .saturating_sub(u32::try_from(longest).unwrap_or(u32::MAX))
    }

    /// Every sum of the ledger.
    pub fn counts(&self) -> impl Iterator<Item = &Count> {
        self.ledger.counts.values()
    }

    /// Firings so far: the sum of all counts.
    pub fn firings(&self) -> u64 {
        self.clock.firings
    }

    /// Sources wanted now (CND-04), to be watched anew after a restart.
    pub fn interests(&self) -> Vec<Source> {
        [Source::Power, Source::Network, Source::Session]
            .into_iter()
            .filter(|source| self.index.interested(*source))
            .collect()
    }

    /// The tick wheel of this boot.
    pub(crate) fn ticks(&self) -> Ticks {
        Ticks {
            zero: self.clock.tick_zero,
            tick: self.policy.timer_tick,
        }
    }

    /// Where a registration stands in its lifecycle.
    pub(crate) fn standing(&self, id: RegistrationId) -> Standing {
        let Some(registration) = self.registrations.get(&id) else {
            return Standing::Spent;
        };
        let running = self.index.run_of(id).is_some();
        match (registration.spent, running, waits(registration)) {
            (true, _, _) => Standing::Spent,
            (false, false, false) => Standing::Idle,
            (false, false, true) => Standing::Waiting,
            (false, true, false) => Standing::Running,
            (false, true, true) => Standing::RunningAndWaiting,
        }
    }
}
