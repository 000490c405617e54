//! Between the wire's types and the SDK's own. The wire's go no further than this module and the calls.
//!
//! What a newer node says and this build does not know becomes `Unrecognised`, or an absence where the type can be
//! given back to a node. Deliberately absent: errors, see `error`.

use std::time::{Duration, SystemTime};

use lull_proto::local::v1 as wire;
use lull_proto::time;
use prost_types::Timestamp;

use crate::front::{
    AccessKind, AccessStatus, Condition, Event, Front, FrontError, OfferedPush, Outcome, Raised,
    Run, RunState, ScheduledKind, Task, TaskState,
};
use crate::{CancelReason, RegistrationId, RunId, SystemEvent, Trigger};

pub(super) fn scheduled_kind(kind: ScheduledKind) -> wire::ScheduledKind {
    match kind {
        ScheduledKind::Periodic => wire::ScheduledKind::Periodic,
        ScheduledKind::ResourceIntensive => wire::ScheduledKind::ResourceIntensive,
    }
}

pub(super) fn condition_to_wire(condition: Condition) -> wire::Condition {
    match condition {
        Condition::UserPresent => wire::Condition::UserPresent,
        Condition::UserNotPresent => wire::Condition::UserNotPresent,
        Condition::InternetAvailable => wire::Condition::InternetAvailable,
        Condition::InternetNotAvailable => wire::Condition::InternetNotAvailable,
        Condition::SessionConnected => wire::Condition::SessionConnected,
        Condition::SessionDisconnected => wire::Condition::SessionDisconnected,
        Condition::FreeNetworkAvailable => wire::Condition::FreeNetworkAvailable,
        Condition::BackgroundWorkCostNotHigh => wire::Condition::BackgroundWorkCostNotHigh,
    }
}

fn condition(number: i32) -> Option<Condition> {
    match wire::Condition::try_from(number).ok()? {
        wire::Condition::Unspecified => None,
        wire::Condition::UserPresent => Some(Condition::UserPresent),
        wire::Condition::UserNotPresent => Some(Condition::UserNotPresent),
        wire::Condition::InternetAvailable => Some(Condition::InternetAvailable),
        wire::Condition::InternetNotAvailable => Some(Condition::InternetNotAvailable),
        wire::Condition::SessionConnected => Some(Condition::SessionConnected),
        wire::Condition::SessionDisconnected => Some(Condition::SessionDisconnected),
        wire::Condition::FreeNetworkAvailable => Some(Condition::FreeNetworkAvailable),
        wire::Condition::BackgroundWorkCostNotHigh => Some(Condition::BackgroundWorkCostNotHigh),
    }
}

/// System events, with those of the wire.
const EVENTS: [(SystemEvent, wire::SystemEvent); 14] = {
    use SystemEvent as Ours;
    use wire::SystemEvent as Wire;
    [
        (Ours::SmsReceived, Wire::SmsReceived),
        (Ours::UserPresent, Wire::UserPresent),
        (Ours::UserAway, Wire::UserAway),
        (Ours::NetworkStateChange, Wire::NetworkStateChange),
        (Ours::ControlChannelReset, Wire::ControlChannelReset),
        (Ours::InternetAvailable, Wire::InternetAvailable),
        (Ours::SessionConnected, Wire::SessionConnected),
        (Ours::ServicingComplete, Wire::ServicingComplete),
        (
            Ours::LockScreenApplicationAdded,
            Wire::LockScreenApplicationAdded,
        ),
        (
            Ours::LockScreenApplicationRemoved,
            Wire::LockScreenApplicationRemoved,
        ),
        (Ours::TimeZoneChange, Wire::TimeZoneChange),
        (
            Ours::OnlineIdConnectedStateChange,
            Wire::OnlineIdConnectedStateChange,
        ),
        (
            Ours::BackgroundWorkCostChange,
            Wire::BackgroundWorkCostChange,
        ),
        (Ours::PowerStateChange, Wire::PowerStateChange),
    ]
};

fn event_to_wire(event: SystemEvent) -> wire::SystemEvent {
    let found = EVENTS.iter().find(|(ours, _)| *ours == event);
    found.map_or(wire::SystemEvent::Unspecified, |(_, wire)| *wire)
}

