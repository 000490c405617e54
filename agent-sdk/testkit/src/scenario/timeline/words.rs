//! The words of the timeline for what the machine decides (scenario files, *The timeline*).

use lull_policy::{
    AccessStatus, CancelReason, DropReason, FrontReason, FrontState, HostKind, Outcome, PushFate,
    Scheduling, TaskState, Termination, WaitReason,
};

pub(in crate::scenario) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "completed",
        Outcome::Aborted => "aborted",
        Outcome::Cancelled => "cancelled",
        Outcome::Hung => "hung",
        Outcome::MemoryQuotaExceeded => "memory-quota-exceeded",
        Outcome::ExecutionTimeExceeded => "execution-time-exceeded",
        Outcome::UnhandledException => "unhandled-exception",
        Outcome::Terminated => "terminated",
        Outcome::Lost => "lost",
        Outcome::NotStarted => "not-started",
    }
}

pub(super) const fn cancel(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Abort => "abort",
        CancelReason::Terminating => "terminating",
        CancelReason::LoggingOff => "logging-off",
        CancelReason::ServicingUpdate => "servicing-update",
        CancelReason::IdleTask => "idle-task",
        CancelReason::Uninstall => "uninstall",
        CancelReason::ConditionLoss => "condition-loss",
        CancelReason::SystemPolicy => "system-policy",
        CancelReason::ExecutionTimeExceeded => "execution-time-exceeded",
        CancelReason::ResourceRevocation => "resource-revocation",
        CancelReason::EnergySaver => "energy-saver",
    }
}

/// Absent where the outcome says it all.
pub(super) const fn termination(reason: Termination) -> Option<&'static str> {
    match reason {
        Termination::Time => None,
        Termination::Gate(gate) => Some(wait(gate)),
        Termination::SystemMemory => Some("system-memory"),
        Termination::Shutdown => Some("shutdown"),
        Termination::HostGone => Some("host-gone"),
        Termination::Servicing => Some("servicing"),
    }
}

pub(crate) const fn wait(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::BatterySaver => "battery-saver",
        WaitReason::Internet => "internet",
        WaitReason::NoInternet => "no-internet",
        WaitReason::SessionConnected => "session-connected",
        WaitReason::SessionDisconnected => "session-disconnected",
        WaitReason::UserPresent => "user-present",
        WaitReason::UserNotPresent => "user-not-present",
        WaitReason::UnmeteredNetwork => "unmetered-network",
        WaitReason::WorkCost => "work-cost",
        WaitReason::ExternalPower => "external-power",
        WaitReason::BatteryLevel => "battery-level",
        WaitReason::NetworkType => "network-type",
        WaitReason::ScreenLocked => "screen-locked",
        WaitReason::Call => "call",
        WaitReason::Settling => "settling",
        WaitReason::CpuPressure => "cpu-pressure",
        WaitReason::Slot => "slot",
        WaitReason::Interval => "interval",
        WaitReason::Quota => "quota",
        WaitReason::Debugger => "debugger",
        WaitReason::Operator => "operator",
    }
}

pub(crate) const fn drop_reason(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Access => "access",
        DropReason::AccessRemoved => "access-removed",
        DropReason::Unregistered => "unregistered",
        DropReason::Coalesced => "coalesced",
        DropReason::QueueFull => "queue-full",
        DropReason::Reboot => "reboot",
        DropReason::Expired => "expired",
        DropReason::NoHandler => "no-handler",
        DropReason::Invalid => "invalid",
        DropReason::Uninstalled => "uninstalled",
        DropReason::Duplicate => "duplicate",
        DropReason::AttemptsExhausted => "attempts-exhausted",
        DropReason::Policy => "policy",
        DropReason::Operator => "operator",
        DropReason::Collapsed => "collapsed",
        DropReason::Unscheduled => "unscheduled",
    }
}

pub(super) const fn host(host: HostKind) -> &'static str {
    match host {
        HostKind::OutOfProcess => "out-of-process",
        HostKind::InProcess => "in-process",
    }
}

pub(super) const fn front(state: FrontState) -> &'static str {
    match state {
        FrontState::None => "exited",
        FrontState::Foreground => "foreground",
        FrontState::Background => "background",
        FrontState::Suspended => "suspended",
    }
}

pub(super) const fn front_reason(reason: FrontReason) -> &'static str {
    match reason {
        FrontReason::Step => "step",
        FrontReason::StartedForTask => "started-for-task",
        FrontReason::Crashed => "crashed",
        FrontReason::Killed => "killed",
    }
}

/// The event of a task that is scheduled no more, and its reason; absent = its app removed it.
pub(super) const fn unscheduled(reason: Option<Scheduling>) -> (&'static str, &'static str) {
    match reason {
        Some(Scheduling::Expired) => ("expired", "expired"),
        Some(Scheduling::Aborted) => ("unscheduled", "aborted"),
        Some(Scheduling::Crashed) => ("unscheduled", "crashed"),
        // It stands on the schedule and does not run: the operator switched it off.
        Some(Scheduling::Scheduled) => ("unscheduled", "disabled"),
        None => ("unscheduled", "removed"),
    }
}

pub(super) const fn push(fate: &PushFate) -> &'static str {
    match fate {
        PushFate::Started { .. } => "started",
        PushFate::Queued => "queued",
        PushFate::Collapsed => "collapsed",
        PushFate::Expired => "expired",
        PushFate::Dropped(_) => "dropped",
        PushFate::ShownToApp => "shown-to-app",
    }
}

pub(in crate::scenario) const fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Idle => "idle",
        TaskState::Waiting => "waiting",
        TaskState::Running => "running",
        TaskState::Spent => "spent",
        TaskState::Invalid => "invalid",
        TaskState::Unscheduled => "unscheduled",
        TaskState::Expired => "expired",
    }
}

pub(in crate::scenario) const fn access(status: AccessStatus) -> super::super::ResultWord {
    use super::super::ResultWord;
    match status {
        AccessStatus::Unspecified => ResultWord::Unspecified,
        AccessStatus::AlwaysAllowed => ResultWord::AlwaysAllowed,
        AccessStatus::AllowedSubjectToSystemPolicy => ResultWord::Allowed,
        AccessStatus::DeniedBySystemPolicy => ResultWord::DeniedBySystemPolicy,
        AccessStatus::DeniedByUser => ResultWord::DeniedByUser,
    }
}
