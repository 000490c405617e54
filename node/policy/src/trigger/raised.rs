//! Triggers that the app raises itself, from the foreground (TRG-16 to TRG-19, TRGD-20 to TRGD-25).
//!
//! The answer is the verdict of a request that starts nothing: `CurrentlyRunning` and `DisabledByPolicy` count as
//! no firing. It never queues. Absent here: what a device needs beyond that
//! ([`device_use`](crate::trigger::device_use), [`device_servicing`](crate::trigger::device_servicing)).

use crate::admission::Obstacle;
use crate::lifecycle::{self, Reception};
use crate::start::Cause;
use crate::trigger::Route;
use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Caller, Details, Device, DropReason, Observation, Raised, Refusal,
    RegistrationId, TaskName, Trigger, TriggerKind, Verdict, WaitReason,
};

/// What fires it, for people.
pub(crate) fn words(app: &AppId) -> String {
    format!("{app} asking for it from the foreground")
}

impl Turn<'_> {
    /// TRGD-21, TRGD-22: an application or media trigger.
    pub(crate) fn request_run(
        &mut self,
        caller: &Caller,
        app: &AppId,
        name: &TaskName,
    ) -> Result<Answer, Refusal> {
        foreground(self.device, caller, app)?;
        let kinds = [TriggerKind::Application, TriggerKind::Media];
        let id = self.raised_registration(app, name, &kinds)?;
        Ok(Answer::Raised(self.raise(id, None)))
    }

    /// TRGD-25: access and Battery Saver answer the caller; a missing condition latches.
    pub(crate) fn raise(&mut self, id: RegistrationId, details: Option<Details>) -> Raised {
        let standing = self.device.standing(id);
        match lifecycle::receive(standing, lifecycle::Arrival::Raised) {
            Reception::Admit => {}
            Reception::CurrentlyRunning if self.device.broken(Broken::SecondRaiseQueues) => {
                self.admit(id);
                return Raised::Allowed;
            }
            Reception::CurrentlyRunning => return Raised::CurrentlyRunning,
            Reception::Coalesce | Reception::Queue | Reception::Ignore => {
                return Raised::DisabledByPolicy;
            }
        }
        match self.judge(id).obstacle {
            Some(Obstacle::Drop(_) | Obstacle::Wait(WaitReason::BatterySaver)) => {
                Raised::DisabledByPolicy
            }
            Some(Obstacle::Wait(WaitReason::Slot)) => Raised::CurrentlyRunning,
            // Somebody is at the device now: that request does not wait for a condition or a quota.
            Some(Obstacle::Wait(_)) if details.is_some() => Raised::DisabledByPolicy,
            Some(Obstacle::Wait(_)) | None => {
                self.observe_task(id, Observation::Triggered);
                match details {
                    None => self.admit(id),
                    Some(details) => {
                        let run = self.start(id, Cause::Details(&details));
                        self.record(id, Verdict::Ran, run);
                    }
                }
                Raised::Allowed
            }
        }
    }

    /// The registration of a name with one of these triggers.
    pub(crate) fn raised_registration(
        &self,
        app: &AppId,
        name: &TaskName,
        kinds: &[TriggerKind],
    ) -> Result<RegistrationId, Refusal> {
        self.installed(app)?;
        let named = |id: &RegistrationId| {
            self.device
                .registrations
                .get(id)
                .is_some_and(|r| r.name == *name)
        };
        kinds
            .iter()
            .flat_map(|kind| self.device.index.routed(&Route::Raised(app.clone(), *kind)))
            .find(named)
            .ok_or_else(|| Refusal::NotFound {
                message: format!(
                    "{app} has no registration {name} with such a trigger; register one first"
                ),
            })
    }

    /// TRGD-20: once per app instance; one about to be replaced does not count (AMB-41), those made together do.
    pub(crate) fn once_only<'t>(
        &self,
        app: &AppId,
        trigger: &Trigger,
        mut together: impl Iterator<Item = &'t Trigger>,
        replaced: &[RegistrationId],
    ) -> Result<(), Refusal> {
        let kind = trigger.kind();
        if !is_once_only(kind) || self.device.broken(Broken::OnceOnlyUnlimited) {
            return Ok(());
        }
        let others = self.device.index.routed(&Route::Raised(app.clone(), kind));
        let other = others.iter().find(|id| !replaced.contains(id));
        if other.is_none() && !together.any(|other| other.kind() == kind) {
            return Ok(());
        }
        Err(Refusal::AlreadyExists {
            message: format!(
                "{app} has a trigger of the kind {} already; an app has at most one, unregister that one or replace it \
                 by its name",
                kind.word(),
            ),
        })
    }

    /// MNG-13: a registration fired by hand, where it could still fire and is not raised by its app.
    pub(crate) fn debug_fire(
        &mut self,
        caller: &Caller,
        app: &AppId,
        id: RegistrationId,
    ) -> Result<Answer, Refusal> {
        match caller {
            Caller::Operator => {}
            Caller::Front { .. } | Caller::Agent { .. } => {
                return Err(Refusal::PermissionDenied {
                    message: "only the operator fires a task by hand".to_owned(),
                });
            }
        }
        self.developer_mode()?;
        let own = self.device.registrations.get(&id).filter(|r| r.app == *app);
        let Some(registration) = own else {
            return Err(Refusal::NotFound {
                message: format!("{app} has no registration with id {}", id.0),
            });
        };
        let refused = |message: String| Err(Refusal::FailedPrecondition { message });
        if registration.spent {
            return refused(format!(
                "{} has fired and is spent; register it again",
                registration.name
            ));
        }
        match crate::trigger::arrival(registration.trigger.kind()) {
            lifecycle::Arrival::Bare => {
                self.fire(id);
                Ok(Answer::Done)
            }
            lifecycle::Arrival::Raised | lifecycle::Arrival::Payload | lifecycle::Arrival::Push => {
                refused(format!(
                    "a trigger of the kind {} cannot be fired by hand: it has something to tell, or is raised by its app",
                    registration.trigger.kind().word()
                ))
            }
        }
    }
}