fn system_event(number: i32) -> Option<SystemEvent> {
    let event = wire::SystemEvent::try_from(number).ok()?;
    let found = EVENTS.iter().find(|(_, wire)| *wire == event);
    found.map(|(ours, _)| *ours)
}

pub(super) fn trigger_to_wire(trigger: &Trigger) -> wire::Trigger {
    use wire::trigger::Kind;
    let kind = match trigger {
        Trigger::Timer { minutes, one_shot } => Kind::Timer(wire::TimerTrigger {
            minutes: *minutes,
            one_shot: *one_shot,
        }),
        Trigger::Maintenance { minutes, one_shot } => Kind::Maintenance(wire::MaintenanceTrigger {
            minutes: *minutes,
            one_shot: *one_shot,
        }),
        Trigger::System { event, one_shot } => Kind::System(wire::SystemTrigger {
            event: event_to_wire(*event).into(),
            one_shot: *one_shot,
        }),
        Trigger::Files { path } => Kind::Files(wire::FilesTrigger { path: path.clone() }),
        Trigger::Devices { pattern } => Kind::DeviceWatcher(wire::DeviceWatcherTrigger {
            pattern: pattern.clone(),
        }),
        Trigger::Bus { event } => Kind::Bus(wire::BusTrigger {
            event: event.clone(),
        }),
        Trigger::Socket { id } => Kind::Socket(wire::SocketTrigger { id: id.clone() }),
        Trigger::ControlChannel {
            id,
            keep_alive_minutes,
            hardware,
        } => Kind::ControlChannel(wire::ControlChannelTrigger {
            id: id.clone(),
            keep_alive_minutes: *keep_alive_minutes,
            hardware: *hardware,
        }),
        Trigger::Push => Kind::Push(wire::PushTrigger {}),
        Trigger::Application => Kind::Application(wire::ApplicationTrigger {}),
        Trigger::Media => Kind::Media(wire::MediaTrigger {}),
        Trigger::DeviceUse => Kind::DeviceUse(wire::DeviceUseTrigger {}),
        Trigger::DeviceServicing => Kind::DeviceServicing(wire::DeviceServicingTrigger {}),
    };
    wire::Trigger { kind: Some(kind) }
}

fn trigger(trigger: &wire::Trigger) -> Option<Trigger> {
    use wire::trigger::Kind;
    Some(match trigger.kind.as_ref()? {
        Kind::Timer(timer) => Trigger::Timer {
            minutes: timer.minutes,
            one_shot: timer.one_shot,
        },
        Kind::Maintenance(maintenance) => Trigger::Maintenance {
            minutes: maintenance.minutes,
            one_shot: maintenance.one_shot,
        },
        Kind::System(system) => Trigger::System {
            event: system_event(system.event)?,
            one_shot: system.one_shot,
        },
        Kind::Files(files) => Trigger::Files {
            path: files.path.clone(),
        },
        Kind::DeviceWatcher(devices) => Trigger::Devices {
            pattern: devices.pattern.clone(),
        },
        Kind::Bus(bus) => Trigger::Bus {
            event: bus.event.clone(),
        },
        Kind::Socket(socket) => Trigger::Socket {
            id: socket.id.clone(),
        },
        Kind::ControlChannel(channel) => Trigger::ControlChannel {
            id: channel.id.clone(),
            keep_alive_minutes: channel.keep_alive_minutes,
            hardware: channel.hardware,
        },
        Kind::Push(wire::PushTrigger {}) => Trigger::Push,
        Kind::Application(wire::ApplicationTrigger {}) => Trigger::Application,
        Kind::Media(wire::MediaTrigger {}) => Trigger::Media,
        Kind::DeviceUse(wire::DeviceUseTrigger {}) => Trigger::DeviceUse,
        Kind::DeviceServicing(wire::DeviceServicingTrigger {}) => Trigger::DeviceServicing,
        _not_registered_by_this_build => return None,
    })
}

pub(super) fn access_kind(kind: AccessKind) -> wire::AccessKind {
    match kind {
        AccessKind::AlwaysAllowed => wire::AccessKind::AlwaysAllowed,
        AccessKind::Allowed => wire::AccessKind::Allowed,
    }
}

