//! The trigger kinds, one file each: what an app may ask for, what fires it, and how that is said to people.

pub(crate) mod arrivals;
pub(crate) mod channel;
pub(crate) mod device_servicing;
pub(crate) mod device_use;
pub(crate) mod occurrence;
pub(crate) mod push;
pub(crate) mod raised;
pub(crate) mod reserved;
pub(crate) mod system;
pub(crate) mod timer;
pub(crate) mod watched;

use crate::lifecycle::Arrival;
use crate::{AppId, Registration, Source, Subject, SystemEvent, TaskType, Trigger, TriggerKind};

/// By what an arrival finds its registrations. Timers and scheduled agents are found by their due time instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    System(SystemEvent),
    Push(AppId),
    Raised(AppId, TriggerKind),
    Channel(AppId, Subject),
    Socket(AppId, Subject),
    Devices,
    Files(AppId, Subject),
    Bus(AppId, Subject),
}

/// The route of a registration; absent for timers and for what fires no more.
pub(crate) fn route(registration: &Registration) -> Option<Route> {
    if registration.spent {
        return None;
    }
    let app = || registration.app.clone();
    match &registration.trigger {
        Trigger::System { event, .. } => Some(Route::System(*event)),
        Trigger::Push => Some(Route::Push(app())),
        Trigger::Application | Trigger::Media | Trigger::DeviceUse | Trigger::DeviceServicing => {
            Some(Route::Raised(app(), registration.trigger.kind()))
        }
        Trigger::ControlChannel { id, .. } => Some(Route::Channel(app(), id.clone())),
        Trigger::Socket { id } => Some(Route::Socket(app(), id.clone())),
        Trigger::DeviceWatcher { .. } => Some(Route::Devices),
        Trigger::Files { path } => Some(Route::Files(app(), path.clone())),
        Trigger::Bus { event } => Some(Route::Bus(app(), event.clone())),
        Trigger::Timer { .. }
        | Trigger::Maintenance { .. }
        | Trigger::Reserved { .. }
        | Trigger::Periodic
        | Trigger::ResourceIntensive
        | Trigger::UpdateTask => None,
    }
}

/// MAN-03, MAN-04: the task types of which a manifest has to list one for a trigger; none = in-process or machine-made.
pub(crate) const fn task_types(trigger: TriggerKind) -> &'static [TaskType] {
    match trigger {
        TriggerKind::Timer => &[TaskType::Timer],
        TriggerKind::Maintenance => &[TaskType::SystemEvent, TaskType::General],
        TriggerKind::System(_) => &[TaskType::SystemEvent],
        TriggerKind::Push => &[TaskType::PushNotification],
        TriggerKind::ControlChannel => &[TaskType::ControlChannel],
        TriggerKind::Socket
        | TriggerKind::Application
        | TriggerKind::DeviceWatcher
        | TriggerKind::Files
        | TriggerKind::Bus
        | TriggerKind::Reserved => &[TaskType::General],
        TriggerKind::Media => &[TaskType::MediaProcessing],
        TriggerKind::DeviceUse => &[TaskType::DeviceUse],
        TriggerKind::DeviceServicing => &[TaskType::DeviceServicing],
        TriggerKind::Periodic | TriggerKind::ResourceIntensive => &[TaskType::Scheduled],
        TriggerKind::UpdateTask => &[TaskType::UpdateTask],
    }
}

/// A task type as manifests write it.
pub(crate) const fn type_name(task_type: TaskType) -> &'static str {
    match task_type {
        TaskType::General => "general",
        TaskType::SystemEvent => "system-event",
        TaskType::Timer => "timer",
        TaskType::PushNotification => "push-notification",
        TaskType::Audio => "audio",
        TaskType::ControlChannel => "control-channel",
        TaskType::DeviceUse => "device-use",
        TaskType::DeviceServicing => "device-servicing",
        TaskType::MediaProcessing => "media-processing",
        TaskType::Scheduled => "scheduled",
        TaskType::UpdateTask => "update-task",
    }
}

