//! A run: one instance of an agent, from launch to outcome (RUN).

use serde::{Deserialize, Serialize};

use crate::{
    AppId, Bytes, Details, EntryPoint, PushId, RegistrationId, RunId, Running, Span, TaskName,
    TriggerKind, WaitReason, Wall,
};

/// Why a run is asked to cancel, with the rule book's numbers (RUN-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CancelReason {
    /// 0: unregistered with cancel.
    Abort,
    /// 1: the device is about to end it.
    Terminating,
    /// 2: the user logged off.
    LoggingOff,
    /// 3: its app is being updated.
    ServicingUpdate,
    /// 4: idle while a deferral is held.
    IdleTask,
    /// 5: its app is being uninstalled.
    Uninstall,
    /// 6: a condition was lost and the registration asked for it.
    ConditionLoss,
    /// 7: policy.
    SystemPolicy,
    /// 9: its time is over.
    ExecutionTimeExceeded,
    /// 10: access was taken away.
    ResourceRevocation,
    /// 11: Battery Saver came on.
    EnergySaver,
}

impl CancelReason {
    /// The rule book's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Abort => 0,
            Self::Terminating => 1,
            Self::LoggingOff => 2,
            Self::ServicingUpdate => 3,
            Self::IdleTask => 4,
            Self::Uninstall => 5,
            Self::ConditionLoss => 6,
            Self::SystemPolicy => 7,
            Self::ExecutionTimeExceeded => 9,
            Self::ResourceRevocation => 10,
            Self::EnergySaver => 11,
        }
    }
}

/// How a run ended (rule book, 4e).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Its code returned, or it said so.
    Completed,
    /// It said that it could not do its work (exit 75 of a plain command).
    Aborted,
    /// It ended between the cancel request and the kill.
    Cancelled,
    /// It was killed after the grace.
    Hung,
    /// It passed its memory cap.
    MemoryQuotaExceeded,
    /// A scheduled task passed its time and was ended without notice (RUN-45).
    ExecutionTimeExceeded,
    /// It crashed: any other exit or signal.
    UnhandledException,
    /// The device ended it.
    Terminated,
    /// The node lost it: power cut, or nobody held it after a restart.
    Lost,
    /// It could not be started; nothing of it ran.
    NotStarted,
}

/// Why the device ended a run without asking it (rule book, 4e).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Termination {
    /// Its time is over, and it is of a kind that is not asked (RUN-45).
    Time,
    /// A condition that it has to run under was lost (INT-07), or Battery Saver came on (AMB-05).
    Gate(WaitReason),
    /// The device ran short of memory (RUN-14).
    SystemMemory,
    /// The device shuts down.
    Shutdown,
    /// The process that it shared went down (RUN-02).
    HostGone,
    /// Its app is being updated or removed, and it is of a kind that is not asked.
    Servicing,
}

/// Where a run runs (RUN-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostKind {
    /// In a process of its own, started by the system.
    #[default]
    OutOfProcess,
    /// In the app's own process.
    InProcess,
}

/// What a quota counts (RUN-10, RES-13, RES-14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resource {
    /// CPU time, in microseconds.
    Cpu,
    /// Bytes sent and received.
    Network,
}

/// What an agent reports about its own run over its socket. Progress is lossy, the others are not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The meaning is the app's (RUN-18).
    Progress(u32),
    /// A deferral was taken (RUN-11). The deadline does not move.
    DeferralTaken,
    /// A deferral was completed.
    DeferralCompleted,
    /// It updated its app's card (EXP-04, EXP-05).
    CardUpdated,
    /// The work is done.
    Completed,
    /// The work cannot be done now.
    Aborted {
        /// What the agent says of it; cut to [`bounds::MESSAGE`](crate::bounds::MESSAGE) bytes by the host.
        message: String,
    },
}

/// How the processes of a run came to their end, as the host saw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exit {
    /// The main process returned this status.
    Status(u8),
    /// A signal ended it.
    Signal(u8),
    /// The kernel killed it for its memory cap (an OOM event of its own cage).
    MemoryExceeded,
    /// The kernel killed it because the whole device was short of memory (RUN-14).
    SystemMemory,
    /// It was never started: the cage or the program could not be had.
    LaunchFailed {
        /// The whole error chain, for people; at most [`bounds::MESSAGE`](crate::bounds::MESSAGE) bytes.
        message: String,
    },
    /// Nobody held it any more when the daemon came back.
    Lost,
    /// It ran in the app's own process, which went in the middle of it; nobody saw with which status (RUN-02).
    Vanished,
}

