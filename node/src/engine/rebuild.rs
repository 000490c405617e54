//! After a commit failed: the machine is made anew from what is durable, what runs, and what is read.

use lull_policy::{Device, Event, RunId};

use super::host::Host;
use crate::store::Contents;

impl Host {
    /// The store is open again and held `contents`. The machine is told what no record says: the boot, the runs that live, what
    /// was installed and what the watchers last said.
    pub(super) fn rebuild(&mut self, contents: Contents) {
        tracing::warn!(
            records = contents.records.len(),
            "the store is open again; the machine is rebuilt from what was durable"
        );
        self.board.count("rebuilds");
        let before = self.device.interests();
        self.recorder.restored(self.clock.now(), &contents.records);
        self.down = false;
        self.scarce = contents.scarce;
        self.device = Device::restore(contents.records);
        let runs: Vec<RunId> = self.memory.live.iter().copied().collect();
        let boot = self.clock.boot();
        self.decide(Event::Booted { boot }, None);
        if let Some(profile) = self.memory.profile.clone() {
            self.decide(Event::ProfileChanged(profile), None);
        }
        if let Some(policy) = self.memory.policy.clone() {
            self.decide(Event::PolicyChanged(policy), None);
        }
        if let Some(apps) = self.memory.apps.clone() {
            self.decide(Event::Apps(apps), None);
        }
        self.decide(Event::RunsHeld { runs }, None);
        let readings = self.memory.readings.clone();
        if !readings.is_empty() {
            self.decide(Event::Readings(readings), None);
        }
        self.tell_credit_again();
        self.performer.registrations_changed();
        // Watchers that only the lost changes wanted.
        let after = self.device.interests();
        for source in before.into_iter().filter(|source| !after.contains(source)) {
            self.performer.at_once(lull_policy::Effect::Unwatch(source));
        }
    }
}
