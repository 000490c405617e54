//! The rule book once more, as the checkers read it: what has to hold, told in their own words and from inputs and
//! outputs alone.
//!
//! Deliberately absent: any use of the machine's own predicates. Where both say the same they were written twice on purpose.

use lull_policy::{
    AccessChoice, AgentDeclaration, App, AppsInBackground, Bytes, Call, Capability, Condition,
    DeviceKind, Exit, HostKind, Level, Network, Outcome, Policy, Priority, Profile, Readings,
    Session, Span, SystemEvent, TaskType, Trigger, TriggerKind, WaitReason,
};

use crate::checkers::View;

fn known(level: Level<bool>) -> Option<bool> {
    level.value()
}

/// CND-20 to CND-27; absent = nobody can tell.
pub(crate) fn holds(condition: Condition, seen: &Readings) -> Option<bool> {
    match condition {
        Condition::UserPresent => known(seen.user_present),
        Condition::UserNotPresent => known(seen.user_present).map(|present| !present),
        Condition::InternetAvailable => known(seen.internet),
        Condition::InternetNotAvailable => known(seen.internet).map(|there| !there),
        Condition::SessionConnected => seen.session.value().map(|s| s == Session::Connected),
        Condition::SessionDisconnected => seen.session.value().map(|s| s == Session::Disconnected),
        Condition::FreeNetworkAvailable => {
            let there = known(seen.internet);
            let free = known(seen.metered).map(|metered| !metered);
            both(there, free)
        }
        Condition::BackgroundWorkCostNotHigh => {
            // RES-20: low on external power, else by the screen.
            match known(seen.external_power) {
                Some(true) => Some(true),
                Some(false) => known(seen.screen_on),
                None => None,
            }
        }
    }
}

/// Two that have to hold together: one that does not is enough to know.
fn both(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// What is missing while a condition does not hold.
pub(crate) const fn missing(condition: Condition) -> WaitReason {
    match condition {
        Condition::UserPresent => WaitReason::UserPresent,
        Condition::UserNotPresent => WaitReason::UserNotPresent,
        Condition::InternetAvailable => WaitReason::Internet,
        Condition::InternetNotAvailable => WaitReason::NoInternet,
        Condition::SessionConnected => WaitReason::SessionConnected,
        Condition::SessionDisconnected => WaitReason::SessionDisconnected,
        Condition::FreeNetworkAvailable => WaitReason::UnmeteredNetwork,
        Condition::BackgroundWorkCostNotHigh => WaitReason::WorkCost,
    }
}

/// RES-09, AMB-34: enabled, on battery, below the level, all of it known.
pub(crate) fn saver_acts(seen: &Readings, policy: &Policy) -> bool {
    let below = seen
        .battery
        .value()
        .is_some_and(|charge| charge < policy.saver_level);
    known(seen.battery_saver) == Some(true) && known(seen.external_power) == Some(false) && below
}

/// PER-04, AMB-05: by hand it holds periodic agents whatever the power.
pub(crate) fn saver_holds_periodic(seen: &Readings, policy: &Policy) -> bool {
    let by_hand = known(seen.battery_saver) == Some(true) && known(seen.saver_manual) == Some(true);
    by_hand || saver_acts(seen, policy)
}

/// PSH-20, the table of the rule book: is the push held back?
pub(crate) fn push_held(
    seen: &Readings,
    policy: &Policy,
    priority: Priority,
    exempt: bool,
) -> bool {
    let dark = known(seen.screen_on) == Some(false) && known(seen.external_power) == Some(false);
    match (saver_acts(seen, policy), dark, priority) {
        (true, _, Priority::VeryLow) | (false, true, Priority::VeryLow) => true,
        (true, _, _) => !exempt,
        (false, true, Priority::High) => false,
        (false, true, Priority::Medium | Priority::Low) => !exempt,
        (false, false, _) => false,
    }
}

/// INT-02 to INT-06.
pub(crate) fn conjunction(seen: &Readings, policy: &Policy) -> [(WaitReason, Option<bool>); 5] {
    let charged = seen.battery.value();
    let network = seen.network.value();
    let call = seen.call.value();
    [
        (WaitReason::ExternalPower, known(seen.external_power)),
        (
            WaitReason::BatteryLevel,
            charged.map(|charge| charge > policy.intensive_battery_above),
        ),
        (
            WaitReason::NetworkType,
            network.map(|n| n == Network::Wifi || n == Network::Ethernet),
        ),
        (WaitReason::ScreenLocked, known(seen.screen_locked)),
        (
            WaitReason::Call,
            call.map(|call| match call {
                Call::None => true,
                Call::Ringing => !policy.intensive_ringing_counts,
                Call::Active => false,
            }),
        ),
    ]
}

/// What an app may do in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing.
    No,
    /// Nothing, but that an update has to be put right (AMB-07).
    Stale,
    /// What policy lets it.
    Yes,
    /// In Battery Saver too.
    Always,
}

