//! The device: the state of one machine, and the reads that need no event.
//!
//! The one way to change it is [`Device::handle`], which opens a [`Turn`]. Absent
//! here: every decision.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::{Index, waits};
use crate::ledger::Ledger;
use crate::lifecycle::Standing;
use crate::limit::idle::Idle;
use crate::readings::History;
use crate::trigger::{Route, timer::Ticks};
use crate::turn::Turn;
use crate::{
    AccessStatus, App, AppId, Choices, Consent, Count, Deadline, DeviceRecord, Effect, Elapsed,
    Event, FinishedRun, Front, FrontState, Grant, Now, Policy, Profile, Push, PushId, Quota,
    Readings, Receipt, ReceiptSeq, Registration, RegistrationId, Run, RunId, Scheduling, SeenPush,
    Source, Subject, TaskName, Update, access, apps, bounds,
};

/// Where a registration stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskState {
    /// Nothing of it is under way.
    Idle,
    /// A firing waits.
    Waiting,
    /// A run is under way.
    Running,
    /// A one-shot that has started (AMB-35).
    Spent,
    /// Its entry point is gone from the manifest (MNG-10).
    Invalid,
    /// It aborted or crashed out (RUN-43, CRS-01).
    Unscheduled,
    /// Its life is over (EXP-08).
    Expired,
}

