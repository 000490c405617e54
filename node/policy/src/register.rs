//! Registering and unregistering (ACC-20 to ACC-33, MAN-01 to MAN-04, MNG-04).
//!
//! Everything is checked before anything changes: a refusal leaves nothing behind (ACC-28). A registration is
//! never changed, only replaced (ACC-23). Battery Saver is not asked (ACC-17).

use crate::trigger::reserved;
use crate::turn::Turn;
use crate::{
    AccessStatus, Answer, App, AppId, Broken, Caller, CancelReason, Capability, DropReason,
    EntryPoint, Key, Reasons, Refusal, Registration, RegistrationId, RegistrationRequest,
    SystemEvent, TaskName, Trigger, TriggerKind, apps, bounds, condition, trigger,
};

impl Registration {
    /// Whether an app made it by registering, rather than the machine for a schedule or an update.
    pub fn is_the_apps_own(&self) -> bool {
        !reserved::machine_made(self.trigger.kind())
    }
}

impl Turn<'_> {
    /// The first that applies: wrong caller, unknown app, no access, not offered, bad argument, once-only trigger, bound.
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
        self.make(app, request)
    }

    /// Makes a registration whose arguments have been checked.
    pub(crate) fn make(
        &mut self,
        app: &AppId,
        request: RegistrationRequest,
    ) -> Result<Answer, Refusal> {
        let named = if request.replace || self.device.broken(Broken::SameNameReplaces) {
            self.named(app, &request.name)
        } else {
            Vec::new()
        };
        let spent = self.fits(app, std::slice::from_ref(&request), &named)?;
        let mut warnings = condition::contradictions(&sorted(&request));
        if request.dry_run && !self.device.broken(Broken::DryRunRegisters) {
            warnings.extend(self.double_name(app, &request, &named));
            return Ok(Answer::Valid { warnings });
        }
        let replaced = if self.device.broken(Broken::ReplaceAdds) {
            Vec::new()
        } else {
            named
        };
        for id in replaced.into_iter().chain(spent) {
            self.remove_registration(id, DropReason::Unregistered);
        }
        warnings.extend(self.double_name(app, &request, &[]));
        let registration = self.registration(app, request);
        let id = self.insert(registration);
        self.deliver_what_waited_for_a_handler();
        Ok(Answer::Registered { id, warnings })
    }

    /// ACC-01, ACC-06.
    pub(crate) fn may_register(&self, app: &AppId) -> Result<(), Refusal> {
        let way_out = match self.device.access(app) {
            _ if self.device.asks_too_much(app) => "",
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
        if !crate::broken::gate(
            self.device,
            crate::admission::Obstacle::Drop(DropReason::Access),
            true,
        ) {
            return Ok(());
        }
        Err(Refusal::AccessDenied {
            message: format!("{app} has no background access: {way_out}"),
        })
    }

    /// ACC-28: what can be wrong with the arguments, before anything changes.
    pub(crate) fn valid(&self, app: &AppId, request: &RegistrationRequest) -> Result<(), Refusal> {
        reserved::supported(self.device, &request.trigger)?;
        let installed = self.installed(app)?;
        if request.conditions.len() > bounds::CONDITIONS {
            let (count, limit) = (request.conditions.len(), bounds::CONDITIONS);
            return Err(at(
                "conditions",
                format!("{count} conditions are more than {limit}"),
            ));
        }
        self.valid_trigger(request)?;
        self.capable(installed, &request.trigger)?;
        if self.device.broken(Broken::UndeclaredAccepted) {
            return Ok(());
        }
        if self.device.broken(Broken::InProcessNeedsDeclaring) && request.entry_point.is_none() {
            return Err(at("entry_point", String::new()));
        }
        match apps::undeclared(installed, request.entry_point.as_ref(), &request.trigger) {
            Some(_) if self.device.declares_in_another_case(installed, request) => Ok(()),
            None => Ok(()),
            Some((field, message)) => Err(at(field, message)),
        }
    }

    fn valid_trigger(&self, request: &RegistrationRequest) -> Result<(), Refusal> {
        if self.device.broken(Broken::ArgumentsUnchecked) {
            return Ok(());
        }
        match &request.trigger {
            Trigger::Timer { minutes, .. } | Trigger::Maintenance { minutes, .. } => {
                trigger::timer::validate(request.trigger.kind(), *minutes, &self.device.policy)
            }
            Trigger::System { event, one_shot } => trigger::system::validate(*event, *one_shot),
            Trigger::ControlChannel {
                id,
                keep_alive_minutes,
                ..
            } => trigger::channel::validate(id, *keep_alive_minutes),
            Trigger::DeviceUse | Trigger::DeviceServicing => self.valid_for_device(request),
            Trigger::Periodic | Trigger::ResourceIntensive | Trigger::UpdateTask => Err(at(
                "trigger",
                format!(
                    "{} is no trigger to register; agents are scheduled, update tasks declared",
                    request.trigger.kind().word()
                ),
            )),
            Trigger::Push
            | Trigger::Socket { .. }
            | Trigger::Application
            | Trigger::Media
            | Trigger::DeviceWatcher { .. }
            | Trigger::Files { .. }
            | Trigger::Bus { .. }
            | Trigger::Reserved { .. } => Ok(()),
        }
    }

    /// TRGD-28, TRGD-29: no conditions for device use, a process of its own for both.
    fn valid_for_device(&self, request: &RegistrationRequest) -> Result<(), Refusal> {
        if self.device.broken(Broken::DeviceUseUnchecked) {
            return Ok(());
        }
        if request.entry_point.is_none() {
            return Err(at(
                "entry_point",
                "it is empty; work on devices runs in a process of its own".to_owned(),
            ));
        }
        if request.trigger == Trigger::DeviceUse && !request.conditions.is_empty() {
            return Err(at(
                "conditions",
                "device use takes none; leave them out".to_owned(),
            ));
        }
        Ok(())
    }

    /// MAN-08: what a trigger needs the app to be allowed beyond running.
    fn capable(&self, app: &App, trigger: &Trigger) -> Result<(), Refusal> {
        let needed = match trigger.kind() {
            TriggerKind::Push | TriggerKind::ControlChannel | TriggerKind::Socket => {
                Capability::Internet
            }
            TriggerKind::DeviceUse => Capability::Device,
            TriggerKind::Media => Capability::Media,
            TriggerKind::System(SystemEvent::SmsReceived) => Capability::Sms,
            // Servicing is asked for its privilege when it is requested (TRGD-34).
            TriggerKind::DeviceServicing
            | TriggerKind::Timer
            | TriggerKind::Maintenance
            | TriggerKind::System(_)
            | TriggerKind::Application
            | TriggerKind::DeviceWatcher
            | TriggerKind::Files
            | TriggerKind::Bus
            | TriggerKind::Reserved
            | TriggerKind::Periodic
            | TriggerKind::ResourceIntensive
            | TriggerKind::UpdateTask => return Ok(()),
        };
        if app.can(needed) || self.device.broken(Broken::PrivilegeNotNeeded) {
            return Ok(());
        }
        Err(at(
            "trigger",
            format!(
                "it needs the capability {}; declare it in the manifest of {}",
                format!("{needed:?}").to_lowercase(),
                app.id
            ),
        ))
    }

    fn named(&self, app: &AppId, name: &TaskName) -> Vec<RegistrationId> {
        let named = |id: &RegistrationId| {
            self.device
                .registrations
                .get(id)
                .is_some_and(|r| r.name == *name && r.is_the_apps_own())
        };
        self.device
            .index
            .of_app(app)
            .into_iter()
            .filter(named)
            .collect()
    }

    /// Whether all of these can stand at once, in place of those to be replaced: once-only triggers, hardware slots, the
    /// bound. Answers which spent ones have to go.
    pub(crate) fn fits(
        &self,
        app: &AppId,
        desired: &[RegistrationRequest],
        replaced: &[RegistrationId],
    ) -> Result<Vec<RegistrationId>, Refusal> {
        for (place, request) in desired.iter().enumerate() {
            let before = desired.iter().take(place).map(|other| &other.trigger);
            self.once_only(app, &request.trigger, before, replaced)?;
        }
        let triggers = desired.iter().map(|request| &request.trigger);
        trigger::channel::slots(self.device, triggers, replaced)?;
        self.room(app, desired.len(), replaced)
    }

    /// Registrations that have to go to make room: spent ones, the oldest first.
    fn room(
        &self,
        app: &AppId,
        further: usize,
        replaced: &[RegistrationId],
    ) -> Result<Vec<RegistrationId>, Refusal> {
        let mut standing = self.device.index.of_app(app);
        standing.retain(|id| !replaced.contains(id));
        let surplus = (standing.len() + further).saturating_sub(bounds::REGISTRATIONS_PER_APP);
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
    fn double_name(
        &self,
        app: &AppId,
        request: &RegistrationRequest,
        replaced: &[RegistrationId],
    ) -> Option<String> {
        let others = self.named(app, &request.name);
        let other = others.iter().find(|id| !replaced.contains(id))?;
        Some(format!(
            "{app} has a registration {} already (id {}): both will run for every firing; unregister one, or \
             register with replace",
            request.name, other.0,
        ))
    }

    pub(crate) fn registration(
        &mut self,
        app: &AppId,
        request: RegistrationRequest,
    ) -> Registration {
        let conditions = sorted(&request);
        let mut registration = self.blank(app, request.name, request.entry_point, request.trigger);
        registration.due = trigger::timer::period(&registration.trigger)
            .map(|(minutes, _)| trigger::timer::first_due(minutes, self.now.elapsed));
        registration.conditions = conditions;
        if request.network_requested && self.device.broken(Broken::NetworkRequestIsCondition) {
            let condition = crate::Condition::InternetAvailable;
            registration.conditions.push(condition);
        }
        registration.cancel_on_condition_loss =
            request.cancel_on_condition_loss || self.device.broken(Broken::FlagsDefaultToOn);
        registration.network_requested = request.network_requested;
        registration.group = request.group;
        registration
    }

    /// A registration with a new id and nothing under way.
    pub(crate) fn blank(
        &mut self,
        app: &AppId,
        name: TaskName,
        entry_point: Option<EntryPoint>,
        trigger: Trigger,
    ) -> Registration {
        let id = RegistrationId(self.device.clock.next_registration);
        self.device.clock.next_registration += 1;
        Registration {
            id,
            app: app.clone(),
            name,
            entry_point,
            trigger,
            conditions: Vec::new(),
            cancel_on_condition_loss: false,
            network_requested: false,
            group: None,
            registered_at: self.now.wall,
            spent: false,
            due: None,
            not_before: None,
            latch: None,
            queue: Vec::new(),
            arrivals: Vec::new(),
            held_by: Reasons::default(),
            runs: 0,
            last_run: None,
            schedule: None,
        }
    }

    /// Takes a registration in.
    pub(crate) fn insert(&mut self, registration: Registration) -> RegistrationId {
        let id = registration.id;
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
        let own = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|r| r.app == *app && r.is_the_apps_own());
        if !own {
            return Err(Refusal::NotFound {
                message: format!(
                    "{app} has no registration with id {}; list them to see which stand",
                    id.0
                ),
            });
        }
        if cancel {
            for run in self.device.index.all_runs_of(id) {
                self.ask_to_cancel(run, CancelReason::Abort);
            }
        }
        self.remove_registration(id, DropReason::Unregistered);
        Ok(Answer::Unregistered)
    }

    /// Drops what waits and forgets the registration.
    pub(crate) fn remove_registration(&mut self, id: RegistrationId, reason: DropReason) {
        if self.device.broken(Broken::LatchesOutlive) && reason == DropReason::Unregistered {
            let waits = self
                .device
                .registrations
                .get(&id)
                .is_some_and(crate::index::waits);
            if waits {
                return;
            }
        }
        self.drop_those_waiting(id, reason);
        if let Some(registration) = self.device.registrations.remove(&id) {
            self.device.index.remove(&registration, &self.device.pushes);
            self.touch(Key::Registration(id));
        }
    }
}

fn at(field: &str, message: String) -> Refusal {
    Refusal::InvalidArgument {
        field: field.to_owned(),
        message,
    }
}

/// Conditions in their order, without doubles.
pub(crate) fn sorted(request: &RegistrationRequest) -> Vec<crate::Condition> {
    let mut conditions = request.conditions.clone();
    conditions.sort_unstable();
    conditions.dedup();
    conditions
}
