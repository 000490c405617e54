//! What must survive. Folding `Put` and `Remove` over an empty store yields the state.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    AccessStatus, App, AppId, BootId, Choices, Elapsed, FinishedRun, Front, Policy, Profile, Push,
    PushId, Receipt, ReceiptSeq, Registration, RegistrationId, Run, RunId, Subject, TaskName,
    Verdict, VerdictEntry, Wall,
};

/// A durable record, whole: a `Put` replaces the one of the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The device's own counters and clocks.
    Device(DeviceRecord),
    /// The policy in force.
    Policy(Policy),
    /// What the device is.
    Profile(Profile),
    /// An installed app.
    App(App),
    /// An update of an app that is not over yet.
    Update(Update),
    /// What the operator chose for an app.
    Choices(Choices),
    /// An app's front client.
    Front(Front),
    /// A device that the user let an app use (TRGD-32).
    Consent(Consent),
    /// What an app has used of its quotas.
    Quota(Quota),
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
    /// See [`Record::Profile`].
    Profile,
    /// See [`Record::App`].
    App(AppId),
    /// See [`Record::Update`].
    Update(AppId),
    /// See [`Record::Choices`].
    Choices(AppId),
    /// See [`Record::Front`].
    Front(AppId),
    /// See [`Record::Consent`].
    Consent(AppId, Subject),
    /// See [`Record::Quota`].
    Quota(AppId),
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
            Self::Profile(_) => Key::Profile,
            Self::App(app) => Key::App(app.id.clone()),
            Self::Update(update) => Key::Update(update.app.clone()),
            Self::Choices(choices) => Key::Choices(choices.app.clone()),
            Self::Front(front) => Key::Front(front.app.clone()),
            Self::Consent(consent) => Key::Consent(consent.app.clone(), consent.device.clone()),
            Self::Quota(quota) => Key::Quota(quota.app.clone()),
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
    /// The generation of the policy in force; 0 = the node's own configuration.
    #[serde(default)]
    pub policy_generation: u64,
    /// The stretch of eligibility for resource-intensive agents that is under way, or was last (AMB-28).
    #[serde(default)]
    pub stretch: u64,
    /// That stretch is under way: no condition is known to be missing.
    #[serde(default)]
    pub stretch_lasts: bool,
    /// Since when all its conditions are known to hold, on the boot clock (AMB-27).
    #[serde(default)]
    pub settling_since: Option<Elapsed>,
    /// Devices known to be away (TRGD-30).
    #[serde(default)]
    pub unplugged: BTreeSet<Subject>,
    /// The operator has been warned of too many periodic agents (PER-07).
    #[serde(default)]
    pub warned_of_periodic: bool,
}

/// How far an update of an app has come (MNG-09).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateStage {
    /// Runs of the older version are still to end.
    Draining,
    /// The update task runs.
    Running,
}

/// An update of an app that is not over yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Whose.
    pub app: AppId,
    /// What it becomes.
    pub to: App,
    /// How far it has come.
    pub stage: UpdateStage,
}

/// A device that the user let an app use (TRGD-32).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Whose.
    pub app: AppId,
    /// Which device.
    pub device: Subject,
}

/// What an app has used of its quotas (RES-13, RES-14).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Whose.
    pub app: AppId,
    /// When its window ends, on the boot clock.
    pub refill: Elapsed,
    /// Its CPU time is used up.
    pub cpu_spent: bool,
    /// Its network is used up.
    pub network_spent: bool,
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
    /// What the app asks for and nobody has decided yet (ACC-10).
    #[serde(default)]
    pub wish: Option<AccessWish>,
}

/// A wish for a kind of access that somebody has to decide on (ACC-10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessWish {
    /// The kind, with the rule book's numbers 0 and 1.
    pub kind: crate::AccessKind,
    /// What the app says of it.
    pub reason: String,
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
