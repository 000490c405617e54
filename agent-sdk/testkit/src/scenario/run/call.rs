//! The calls of apps: who asks, what is asked of the machine, and the line that is written before what follows.

use lull_policy::{Caller, FrontState, RegistrationId, RegistrationRequest, Request, TaskName};

use super::{Answered, Runner};
use crate::scenario::timeline::Value;
use crate::scenario::{
    AskedName, Call, CallStep, Failure, RegisterCall, ResultWord, Step, Unacceptable,
};

impl Runner<'_> {
    /// Makes a call, writes its line and checks its result.
    pub(super) fn call(&mut self, step: &Step, asked: &CallStep) {
        let answered = if self.world.is_up() {
            self.answer(asked)
        } else {
            Answered::unavailable()
        };
        if let Some(expected) = asked.expect
            && expected != answered.result
        {
            self.failures
                .push(Failure::of_call(self.scenario, step, asked, &answered));
        }
        let mut fields = vec![
            ("app", Value::App(asked.app.clone())),
            ("call", Value::Word(asked.call.word())),
        ];
        if asked.from_agent {
            fields.push(("from", Value::Word("agent")));
        }
        fields.extend(subject(&asked.call));
        answered.write(&mut fields);
        // Nothing of what follows from the call is recorded yet.
        self.recorder.write(&self.world, "call", fields);
        self.recorder.record(&mut self.world);
    }

    fn answer(&mut self, asked: &CallStep) -> Answered {
        let Some(caller) = self.caller(asked) else {
            return Answered::failed(
                ResultWord::FailedPrecondition,
                format!("no agent of {} is running", asked.app),
            );
        };
        let app = asked.app.clone();
        let request = match &asked.call {
            Call::RequestAccess => Request::RequestAccess { app },
            Call::RemoveAccess => return self.remove_access(caller, asked),
            Call::Register(register) => match self.registration(asked, register) {
                Ok(registration) => Request::Register { app, registration },
                Err(answered) => return answered,
            },
            Call::Unregister { name, cancel } => {
                return self.unregister(&caller, asked, name, *cancel);
            }
            Call::Reconcile { desired } => match self.registrations(asked, desired) {
                Ok(desired) => Request::Reconcile { app, desired },
                Err(answered) => return answered,
            },
            Call::AddScheduled {
                kind,
                description,
                expires,
            } => Request::AddScheduled {
                app,
                kind: *kind,
                description: description.clone(),
                expires: expires.map(|span| self.world.now().wall.after(span)),
            },
            Call::RemoveScheduled { kind } => Request::RemoveScheduled { app, kind: *kind },
            Call::RequestRun { .. }
            | Call::RequestDevice { .. }
            | Call::RequestServicing { .. } => match raise(asked, &caller) {
                Ok(request) => request,
                Err(answered) => return answered,
            },
            Call::LaunchForTest { kind, delay } => Request::LaunchForTest {
                app,
                kind: *kind,
                delay: *delay,
            },
            Call::UpdateCard => Request::UpdateCard { app },
            Call::AccessStatus | Call::List { .. } | Call::MemoryUsage | Call::Outcomes => {
                return self.read(&caller, asked);
            }
        };
        Answered::of(self.world.call(caller, request).as_ref())
    }

    /// Who calls; absent where it is to be an agent and none runs.
    fn caller(&self, asked: &CallStep) -> Option<Caller> {
        let app = asked.app.clone();
        if asked.from_agent {
            let run = self.world.run_of(&app)?;
            return Some(Caller::Agent { run });
        }
        let foreground = self.world.front(&app) == FrontState::Foreground;
        Some(Caller::Front { app, foreground })
    }

    fn remove_access(&mut self, caller: Caller, asked: &CallStep) -> Answered {
        let app = asked.app.clone();
        let answer = self.world.call(caller, Request::RemoveAccess { app });
        let answered = Answered::of(answer.as_ref());
        // The status that is left is no answer of this call.
        match answered.message {
            None => Answered::ok(),
            Some(_) => answered,
        }
    }

    fn registration(
        &self,
        asked: &CallStep,
        register: &RegisterCall,
    ) -> Result<RegistrationRequest, Answered> {
        let refused = |what: &Unacceptable| {
            if self.world.device().access(&asked.app).may_run() {
                Answered::unacceptable(what)
            } else {
                Answered::failed(
                    ResultWord::AccessDenied,
                    format!("{} has no background access; request it first", asked.app),
                )
            }
        };
        register.request.as_ref().map_err(refused).cloned()
    }

    fn registrations(
        &self,
        asked: &CallStep,
        desired: &[RegisterCall],
    ) -> Result<Vec<RegistrationRequest>, Answered> {
        let desired = desired.iter();
        desired
            .map(|register| self.registration(asked, register))
            .collect()
    }

    /// Removes every registration of a name, grouped or not.
    fn unregister(
        &mut self,
        caller: &Caller,
        asked: &CallStep,
        name: &AskedName,
        cancel: bool,
    ) -> Answered {
        let ids = name.task.as_ref();
        let ids = ids.map(|task| self.named(asked, task)).unwrap_or_default();
        let mut answered = None;
        for id in ids {
            let app = asked.app.clone();
            let request = Request::Unregister { app, id, cancel };
            let answer = self.world.call(caller.clone(), request);
            answered.get_or_insert(Answered::of(answer.as_ref()));
        }
        answered.unwrap_or_else(|| not_found(name))
    }

    fn named(&self, asked: &CallStep, task: &TaskName) -> Vec<RegistrationId> {
        let registrations = self.world.device().registrations();
        registrations
            .filter(|registration| registration.app == asked.app && registration.name == *task)
            .filter(|registration| registration.schedule.is_none())
            .map(|registration| registration.id)
            .collect()
    }
}

