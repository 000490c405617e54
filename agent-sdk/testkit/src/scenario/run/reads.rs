//! Calls that only read: access, lists, memory, the completion log.

use lull_policy::{AppId, Caller, GroupId, Registration};

use super::{Answered, Runner};
use crate::scenario::timeline::{Value, words};
use crate::scenario::{Call, CallStep};

impl Runner<'_> {
    /// Answers a call that reads.
    pub(super) fn read(&self, caller: &Caller, asked: &CallStep) -> Answered {
        let app = &asked.app;
        match &asked.call {
            Call::AccessStatus => Answered::word(words::access(self.world.device().access(app))),
            Call::List { group } => self.list(app, group.as_ref()),
            Call::MemoryUsage => self.memory_usage(app, caller),
            Call::Outcomes => self.outcomes(app),
            Call::RequestAccess
            | Call::RemoveAccess
            | Call::Register(_)
            | Call::Unregister { .. }
            | Call::Reconcile { .. }
            | Call::AddScheduled { .. }
            | Call::RemoveScheduled { .. }
            | Call::RequestRun { .. }
            | Call::RequestDevice { .. }
            | Call::RequestServicing { .. }
            | Call::LaunchForTest { .. }
            | Call::UpdateCard => Answered::ok(),
        }
    }

    /// MNG-01, MNG-02: those of a group, or those of none.
    fn list(&self, app: &AppId, group: Option<&GroupId>) -> Answered {
        let registrations = self.world.device().registrations();
        let tasks = registrations
            .filter(|registration| registration.app == *app)
            .filter(|registration| registration.group.as_ref() == group)
            .map(|registration| self.listed(registration));
        Answered::with(vec![("tasks", Value::List(tasks.collect()))])
    }

    fn listed(&self, registration: &Registration) -> Value {
        let state = self.world.device().state_of(registration.id);
        let group = registration.group.as_ref().map(ToString::to_string);
        Value::Object(vec![
            ("task", Value::Task(registration.name.clone())),
            ("id", Value::Number(registration.id.0)),
            ("group", Value::or_null(group, Value::Text)),
            ("trigger", Value::Word(registration.trigger.kind().word())),
            ("state", Value::Word(words::state(state))),
        ])
    }

    /// RES-07: of the run that asks, or of the app's own process.
    fn memory_usage(&self, app: &AppId, caller: &Caller) -> Answered {
        let of_run = match caller {
            Caller::Agent { run } => self.world.memory_of(*run),
            Caller::Front { .. } | Caller::Operator => None,
        };
        let (usage, limit) = of_run.unwrap_or_else(|| (self.world.memory_in_process(app), None));
        Answered::with(vec![
            ("usage", Value::Number(usage.0)),
            (
                "limit",
                Value::or_null(limit, |limit| Value::Number(limit.0)),
            ),
        ])
    }

    /// AMB-20: the durable completion log.
    fn outcomes(&self, app: &AppId) -> Answered {
        let runs = self.world.device().finished();
        let outcomes = runs.filter(|run| run.app == *app).map(|run| {
            Value::Object(vec![
                ("task", Value::Task(run.task.clone())),
                ("run", Value::Number(self.world.number(run.id))),
                ("outcome", Value::Word(words::outcome(run.outcome))),
            ])
        });
        Answered::with(vec![("outcomes", Value::List(outcomes.collect()))])
    }
}
