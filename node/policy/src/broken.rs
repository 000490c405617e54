//! Decisions that a test can break on purpose, to show that a scenario notices (feature `sabotage`).
//!
//! Without the feature nothing here can be set, and every question is answered by *no* at compile time. Absent: any
//! decision of its own.

use crate::Device;
use crate::admission::Obstacle;

/// A decision that can be broken.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Broken {
    /// A grant survives an update (ACC-02).
    GrantNeverStale,
    /// An app may have any number of application, media and device-use triggers (TRGD-20).
    OnceOnlyUnlimited,
    /// Entry points and types need no declaration (MAN-01, MAN-03).
    UndeclaredAccepted,
    /// Device use takes conditions and runs in-process (TRGD-28, TRGD-29).
    DeviceUseUnchecked,
    /// An app raises its triggers and schedules its agents from anywhere (TRGD-21, ACC-42).
    ForegroundNotNeeded,
    /// A firing whose conditions are not met is dropped (CND-03).
    UnmetIsDropped,
    /// The first reading after a start fires (TRGC-03).
    BaselineFires,
    /// Bare firings never join one that waits (AMB-12).
    NeverCoalesces,
    /// A one-shot fires again and again (TRGC-02).
    OneShotNeverSpent,
    /// A lost condition ends nothing (CND-05, INT-07, TRGD-09).
    LossIgnored,
    /// Battery Saver ends no run (RES-12).
    SaverNeverCancels,
    /// Nobody is exempt from Battery Saver (RES-11).
    ExemptionIgnored,
    /// What waits outlives its registration or grant (AMB-08, AMB-14).
    LatchesOutlive,
    /// Nothing but time asks a run to cancel (MNG-04, MNG-08, MNG-09, ACC-14).
    NothingCancels,
    /// Replacing adds (ACC-27).
    ReplaceAdds,
    /// An abort keeps its schedule (RUN-43).
    AbortKeepsSchedule,
    /// No end and no Add clears the crash counter (AMB-13).
    CounterNeverCleared,
    /// Passing the time counts as a crash (CRS-07).
    TimeOutIsACrash,
    /// Passing the memory cap is no crash (CRS-03).
    MemoryIsNoCrash,
    /// Any update of a card renews (EXP-07).
    RenewalNeedsNoChoice,
    /// No update of a card renews (EXP-04, EXP-05).
    NothingRenews,
    /// Automatic upload keeps nothing alive (EXP-06).
    AutoUploadIgnored,
    /// Nothing expires (EXP-01, PSH-16).
    NothingExpires,
    /// Scheduled agents are asked to cancel like trigger tasks (RUN-45).
    ScheduledGetsGrace,
    /// A resource-intensive agent is due whenever it has ended (AMB-28).
    StretchNotCounted,
    /// Standby cuts no network (RUN-31).
    StandbyKeepsNetwork,
    /// A push is believed to be new each time it comes (rule book 0a).
    DuplicateRuns,
    /// Collapse keys and retention do nothing (rule book 0a).
    RetentionIgnored,
    /// Priorities do nothing (PSH-20).
    PriorityIgnored,
    /// A debugger holds no limit and no schedule (RES-22, PER-08).
    DebuggerIgnored,
    /// Critical tasks are rationed like others (RES-16).
    GuaranteeIgnored,
    /// Neither update task nor servicing event (TRG-30, TRG-35).
    UpdateSkipped,
    /// A boot keeps every latch (AMB-36).
    RebootKeepsAll,
    /// A crash of an in-process task spares the app (RUN-02).
    CrashSparesApp,
    /// An exit of the app spares its runs (RUN-24).
    ExitSparesRuns,
    /// A launch for test waits for the start conditions (AMB-38).
    TestWaits,
    /// Reserved names and kinds of devices are not asked for (rule book 0a, TRGD-11, TRGD-34).
    NothingUnsupported,
    /// Every app may service devices and needs no capability (TRGD-34, MAN-08).
    PrivilegeNotNeeded,
    /// An agent may schedule itself (ACC-50).
    AgentMaySchedule,
    /// Consent and charge are not asked for (TRGD-32, TRGD-37).
    ConsentIgnored,
    /// No edge of a reading fires (TRG-01 to TRG-09).
    EdgesIgnored,
    /// Whose an occurrence is does not matter (TRG-10, TRG-46, TRG-48).
    EverybodyHears,
    /// A manual switch of Battery Saver does nothing (AMB-05).
    ManualSaverIgnored,
    /// A denial lasts for ever, one by the system too (AMB-22).
    DenialLasts,
    /// Every kind has the time of an ordinary task (RES-02).
    OneTimeClass,
    /// Unknown readings count as good (rule book 0a).
    UnknownSatisfies,
    /// What falls due while the device is away runs once for each time (AMB-04, AMB-44).
    MissedAreMadeUp,
    /// Group, name and id of a task do not matter when it is listed or reconciled (MNG-01, ACC-32).
    GroupedAreListed,
    /// The host of a run does not matter (RUN-01, RUN-04).
    InProcessNeedsApp,
}

impl Device {
    /// Whether a test broke this decision.
    #[cfg(feature = "sabotage")]
    pub(crate) fn broken(&self, what: Broken) -> bool {
        self.sabotage.broken == Some(what)
    }

    /// Nothing is broken.
    #[cfg(not(feature = "sabotage"))]
    #[expect(
        clippy::unused_self,
        reason = "the twin with the feature looks at the device"
    )]
    pub(crate) const fn broken(&self, _what: Broken) -> bool {
        false
    }
}

/// What a test broke.
#[cfg(feature = "sabotage")]
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sabotage {
    /// A decision.
    pub broken: Option<Broken>,
    /// A gate, by the word of its reason, that is always open (`false`) or always closed (`true`).
    pub gate: Option<(String, bool)>,
}

#[cfg(feature = "sabotage")]
impl Device {
    /// Breaks decisions from now on.
    pub fn sabotage(&mut self, sabotage: Sabotage) {
        self.sabotage = sabotage;
    }
}

/// A gate's answer, unless a test broke the gate.
#[cfg(feature = "sabotage")]
pub(crate) fn gate(device: &Device, obstacle: Obstacle, closed: bool) -> bool {
    let Some((word, forced)) = &device.sabotage.gate else {
        return closed;
    };
    let own = match obstacle {
        Obstacle::Drop(reason) => format!("{reason:?}"),
        Obstacle::Wait(reason) => format!("{reason:?}"),
    };
    let plain = word.replace('-', "");
    if own.eq_ignore_ascii_case(&plain) {
        *forced
    } else {
        closed
    }
}

/// A gate's answer.
#[cfg(not(feature = "sabotage"))]
pub(crate) const fn gate(_device: &Device, _obstacle: Obstacle, closed: bool) -> bool {
    closed
}
