//! One verdict for every firing, and the reasons it can have.

use serde::{Deserialize, Serialize};

use crate::{AppId, RegistrationId, RunId, TaskName, Wall};

/// Why a firing waits: one word per gate, a condition's being the state that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// Battery Saver holds it back (RES-09).
    BatterySaver,
    /// CND-22 is missing.
    Internet,
    /// CND-23 is missing.
    NoInternet,
    /// CND-24 is missing.
    SessionConnected,
    /// CND-25 is missing.
    SessionDisconnected,
    /// CND-20 is missing.
    UserPresent,
    /// CND-21 is missing.
    UserNotPresent,
    /// Another run holds the only place (RUN-23).
    Slot,
    /// A timer is not due yet.
    Interval,
}

/// Why a firing will never run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DropReason {
    /// Access is missing, denied or stale.
    Access,
    /// Access was removed while it waited (AMB-08).
    AccessRemoved,
    /// Its registration was removed while it waited (AMB-14).
    Unregistered,
    /// It joined one already waiting (AMB-12).
    Coalesced,
    /// The queue of its app was full.
    QueueFull,
    /// A boot dropped it (AMB-36).
    Reboot,
    /// Its time to live ended.
    Expired,
    /// The app has no registration for it (PSH-11).
    NoHandler,
    /// Its entry point is gone from the manifest (MNG-10).
    Invalid,
    /// Its app is gone.
    Uninstalled,
    /// A push that was seen before.
    Duplicate,
    /// The host could not start it again: attempts are used up.
    AttemptsExhausted,
}

/// What became of a firing. A waiting one is one verdict that later moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A run began.
    Ran,
    /// It waits; the first reason found.
    Waiting(WaitReason),
    /// It will never run.
    Dropped(DropReason),
}

/// One firing and its verdict in full; the newest [`bounds::VERDICTS`](crate::bounds::VERDICTS) are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerdictEntry {
    /// Counts firings of this device from 1.
    pub firing: u64,
    /// Whose.
    pub app: AppId,
    /// Which registration.
    pub registration: RegistrationId,
    /// Its name.
    pub task: TaskName,
    /// When it fired.
    pub fired: Wall,
    /// What became of it.
    pub verdict: Verdict,
    /// When that was decided.
    pub decided: Wall,
    /// The run, where one began.
    pub run: Option<RunId>,
}

/// A reason that holds now, with what people ask next (`why`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The gate.
    pub reason: WaitReason,
    /// Since when it holds, where that is known.
    pub since: Option<Wall>,
    /// What is seen now, in words: "internet reads unknown", "run 12 is under way".
    pub seen: String,
    /// What would have to change, in words: "the Internet has to become available".
    pub needs: String,
    /// When it can hold next, where a clock decides it.
    pub until: Option<Wall>,
}

/// The answer to "why did it not run".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// Whose.
    pub app: AppId,
    /// Which.
    pub task: TaskName,
    /// Its id.
    pub registration: RegistrationId,
    /// A firing waits for a run, since then.
    pub waiting_since: Option<Wall>,
    /// Firings that wait (more than one only for pushes).
    pub waiting: u64,
    /// A run is under way.
    pub running: Option<RunId>,
    /// It can never run as things stand, and why.
    pub blocked: Option<DropReason>,
    /// Every reason that holds a run back now, in gate order.
    pub reasons: Vec<Why>,
    /// What fires it, in words; the next due time stands in it for a timer.
    pub fires: String,
    /// The earliest moment a clock allows it to run, where a clock decides it.
    pub next: Option<Wall>,
    /// Newest verdicts of this registration, newest first, at most 8.
    pub recent: Vec<VerdictEntry>,
}
