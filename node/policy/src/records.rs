//! The state as records, and back.

use crate::index::Index;
use crate::{Device, Key, Record};

impl Device {
    /// The device that these records describe, in any order. Counters that a record is missing for start anew.
    pub fn restore(records: impl IntoIterator<Item = Record>) -> Self {
        let mut device = Self::new();
        for record in records {
            device.take_in(record);
        }
        device.index = Index::build(&device);
        device
    }

    fn take_in(&mut self, record: Record) {
        match record {
            Record::Device(clock) => self.clock = clock,
            Record::Policy(policy) => self.policy = policy,
            Record::Profile(profile) => self.profile = profile,
            Record::Update(update) => drop(self.updates.insert(update.app.clone(), update)),
            Record::Choices(choices) => drop(self.choices.insert(choices.app.clone(), choices)),
            Record::Front(front) => drop(self.fronts.insert(front.app.clone(), front)),
            Record::Consent(consent) => {
                let key = (consent.app.clone(), consent.device.clone());
                self.consents.insert(key, consent);
            }
            Record::Quota(quota) => drop(self.quotas.insert(quota.app.clone(), quota)),
            Record::App(app) => drop(self.apps.insert(app.id.clone(), app)),
            Record::Grant(grant) => drop(self.grants.insert(grant.app.clone(), grant)),
            Record::Registration(r) => drop(self.registrations.insert(r.id, r)),
            Record::Run(run) => drop(self.runs.insert(run.id, run)),
            Record::Finished(run) => drop(self.finished.insert(run.id, run)),
            Record::Push(push) => drop(self.pushes.insert(push.id.clone(), push)),
            Record::SeenPush(seen) => drop(self.seen.insert(seen.id.clone(), seen)),
            Record::Receipt(receipt) => drop(self.receipts.insert(receipt.seq, receipt)),
            Record::Count(count) => self.ledger.restore_count(count),
            Record::Verdict(entry) => self.ledger.restore_verdict(entry),
        }
    }

    /// What survives, as records. The device's own, the policy's and the profile's are always among them.
    pub fn records(&self) -> Vec<Record> {
        let mut records = vec![
            Record::Device(self.clock.clone()),
            Record::Policy(self.policy.clone()),
            Record::Profile(self.profile.clone()),
        ];
        records.extend(self.updates.values().cloned().map(Record::Update));
        records.extend(self.choices.values().cloned().map(Record::Choices));
        records.extend(self.fronts.values().cloned().map(Record::Front));
        records.extend(self.consents.values().cloned().map(Record::Consent));
        records.extend(self.quotas.values().cloned().map(Record::Quota));
        records.extend(self.apps.values().cloned().map(Record::App));
        records.extend(self.grants.values().cloned().map(Record::Grant));
        records.extend(
            self.registrations
                .values()
                .cloned()
                .map(Record::Registration),
        );
        records.extend(self.runs.values().cloned().map(Record::Run));
        records.extend(self.finished.values().cloned().map(Record::Finished));
        records.extend(self.pushes.values().cloned().map(Record::Push));
        records.extend(self.seen.values().cloned().map(Record::SeenPush));
        records.extend(self.receipts.values().cloned().map(Record::Receipt));
        records.extend(self.ledger.counts.values().cloned().map(Record::Count));
        records.extend(self.ledger.verdicts.values().cloned().map(Record::Verdict));
        records
    }

    /// One record as it stands; absent = there is none now.
    pub(crate) fn record(&self, key: &Key) -> Option<Record> {
        match key {
            Key::Device => Some(Record::Device(self.clock.clone())),
            Key::Policy => Some(Record::Policy(self.policy.clone())),
            Key::Profile => Some(Record::Profile(self.profile.clone())),
            Key::Update(app) => self.updates.get(app).cloned().map(Record::Update),
            Key::Choices(app) => self.choices.get(app).cloned().map(Record::Choices),
            Key::Front(app) => self.fronts.get(app).cloned().map(Record::Front),
            Key::Consent(app, device) => {
                let key = (app.clone(), device.clone());
                self.consents.get(&key).cloned().map(Record::Consent)
            }
            Key::Quota(app) => self.quotas.get(app).cloned().map(Record::Quota),
            Key::App(id) => self.apps.get(id).cloned().map(Record::App),
            Key::Grant(app) => self.grants.get(app).cloned().map(Record::Grant),
            Key::Registration(id) => self
                .registrations
                .get(id)
                .cloned()
                .map(Record::Registration),
            Key::Run(id) => self.runs.get(id).cloned().map(Record::Run),
            Key::Finished(id) => self.finished.get(id).cloned().map(Record::Finished),
            Key::Push(id) => self.pushes.get(id).cloned().map(Record::Push),
            Key::SeenPush(id) => self.seen.get(id).cloned().map(Record::SeenPush),
            Key::Receipt(seq) => self.receipts.get(seq).cloned().map(Record::Receipt),
            Key::Count(app, task, verdict) => {
                let row = (app.clone(), task.clone(), *verdict);
                self.ledger.counts.get(&row).cloned().map(Record::Count)
            }
            Key::Verdict(firing) => self
                .ledger
                .verdicts
                .get(firing)
                .cloned()
                .map(Record::Verdict),
        }
    }
}
