//! I3: nothing begins while something holds it back: not by what the device was told, nor by what it could have known.

use std::collections::BTreeSet;

use lull_policy::{
    DropReason, Effect, Observation, PushId, Readings, Registration, RegistrationId, Scheduling,
    Source, Span, Task, Trigger, TriggerKind, WaitReason,
};

use super::reasons::{self, Runs};
use super::{Checker, Found, Turn, View};
use crate::rulebook;

/// How long a watcher may take for its first report.
const FIRST_REPORT: Span = Span::seconds(5);

#[derive(Debug, Default)]
pub(super) struct Gates {
    runs: Runs,
    /// One-shots that have started.
    spent: BTreeSet<RegistrationId>,
}

fn one_shot(registration: &Registration) -> bool {
    match registration.trigger {
        Trigger::Timer { one_shot, .. }
        | Trigger::Maintenance { one_shot, .. }
        | Trigger::System { one_shot, .. } => one_shot,
        _ => false,
    }
}

impl Checker for Gates {
    fn rule(&self) -> &'static str {
        "I3 gates"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        for effect in turn.effects {
            let Effect::Observe(observation) = effect else {
                continue;
            };
            if let Observation::Started { task, push, .. } = &**observation {
                self.may_start(view, task, push.as_ref())?;
                if view.known(task.id).is_some_and(one_shot) {
                    self.spent.insert(task.id);
                }
            }
            if let Observation::Dropped { task, reason } = &**observation {
                may_drop(view, task, *reason)?;
            }
            self.runs.observe(observation);
        }
        Ok(())
    }

    fn restored(&mut self, view: &View) {
        self.runs.restored(view);
        let spent = view
            .registrations
            .values()
            .filter(|r| one_shot(r) && r.runs > 0);
        self.spent = spent.map(|registration| registration.id).collect();
    }
}

impl Gates {
    fn may_start(&self, view: &View, task: &Task, push: Option<&PushId>) -> Found {
        let what = || format!("{}/{} (registration {})", task.app, task.task, task.id.0);
        let Some(registration) = view.known(task.id) else {
            return Err(format!("{} starts and is not registered", what()));
        };
        if self.spent.contains(&task.id) {
            return Err(format!("{} is spent and starts (AMB-35)", what()));
        }
        if view.closing {
            return Err(format!("{} starts while the device shuts down", what()));
        }
        let declared = view.apps.get(&task.app);
        if !declared.is_some_and(|app| rulebook::declared(app, registration)) {
            return Err(format!("{} starts without being declared (MNG-10)", what()));
        }
        if !reasons::may_run(view, registration) {
            return Err(format!("{} starts without access (ACC-06)", what()));
        }
        let scheduled = registration.schedule.as_ref();
        if scheduled.is_some_and(|s| s.scheduling != Scheduling::Scheduled)
            || reasons::past_its_life(view, registration)
        {
            return Err(format!("{} starts and is not scheduled any more", what()));
        }
        let test = reasons::is_test(view, task.id);
        let priority = push
            .and_then(|id| view.pushes.get(id))
            .map(|push| push.priority);
        let mut closed = reasons::by_others(view, &self.runs, registration);
        if test {
            closed.retain(|reason| matches!(reason, WaitReason::Slot | WaitReason::Operator));
        } else {
            let by_told = reasons::by_readings(view, &view.told, registration, priority, true);
            closed.extend(by_told);
        }
        if !closed.is_empty() {
            return Err(format!("{} starts in spite of {closed:?}", what()));
        }
        let really = knowable(view);
        let closed = reasons::by_readings(view, &really, registration, priority, false);
        if !test && !closed.is_empty() {
            return Err(format!(
                "{} starts, and {closed:?} could have been known for ten seconds",
                what()
            ));
        }
        Ok(())
    }
}

/// What waits for nothing but a condition is not dropped for want of a right (CND-03).
fn may_drop(view: &View, task: &Task, reason: DropReason) -> Found {
    let Some(registration) = view.known(task.id) else {
        return Ok(());
    };
    let right = match reason {
        // A push that is held back and not kept is dropped by its own retention.
        DropReason::Policy if task.trigger == TriggerKind::Push => true,
        DropReason::Policy => rulebook::denied_by_policy(view, &task.app),
        DropReason::Access | DropReason::AccessRemoved => !reasons::may_run(view, registration),
        _ => true,
    };
    if right {
        return Ok(());
    }
    Err(format!(
        "{}/{} is dropped for {reason:?}",
        task.app, task.task
    ))
}

/// What has been so for a while and could be read, but for watchers that have just been started.
fn knowable(view: &View) -> Readings {
    let mut knowable = view.stable;
    for source in Source::ALL {
        let fresh = view
            .watched
            .get(&source)
            .is_some_and(|since| view.now.elapsed.since(*since) < FIRST_REPORT);
        if fresh {
            knowable.forget(source);
        }
    }
    knowable
}
