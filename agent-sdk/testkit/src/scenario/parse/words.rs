//! The words of the file and what they stand for, one table each.

use lull_policy::{
    AccessStatus, Call, Capability, ChannelActivity, Condition, DeviceKind, FrontState, Level,
    Network, Outcome, Priority, Retention, ScheduledKind, Session, Signer, Slot, SocketActivity,
    TaskType, WaitReason,
};

use super::super::{DeviceStep, Ends, Interface};

pub(super) const KINDS: [(&str, DeviceKind); 3] = [
    ("pc", DeviceKind::Pc),
    ("phone", DeviceKind::Phone),
    ("headless", DeviceKind::Headless),
];

pub(super) const NETWORKS: [(&str, Level<Network>); 5] = [
    ("none", Level::Known(Network::None)),
    ("wifi", Level::Known(Network::Wifi)),
    ("ethernet", Level::Known(Network::Ethernet)),
    ("cellular", Level::Known(Network::Cellular)),
    ("unknown", Level::Unknown),
];

pub(super) const SESSIONS: [(&str, Level<Session>); 4] = [
    ("connected", Level::Known(Session::Connected)),
    ("disconnected", Level::Known(Session::Disconnected)),
    ("none", Level::Known(Session::None)),
    ("unknown", Level::Unknown),
];

pub(super) const CALLS: [(&str, Level<Call>); 4] = [
    ("none", Level::Known(Call::None)),
    ("ringing", Level::Known(Call::Ringing)),
    ("active", Level::Known(Call::Active)),
    ("unknown", Level::Unknown),
];

pub(super) const ACCESS: [(&str, AccessStatus); 5] = [
    ("none", AccessStatus::Unspecified),
    ("allowed", AccessStatus::AllowedSubjectToSystemPolicy),
    ("always-allowed", AccessStatus::AlwaysAllowed),
    ("denied-by-user", AccessStatus::DeniedByUser),
    (
        "denied-by-system-policy",
        AccessStatus::DeniedBySystemPolicy,
    ),
];

/// At T+0.
pub(super) const FRONTS: [(&str, FrontState); 4] = [
    ("none", FrontState::None),
    ("foreground", FrontState::Foreground),
    ("background", FrontState::Background),
    ("suspended", FrontState::Suspended),
];

/// In a step.
pub(super) const FRONT_STEPS: [(&str, FrontState); 4] = [
    ("foreground", FrontState::Foreground),
    ("background", FrontState::Background),
    ("suspended", FrontState::Suspended),
    ("exited", FrontState::None),
];

/// Those that every app has may be named too.
pub(super) const CAPABILITIES: [(&str, Capability); 7] = [
    ("sms", Capability::Sms),
    ("device-servicing", Capability::DeviceServicing),
    (
        "extended-background-task-time",
        Capability::ExtendedBackgroundTaskTime,
    ),
    (
        "extended-execution-unconstrained",
        Capability::ExtendedExecutionUnconstrained,
    ),
    ("internet", Capability::Internet),
    ("device", Capability::Device),
    ("media", Capability::Media),
];

pub(super) const SIGNERS: [(&str, Signer); 3] = [
    ("none", Signer::None),
    ("operator", Signer::Operator),
    ("maker", Signer::Maker),
];

pub(super) const TYPES: [(&str, TaskType); 11] = [
    ("timer", TaskType::Timer),
    ("system-event", TaskType::SystemEvent),
    ("push-notification", TaskType::PushNotification),
    ("general", TaskType::General),
    ("audio", TaskType::Audio),
    ("control-channel", TaskType::ControlChannel),
    ("device-use", TaskType::DeviceUse),
    ("device-servicing", TaskType::DeviceServicing),
    ("media-processing", TaskType::MediaProcessing),
    ("scheduled", TaskType::Scheduled),
    ("update-task", TaskType::UpdateTask),
];

pub(super) const ENDS: [(&str, Ends); 5] = [
    ("complete", Ends::Complete),
    ("abort", Ends::Abort),
    ("crash", Ends::Crash),
    ("exit-without-completing", Ends::ExitWithoutCompleting),
    ("return-with-work", Ends::ReturnWithWork),
];

