//! The machine at one moment: its records, and what is needed beside them to go on.

use lull_policy::{
    AppId, BootId, Device, Event, Now, Occurrence, Reading, Readings, Record, Source, TaskName,
};
use serde::{Deserialize, Serialize};

use crate::blank::{blank_record, differences};

/// When a snapshot was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Taken {
    /// At the start of a process of the daemon: the records as they were restored. [`Event::Booted`] follows.
    Start,
    /// While it decided.
    UnderWay,
}

/// The machine at one moment.
///
/// One that was taken at a start revives exactly. One that was taken under way revives without what no record keeps and no
/// reading tells: since when each reading has its level, the last known level of a source that is down, a push just offered to
/// its app, and what a run under way has used since its last sample. The node waits for a moment at which that makes no
/// difference to what is decided next ([`Snapshot::revives`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// At a start or under way.
    pub taken: Taken,
    /// The instants of the last event before it; at a start, of the start.
    pub now: Now,
    /// The kernel's boot.
    pub boot: BootId,
    /// Events before it are missing: what came before does not lead here.
    #[serde(default)]
    pub gap: bool,
    /// Records that decide nothing any more were left out, because the whole was too large.
    #[serde(default)]
    pub thinned: bool,
    /// Every reading as the machine knew it.
    #[serde(default)]
    pub readings: Readings,
    /// Tasks with a debugger.
    #[serde(default)]
    pub debugged: Vec<(AppId, TaskName)>,
    /// What survives a restart.
    pub records: Vec<Record>,
}

impl Snapshot {
    /// At a start: `records` are what the machine is restored from.
    pub fn at_start(now: Now, boot: BootId, records: &[Record]) -> Self {
        Self {
            taken: Taken::Start,
            now,
            boot,
            gap: false,
            thinned: false,
            readings: Readings::default(),
            debugged: Vec::new(),
            records: records.iter().cloned().map(blank_record).collect(),
        }
    }

    /// Under way, after an event at `now`.
    pub fn under_way(
        now: Now,
        boot: BootId,
        device: &Device,
        debugged: Vec<(AppId, TaskName)>,
    ) -> Self {
        Self {
            taken: Taken::UnderWay,
            now,
            boot,
            gap: false,
            thinned: false,
            readings: *device.readings(),
            debugged,
            records: device.records().into_iter().map(blank_record).collect(),
        }
    }

    /// The machine again.
    pub fn revive(&self) -> Device {
        let mut device = Device::restore(self.records.iter().cloned());
        if self.taken == Taken::Start {
            return device;
        }
        let mut done = Vec::new();
        let mut tell = |event| {
            device.handle(self.now, event, &mut done);
            // All of it was performed when it was decided.
            done.clear();
        };
        tell(Event::Booted {
            boot: self.boot.clone(),
        });
        for (app, task) in &self.debugged {
            tell(Event::Occurred(Occurrence::Debugger {
                app: app.clone(),
                task: task.clone(),
                attached: true,
            }));
        }
        let readings = self.known_readings();
        if !readings.is_empty() {
            tell(Event::Readings(readings));
        }
        tell(Event::RunsHeld { runs: self.runs() });
        device
    }

    fn runs(&self) -> Vec<lull_policy::RunId> {
        let runs = self.records.iter().filter_map(|record| match record {
            Record::Run(run) => Some(run.id),
            _ => None,
        });
        runs.collect()
    }

    /// Those of sources that have reported, *unknown* among them.
    fn known_readings(&self) -> Vec<Reading> {
        let none = Readings::default();
        let reported = |source: &Source| self.readings.of(*source) != none.of(*source);
        let sources = Source::ALL.into_iter().filter(reported);
        sources
            .flat_map(|source| self.readings.of(source))
            .collect()
    }

    /// Whether it revives into a machine that decides as `live` does: with the same records, readings, interests and next
    /// deadline.
    pub fn revives(&self, live: &Device) -> bool {
        let revived = self.revive();
        revived.readings() == live.readings()
            && revived.deadline() == live.deadline()
            && revived.interests() == live.interests()
            && differences(revived.records(), live.records()).is_empty()
    }

    /// Without the records that decide nothing any more, or next to nothing: ended runs and verdicts in full, receipts on
    /// their way, ids of pushes that were seen before.
    pub fn thin(&mut self) {
        self.thinned = true;
        self.records.retain(is_kept_when_thinned);
    }

    /// How the machine of a replay differs from this snapshot, by the keys of its records.
    pub fn differs_from(&self, device: &Device) -> Vec<lull_policy::Key> {
        let kept = |record: &_| !self.thinned || is_kept_when_thinned(record);
        let records = device.records().into_iter().filter(kept);
        // A store need not hold what is as it is from the beginning: a restored machine has it.
        let restored = Device::restore(self.records.iter().cloned()).records();
        differences(restored.into_iter().filter(kept), records)
    }
}

const fn is_kept_when_thinned(record: &Record) -> bool {
    match record {
        Record::Finished(_) | Record::Verdict(_) | Record::Receipt(_) | Record::SeenPush(_) => {
            false
        }
        Record::Device(_)
        | Record::Policy(_)
        | Record::Profile(_)
        | Record::App(_)
        | Record::Update(_)
        | Record::Choices(_)
        | Record::Front(_)
        | Record::Consent(_)
        | Record::Quota(_)
        | Record::Grant(_)
        | Record::Registration(_)
        | Record::Run(_)
        | Record::Push(_)
        | Record::Count(_) => true,
    }
}
