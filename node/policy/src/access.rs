//! Background access (ACC-01 to ACC-17): asked for by the app, overruled by the operator, stale after an update.
//!
//! Fleet policy comes before all of them (ENT-05). The status is derived at each question, never stored.

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::turn::Turn;
use crate::{
    AccessChoice, AccessKind, AccessStatus, AccessWish, Answer, App, AppId, AppsInBackground,
    Broken, Caller, CancelReason, Device, DropReason, Grant, Key, Policy, Refusal, SystemEvent,
    TriggerKind, bounds,
};

/// ACC-06, ACC-15: asked at dispatch too, whatever held at registration. Not asked: scheduled agents, which their app
/// schedules from the foreground, and update tasks, which put things right before the app is launched (TRG-35).
pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Drop(DropReason::Access),
    applies: |kind| !kind.is_scheduled() && kind != TriggerKind::UpdateTask,
    closed: |facts| {
        !facts.access.may_run()
            && !denied_by_policy(facts.device, &facts.registration.app)
            && !repairs(facts)
    },
    words,
    sources: &[],
    waived_for_test: false,
};

/// ENT-05: fleet policy denies the app, whatever was chosen.
pub(crate) const POLICY_GATE: Gate = Gate {
    obstacle: Obstacle::Drop(DropReason::Policy),
    applies: |kind| kind != TriggerKind::UpdateTask,
    closed: |facts| denied_by_policy(facts.device, &facts.registration.app),
    words: |facts| Words {
        seen: format!(
            "fleet policy denies {} the background",
            facts.registration.app
        ),
        needs: "the fleet's operator has to change the policy".to_owned(),
        ..Words::default()
    },
    sources: &[],
    waived_for_test: false,
};

fn denied_by_policy(device: &Device, app: &AppId) -> bool {
    forced(&device.policy, app) == Some(false)
}

/// ENT-05: what policy forces for an app: the lists first, the one that denies before the other.
fn forced(policy: &Policy, app: &AppId) -> Option<bool> {
    if policy.denied_apps.contains(app) {
        return Some(false);
    }
    if policy.always_allowed_apps.contains(app) {
        return Some(true);
    }
    match policy.apps_in_background {
        AppsInBackground::UserInControl => None,
        AppsInBackground::ForceAllow => Some(true),
        AppsInBackground::ForceDeny => Some(false),
    }
}

/// AMB-07: with a grant that only an update made stale, the servicing event still fires.
fn repairs(facts: &Facts<'_>) -> bool {
    let servicing = facts.kind == TriggerKind::System(SystemEvent::ServicingComplete);
    let granted = facts
        .device
        .grants
        .get(&facts.registration.app)
        .is_some_and(|grant| grant.status.may_run());
    servicing && facts.access == AccessStatus::Unspecified && granted
}

fn words(facts: &Facts<'_>) -> Words {
    let app = &facts.registration.app;
    let (seen, needs) = match facts.access {
        AccessStatus::Unspecified => (
            format!("{app} has no background access for its present version"),
            format!("{app} has to drop and request access, as after every update"),
        ),
        AccessStatus::DeniedByUser => (
            format!("the operator decided that {app} never runs in the background"),
            "the operator has to take that back".to_owned(),
        ),
        AccessStatus::DeniedBySystemPolicy => (
            format!("this device denied {app} background access"),
            format!("{app} has to request access again"),
        ),
        AccessStatus::AlwaysAllowed | AccessStatus::AllowedSubjectToSystemPolicy => {
            (format!("{app} has background access"), "nothing".to_owned())
        }
    };
    Words {
        seen,
        needs,
        ..Words::default()
    }
}

