//! Decisions that a test can break on purpose, to show that a scenario notices (feature `sabotage`).
//!
//! Without the feature nothing here can be set, and every question is answered by *no* at compile time. Absent: any
//! decision of its own; what a broken one does instead, where that takes more than a line, is [`instead`].

mod instead;

pub(crate) use instead::{another_suffices, assumed, exempt_by_capability, traffic};

use crate::Device;
use crate::admission::Obstacle;

/// A decision that can be broken, with the rules that it is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Broken {
    /// An app has access that never asked for it (ACC-11).
    GrantedUnasked,
    /// Asking for access grants nothing (ACC-09).
    AskingGrantsNothing,
    /// A grant survives an update (ACC-02).
    GrantNeverStale,
    /// A denial lasts for ever, one by the system too (ACC-08).
    DenialLasts,
    /// Only an app on the lock screen registers (ACC-16).
    LockScreenNeeded,
    /// Nothing is registered while Battery Saver acts (ACC-17).
    SaverAskedAtRegistration,
    /// The arguments of a trigger are not looked at (ACC-28, TRGD-02, TRGD-12).
    ArgumentsUnchecked,
    /// Entry points and types need no declaration (MAN-01, MAN-03, MAN-04).
    UndeclaredAccepted,
    /// Entry points are found whatever their case (ACC-21).
    EntryPointCaseIgnored,
    /// An in-process registration needs a declaration (MAN-02).
    InProcessNeedsDeclaring,
    /// A flag that a registration leaves out is set (ACC-24).
    FlagsDefaultToOn,
    /// A registration takes the place of those of its name without being asked to (ACC-25, ACC-26, AMB-10).
    SameNameReplaces,
    /// Replacing adds (ACC-27).
    ReplaceAdds,
    /// A dry run registers (ACC-30).
    DryRunRegisters,
    /// A start of the daemon forgets every registration (ACC-31).
    BootForgets,
    /// An update forgets the app's registrations (ACC-33).
    UpdateForgets,
    /// Reconciling removes nothing (ACC-32).
    ReconcileOnlyAdds,
    /// Grouped registrations are listed and reconciled like others (MNG-01, MNG-02).
    GroupedAreListed,
    /// An app may have any number of application, media and device-use triggers (TRGD-20).
    OnceOnlyUnlimited,
    /// Device use takes conditions and runs in-process (TRGD-28, TRGD-29).
    DeviceUseUnchecked,
    /// Reserved names and kinds of devices are not asked for (TRGD-11).
    NothingUnsupported,
    /// Every app may service devices and needs no capability (TRGD-34, MAN-08).
    PrivilegeNotNeeded,
    /// An app raises its triggers and schedules its agents from anywhere (TRGD-21, ACC-42).
    ForegroundNotNeeded,
    /// No system event fires (TRG-01 to TRG-11, TRG-31, TRG-32).
    SystemEventsIgnored,
    /// The first reading after a start fires (TRGC-03).
    BaselineFires,
    /// A system event fires every registration, whatever its trigger (TRGC-01).
    EveryEventFiresAll,
    /// What is no reading fires nothing: text messages, identities, channels, sockets, devices, files, the bus (TRG-03,
    /// TRG-04, TRG-14, TRG-15, TRG-47, TRG-48).
    OccurrencesIgnored,
    /// Of a channel only messages, of a socket only data count (TRGD-10, TRGD-16).
    OnlyTrafficCounts,
    /// Whose an occurrence or a push is does not matter (TRG-46, PSH-01, AMB-33).
    EverybodyHears,
    /// Nothing fires while its app does not run (TRGC-05).
    FrontNeededToFire,
    /// A second request of an app waits for the first to end (TRGD-23).
    SecondRaiseQueues,
    /// Servicing ends with its device (TRGD-36).
    UnplugEndsServicing,
    /// Consent and charge are not asked for (TRGD-32, TRGD-35).
    ConsentIgnored,
    /// A one-shot fires again and again (TRGC-02, TRGD-05, AMB-35).
    OneShotNeverSpent,
    /// A timer falls due a period after its last start (AMB-44).
    DueFromStart,
    /// Bare firings queue like those with something to tell (AMB-12, CND-06).
    NeverCoalesces,
    /// A condition that comes to hold fires what has it (CND-02).
    ConditionStarts,
    /// One condition that holds is enough (CND-04).
    AnyConditionSuffices,
    /// Asking for the network makes a run wait for it (CND-09).
    NetworkRequestIsCondition,
    /// A firing whose conditions are not met is dropped (CND-03, AMB-09, INT-10).
    UnmetIsDropped,
    /// A lost condition ends nothing (CND-05, INT-07, TRGD-09).
    LossIgnored,
    /// What the operator assumes counts for nothing (AMB-23).
    AssumedCountsForNothing,
    /// What waits outlives its registration (AMB-14).
    LatchesOutlive,
    /// A boot keeps every latch (AMB-36).
    RebootKeepsAll,
    /// Everything runs in a process of its own (RUN-01).
    HostIgnored,
    /// An in-process task fires only while its app runs (RUN-04).
    InProcessNeedsApp,
    /// A crash or a kill of an in-process task spares the app (RUN-02, RUN-05).
    CrashSparesApp,
    /// Runs of one registration never overlap, whatever the manifest says (RUN-07).
    InstancesIgnored,
    /// An exit of the app ends its scheduled agents (RUN-09).
    ExitEndsAgents,
    /// An exit of the app spares its runs (RUN-24, TRGD-31).
    ExitSparesRuns,
    /// A crash unregisters a trigger task (RUN-21).
    CrashesUnregister,
    /// Nothing but time and Battery Saver asks a run to cancel (ACC-14, MNG-04, MNG-08, MNG-09).
    NothingCancels,
    /// Scheduled agents are asked to cancel like trigger tasks (RUN-45, AMB-26).
    ScheduledGetsGrace,
    /// Every kind has the time of an ordinary task (RES-02).
    OneTimeClass,
    /// Time in which the device sleeps counts as time of a run (AMB-02).
    SuspendCounts,
    /// No run has a memory cap (RES-04).
    MemoryUncapped,
    /// Critical tasks are rationed like others (RES-16, RES-17, PSH-21).
    GuaranteeIgnored,
    /// Critical tasks have no time limit (RES-18).
    GuaranteeLiftsLimit,
    /// Standby cuts no network (RUN-31).
    StandbyKeepsNetwork,
    /// No capability lifts the time limit (ENT-01).
    ExtendedTimeIgnored,
    /// A capability exempts from Battery Saver (ENT-06).
    CapabilityExempts,
    /// Nobody is exempt from Battery Saver (RES-11).
    ExemptionIgnored,
    /// Battery Saver ends no run (RES-12).
    SaverNeverCancels,
    /// A manual switch of Battery Saver does nothing (AMB-05).
    ManualSaverIgnored,
    /// A debugger holds no limit and no schedule (RES-22).
    DebuggerIgnored,
    /// Neither update task nor servicing event (TRG-30, TRG-35).
    UpdateSkipped,
    /// An app schedules one kind of agent only (ACC-41).
    OneKindOnly,
    /// A periodic agent needs no description (ACC-46).
    DescriptionNotNeeded,
    /// Agents are scheduled while the operator has them switched off (ACC-44).
    DisabledMayAdd,
    /// A second Add takes the place of the first (ACC-48).
    AddReplaces,
    /// What is removed stays on the schedule (ACC-47).
    RemoveKeepsSchedule,
    /// An agent may schedule itself (ACC-50).
    AgentMaySchedule,
    /// What is no longer scheduled keeps its place (AMB-19).
    UnscheduledKeepsPlace,
    /// Resource-intensive agents take places of periodic ones (INT-12).
    IntensiveCountsAsPeriodic,
    /// Scheduled agents are judged by each other's start conditions (PER-10, INT-13).
    ScheduledKindsSwapped,
    /// A resource-intensive agent is due whenever it has ended (AMB-28).
    StretchNotCounted,
    /// A launch for test waits for the start conditions (AMB-38).
    TestWaits,
    /// An expired task is launched for test (EXP-08).
    ExpiredMayBeTested,
    /// What a run says of its completion is not heard (RUN-42).
    CompletionIgnored,
    /// A scheduled agent that says nothing has completed (RUN-44, CRS-06).
    SilenceIsCompletion,
    /// An abort keeps its schedule (RUN-43).
    AbortKeepsSchedule,
    /// No end and no Add clears the crash counter (AMB-13).
    CounterNeverCleared,
    /// Passing the time counts as a crash (CRS-07).
    TimeOutIsACrash,
    /// Passing the memory cap is no crash (CRS-03).
    MemoryIsNoCrash,
    /// Crashes and aborts unschedule both kinds (AMB-16, AMB-17).
    UnschedulesBothKinds,
    /// Nothing expires (EXP-02, PSH-16).
    NothingExpires,
    /// Steps of the wall clock are not seen (AMB-32).
    ClockStepsIgnored,
    /// Any update of a card renews (EXP-07).
    RenewalNeedsNoChoice,
    /// No update of a card renews (EXP-04, EXP-05).
    NothingRenews,
    /// An update of a card renews only the kind that ran (AMB-30).
    RenewsOwnKindOnly,
    /// Automatic upload keeps nothing alive (EXP-06).
    AutoUploadIgnored,
    /// What automatic upload kept alive stays alive without it (AMB-31).
    AutoUploadIsForGood,
    /// A push starts nothing (TRG-13, PSH-05).
    PushesIgnored,
    /// A push without a task waits for one (PSH-09, PSH-11).
    PushesWaitForHandler,
    /// An app in the foreground keeps every push to itself (PSH-10).
    FrontSwallowsPushes,
    /// Pushes reach a registration for 30 days (PSH-02).
    ChannelsExpire,
    /// A push is believed to be new each time it comes (PSH-13).
    DuplicateRuns,
    /// Collapse keys and retention do nothing (PSH-14, PSH-15, PSH-17).
    RetentionIgnored,
    /// Priorities do nothing (PSH-19).
    PriorityIgnored,
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
