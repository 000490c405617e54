//! Background access (ACC-01 to ACC-17): asked for by the app, overruled by the operator, stale after an update.
//!
//! Absent here: limits on how many apps may have it (ACC-03).

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::turn::Turn;
use crate::{
    AccessChoice, AccessStatus, Answer, App, AppId, Caller, CancelReason, DropReason, Grant, Key,
    Refusal,
};

/// ACC-06, ACC-15: asked at dispatch too, whatever held at registration.
pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Drop(DropReason::Access),
    closed: |facts| !facts.access.may_run(),
    words,
};

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

/// The status that counts: the operator's *never* first; else what was granted, if it was asked for and for the
/// version installed now (ACC-02, AMB-07); the operator's *always* lifts it (RES-11).
pub(crate) fn status(grant: Option<&Grant>, app: Option<&App>) -> AccessStatus {
    let Some(grant) = grant else {
        return AccessStatus::Unspecified;
    };
    if grant.choice == Some(AccessChoice::Never) {
        return AccessStatus::DeniedByUser;
    }
    let fresh = app.is_some_and(|app| app.version == grant.version);
    match (grant.status.may_run(), fresh, grant.choice) {
        (true, true, Some(AccessChoice::Always)) => AccessStatus::AlwaysAllowed,
        (true, false, _) => AccessStatus::Unspecified,
        (true, true, Some(AccessChoice::Never) | None) | (false, _, _) => grant.status,
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
        let asked = grant.is_some_and(|grant| grant.status != AccessStatus::Unspecified);
        if !asked && choice != Some(AccessChoice::Never) {
            let status = AccessStatus::AllowedSubjectToSystemPolicy;
            self.put_grant(Grant {
                app: app.clone(),
                status,
                version,
                choice,
            });
        }
        Ok(Answer::Access(self.device.access(app)))
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
        });
        if choice.is_none() && grant.status == AccessStatus::Unspecified {
            self.remove_grant(app);
        } else {
            self.put_grant(Grant { choice, ..grant });
        }
        if choice == Some(AccessChoice::Never) {
            self.ask_app_to_cancel(app, CancelReason::ResourceRevocation);
        }
        self.saver_may_have_changed();
        self.look_at_app(app);
        Ok(Answer::Access(self.device.access(app)))
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

    pub(crate) fn installed(&self, app: &AppId) -> Result<&App, Refusal> {
        self.device.apps.get(app).ok_or_else(|| Refusal::NotFound {
            message: format!(
                "no app {app} is installed on this device; install its manifest first"
            ),
        })
    }
}

fn operator(caller: &Caller) -> Result<(), Refusal> {
    match caller {
        Caller::Operator => Ok(()),
        Caller::Front { .. } | Caller::Agent { .. } => Err(Refusal::PermissionDenied {
            message: "only the operator decides over an app's background access".to_owned(),
        }),
    }
}
