//! What must survive. Folding `Put` and `Remove` over an empty store yields the state.

use serde::{Deserialize, Serialize};

use crate::{
    AccessStatus, App, AppId, BootId, Elapsed, FinishedRun, Policy, Push, PushId, Receipt,
    ReceiptSeq, Registration, RegistrationId, Run, RunId, TaskName, Verdict, VerdictEntry, Wall,
};

/// A durable record, whole: a `Put` replaces the one of the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The device's own counters and clocks.
    Device(DeviceRecord),
    /// The policy in force.
    Policy(Policy),
    /// An installed app.
    App(App),
    /// The grant of an app.
    Grant(Grant),
    /// A registration.
    Registration(Registration),
    /// A run under way.
    Run(Run),
    /// A run that ended.
    Finished(FinishedRun),
    /// A push the device has taken on and not yet decided to the end.
    Push(Push),
    /// A push seen before, so that it never starts twice.
    SeenPush(SeenPush),
    /// A receipt that the coordinator does not have yet.
    Receipt(Receipt),
    /// A sum of the ledger.
    Count(Count),
    /// A verdict in full.
    Verdict(VerdictEntry),
}

/// Names a record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// See [`Record::Device`].
    Device,
    /// See [`Record::Policy`].
    Policy,
    /// See [`Record::App`].
    App(AppId),
    /// See [`Record::Grant`].
    Grant(AppId),
    /// See [`Record::Registration`].
    Registration(RegistrationId),
    /// See [`Record::Run`].
    Run(RunId),
    /// See [`Record::Finished`].
    Finished(RunId),
    /// See [`Record::Push`].
    Push(PushId),
    /// See [`Record::SeenPush`].
    SeenPush(PushId),
    /// See [`Record::Receipt`].
    Receipt(ReceiptSeq),
    /// See [`Record::Count`].
    Count(AppId, TaskName, Verdict),
    /// See [`Record::Verdict`], by its firing.
    Verdict(u64),
}

impl Record {
    /// The key under which this record is kept.
    pub fn key(&self) -> Key {
        match self {
            Self::Device(_) => Key::Device,
            Self::Policy(_) => Key::Policy,
            Self::App(app) => Key::App(app.id.clone()),
            Self::Grant(grant) => Key::Grant(grant.app.clone()),
            Self::Registration(registration) => Key::Registration(registration.id),
            Self::Run(run) => Key::Run(run.id),
            Self::Finished(run) => Key::Finished(run.id),
            Self::Push(push) => Key::Push(push.id.clone()),
            Self::SeenPush(seen) => Key::SeenPush(seen.id.clone()),
            Self::Receipt(receipt) => Key::Receipt(receipt.seq),
            Self::Count(count) => Key::Count(count.app.clone(), count.task.clone(), count.verdict),
            Self::Verdict(entry) => Key::Verdict(entry.firing),
        }
    }
}

/// The device's own counters and clocks.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// The boot in which records on the boot clock were written; absent before the first.
    pub boot: Option<BootId>,
    /// The wall clock at the last record written.
    pub wall: Wall,
    /// The boot clock at the last record written.
    pub elapsed: Elapsed,
    /// Zero of the timer ticks, on the boot clock (each boot starts its own).
    pub tick_zero: Elapsed,
    /// The next registration id.
    pub next_registration: u64,
    /// The next run id.
    pub next_run: u64,
    /// The next receipt.
    pub next_receipt: u64,
    /// Firings so far: the sum of all verdicts.
    pub firings: u64,
}

/// The grant of one app (ACC-02, ACC-08).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Whose.
    pub app: AppId,
    /// What was granted.
    pub status: AccessStatus,
    /// For which version of the app; another one makes it stale.
    pub version: String,
    /// What the operator chose, if anything.
    pub choice: Option<crate::AccessChoice>,
}

/// A push seen before; kept until no copy of it can still be on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenPush {
    /// Which.
    pub id: PushId,
    /// When it may be forgotten.
    pub forget: Wall,
}

/// A cumulative sum of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Whose.
    pub app: AppId,
    /// Which task.
    pub task: TaskName,
    /// Which verdict.
    pub verdict: Verdict,
    /// How many firings stand there now.
    pub count: u64,
}