/// What a run used, where the host could read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    /// Peak memory of its cage.
    pub memory_peak: Option<Bytes>,
    /// CPU time of its cage, in microseconds.
    pub cpu_micros: Option<u64>,
}

/// What a run used since the last sample (RUN-15, TRGD-31).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sample {
    /// CPU time, in microseconds.
    pub cpu_micros: u64,
    /// Bytes sent and received.
    pub network_bytes: u64,
    /// Reads and writes on its device, where it has one.
    pub device_ios: u64,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// Ordered from the host, not yet confirmed.
    Starting,
    /// The host confirmed its start.
    Running,
    /// It was asked to cancel.
    Cancelling,
    /// Its kill was ordered.
    Killing,
}

/// A run under way, durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The registration it belongs to; it may be gone meanwhile (MNG-04).
    pub registration: RegistrationId,
    /// Its app.
    pub app: AppId,
    /// Its registration's name.
    pub task: TaskName,
    /// Its agent; absent = the app's own process.
    pub entry_point: Option<EntryPoint>,
    /// 1, 2, … within its registration.
    pub number: u64,
    /// Where it stands.
    pub state: RunState,
    /// When it started, for people.
    pub started: Wall,
    /// When it started, on the monotonic clock of its boot.
    pub started_running: Running,
    /// When it is asked to cancel for its time; absent = no limit, or already asked.
    pub cancel_at: Option<Running>,
    /// When it is killed; absent = no limit.
    pub kill_at: Option<Running>,
    /// Why it was asked to cancel, if it was.
    pub cancel_reason: Option<CancelReason>,
    /// It has reported completion or abort; what it said.
    pub said: Option<Said>,
    /// Newest progress.
    pub progress: Option<u32>,
    /// The push that started it.
    pub push: Option<PushId>,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// Its memory cap.
    pub memory: Option<Bytes>,
    /// What fired it.
    #[serde(default = "timer")]
    pub kind: TriggerKind,
    /// Where it runs.
    #[serde(default)]
    pub host: HostKind,
    /// What it was told of its firing.
    #[serde(default)]
    pub details: Option<Details>,
    /// The network stays up for it in standby (RUN-30).
    #[serde(default)]
    pub network_requested: bool,
    /// It has the network now (RUN-31).
    #[serde(default = "yes")]
    pub network: bool,
    /// It is frozen until its quota is refilled (RES-13).
    #[serde(default)]
    pub suspended: Option<Resource>,
    /// A debugger holds its limits (RES-22).
    #[serde(default)]
    pub debugged: bool,
    /// Why the device ended it without asking, if it did.
    #[serde(default)]
    pub termination: Option<Termination>,
    /// Conditions that did not hold when a launch for test began: their loss ends nothing (AMB-38).
    #[serde(default)]
    pub waived: Vec<WaitReason>,
}

/// What older records, which do not say it, were fired by.
const fn timer() -> TriggerKind {
    TriggerKind::Timer
}

const fn yes() -> bool {
    true
}

/// What a run said of its own end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// The work is done.
    Completed,
    /// The work cannot be done now.
    Aborted {
        /// In the agent's own words.
        message: String,
    },
}

/// A run that ended, kept for `runs` and for apps that come back (RUN-19, AMB-20). The newest
/// [`bounds::FINISHED_RUNS`](crate::bounds::FINISHED_RUNS) of the device are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinishedRun {
    /// Its id.
    pub id: RunId,
    /// The registration it belonged to.
    pub registration: RegistrationId,
    /// Its app.
    pub app: AppId,
    /// Its registration's name.
    pub task: TaskName,
    /// 1, 2, … within its registration.
    pub number: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was asked to cancel, if it was.
    pub cancel_reason: Option<CancelReason>,
    /// How its processes ended.
    pub exit: Exit,
    /// The error it gave, for its app (RUN-20).
    pub message: Option<String>,
    /// When it started.
    pub started: Wall,
    /// When it ended.
    pub ended: Wall,
    /// How long it ran, on the monotonic clock.
    pub ran: Span,
    /// Newest progress.
    pub progress: Option<u32>,
    /// What it used.
    pub usage: Usage,
    /// The push that started it.
    pub push: Option<PushId>,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// The last bytes it printed, at most 8 KiB; filled in by the host.
    pub output: String,
    /// Why the device ended it without asking, if it did.
    #[serde(default)]
    pub termination: Option<Termination>,
}
