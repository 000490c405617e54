//! Telling what was decided, in the order of decision.

use crate::turn::Turn;
use crate::{Effect, Observation, Registration, RegistrationId, Run, RunId, Task};

impl Task {
    pub(crate) fn of(registration: &Registration) -> Self {
        Self {
            app: registration.app.clone(),
            task: registration.name.clone(),
            id: registration.id,
            trigger: registration.trigger.kind(),
        }
    }

    pub(crate) fn of_run(run: &Run) -> Self {
        Self {
            app: run.app.clone(),
            task: run.task.clone(),
            id: run.registration,
            trigger: run.kind,
        }
    }
}

impl Turn<'_> {
    /// Tells one thing.
    pub(crate) fn observe(&mut self, observation: Observation) {
        self.effect(Effect::Observe(Box::new(observation)));
    }

    /// Tells something of a registration.
    pub(crate) fn observe_task(
        &mut self,
        id: RegistrationId,
        observation: impl FnOnce(Task) -> Observation,
    ) {
        if let Some(task) = self.device.registrations.get(&id).map(Task::of) {
            self.observe(observation(task));
        }
    }

    /// Tells something of a run under way.
    pub(crate) fn observe_run(&mut self, id: RunId, observation: impl FnOnce(Task) -> Observation) {
        if let Some(task) = self.device.runs.get(&id).map(Task::of_run) {
            self.observe(observation(task));
        }
    }

    /// Something that makes no sense here.
    pub(crate) fn pass_over(&mut self, what: impl Into<String>) {
        self.observe(Observation::PassedOver { what: what.into() });
    }
}
