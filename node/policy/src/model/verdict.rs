//! One verdict for every firing, and the reasons it can have.

use serde::{Deserialize, Serialize};

use crate::{AppId, RegistrationId, RunId, TaskName, Wall};

/// Why a firing waits: one word per gate, a condition's being the state that is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitReason {
    /// Battery Saver holds it back, or the screen is off on battery for a push (RES-09, PER-04, PSH-20).
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
    /// CND-26 is missing.
    UnmeteredNetwork,
    /// CND-27 is missing.
    WorkCost,
    /// There is no external power (TRGD-08, INT-02).
    ExternalPower,
    /// The charge is not above the level (INT-04).
    BatteryLevel,
    /// What carries the default route is not Wi-Fi or a cable (INT-03).
    NetworkType,
    /// The screen is not locked (INT-05).
    ScreenLocked,
    /// A call is under way (INT-06).
    Call,
    /// The conditions hold, but not for long enough yet (AMB-27).
    Settling,
    /// Others wait for the CPU (INT-14).
    CpuPressure,
    /// Another run holds the only place (RUN-23, RUN-41, INT-08).
    Slot,
    /// It is not due yet.
    Interval,
    /// Its app's quota is used up (RES-13).
    Quota,
    /// A debugger holds its app's schedule (PER-08).
    Debugger,
    /// The operator switched its app's agents off (MNG-07).
    Operator,
}

impl WaitReason {
    /// Every reason.
    pub const ALL: [Self; 21] = [
        Self::BatterySaver,
        Self::Internet,
        Self::NoInternet,
        Self::SessionConnected,
        Self::SessionDisconnected,
        Self::UserPresent,
        Self::UserNotPresent,
        Self::UnmeteredNetwork,
        Self::WorkCost,
        Self::ExternalPower,
        Self::BatteryLevel,
        Self::NetworkType,
        Self::ScreenLocked,
        Self::Call,
        Self::Settling,
        Self::CpuPressure,
        Self::Slot,
        Self::Interval,
        Self::Quota,
        Self::Debugger,
        Self::Operator,
    ];
}

/// A set of reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reasons(u32);

impl Reasons {
    /// Puts one in.
    pub const fn insert(&mut self, reason: WaitReason) {
        self.0 |= 1 << reason as u32;
    }

    /// Whether it is in.
    pub const fn contains(self, reason: WaitReason) -> bool {
        self.0 & (1 << reason as u32) != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in.
    pub fn iter(self) -> impl Iterator<Item = WaitReason> {
        WaitReason::ALL
            .into_iter()
            .filter(move |reason| self.contains(*reason))
    }
}

impl FromIterator<WaitReason> for Reasons {
    fn from_iter<I: IntoIterator<Item = WaitReason>>(reasons: I) -> Self {
        let mut set = Self::default();
        reasons.into_iter().for_each(|reason| set.insert(reason));
        set
    }
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
    /// Fleet policy denies it (ENT-05), or does not keep an undelivered push.
    Policy,
    /// Whoever owns the device denies it.
    Operator,
    /// A newer push took its place.
    Collapsed,
    /// Its task is not scheduled any more (RUN-43, CRS-01).
    Unscheduled,
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
    /// It should have run by now, and what keeps it.
    #[serde(default)]
    pub starves: Option<crate::Starvation>,
    /// Newest verdicts of this registration, newest first, at most 8.
    pub recent: Vec<VerdictEntry>,
}