/// The status that counts: what policy forces first (ENT-05); then the operator's *never*; else what was granted, if it
/// was asked for and for the version installed now (ACC-02, AMB-07); the operator's *always* lifts it (RES-11).
pub(crate) fn status(device: &Device, app: &AppId) -> AccessStatus {
    match forced(&device.policy, app) {
        Some(true) => return AccessStatus::AlwaysAllowed,
        Some(false) => return AccessStatus::DeniedByUser,
        None => {}
    }
    let Some(grant) = device.grants.get(app) else {
        if device.broken(Broken::GrantedUnasked) {
            return AccessStatus::AllowedSubjectToSystemPolicy;
        }
        return AccessStatus::Unspecified;
    };
    if grant.choice == Some(AccessChoice::Never) {
        return AccessStatus::DeniedByUser;
    }
    let installed = device.apps.get(app);
    let fresh = installed.is_some_and(|app| app.version == grant.version)
        && !device.updates.contains_key(app)
        || device.broken(Broken::GrantNeverStale);
    match (grant.status.may_run(), fresh, grant.choice) {
        (true, true, Some(AccessChoice::Always)) => AccessStatus::AlwaysAllowed,
        (true, false, _) => AccessStatus::Unspecified,
        (true, true, Some(AccessChoice::Never | AccessChoice::DeniedBySystem) | None)
        | (false, _, _) => grant.status,
    }
}