/// The machine of one device.
///
/// Two parts: what its records say, which survives, and what this process of the daemon has seen (readings, the
/// last instant), which does not: after a restart every reading is unknown until its watcher reports. Compare
/// [`Device::records`] to compare what survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub(crate) clock: DeviceRecord,
    pub(crate) policy: Policy,
    pub(crate) profile: Profile,
    pub(crate) apps: BTreeMap<AppId, App>,
    pub(crate) updates: BTreeMap<AppId, Update>,
    pub(crate) choices: BTreeMap<AppId, Choices>,
    pub(crate) fronts: BTreeMap<AppId, Front>,
    pub(crate) consents: BTreeMap<(AppId, Subject), Consent>,
    pub(crate) quotas: BTreeMap<AppId, Quota>,
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
    /// When the changes of the network count as one event.
    pub(crate) network_settles: Option<Elapsed>,
    /// Pushes offered to an app in the foreground, and until when it may answer.
    pub(crate) offers: BTreeMap<PushId, Elapsed>,
    /// Tasks with a debugger.
    pub(crate) debugged: BTreeSet<(AppId, TaskName)>,
    /// What sampled runs do.
    pub(crate) idle: BTreeMap<RunId, Idle>,
    /// The device shuts down: nothing begins.
    pub(crate) closing: bool,
    #[cfg(feature = "sabotage")]
    pub(crate) sabotage: crate::Sabotage,
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
            profile: Profile::default(),
            apps: BTreeMap::new(),
            updates: BTreeMap::new(),
            choices: BTreeMap::new(),
            fronts: BTreeMap::new(),
            consents: BTreeMap::new(),
            quotas: BTreeMap::new(),
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
            network_settles: None,
            offers: BTreeMap::new(),
            debugged: BTreeSet::new(),
            idle: BTreeMap::new(),
            closing: false,
            #[cfg(feature = "sabotage")]
            sabotage: crate::Sabotage::default(),
            last: Now::default(),
        }
    }

    /// Decides one event. Records come first among the effects, each key at most once.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        Turn::take(self, now, event, effects);
    }

    /// When the host must come back if nothing else happens. An instant that has passed means at once.
    ///
    /// Any event is followed by what fell due before it; only [`Event::DeadlineReached`] brings what falls due at
    /// its very instant, so that events of one instant come before the deadlines on it.
    pub fn deadline(&self) -> Deadline {
        let index = &self.index;
        let tick = index
            .first_due()
            .map(|due| self.ticks().next(due, self.last.elapsed));
        let settles = self.clock.settling_since.filter(|_| self.intensive_waits());
        let elapsed = [
            tick,
            index.first_lift().map(|(at, _)| at),
            index.tests.first().map(|(at, _)| *at),
            index.refills.first().map(|(at, _)| *at),
            self.power_awaited,
            self.network_settles,
            self.offers.values().min().copied(),
            settles
                .map(|since| since.after(self.policy.intensive_settle))
                .filter(|over| *over > self.last.elapsed),
            if self.closing {
                None
            } else {
                self.next_periodic(self.last)
            },
        ];
        let wall = [
            index.expiries.first().map(|(at, _)| *at),
            index.lives.first().map(|(at, _)| *at),
            self.offered().map(|push| push.expires).min(),
        ];
        Deadline {
            running: index
                .first_limit()
                .map(|(at, _)| at)
                .filter(|_| self.unconfirmed.is_empty()),
            elapsed: elapsed.into_iter().flatten().min(),
            wall: wall.into_iter().flatten().min(),
        }
    }

    fn intensive_waits(&self) -> bool {
        let mut agents = self.index.intensives.iter();
        agents.any(|id| {
            self.registrations
                .get(id)
                .is_some_and(|r| r.latch.is_some())
        })
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

    /// What the device is.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The access of an app; `Unspecified` when it never asked or its grant is stale (ACC-11, AMB-07).
    pub fn access(&self, app: &AppId) -> AccessStatus {
        access::status(self, app)
    }

    /// The kind of access that an app asks for and nobody has decided on yet (ACC-10).
    pub fn wish(&self, app: &AppId) -> Option<&crate::AccessWish> {
        self.grants.get(app)?.wish.as_ref()
    }

    /// What the operator chose for an app.
    pub fn choices(&self, app: &AppId) -> Option<&Choices> {
        self.choices.get(app)
    }

    /// Where an app's front client stands.
    /// The apps whose front clients are there, and where each stands.
    pub fn fronts(&self) -> impl Iterator<Item = (&AppId, FrontState)> {
        self.fronts.iter().map(|(app, front)| (app, front.state))
    }

    /// Where an app's front client stands.
    pub fn front(&self, app: &AppId) -> FrontState {
        self.fronts
            .get(app)
            .map_or(FrontState::None, |front| front.state)
    }

    /// Devices that left and have not come back.
    pub fn unplugged(&self) -> impl Iterator<Item = &Subject> {
        self.clock.unplugged.iter()
    }

    /// One registration.
    pub fn registration(&self, id: RegistrationId) -> Option<&Registration> {
        self.registrations.get(&id)
    }

    /// Where a registration stands, in one word.
    pub fn state_of(&self, id: RegistrationId) -> TaskState {
        let Some(registration) = self.registrations.get(&id) else {
            return TaskState::Spent;
        };
        let scheduling = registration.schedule.as_ref().map(|s| s.scheduling);
        let running = self.index.run_of(id).is_some();
        let invalid = self.apps.get(&registration.app).is_none_or(|app| {
            apps::undeclared(
                app,
                registration.entry_point.as_ref(),
                &registration.trigger,
            )
            .is_some()
        });
        match scheduling {
            _ if running => TaskState::Running,
            Some(Scheduling::Expired) => TaskState::Expired,
            Some(Scheduling::Aborted | Scheduling::Crashed) => TaskState::Unscheduled,
            _ if registration.spent => TaskState::Spent,
            _ if invalid => TaskState::Invalid,
            _ if waits(registration) => TaskState::Waiting,
            _ => TaskState::Idle,
        }
    }

    /// All registrations, spent ones included.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.values()
    }

    /// Runs under way.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values()
    }

    /// RUN-30: a run is under way that needs the device awake and its network up. One that is frozen needs neither.
    pub fn stays_awake(&self) -> bool {
        let mut runs = self.runs.values();
        runs.any(|run| run.network_requested && run.suspended.is_none() && run.state.is_alive())
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
        Source::ALL
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
