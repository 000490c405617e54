//! What an app registers: a name, an entry point, exactly one trigger, any number of conditions.
//!
//! The steps are types, so that what is required is required by the compiler. Deliberately absent: the device's
//! limits, which its answer names.

use lull_proto::local::v1 as wire;

use crate::Trigger;
use crate::front::wire::{condition_to_wire, trigger_to_wire};

/// A state that must hold before a task runs (CND-20 to 25).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// CND-20: somebody uses the device.
    UserPresent,
    /// CND-21: nobody uses the device.
    UserNotPresent,
    /// CND-22: the Internet is available.
    InternetAvailable,
    /// CND-23: the Internet is not available.
    InternetNotAvailable,
    /// CND-24: the session is connected.
    SessionConnected,
    /// CND-25: the session is disconnected.
    SessionDisconnected,
    /// CND-26: a network is there that is not paid for by use.
    FreeNetworkAvailable,
    /// CND-27: background work does not cost much now.
    BackgroundWorkCostNotHigh,
}

/// What is registered. It starts with [`Registration::named`].
///
/// ```
/// use lull_agent::Trigger;
/// use lull_agent::front::{Condition, Registration};
///
/// let sync = Registration::named("sync")
///     .entry_point("photo-sync")
///     .trigger(Trigger::every(30))
///     .condition(Condition::InternetAvailable)
///     .condition(Condition::UserNotPresent)
///     .cancel_on_condition_loss();
/// # let _ = sync;
/// ```
///
/// A trigger is required, and there is exactly one (ACC-22):
///
/// ```compile_fail
/// use lull_agent::front::{Condition, Registration};
///
/// // error: there is no trigger yet, so there is nothing to put a condition on
/// let sync = Registration::named("sync")
///     .entry_point("photo-sync")
///     .condition(Condition::InternetAvailable);
/// ```
///
/// ```compile_fail
/// use lull_agent::Trigger;
/// use lull_agent::front::Registration;
///
/// // error: a second trigger
/// let sync = Registration::named("sync")
///     .entry_point("photo-sync")
///     .trigger(Trigger::Push)
///     .trigger(Trigger::every(30));
/// ```
///
/// So is an entry point, and an unfinished one cannot be registered:
///
/// ```compile_fail
/// use lull_agent::Trigger;
/// use lull_agent::front::Registration;
///
/// // error: no entry point
/// let sync = Registration::named("sync").trigger(Trigger::Push);
/// ```
///
/// ```compile_fail
/// use lull_agent::front::{Front, Registration};
///
/// async fn register(front: &Front) {
///     // error: no trigger
///     let sync = Registration::named("sync").entry_point("photo-sync");
///     front.register(sync).await.unwrap();
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "nothing is registered until it is given to `Front::reconcile` or `Front::register`"]
pub struct Registration {
    name: String,
    entry_point: String,
    trigger: Trigger,
    conditions: Vec<Condition>,
    cancel_on_condition_loss: bool,
    replace: bool,
    network_requested: bool,
    group: String,
}

/// A registration that has a name; next is its entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it lacks an entry point and a trigger"]
pub struct Named {
    name: String,
}

/// A registration that has a name and an entry point; next is its trigger.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it lacks a trigger"]
pub struct WithEntryPoint {
    name: String,
    entry_point: String,
}

impl Named {
    /// The entry point of the app's manifest that is to run. Compared byte for byte (ACC-21).
    pub fn entry_point(self, entry_point: impl Into<String>) -> WithEntryPoint {
        WithEntryPoint {
            name: self.name,
            entry_point: entry_point.into(),
        }
    }

    /// The app's own process runs it (ACC-21, RUN-01), see [`host`](crate::host). Nothing has to be declared for it (MAN-02).
    pub fn in_process(self) -> WithEntryPoint {
        self.entry_point("")
    }
}

impl WithEntryPoint {
    /// What fires it.
    pub fn trigger(self, trigger: Trigger) -> Registration {
        Registration {
            name: self.name,
            entry_point: self.entry_point,
            trigger,
            conditions: Vec::new(),
            cancel_on_condition_loss: false,
            replace: false,
            network_requested: false,
            group: String::new(),
        }
    }
}

impl Registration {
    /// A registration of this name: 1 to 128 letters, digits, `.`, `_`, `:` and `-`. It need not be unique, though it
    /// should be (ACC-26); see [`replace`](Self::replace).
    pub fn named(name: impl Into<String>) -> Named {
        Named { name: name.into() }
    }

    /// A condition that must hold too before it runs (ACC-23).
    pub fn condition(mut self, condition: Condition) -> Self {
        self.conditions.push(condition);
        self
    }

    /// Ask a run to cancel when one of its conditions is lost (ACC-24).
    pub fn cancel_on_condition_loss(mut self) -> Self {
        self.cancel_on_condition_loss = true;
        self
    }

    /// Replace registrations of the same name in one step (ACC-27).
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// Keep the network, and the device awake for it, while the device is in standby (RUN-30). Without this a run has no network
    /// then (RUN-31).
    pub fn network_requested(mut self) -> Self {
        self.network_requested = true;
        self
    }

    /// Put it into a group of the app's own (MNG-03). A group is left alone when the app reconciles the others.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// The group that it is in.
    pub(super) fn its_group(&self) -> Option<&str> {
        Some(self.group.as_str()).filter(|group| !group.is_empty())
    }

    pub(super) fn into_desired(self) -> wire::DesiredTask {
        let whole = self.into_wire(String::new(), false);
        wire::DesiredTask {
            name: whole.name,
            entry_point: whole.entry_point,
            trigger: whole.trigger,
            conditions: whole.conditions,
            cancel_on_condition_loss: whole.cancel_on_condition_loss,
            network_requested: whole.network_requested,
        }
    }

    pub(super) fn into_wire(self, app: String, dry_run: bool) -> wire::RegisterRequest {
        let conditions = self.conditions.into_iter().map(condition_to_wire);
        wire::RegisterRequest {
            app,
            name: self.name,
            entry_point: self.entry_point,
            trigger: Some(trigger_to_wire(&self.trigger)),
            conditions: conditions.map(i32::from).collect(),
            cancel_on_condition_loss: self.cancel_on_condition_loss,
            replace: self.replace,
            network_requested: self.network_requested,
            group: self.group,
            dry_run,
        }
    }
}