/// A call that raises a trigger from the foreground.
fn raise(asked: &CallStep, caller: &Caller) -> Result<Request, Answered> {
    let app = asked.app.clone();
    let known = |name: &AskedName| {
        let foreground = matches!(
            caller,
            Caller::Front {
                foreground: true,
                ..
            }
        );
        match &name.task {
            Some(task) => Ok(task.clone()),
            None if foreground => Err(not_found(name)),
            None => Err(Answered::failed(
                ResultWord::PermissionDenied,
                "only the app itself, in the foreground, raises its triggers",
            )),
        }
    };
    match &asked.call {
        Call::RequestDevice {
            name,
            device,
            consent,
        } => Ok(Request::RequestDevice {
            app,
            name: known(name)?,
            device: device.clone(),
            consent: *consent,
        }),
        Call::RequestServicing {
            name,
            device,
            expected,
            consent,
        } => Ok(Request::RequestServicing {
            app,
            name: known(name)?,
            device: device.clone(),
            expected: *expected,
            consent: *consent,
        }),
        Call::RequestRun { name } => Ok(Request::RequestRun {
            app,
            name: known(name)?,
        }),
        Call::RequestAccess
        | Call::RemoveAccess
        | Call::AccessStatus
        | Call::Register(_)
        | Call::Unregister { .. }
        | Call::Reconcile { .. }
        | Call::AddScheduled { .. }
        | Call::RemoveScheduled { .. }
        | Call::LaunchForTest { .. }
        | Call::UpdateCard
        | Call::List { .. }
        | Call::MemoryUsage
        | Call::Outcomes => Err(Answered::failed(
            ResultWord::Unsupported,
            format!("{} raises nothing", asked.call.word()),
        )),
    }
}

fn not_found(name: &AskedName) -> Answered {
    Answered::failed(
        ResultWord::NotFound,
        format!("{:?} is no registration of this app", name.text),
    )
}

/// The name or kind that a call is about.
fn subject(call: &Call) -> Option<(&'static str, Value)> {
    match call {
        Call::Register(register) => Some(("name", Value::Text(register.name.clone()))),
        Call::Unregister { name, .. }
        | Call::RequestRun { name }
        | Call::RequestDevice { name, .. }
        | Call::RequestServicing { name, .. } => Some(("name", Value::Text(name.text.clone()))),
        Call::AddScheduled { kind, .. }
        | Call::RemoveScheduled { kind }
        | Call::LaunchForTest { kind, .. } => Some(("kind", Value::Word(kind.word()))),
        Call::RequestAccess
        | Call::RemoveAccess
        | Call::AccessStatus
        | Call::Reconcile { .. }
        | Call::UpdateCard
        | Call::List { .. }
        | Call::MemoryUsage
        | Call::Outcomes => None,
    }
}