pub(super) fn access(number: i32) -> AccessStatus {
    match wire::AccessStatus::try_from(number) {
        Ok(wire::AccessStatus::NotRequested) => AccessStatus::NotRequested,
        Ok(wire::AccessStatus::AlwaysAllowed) => AccessStatus::AlwaysAllowed,
        Ok(wire::AccessStatus::Allowed) => AccessStatus::Allowed,
        Ok(wire::AccessStatus::DeniedBySystemPolicy) => AccessStatus::DeniedBySystemPolicy,
        Ok(wire::AccessStatus::DeniedByUser) => AccessStatus::DeniedByUser,
        Ok(wire::AccessStatus::Unspecified) | Err(_) => AccessStatus::Unrecognised(number),
    }
}

pub(super) fn raised(number: i32) -> Raised {
    match wire::Raised::try_from(number) {
        Ok(wire::Raised::Allowed) => Raised::Allowed,
        Ok(wire::Raised::CurrentlyRunning) => Raised::CurrentlyRunning,
        Ok(wire::Raised::DisabledByPolicy) => Raised::DisabledByPolicy,
        Ok(wire::Raised::DeniedByUser) => Raised::DeniedByUser,
        Ok(wire::Raised::DeniedBySystem) => Raised::DeniedBySystem,
        Ok(wire::Raised::LowBattery) => Raised::LowBattery,
        Ok(wire::Raised::Unspecified) | Err(_) => Raised::Unrecognised(number),
    }
}

pub(super) fn task(task: wire::Task) -> Result<Task, FrontError> {
    Ok(Task {
        registration: RegistrationId(task.id),
        registered_at: moment("registered_at", task.registered_at)?,
        next: moment("next", task.next)?,
        trigger: task.trigger.as_ref().and_then(trigger),
        conditions: task.conditions.into_iter().map(condition).collect(),
        state: TaskState::named(&task.state, task.reasons),
        name: task.name,
        entry_point: task.entry_point,
        runs: task.runs,
    })
}

pub(super) fn run(run: wire::Run) -> Result<Run, FrontError> {
    let state = match run.outcome.as_str() {
        "" => RunState::named(&run.state),
        outcome => RunState::Ended(Outcome::named(outcome)),
    };
    let ran = run.ran.as_ref().map(time::span_millis).transpose();
    let ran = ran.map_err(|source| FrontError::Time {
        field: "ran",
        source,
    })?;
    Ok(Run {
        run: RunId(run.run),
        number: run.number,
        state,
        cancel_reason: words(run.cancel_reason).map(|name| CancelReason::named(&name)),
        message: words(run.message),
        exit: words(run.exit),
        started: moment("started_at", run.started_at)?,
        ended: moment("ended_at", run.ended_at)?,
        ran: ran.map(Duration::from_millis),
        progress: run.progress,
        memory_peak: run.memory_peak,
        push: words(run.push_id),
        attempt: run.attempt,
        output: run.output,
        task: run.task,
    })
}

/// An event; none = the answer to attaching, which is no event.
pub(super) fn event(
    answer: wire::AttachResponse,
    front: &Front,
) -> Result<Option<Event>, FrontError> {
    use wire::attach_response::Event as Wire;
    Ok(match answer.event {
        Some(Wire::Attached(_)) => None,
        Some(Wire::Started(started)) => Some(Event::Started {
            run: RunId(started.run),
            task: started.task,
        }),
        Some(Wire::Progress(progress)) => Some(Event::Progress {
            run: RunId(progress.run),
            task: progress.task,
            value: progress.value,
        }),
        Some(Wire::Completion(ended)) => Some(Event::Completion(Box::new(run(ended)?))),
        Some(Wire::Dropped(dropped)) => Some(Event::Dropped {
            task: dropped.task,
            reason: dropped.reason,
        }),
        Some(Wire::Push(push)) => Some(Event::Push(OfferedPush::new(push, front)?)),
        Some(Wire::Missed(count)) => Some(Event::Missed(count)),
        None => Some(Event::Unrecognised),
    })
}

fn words(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

pub(super) fn moment(
    field: &'static str,
    timestamp: Option<Timestamp>,
) -> Result<Option<SystemTime>, FrontError> {
    let millis = timestamp.as_ref().map(time::wall_millis).transpose();
    let millis = millis.map_err(|source| FrontError::Time { field, source })?;
    Ok(millis.and_then(|millis| SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis))))
}
