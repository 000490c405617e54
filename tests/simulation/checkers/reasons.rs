//! What holds a firing back, by the rule book (section 14), from what an onlooker knows. Shared by those who ask whether a
//! start was right, and whether a wait is.

use std::collections::BTreeMap;

use lull_policy::{
    AppId, Observation, Priority, PushId, Readings, Registration, RegistrationId, RunId,
    ScheduledKind, TriggerKind, WaitReason,
};

use super::View;
use crate::rulebook::{self, Access};

/// A run under way, as its beginning was told.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) registration: RegistrationId,
    pub(crate) app: AppId,
    pub(crate) kind: TriggerKind,
    pub(crate) push: Option<PushId>,
}

/// Runs under way, in the order of what is told.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    live: BTreeMap<RunId, Live>,
}

impl Runs {
    /// Takes in what was told of runs.
    pub(crate) fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Started {
                task, run, push, ..
            } => {
                let live = Live {
                    registration: task.id,
                    app: task.app.clone(),
                    kind: task.trigger,
                    push: push.clone(),
                };
                self.live.insert(*run, live);
            }
            Observation::Ended { run, .. } => drop(self.live.remove(run)),
            _ => {}
        }
    }

    /// Those that are written.
    pub(crate) fn restored(&mut self, view: &View) {
        let written = view.runs.values().map(|run| {
            let live = Live {
                registration: run.registration,
                app: run.app.clone(),
                kind: run.kind,
                push: run.push.clone(),
            };
            (run.id, live)
        });
        self.live = written.collect();
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Live> {
        self.live.values()
    }

    /// RUN-23, RUN-41, INT-08, PSH-12: who holds the place that a registration needs.
    pub(crate) fn in_the_way(&self, view: &View, registration: &Registration) -> bool {
        let several = registration
            .entry_point
            .as_ref()
            .is_some_and(|entry_point| {
                let agent = view
                    .apps
                    .get(&registration.app)
                    .and_then(|app| app.agent(entry_point));
                agent.is_some_and(|agent| agent.multiple_instances)
            });
        let kind = registration.trigger.kind();
        self.all().any(|run| {
            let own_app = run.app == registration.app;
            let scheduled = run.kind.scheduled();
            !several && run.registration == registration.id
                || kind == TriggerKind::Push && own_app && run.push.is_some()
                || kind.scheduled().is_some() && own_app && scheduled.is_some()
                || kind == TriggerKind::ResourceIntensive && run.kind == kind
                || kind == TriggerKind::DeviceServicing && run.kind == kind
        })
    }
}

/// Whether a firing is a launch for test, which passes over schedule and start conditions (AMB-38).
pub(crate) fn is_test(view: &View, id: RegistrationId) -> bool {
    use lull_policy::{Event, Request};
    let earlier = view.earlier(id);
    let asked = match &view.event {
        Some(Event::Call {
            request: Request::LaunchForTest { app, kind, .. },
            ..
        }) => earlier.is_some_and(|r| r.app == *app && r.trigger.kind().scheduled() == Some(*kind)),
        _ => false,
    };
    let latched = earlier
        .and_then(|r| r.latch.as_ref())
        .is_some_and(|l| l.test);
    let due = earlier
        .and_then(|r| r.schedule.as_ref())
        .and_then(|schedule| schedule.test)
        .is_some_and(|at| at <= view.now.elapsed);
    asked || latched || due
}

/// Everything by which readings hold a firing back. With `doubt` what is not known holds back too, where the rule book
/// says so; without it only what is known.
pub(crate) fn by_readings(
    view: &View,
    seen: &Readings,
    registration: &Registration,
    priority: Option<Priority>,
    doubt: bool,
) -> Vec<WaitReason> {
    let closed = |holds: Option<bool>| match holds {
        Some(holds) => !holds,
        None => doubt,
    };
    let kind = registration.trigger.kind();
    let exempt = rulebook::access(view, &registration.app) == Access::Always;
    let mut reasons = Vec::new();
    let saver = match kind {
        TriggerKind::ResourceIntensive => false,
        TriggerKind::Periodic => rulebook::saver_holds_periodic(seen, &view.policy),
        TriggerKind::Push => {
            let priority = priority.unwrap_or_default();
            rulebook::push_held(seen, &view.policy, priority, exempt)
        }
        _ => !exempt && rulebook::saver_acts(seen, &view.policy),
    };
    let unread = doubt
        && view.power_awaited.is_some()
        && kind != TriggerKind::ResourceIntensive
        && (!exempt || kind == TriggerKind::Periodic);
    if saver || unread {
        reasons.push(WaitReason::BatterySaver);
    }
    if kind == TriggerKind::Maintenance && closed(seen.external_power.value()) {
        reasons.push(WaitReason::ExternalPower);
    }
    for condition in &registration.conditions {
        if closed(rulebook::holds(*condition, seen)) {
            reasons.push(rulebook::missing(*condition));
        }
    }
    if kind == TriggerKind::ResourceIntensive {
        let conjunction = rulebook::conjunction(seen, &view.policy);
        let missing = conjunction.into_iter().filter(|(_, holds)| closed(*holds));
        reasons.extend(missing.map(|(reason, _)| reason));
    }
    reasons
}

/// What holds a firing back beside readings and clocks.
pub(crate) fn by_others(view: &View, runs: &Runs, registration: &Registration) -> Vec<WaitReason> {
    let kind = registration.trigger.kind();
    let app = &registration.app;
    let mut reasons = Vec::new();
    if kind == TriggerKind::Periodic && view.debugged.iter().any(|(of, _)| of == app) {
        reasons.push(WaitReason::Debugger);
    }
    let disabled = view
        .choices
        .get(app)
        .is_some_and(|choices| choices.agents_disabled);
    if kind.is_scheduled() && disabled {
        reasons.push(WaitReason::Operator);
    }
    if view.spent.contains(app) && !kind.is_scheduled() && !kind.is_critical() {
        reasons.push(WaitReason::Quota);
    }
    if runs.in_the_way(view, registration) {
        reasons.push(WaitReason::Slot);
    }
    reasons
}

/// ACC-06, ENT-05, AMB-07: whether a firing may run at all.
pub(crate) fn may_run(view: &View, registration: &Registration) -> bool {
    let kind = registration.trigger.kind();
    if kind == TriggerKind::UpdateTask {
        return true;
    }
    if kind.is_scheduled() {
        // Scheduled agents are not asked for access (ACC-42), policy denies them all the same.
        return !rulebook::denied_by_policy(view, &registration.app);
    }
    match rulebook::access(view, &registration.app) {
        Access::Yes | Access::Always => true,
        Access::Stale => rulebook::repairs(kind),
        Access::No => false,
    }
}

/// EXP-01, EXP-06: whether a scheduled task is past its life.
pub(crate) fn past_its_life(view: &View, registration: &Registration) -> bool {
    let Some(schedule) = &registration.schedule else {
        return false;
    };
    let uploads = view
        .choices
        .get(&registration.app)
        .is_some_and(|c| c.auto_upload);
    let endless = uploads
        && registration.trigger.kind().scheduled() == Some(ScheduledKind::ResourceIntensive);
    !endless && schedule.expires <= view.now.wall
}