/// TRGD-20: which kinds an app may have once only.
const fn is_once_only(kind: TriggerKind) -> bool {
    match kind {
        TriggerKind::Application | TriggerKind::Media | TriggerKind::DeviceUse => true,
        TriggerKind::Timer
        | TriggerKind::Maintenance
        | TriggerKind::System(_)
        | TriggerKind::Push
        | TriggerKind::ControlChannel
        | TriggerKind::Socket
        | TriggerKind::DeviceServicing
        | TriggerKind::DeviceWatcher
        | TriggerKind::Files
        | TriggerKind::Bus
        | TriggerKind::Reserved
        | TriggerKind::Periodic
        | TriggerKind::ResourceIntensive
        | TriggerKind::UpdateTask => false,
    }
}

/// TRGD-21, TRGD-27, ACC-42: only the app itself, from the foreground.
pub(crate) fn foreground(device: &Device, caller: &Caller, app: &AppId) -> Result<(), Refusal> {
    let denied = |message: String| Err(Refusal::PermissionDenied { message });
    match caller {
        Caller::Front {
            app: own,
            foreground,
        } if own == app && (*foreground || device.broken(Broken::ForegroundNotNeeded)) => Ok(()),
        Caller::Front {
            app: own,
            foreground: true,
        } => denied(format!("{own} cannot act for {app}")),
        Caller::Front {
            foreground: false, ..
        } => denied(format!(
            "{app} is not in the foreground; take the foreground lease before asking for this"
        )),
        Caller::Agent { .. } => {
            denied("an agent cannot ask for this; its app can, from the foreground".to_owned())
        }
        Caller::Operator => denied(
            "this is asked for by the app itself, from the foreground, not by hand".to_owned(),
        ),
    }
}

/// Whether a drop of a firing that waits is told by another word than one at its arrival.
impl DropReason {
    pub(crate) const fn while_waiting(self) -> Self {
        match self {
            Self::Access => Self::AccessRemoved,
            Self::AccessRemoved
            | Self::Unregistered
            | Self::Coalesced
            | Self::QueueFull
            | Self::Reboot
            | Self::Expired
            | Self::NoHandler
            | Self::Invalid
            | Self::Uninstalled
            | Self::Duplicate
            | Self::AttemptsExhausted
            | Self::Policy
            | Self::Operator
            | Self::Collapsed
            | Self::Unscheduled => self,
        }
    }
}
