//! Reconciling (ACC-32): an app says all the ungrouped registrations it wants, and gets them in one step.
//!
//! Equal ones are left alone, with id, due time and latch.

use std::collections::BTreeSet;

use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Caller, DropReason, Reconciled, Refusal, Registration, RegistrationId,
    RegistrationRequest, TaskName, bounds,
};

impl Turn<'_> {
    /// Everything is checked before anything changes: one bad registration changes nothing.
    pub(crate) fn reconcile(
        &mut self,
        caller: &Caller,
        app: &AppId,
        desired: Vec<RegistrationRequest>,
    ) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        self.installed(app)?;
        self.may_register(app)?;
        valid(&desired)?;
        for request in &desired {
            self.valid(app, request)?;
        }
        let standing = self.ungrouped(app);
        let mut done = Reconciled::default();
        let wanted: BTreeSet<TaskName> = desired.iter().map(|one| one.name.clone()).collect();
        let unwanted: Vec<(RegistrationId, TaskName)> = standing
            .iter()
            .filter(|(_, name)| !wanted.contains(name))
            .cloned()
            .collect();
        let replaced: Vec<RegistrationId> = standing.iter().map(|(id, _)| *id).collect();
        for request in &desired {
            self.once_only(app, &request.trigger, &replaced)?;
        }
        for (id, name) in unwanted {
            if self.device.broken(Broken::ReconcileOnlyAdds) {
                continue;
            }
            self.remove_registration(id, DropReason::Unregistered);
            done.unregistered.push(name);
        }
        done.unregistered.dedup();
        for request in desired {
            self.reconcile_one(app, request, &standing, &mut done)?;
        }
        Ok(Answer::Reconciled(done))
    }

    fn reconcile_one(
        &mut self,
        app: &AppId,
        request: RegistrationRequest,
        standing: &[(RegistrationId, TaskName)],
        done: &mut Reconciled,
    ) -> Result<(), Refusal> {
        let name = request.name.clone();
        let mut named = standing.iter().filter(|(_, other)| *other == name);
        let first = named.next().map(|(id, _)| *id);
        let equal = first
            .and_then(|id| self.device.registrations.get(&id))
            .is_some_and(|registration| equals(registration, &request));
        if equal && named.next().is_none() {
            done.kept.push(name);
            return Ok(());
        }
        let list = if first.is_some() {
            &mut done.replaced
        } else {
            &mut done.registered
        };
        list.push(name);
        self.make(
            app,
            RegistrationRequest {
                replace: first.is_some(),
                group: None,
                ..request
            },
        )
        .map(drop)
    }

    fn ungrouped(&self, app: &AppId) -> Vec<(RegistrationId, TaskName)> {
        let all = self.device.broken(Broken::GroupedAreListed);
        let ids = self.device.index.of_app(app).into_iter();
        ids.filter_map(|id| self.device.registrations.get(&id))
            .filter(|r| (r.group.is_none() || all) && r.is_the_apps_own())
            .map(|r| (r.id, r.name.clone()))
            .collect()
    }
}

/// Whether a registration is what is asked for.
fn equals(standing: &Registration, request: &RegistrationRequest) -> bool {
    standing.entry_point == request.entry_point
        && standing.trigger == request.trigger
        && standing.conditions == crate::register::sorted(request)
        && standing.cancel_on_condition_loss == request.cancel_on_condition_loss
        && standing.network_requested == request.network_requested
        && !standing.spent
}

fn valid(desired: &[RegistrationRequest]) -> Result<(), Refusal> {
    let wrong = |message| {
        Err(Refusal::InvalidArgument {
            field: "desired".to_owned(),
            message,
        })
    };
    if desired.len() > bounds::DESIRED {
        return wrong(format!(
            "{} registrations are more than an app may have, {}",
            desired.len(),
            bounds::DESIRED
        ));
    }
    let mut names = BTreeSet::new();
    match desired.iter().find(|one| !names.insert(&one.name)) {
        None => Ok(()),
        Some(double) => wrong(format!(
            "{} stands there twice; reconciling goes by name, so each needs its own",
            double.name
        )),
    }
}