impl Turn<'_> {
    /// ACC-01, ACC-09: granted by default. A stale grant has to be dropped first (ACC-02); asking then changes
    /// nothing.
    pub(crate) fn request_access(
        &mut self,
        caller: &Caller,
        app: &AppId,
    ) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        let version = self.installed(app)?.version.clone();
        let grant = self.device.grants.get(app);
        let choice = grant.and_then(|grant| grant.choice);
        let wish = grant.and_then(|grant| grant.wish.clone());
        let stands = grant.is_some_and(|grant| match grant.status {
            AccessStatus::Unspecified => false,
            // AMB-22: a denial by the system is asked anew each time.
            AccessStatus::DeniedBySystemPolicy => self.device.broken(Broken::DenialLasts),
            AccessStatus::AlwaysAllowed
            | AccessStatus::AllowedSubjectToSystemPolicy
            | AccessStatus::DeniedByUser => true,
        }) || self.device.broken(Broken::AskingGrantsNothing);
        if !stands && choice != Some(AccessChoice::Never) {
            let status = if self.room_for(app) {
                AccessStatus::AllowedSubjectToSystemPolicy
            } else {
                AccessStatus::DeniedBySystemPolicy
            };
            self.put_grant(Grant {
                app: app.clone(),
                status,
                version,
                choice,
                wish,
            });
        }
        Ok(Answer::Access(self.device.access(app)))
    }

    /// ACC-03, AMB-22: on a low-memory device only so many apps hold a grant at once.
    fn room_for(&self, app: &AppId) -> bool {
        let device = &*self.device;
        let holders = device
            .grants
            .values()
            .filter(|grant| grant.app != *app && grant.status.may_run());
        !device.profile.low_memory() || holders.count() < device.policy.max_background_apps as usize
    }

    /// ACC-10: a wish for a kind of access. The usual kind is granted as ever; the exemption waits for the operator.
    pub(crate) fn request_access_kind(
        &mut self,
        caller: &Caller,
        app: &AppId,
        kind: AccessKind,
        reason: String,
    ) -> Result<Answer, Refusal> {
        if reason.len() > bounds::MESSAGE {
            return Err(Refusal::InvalidArgument {
                field: "reason".to_owned(),
                message: format!(
                    "it has {} bytes, at most {} are kept",
                    reason.len(),
                    bounds::MESSAGE
                ),
            });
        }
        self.request_access(caller, app)?;
        let status = self.device.access(app);
        let granted = match kind {
            AccessKind::AllowedSubjectToSystemPolicy => status.may_run(),
            AccessKind::AlwaysAllowed => status == AccessStatus::AlwaysAllowed,
        };
        if let Some(grant) = self.device.grants.get(app).cloned().filter(|_| !granted) {
            self.put_grant(Grant {
                wish: Some(AccessWish { kind, reason }),
                ..grant
            });
        }
        Ok(Answer::Granted(granted))
    }

    /// ACC-13, AMB-08: registrations stay and are inert, what waits is dropped. Runs under way may finish: the
    /// app gives its access up itself.
    pub(crate) fn remove_access(
        &mut self,
        caller: &Caller,
        app: &AppId,
    ) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        self.installed(app)?;
        let choice = self.device.grants.get(app).and_then(|grant| grant.choice);
        match choice {
            Some(_) => self.put_grant(Grant {
                app: app.clone(),
                status: AccessStatus::Unspecified,
                version: String::new(),
                choice,
                wish: None,
            }),
            None => self.remove_grant(app),
        }
        self.look_at_app(app);
        Ok(Answer::Access(self.device.access(app)))
    }

    /// ACC-14: the operator's choice. Taking access away cancels the app's runs.
    pub(crate) fn set_access(
        &mut self,
        caller: &Caller,
        app: &AppId,
        choice: Option<AccessChoice>,
    ) -> Result<Answer, Refusal> {
        operator(caller)?;
        self.installed(app)?;
        let grant = self.device.grants.get(app).cloned().unwrap_or(Grant {
            app: app.clone(),
            status: AccessStatus::Unspecified,
            version: String::new(),
            choice: None,
            wish: None,
        });
        // A choice answers whatever was wished for.
        let grant = Grant {
            wish: None,
            ..grant
        };
        if choice == Some(AccessChoice::DeniedBySystem) {
            let status = AccessStatus::DeniedBySystemPolicy;
            self.put_grant(Grant {
                status,
                choice: None,
                ..grant
            });
        } else if choice.is_none() && grant.status == AccessStatus::Unspecified {
            self.remove_grant(app);
        } else {
            self.put_grant(Grant { choice, ..grant });
        }
        if !self.device.access(app).may_run() {
            self.cancel_trigger_tasks(app, CancelReason::ResourceRevocation);
        }
        self.saver_may_have_changed();
        self.look_at_app(app);
        Ok(Answer::Access(self.device.access(app)))
    }

    /// ACC-14: what the app may not do any more is stopped; its scheduled agents are not asked for access.
    fn cancel_trigger_tasks(&mut self, app: &AppId, reason: CancelReason) {
        for run in self.device.index.runs_of(app) {
            let trigger_task = self
                .device
                .runs
                .get(&run)
                .is_some_and(|run| !run.kind.is_scheduled());
            if trigger_task {
                self.ask_to_cancel(run, reason);
            }
        }
    }

    /// ENT-05: policy denies apps that run.
    pub(crate) fn cancel_denied(&mut self) {
        let runs = self.device.runs.values();
        let denied: Vec<AppId> = runs
            .filter(|run| denied_by_policy(self.device, &run.app))
            .map(|run| run.app.clone())
            .collect();
        for app in denied {
            self.cancel_trigger_tasks(&app, CancelReason::SystemPolicy);
        }
    }

    fn put_grant(&mut self, grant: Grant) {
        let app = grant.app.clone();
        if self.device.grants.insert(app.clone(), grant.clone()) != Some(grant) {
            self.touch(Key::Grant(app));
        }
    }

    pub(crate) fn remove_grant(&mut self, app: &AppId) {
        if self.device.grants.remove(app).is_some() {
            self.touch(Key::Grant(app.clone()));
        }
    }

    /// ACC-12: an app acts for itself; the operator acts for any.
    pub(crate) fn own_app(&self, caller: &Caller, app: &AppId) -> Result<(), Refusal> {
        let own = match caller {
            Caller::Operator => return Ok(()),
            Caller::Front { app, .. } => Some(app),
            Caller::Agent { run } => self.device.runs.get(run).map(|run| &run.app),
        };
        if own == Some(app) {
            return Ok(());
        }
        let own = own.map_or("an unknown run", AppId::as_str);
        Err(Refusal::PermissionDenied {
            message: format!("{own} cannot act for {app}; each app acts for itself"),
        })
    }

    /// The operator, or the app itself but for its agents.
    pub(crate) fn operator_or_own(&self, caller: &Caller, app: &AppId) -> Result<(), Refusal> {
        match caller {
            Caller::Operator | Caller::Front { .. } => self.own_app(caller, app),
            Caller::Agent { .. } => operator(caller),
        }
    }

    pub(crate) fn installed(&self, app: &AppId) -> Result<&App, Refusal> {
        self.device.apps.get(app).ok_or_else(|| Refusal::NotFound {
            message: format!(
                "no app {app} is installed on this device; install its manifest first"
            ),
        })
    }
}

/// Only the operator decides over an app.
pub(crate) fn operator(caller: &Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Operator => Ok(()),
        Caller::Front { .. } | Caller::Agent { .. } => Err(Refusal::PermissionDenied {
            message: "only the operator decides this for an app".to_owned(),
        }),
    }
}
