//! The device: the state of one machine and the only way to change it.

use std::collections::BTreeMap;

use crate::{
    AccessStatus, App, AppId, Count, Deadline, Effect, Event, Explanation, FinishedRun, Now,
    Policy, Readings, Receipt, Record, Registration, Run, Source, TaskName,
};

/// The machine of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    policy: Policy,
    readings: Readings,
    apps: BTreeMap<AppId, App>,
    registrations: Vec<Registration>,
    runs: Vec<Run>,
    finished: Vec<FinishedRun>,
    receipts: Vec<Receipt>,
    counts: Vec<Count>,
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

impl Device {
    /// A device with an empty store.
    pub fn new() -> Self {
        Self::restore([])
    }
    /// The device that these records describe.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Self {
        drop(records.into_iter());
        Self {
            policy: Policy::default(),
            readings: Readings::default(),
            apps: BTreeMap::new(),
            registrations: Vec::new(),
            runs: Vec::new(),
            finished: Vec::new(),
            receipts: Vec::new(),
            counts: Vec::new(),
        }
    }
    /// The state as records.
    pub fn records(&self) -> Vec<Record> {
        vec![Record::Policy(self.policy.clone())]
    }
    /// Decides one event.
    pub fn handle(&mut self, now: Now, event: Event, effects: &mut Vec<Effect>) {
        let _ = (now, event, effects);
    }
    /// When the host must come back.
    pub fn deadline(&self) -> Deadline {
        Deadline::default()
    }
    /// The policy in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }
    /// The last level of every reading.
    pub fn readings(&self) -> &Readings {
        &self.readings
    }
    /// Installed apps.
    pub fn apps(&self) -> impl Iterator<Item = &App> {
        self.apps.values()
    }
    /// One app.
    pub fn app(&self, id: &AppId) -> Option<&App> {
        self.apps.get(id)
    }
    /// The access of an app.
    pub fn access(&self, app: &AppId) -> AccessStatus {
        let _ = app;
        AccessStatus::Unspecified
    }
    /// All registrations.
    pub fn registrations(&self) -> impl Iterator<Item = &Registration> {
        self.registrations.iter()
    }
    /// Runs under way.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }
    /// Runs that ended, newest last.
    pub fn finished(&self) -> impl Iterator<Item = &FinishedRun> {
        self.finished.iter()
    }
    /// Receipts that are not acknowledged yet.
    pub fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter()
    }
    /// How many further pushes of an app the device can take now.
    pub fn push_credit(&self, app: &AppId) -> u32 {
        let _ = app;
        self.policy.push_queue
    }
    /// Every sum of the ledger.
    pub fn counts(&self) -> impl Iterator<Item = &Count> {
        self.counts.iter()
    }
    /// Firings so far.
    pub fn firings(&self) -> u64 {
        0
    }
    /// Why each registration of this name does not run.
    pub fn explain(&self, now: Now, app: &AppId, task: &TaskName) -> Vec<Explanation> {
        let _ = (now, app, task);
        Vec::new()
    }
    /// Sources wanted now.
    pub fn interests(&self) -> Vec<Source> {
        Vec::new()
    }
}