pub(super) const INTERFACES: [(&str, Interface); 3] = [
    (Interface::Wifi.word(), Interface::Wifi),
    (Interface::Ethernet.word(), Interface::Ethernet),
    (Interface::Cellular.word(), Interface::Cellular),
];

pub(super) const CONDITIONS: [(&str, Condition); 8] = [
    ("user-present", Condition::UserPresent),
    ("user-not-present", Condition::UserNotPresent),
    ("internet-available", Condition::InternetAvailable),
    ("internet-not-available", Condition::InternetNotAvailable),
    ("session-connected", Condition::SessionConnected),
    ("session-disconnected", Condition::SessionDisconnected),
    ("free-network-available", Condition::FreeNetworkAvailable),
    (
        "background-work-cost-not-high",
        Condition::BackgroundWorkCostNotHigh,
    ),
];

pub(super) const SCHEDULED: [(&str, ScheduledKind); 2] = [
    (ScheduledKind::Periodic.word(), ScheduledKind::Periodic),
    (
        ScheduledKind::ResourceIntensive.word(),
        ScheduledKind::ResourceIntensive,
    ),
];

pub(super) const SLOTS: [(&str, Slot); 2] =
    [("software", Slot::Software), ("hardware", Slot::Hardware)];

pub(super) const RETENTIONS: [(&str, Retention); 3] = [
    ("none", Retention::None),
    ("latest", Retention::Latest),
    ("queue", Retention::Queue),
];

pub(super) const PRIORITIES: [(&str, Priority); 4] = [
    ("high", Priority::High),
    ("medium", Priority::Medium),
    ("low", Priority::Low),
    ("very-low", Priority::VeryLow),
];

pub(super) const DEVICE_STEPS: [(&str, DeviceStep); 4] = [
    (DeviceStep::Restart.word(), DeviceStep::Restart),
    (DeviceStep::Reboot.word(), DeviceStep::Reboot),
    (DeviceStep::PowerCut.word(), DeviceStep::PowerCut),
    (DeviceStep::Suspend.word(), DeviceStep::Suspend),
];

pub(super) const SOCKET: [(&str, SocketActivity); 4] = [
    ("activity", SocketActivity::Activity),
    ("accepted", SocketActivity::Accepted),
    ("keep-alive", SocketActivity::KeepAlive),
    ("closed", SocketActivity::Closed),
];

pub(super) const CHANNEL: [(&str, ChannelActivity); 3] = [
    ("message", ChannelActivity::Message),
    ("keep-alive", ChannelActivity::KeepAlive),
    ("reset", ChannelActivity::Reset),
];

/// What the device writes of runs that it could not start at all has no word: virtual agents always start.
pub(super) const OUTCOMES: [(&str, Outcome); 9] = [
    ("completed", Outcome::Completed),
    ("aborted", Outcome::Aborted),
    ("cancelled", Outcome::Cancelled),
    ("hung", Outcome::Hung),
    ("execution-time-exceeded", Outcome::ExecutionTimeExceeded),
    ("memory-quota-exceeded", Outcome::MemoryQuotaExceeded),
    ("unhandled-exception", Outcome::UnhandledException),
    ("terminated", Outcome::Terminated),
    ("lost", Outcome::Lost),
];

pub(super) const REASONS: [(&str, WaitReason); 21] = [
    ("external-power", WaitReason::ExternalPower),
    ("battery-level", WaitReason::BatteryLevel),
    ("battery-saver", WaitReason::BatterySaver),
    ("network-type", WaitReason::NetworkType),
    ("internet", WaitReason::Internet),
    ("no-internet", WaitReason::NoInternet),
    ("unmetered-network", WaitReason::UnmeteredNetwork),
    ("screen-locked", WaitReason::ScreenLocked),
    ("call", WaitReason::Call),
    ("user-present", WaitReason::UserPresent),
    ("user-not-present", WaitReason::UserNotPresent),
    ("session-connected", WaitReason::SessionConnected),
    ("session-disconnected", WaitReason::SessionDisconnected),
    ("work-cost", WaitReason::WorkCost),
    ("slot", WaitReason::Slot),
    ("interval", WaitReason::Interval),
    ("settling", WaitReason::Settling),
    ("quota", WaitReason::Quota),
    ("cpu-pressure", WaitReason::CpuPressure),
    ("debugger", WaitReason::Debugger),
    ("operator", WaitReason::Operator),
];
