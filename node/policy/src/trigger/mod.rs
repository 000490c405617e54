//! The trigger kinds, one file each: what an app may ask for, what fires it, and how that is said to people.

pub(crate) mod application;
pub(crate) mod push;
pub(crate) mod system;
pub(crate) mod timer;

use crate::lifecycle::Arrival;
use crate::{AppId, Registration, Source, SystemEvent, TaskType, Trigger};

/// By what an arrival finds its registrations. Timers are found by their due time instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Route {
    System(SystemEvent),
    Push(AppId),
    Application(AppId),
}

/// The route of a registration; absent for timers and for what fires no more.
pub(crate) fn route(registration: &Registration) -> Option<Route> {
    if registration.spent {
        return None;
    }
    match registration.trigger {
        Trigger::Timer { .. } => None,
        Trigger::System { event, .. } => Some(Route::System(event)),
        Trigger::Push => Some(Route::Push(registration.app.clone())),
        Trigger::Application => Some(Route::Application(registration.app.clone())),
    }
}

/// MAN-03, MAN-04: the task type a manifest has to list for a trigger.
pub(crate) const fn task_type(trigger: Trigger) -> TaskType {
    match trigger {
        Trigger::Timer { .. } => TaskType::Timer,
        Trigger::System { .. } => TaskType::SystemEvent,
        Trigger::Push => TaskType::PushNotification,
        Trigger::Application => TaskType::General,
    }
}

/// A task type as manifests write it.
pub(crate) const fn type_name(task_type: TaskType) -> &'static str {
    match task_type {
        TaskType::General => "general",
        TaskType::SystemEvent => "system-event",
        TaskType::Timer => "timer",
        TaskType::PushNotification => "push-notification",
    }
}

/// What an arrival carries.
pub(crate) const fn arrival(trigger: Trigger) -> Arrival {
    match trigger {
        Trigger::Timer { .. } | Trigger::System { .. } => Arrival::Bare,
        Trigger::Push => Arrival::Payload,
        Trigger::Application => Arrival::Raised,
    }
}

/// Whether its first start spends it (TRGC-02, AMB-35).
pub(crate) const fn one_shot(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Timer { one_shot, .. } | Trigger::System { one_shot, .. } => one_shot,
        Trigger::Push | Trigger::Application => false,
    }
}

/// The source whose edges fire it, if any.
pub(crate) const fn source(trigger: Trigger) -> Option<Source> {
    match trigger {
        Trigger::System { event, .. } => Some(system::source(event)),
        Trigger::Timer { .. } | Trigger::Push | Trigger::Application => None,
    }
}

/// What fires it, for people.
pub(crate) fn words(registration: &Registration) -> String {
    match registration.trigger {
        Trigger::Timer { minutes, one_shot } => timer::words(minutes, one_shot),
        Trigger::System { event, one_shot } => system::words(event, one_shot),
        Trigger::Push => push::words(&registration.app),
        Trigger::Application => application::words(&registration.app),
    }
}