/// What an arrival carries (TRGC-04, AMB-12).
pub(crate) const fn arrival(trigger: TriggerKind) -> Arrival {
    match trigger {
        TriggerKind::System(SystemEvent::SmsReceived)
        | TriggerKind::ControlChannel
        | TriggerKind::Socket
        | TriggerKind::DeviceWatcher
        | TriggerKind::Bus => Arrival::Payload,
        TriggerKind::Push => Arrival::Push,
        TriggerKind::Application
        | TriggerKind::Media
        | TriggerKind::DeviceUse
        | TriggerKind::DeviceServicing => Arrival::Raised,
        TriggerKind::Timer
        | TriggerKind::Maintenance
        | TriggerKind::System(_)
        | TriggerKind::Files
        | TriggerKind::Reserved
        | TriggerKind::Periodic
        | TriggerKind::ResourceIntensive
        | TriggerKind::UpdateTask => Arrival::Bare,
    }
}

/// Whether its first start spends it (TRGC-02, AMB-35).
pub(crate) const fn one_shot(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Timer { one_shot, .. }
        | Trigger::Maintenance { one_shot, .. }
        | Trigger::System { one_shot, .. } => *one_shot,
        Trigger::UpdateTask => true,
        Trigger::Push
        | Trigger::ControlChannel { .. }
        | Trigger::Socket { .. }
        | Trigger::Application
        | Trigger::Media
        | Trigger::DeviceUse
        | Trigger::DeviceServicing
        | Trigger::DeviceWatcher { .. }
        | Trigger::Files { .. }
        | Trigger::Bus { .. }
        | Trigger::Reserved { .. }
        | Trigger::Periodic
        | Trigger::ResourceIntensive => false,
    }
}

/// The sources whose edges fire it.
pub(crate) const fn sources(trigger: &Trigger) -> &'static [Source] {
    match trigger {
        Trigger::System { event, .. } => system::sources(*event),
        Trigger::Timer { .. }
        | Trigger::Maintenance { .. }
        | Trigger::Push
        | Trigger::ControlChannel { .. }
        | Trigger::Socket { .. }
        | Trigger::Application
        | Trigger::Media
        | Trigger::DeviceUse
        | Trigger::DeviceServicing
        | Trigger::DeviceWatcher { .. }
        | Trigger::Files { .. }
        | Trigger::Bus { .. }
        | Trigger::Reserved { .. }
        | Trigger::Periodic
        | Trigger::ResourceIntensive
        | Trigger::UpdateTask => &[],
    }
}

/// What fires it, for people.
pub(crate) fn words(registration: &Registration) -> String {
    let app = &registration.app;
    match &registration.trigger {
        Trigger::Timer { minutes, one_shot } => timer::words(*minutes, *one_shot),
        Trigger::Maintenance { minutes, one_shot } => {
            format!("{}, on external power", timer::words(*minutes, *one_shot))
        }
        Trigger::System { event, one_shot } => system::words(*event, *one_shot),
        Trigger::Push => push::words(app),
        Trigger::ControlChannel { id, .. } => {
            format!("a message or keep-alive of the channel {id}")
        }
        Trigger::Socket { id } => format!("traffic on the socket {id}"),
        Trigger::Application | Trigger::Media => raised::words(app),
        Trigger::DeviceUse | Trigger::DeviceServicing => {
            format!("{app} asking for a device from the foreground")
        }
        Trigger::DeviceWatcher { pattern } => format!("a device {pattern} arriving or leaving"),
        Trigger::Files { path } => format!("a change below {path}"),
        Trigger::Bus { event } => format!("the event {event} of the bus"),
        Trigger::Reserved { name } => format!("{name}, which this release does not offer"),
        Trigger::Periodic => "every 30 minutes or so, as other work allows".to_owned(),
        Trigger::ResourceIntensive => {
            "the device being powered, charged, locked, on Wi-Fi or a cable, and without a call"
                .to_owned()
        }
        Trigger::UpdateTask => format!("an update of {app}"),
    }
}
