//! `ApplicationTrigger` (TRG-16, TRGD-20 to TRGD-25): the app asks for a run from the foreground.
//!
//! The answer is the verdict of a request that starts nothing: `CurrentlyRunning` and `DisabledByPolicy` count as
//! no firing. It never queues.

use crate::admission::Obstacle;
use crate::lifecycle::{self, Reception};
use crate::trigger::Route;
use crate::turn::Turn;
use crate::{
    Answer, AppId, Caller, DropReason, Raised, Refusal, RegistrationId, TaskName, Trigger,
    WaitReason,
};

/// What fires it, for people.
pub(crate) fn words(app: &AppId) -> String {
    format!("{app} asking for it from the foreground")
}

impl Turn<'_> {
    /// TRGD-21, TRGD-22.
    pub(crate) fn request_run(
        &mut self,
        caller: &Caller,
        app: &AppId,
        name: &TaskName,
    ) -> Result<Answer, Refusal> {
        foreground(caller, app)?;
        let id = self.application_registration(app, name)?;
        let standing = self.device.standing(id);
        let raised = match lifecycle::receive(standing, lifecycle::Arrival::Raised) {
            Reception::Admit => self.raise(id),
            Reception::CurrentlyRunning => Raised::CurrentlyRunning,
            Reception::Coalesce | Reception::Queue | Reception::Ignore => Raised::DisabledByPolicy,
        };
        Ok(Answer::Raised(raised))
    }

    /// TRGD-25: access and Battery Saver answer the caller; a missing condition latches.
    fn raise(&mut self, id: RegistrationId) -> Raised {
        match self.device.obstacle(self.now, id) {
            Some(Obstacle::Drop(_) | Obstacle::Wait(WaitReason::BatterySaver)) => {
                Raised::DisabledByPolicy
            }
            Some(Obstacle::Wait(WaitReason::Slot)) => Raised::CurrentlyRunning,
            None
            | Some(Obstacle::Wait(
                WaitReason::Internet
                | WaitReason::NoInternet
                | WaitReason::SessionConnected
                | WaitReason::SessionDisconnected
                | WaitReason::UserPresent
                | WaitReason::UserNotPresent
                | WaitReason::Interval,
            )) => {
                self.admit(id);
                Raised::Allowed
            }
        }
    }

    fn application_registration(
        &self,
        app: &AppId,
        name: &TaskName,
    ) -> Result<RegistrationId, Refusal> {
        let route = Route::Application(app.clone());
        let named = |id: &RegistrationId| {
            self.device
                .registrations
                .get(id)
                .is_some_and(|r| r.name == *name)
        };
        self.device.index.routed(&route).into_iter().find(named).ok_or_else(|| Refusal::NotFound {
            message: format!(
                "{app} has no registration {name} with an application trigger; register one first"
            ),
        })
    }

    /// TRGD-20: once per app instance; one about to be replaced does not count (AMB-41).
    pub(crate) fn once_only(
        &self,
        app: &AppId,
        trigger: Trigger,
        replaced: &[RegistrationId],
    ) -> Result<(), Refusal> {
        let route = match trigger {
            Trigger::Application => Route::Application(app.clone()),
            Trigger::Timer { .. } | Trigger::System { .. } | Trigger::Push => return Ok(()),
        };
        let others = self.device.index.routed(&route);
        match others.iter().find(|id| !replaced.contains(id)) {
            None => Ok(()),
            Some(other) => Err(Refusal::AlreadyExists {
                message: format!(
                    "{app} has an application trigger already (registration {}); an app has at most one, \
                     unregister that one or replace it by its name",
                    other.0
                ),
            }),
        }
    }
}

/// TRGD-21, MNG-13: only the app itself, from the foreground.
fn foreground(caller: &Caller, app: &AppId) -> Result<(), Refusal> {
    let denied = |message: String| Err(Refusal::PermissionDenied { message });
    match caller {
        Caller::Front {
            app: own,
            foreground: true,
        } if own == app => Ok(()),
        Caller::Front {
            app: own,
            foreground: true,
        } => denied(format!("{own} cannot raise the triggers of {app}")),
        Caller::Front {
            foreground: false, ..
        } => denied(format!(
            "{app} is not in the foreground; take the foreground lease before raising an application trigger"
        )),
        Caller::Agent { .. } => denied(
            "an agent cannot raise application triggers; its app can, from the foreground"
                .to_owned(),
        ),
        Caller::Operator => {
            denied("an application trigger is raised by its app, not by hand".to_owned())
        }
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
            | Self::AttemptsExhausted => self,
        }
    }
}
