//! Registering and unregistering (ACC-20 to ACC-33, MAN-01 to MAN-04, MNG-04).
//!
//! Everything is checked before anything changes: a refusal leaves nothing behind (ACC-28). A registration is
//! never changed, only replaced (ACC-23). Battery Saver is not asked (ACC-17).

use crate::turn::Turn;
use crate::{
    AccessStatus, Answer, AppId, Caller, CancelReason, DropReason, Key, Refusal, Registration,
    RegistrationId, RegistrationRequest, Trigger, apps, bounds, condition, trigger,
};

impl Turn<'_> {
    /// The first that applies: wrong caller, unknown app, no access, bad argument, once-only trigger, bound.
    pub(crate) fn register(
        &mut self,
        caller: &Caller,
        app: &AppId,
        request: RegistrationRequest,
    ) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        self.installed(app)?;
        self.may_register(app)?;
        self.valid(app, &request)?;
        let replaced = if request.replace {
            self.named(app, &request)
        } else {
            Vec::new()
        };
        self.once_only(app, request.trigger, &replaced)?;
        let spent = self.room(app, &replaced)?;
        let conditions = sorted(&request);
        let mut warnings = condition::contradictions(&conditions);
        for id in replaced.into_iter().chain(spent) {
            self.remove_registration(id, DropReason::Unregistered);
        }
        warnings.extend(self.double_name(app, &request));
        let id = self.insert(app, request, conditions);
        Ok(Answer::Registered { id, warnings })
    }

    /// ACC-01, ACC-06.
    fn may_register(&self, app: &AppId) -> Result<(), Refusal> {
        let way_out = match self.device.access(app) {
            AccessStatus::AlwaysAllowed | AccessStatus::AllowedSubjectToSystemPolicy => {
                return Ok(());
            }
            AccessStatus::Unspecified => {
                "request access first (after an update: remove it, then request it)"
            }
            AccessStatus::DeniedBySystemPolicy => {
                "this device denied it; request access again later"
            }
            AccessStatus::DeniedByUser => "the operator of this device denied it",
        };
        Err(Refusal::AccessDenied {
            message: format!("{app} has no background access: {way_out}"),
        })
    }

    fn valid(&self, app: &AppId, request: &RegistrationRequest) -> Result<(), Refusal> {
        let at = |field: &str, message| Refusal::InvalidArgument {
            field: field.to_owned(),
            message,
        };
        if request.conditions.len() > bounds::CONDITIONS {
            let (count, limit) = (request.conditions.len(), bounds::CONDITIONS);
            return Err(at(
                "conditions",
                format!("{count} conditions are more than {limit}"),
            ));
        }
        match request.trigger {
            Trigger::Timer { minutes, .. } => {
                trigger::timer::validate(minutes, &self.device.policy)?;
            }
            Trigger::System { .. } | Trigger::Push | Trigger::Application => {}
        }
        match apps::undeclared(self.installed(app)?, &request.entry_point, request.trigger) {
            None => Ok(()),
            Some((field, message)) => Err(at(field, message)),
        }
    }

    fn named(&self, app: &AppId, request: &RegistrationRequest) -> Vec<RegistrationId> {
        let named = |id: &RegistrationId| {
            self.device
                .registrations
                .get(id)
                .is_some_and(|r| r.name == request.name)
        };
        self.device
            .index
            .of_app(app)
            .into_iter()
            .filter(named)
            .collect()
    }

    /// Registrations that have to go to make room: spent ones, the oldest first.
    fn room(
        &self,
        app: &AppId,
        replaced: &[RegistrationId],
    ) -> Result<Vec<RegistrationId>, Refusal> {
        let mut standing = self.device.index.of_app(app);
        standing.retain(|id| !replaced.contains(id));
        let surplus = (standing.len() + 1).saturating_sub(bounds::REGISTRATIONS_PER_APP);
        standing.retain(|id| {
            let spent = self.device.registrations.get(id).is_some_and(|r| r.spent);
            spent && self.device.index.run_of(*id).is_none()
        });
        standing.truncate(surplus);
        if standing.len() < surplus {
            return Err(Refusal::LimitReached {
                message: format!(
                    "{app} has {} registrations already; unregister what it no longer needs",
                    bounds::REGISTRATIONS_PER_APP,
                ),
            });
        }
        Ok(standing)
    }

    /// AMB-10: allowed, and each runs on its own.
    fn double_name(&self, app: &AppId, request: &RegistrationRequest) -> Option<String> {
        let others = self.named(app, request);
        let other = others.first()?;
        Some(format!(
            "{app} has a registration {} already (id {}): both will run for every firing; unregister one, or \
             register with replace",
            request.name, other.0,
        ))
    }

    fn insert(
        &mut self,
        app: &AppId,
        request: RegistrationRequest,
        conditions: Vec<crate::Condition>,
    ) -> RegistrationId {
        let id = RegistrationId(self.device.clock.next_registration);
        self.device.clock.next_registration += 1;
        let due = match request.trigger {
            Trigger::Timer { minutes, .. } => {
                Some(trigger::timer::first_due(minutes, self.now.elapsed))
            }
            Trigger::System { .. } | Trigger::Push | Trigger::Application => None,
        };
        let registration = Registration {
            id,
            app: app.clone(),
            name: request.name,
            entry_point: request.entry_point,
            trigger: request.trigger,
            conditions,
            cancel_on_condition_loss: request.cancel_on_condition_loss,
            registered_at: self.now.wall,
            spent: false,
            due,
            not_before: None,
            latch: None,
            queue: Vec::new(),
            runs: 0,
        };
        self.device.index.add(&registration, &self.device.pushes);
        self.device.registrations.insert(id, registration);
        self.touch(Key::Registration(id));
        id
    }

    /// MNG-04, AMB-14: what waits is dropped either way; a run is cancelled if asked for, else it may finish.
    pub(crate) fn unregister(
        &mut self,
        caller: &Caller,
        app: &AppId,
        id: RegistrationId,
        cancel: bool,
    ) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        if !self.device.index.of_app(app).contains(&id) {
            return Err(Refusal::NotFound {
                message: format!(
                    "{app} has no registration with id {}; list them to see which stand",
                    id.0
                ),
            });
        }
        if let Some(run) = self.device.index.run_of(id).filter(|_| cancel) {
            self.ask_to_cancel(run, CancelReason::Abort);
        }
        self.remove_registration(id, DropReason::Unregistered);
        Ok(Answer::Unregistered)
    }

    /// Drops what waits and forgets the registration.
    pub(crate) fn remove_registration(&mut self, id: RegistrationId, reason: DropReason) {
        self.drop_those_waiting(id, reason);
        if let Some(registration) = self.device.registrations.remove(&id) {
            self.device.index.remove(&registration, &self.device.pushes);
            self.touch(Key::Registration(id));
        }
    }
}

fn sorted(request: &RegistrationRequest) -> Vec<crate::Condition> {
    let mut conditions = request.conditions.clone();
    conditions.sort_unstable();
    conditions.dedup();
    conditions
}