/// ENT-05: policy itself says no.
pub(crate) fn denied_by_policy(view: &View, app: &lull_policy::AppId) -> bool {
    let policy = &view.policy;
    let none = policy.apps_in_background == AppsInBackground::ForceDeny;
    policy.denied_apps.contains(app) || none && !policy.always_allowed_apps.contains(app)
}

/// ACC-02, ACC-14, ENT-05, RES-11.
pub(crate) fn access(view: &View, app: &lull_policy::AppId) -> Access {
    let policy = &view.policy;
    if policy.denied_apps.contains(app) {
        return Access::No;
    }
    if policy.always_allowed_apps.contains(app) {
        return Access::Always;
    }
    match policy.apps_in_background {
        AppsInBackground::ForceAllow => return Access::Always,
        AppsInBackground::ForceDeny => return Access::No,
        AppsInBackground::UserInControl => {}
    }
    let Some(grant) = view.grants.get(app) else {
        return Access::No;
    };
    let granted = grant.status.may_run() && grant.choice != Some(AccessChoice::Never);
    let version = view.apps.get(app).map(|app| &app.version);
    let fresh = version == Some(&grant.version) && !view.updates.contains(app);
    match (granted, fresh, grant.choice) {
        (false, _, _) => Access::No,
        (true, false, _) => Access::Stale,
        (true, true, Some(AccessChoice::Always)) => Access::Always,
        (true, true, _) => Access::Yes,
    }
}

/// MAN-01 to MAN-04: does the manifest declare what a registration runs?
pub(crate) fn declared(app: &App, registration: &lull_policy::Registration) -> bool {
    let Some(entry_point) = &registration.entry_point else {
        return true;
    };
    let types: &[TaskType] = match registration.trigger {
        Trigger::Timer { .. } => &[TaskType::Timer],
        Trigger::Maintenance { .. } => &[TaskType::SystemEvent, TaskType::General],
        Trigger::System { .. } => &[TaskType::SystemEvent],
        Trigger::Push => &[TaskType::PushNotification],
        Trigger::ControlChannel { .. } => &[TaskType::ControlChannel],
        Trigger::Media => &[TaskType::MediaProcessing],
        Trigger::DeviceUse => &[TaskType::DeviceUse],
        Trigger::DeviceServicing => &[TaskType::DeviceServicing],
        Trigger::Periodic | Trigger::ResourceIntensive => &[TaskType::Scheduled],
        Trigger::UpdateTask => &[TaskType::UpdateTask],
        Trigger::Socket { .. }
        | Trigger::Application
        | Trigger::DeviceWatcher { .. }
        | Trigger::Files { .. }
        | Trigger::Bus { .. }
        | Trigger::Reserved { .. } => &[TaskType::General],
    };
    let agent = app
        .agents
        .iter()
        .find(|agent| agent.entry_point == *entry_point);
    agent.is_some_and(|agent| types.iter().any(|wanted| agent.types.contains(wanted)))
}

/// AMB-07: what may run on a stale grant.
pub(crate) const fn repairs(kind: TriggerKind) -> bool {
    matches!(kind, TriggerKind::System(SystemEvent::ServicingComplete))
}

