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
        for (place, request) in desired.iter().enumerate() {
            self.valid(app, request)
                .map_err(|refusal| within(place, refusal))?;
        }
        let standing = self.ungrouped(app);
        let all: Vec<RegistrationId> = standing.iter().map(|(id, _)| *id).collect();
        let spent = self.fits(app, &desired, &all)?;
        let mut done = Reconciled::default();
        let wanted: BTreeSet<TaskName> = desired.iter().map(|one| one.name.clone()).collect();
        let (kept, made): (Vec<_>, Vec<_>) = desired
            .into_iter()
            .partition(|request| self.stands_as(&standing, request));
        done.kept = kept.into_iter().map(|request| request.name).collect();
        for (id, name) in &standing {
            if !wanted.contains(name) {
                done.unregistered.push(name.clone());
            }
            let stays = done.kept.contains(name)
                || !wanted.contains(name) && self.device.broken(Broken::ReconcileOnlyAdds);
            if !stays {
                self.remove_registration(*id, DropReason::Unregistered);
            }
        }
        done.unregistered.dedup();
        for id in spent {
            self.remove_registration(id, DropReason::Unregistered);
        }
        for request in made {
            let stood = standing.iter().any(|(_, name)| *name == request.name);
            let list = if stood {
                &mut done.replaced
            } else {
                &mut done.registered
            };
            list.push(request.name.clone());
            // What stands among the ungrouped is ungrouped; the other flags say nothing here.
            let registration = self.registration(
                app,
                RegistrationRequest {
                    group: None,
                    ..request
                },
            );
            self.insert(registration);
        }
        Ok(Answer::Reconciled(done))
    }

    /// Whether exactly one registration of the name stands, and is what is asked for.
    fn stands_as(
        &self,
        standing: &[(RegistrationId, TaskName)],
        request: &RegistrationRequest,
    ) -> bool {
        let mut named = standing.iter().filter(|(_, name)| *name == request.name);
        let only = named.next().filter(|_| named.next().is_none());
        only.and_then(|(id, _)| self.device.registrations.get(id))
            .is_some_and(|registration| equals(registration, request))
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

/// Which of the desired ones is wrong.
fn within(place: usize, refusal: Refusal) -> Refusal {
    if let Refusal::InvalidArgument { field, message } = refusal {
        let field = format!("desired[{place}].{field}");
        return Refusal::InvalidArgument { field, message };
    }
    refusal
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
