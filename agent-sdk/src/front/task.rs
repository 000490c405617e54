//! The app's registrations and what an app is told about its standing.
//!
//! Deliberately absent: other apps' registrations; a node tells an app of its own only.

use std::time::SystemTime;

use crate::front::Condition;
use crate::{RegistrationId, Trigger};

/// Whether an app may run in the background (ACC-05).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessStatus {
    /// 0: it has not asked.
    NotRequested,
    /// 4: also in Battery Saver (ACC-07).
    AlwaysAllowed,
    /// 5: subject to the device's policy, the usual one.
    Allowed,
    /// 6: the device decided against it (ACC-08).
    DeniedBySystemPolicy,
    /// 7: its user or operator decided against it (ACC-08).
    DeniedByUser,
    /// A status of a newer node, by its number on the wire.
    Unrecognised(i32),
}

impl AccessStatus {
    /// Whether the app's tasks may run (ACC-06). A status that this build does not know is no permission.
    pub const fn may_run(self) -> bool {
        matches!(self, Self::AlwaysAllowed | Self::Allowed)
    }
}

/// A kind of access that an app can ask for (ACC-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccessKind {
    /// 0: to run in Battery Saver too.
    AlwaysAllowed,
    /// 1: as the device manages it, the usual one.
    Allowed,
}

/// How an app's agent is scheduled. One app has one such agent; it may be on one schedule at a time or on both (ACC-41).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScheduledKind {
    /// Every half hour or so, for 25 s (PER-01). Its task is called `periodic`.
    Periodic,
    /// For 10 minutes, on power, charged above 90 %, locked, off mobile networks, with nobody on the phone (INT-01 to INT-06).
    /// Its task is called `resource-intensive`.
    ResourceIntensive,
}

/// A registration as the node made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub registration: RegistrationId,
    /// What is odd about it though allowed: a name used twice, conditions that exclude each other (ACC-26, ACC-29).
    pub warnings: Vec<String>,
}

/// A registration and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub registration: RegistrationId,
    /// Its name.
    pub name: String,
    /// The entry point it runs.
    pub entry_point: String,
    /// What fires it; absent = a kind of a newer node.
    pub trigger: Option<Trigger>,
    /// What must hold too; absent = a condition of a newer node.
    pub conditions: Vec<Option<Condition>>,
    /// Where it stands.
    pub state: TaskState,
    /// When it was registered.
    pub registered_at: Option<SystemTime>,
    /// When a clock lets it run next; absent = no clock decides.
    pub next: Option<SystemTime>,
    /// How often it ran.
    pub runs: u64,
}

/// Where a registration stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TaskState {
    /// It waits for its trigger.
    Idle,
    /// It fired, and something holds it back.
    Waiting {
        /// Every reason, in words.
        reasons: Vec<String>,
    },
    /// A run is under way.
    Running,
    /// A one-shot that ran.
    Spent,
    /// A state of a newer node, by its name there.
    Unrecognised(String),
}

impl TaskState {
    pub(super) fn named(name: &str, reasons: Vec<String>) -> Self {
        match name {
            "idle" => Self::Idle,
            "waiting" => Self::Waiting { reasons },
            "running" => Self::Running,
            "spent" => Self::Spent,
            newer => Self::Unrecognised(newer.to_owned()),
        }
    }
}

/// What raising a trigger answers (TRGD-22, TRGD-30).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Raised {
    /// It runs, or will as soon as its conditions hold.
    Allowed,
    /// A run of it is under way: one at a time.
    CurrentlyRunning,
    /// Access, policy or Battery Saver is against it.
    DisabledByPolicy,
    /// The device's user did not consent (TRGD-32, TRGD-35).
    DeniedByUser,
    /// The device is not there, or not for this app (TRGD-30, TRGD-34).
    DeniedBySystem,
    /// The charge is too low for servicing (TRGD-37).
    LowBattery,
    /// An answer of a newer node, by its number on the wire.
    Unrecognised(i32),
}