/// RES-01 to RES-03, TRGD-24, TRGD-31, TRGD-37: the life of a run from start to kill; absent = without end.
pub(crate) fn life(
    kind: TriggerKind,
    policy: &Policy,
    profile: &Profile,
    app: Option<&App>,
    agent: Option<&AgentDeclaration>,
) -> Option<Span> {
    let scheduled = matches!(kind, TriggerKind::Periodic | TriggerKind::ResourceIntensive);
    let freed = app.is_some_and(|app| app.can(Capability::ExtendedBackgroundTaskTime));
    if freed && !scheduled {
        return None;
    }
    let class = match kind {
        TriggerKind::Periodic => policy.periodic_time,
        TriggerKind::ResourceIntensive => policy.intensive_time,
        TriggerKind::Maintenance => policy.maintenance_time,
        TriggerKind::Application | TriggerKind::Media => policy.application_time,
        TriggerKind::DeviceServicing => policy.servicing_time,
        TriggerKind::DeviceUse if profile.kind == DeviceKind::Phone => return None,
        TriggerKind::DeviceUse => policy.device_use_time,
        _ => policy.task_time,
    };
    let own = agent.and_then(|agent| agent.time);
    Some(own.map_or(class, |own| own.min(class)))
}

/// RES-04 to RES-06: the memory cap of a run; absent = none.
pub(crate) fn cap(
    kind: TriggerKind,
    host: HostKind,
    policy: &Policy,
    profile: &Profile,
    agent: Option<&AgentDeclaration>,
) -> Option<Bytes> {
    if host == HostKind::InProcess {
        return None;
    }
    let scheduled = matches!(kind, TriggerKind::Periodic | TriggerKind::ResourceIntensive);
    let small = profile
        .memory
        .is_some_and(|memory| memory.0 < 1_000_000_000);
    let class = match (scheduled, small) {
        (true, true) => Some(policy.agent_memory_low),
        (true, false) => Some(policy.agent_memory),
        (false, _) => policy.task_memory,
    };
    let own = agent.and_then(|agent| agent.memory);
    class.into_iter().chain(own).min()
}

/// What a checker knows of a run that ends.
#[derive(Debug, Clone, Copy, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "all of them can be true of one run"
)]
pub(crate) struct Past {
    /// It follows the rules of scheduled agents.
    pub(crate) scheduled: bool,
    /// What it said first: its work is done (true), or cannot be done.
    pub(crate) said: Option<bool>,
    /// It was asked to cancel.
    pub(crate) asked: bool,
    /// Its kill was ordered.
    pub(crate) killed: bool,
    /// Its time was over when its kill was ordered.
    pub(crate) overdue: bool,
}

/// Section 4e and AMB-13: how the end of a run is recorded. Absent where the rule book leaves a choice.
pub(crate) fn outcome(past: Past, exit: &Exit) -> Option<Outcome> {
    let said = past.said.map(|done| {
        if done {
            Outcome::Completed
        } else {
            Outcome::Aborted
        }
    });
    let by_itself = match exit {
        Exit::LaunchFailed { .. } => return Some(Outcome::NotStarted),
        Exit::Lost => return Some(said.unwrap_or(Outcome::Lost)),
        Exit::MemoryExceeded => Outcome::MemoryQuotaExceeded,
        Exit::SystemMemory => Outcome::Terminated,
        Exit::Status(0) if past.scheduled => said.unwrap_or(Outcome::UnhandledException),
        Exit::Status(0) => said.unwrap_or(Outcome::Completed),
        Exit::Status(75) => said.unwrap_or(Outcome::Aborted),
        Exit::Status(_) | Exit::Signal(_) | Exit::Vanished => {
            said.unwrap_or(Outcome::UnhandledException)
        }
    };
    Some(match (past.killed, past.asked, past.scheduled) {
        (true, true, _) => return None,
        (true, false, true) if past.overdue => Outcome::ExecutionTimeExceeded,
        (true, false, _) => Outcome::Terminated,
        (false, true, _) => Outcome::Cancelled,
        (false, false, _) => by_itself,
    })
}

/// CRS-01, CRS-03, CRS-07: does it count as a crash?
pub(crate) const fn is_crash(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::MemoryQuotaExceeded | Outcome::UnhandledException
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_does_not_hold_is_enough_to_know() {
        assert_eq!(both(Some(false), None), Some(false));
        assert_eq!(both(None, Some(true)), None);
        assert_eq!(both(Some(true), Some(true)), Some(true));
    }
}
