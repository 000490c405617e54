//! The line of a call, in the words of scenario files; requests that no scenario can make have words of their own.

use lull_policy::{Answer, AppId, Caller, Request};

use crate::scenario::{Answered, Fields, Value};

/// The fields of the line.
pub(super) fn fields(caller: &Caller, request: &Request, answer: Option<&Answer>) -> Fields {
    let (app, call, subject) = words(request);
    let mut fields = vec![
        ("app", Value::App(app.clone())),
        ("call", Value::Word(call)),
    ];
    match caller {
        Caller::Front { .. } => {}
        Caller::Agent { .. } => fields.push(("from", Value::Word("agent"))),
        Caller::Operator => fields.push(("from", Value::Word("operator"))),
    }
    fields.extend(subject);
    Answered::of(answer).write(&mut fields);
    fields
}

type Subject = Option<(&'static str, Value)>;

/// For whom, what, and the name or kind that it is about.
fn words(request: &Request) -> (&AppId, &'static str, Subject) {
    let name = |name: &lull_policy::TaskName| Some(("name", Value::Task(name.clone())));
    let kind = |kind: &lull_policy::ScheduledKind| Some(("kind", Value::Word(kind.word())));
    let id = |id: &lull_policy::RegistrationId| Some(("id", Value::Number(id.0)));
    match request {
        Request::RequestAccess { app } => (app, "request-access", None),
        Request::RemoveAccess { app } => (app, "remove-access", None),
        Request::Register { app, registration } => (app, "register", name(&registration.name)),
        Request::RequestAccessKind { app, .. } => (app, "request-access-kind", None),
        Request::Reconcile { app, .. } => (app, "reconcile", None),
        Request::AnswerPush { app, .. } => (app, "answer-push", None),
        Request::AddScheduled { app, kind: of, .. } => (app, "add-scheduled", kind(of)),
        Request::RemoveScheduled { app, kind: of } => (app, "remove-scheduled", kind(of)),
        Request::LaunchForTest { app, kind: of, .. } => (app, "launch-for-test", kind(of)),
        Request::DebugFire { app, id: of } => (app, "debug-fire", id(of)),
        Request::RequestDevice { app, name: of, .. } => (app, "request-device", name(of)),
        Request::RequestServicing { app, name: of, .. } => (app, "request-servicing", name(of)),
        Request::GiveConsent { app, .. } => (app, "give-consent", None),
        Request::RevokeConsent { app, .. } => (app, "revoke-consent", None),
        Request::UpdateCard { app } => (app, "update-card", None),
        Request::Choose { app, .. } => (app, "choose", None),
        Request::Unregister { app, id: of, .. } => (app, "unregister", id(of)),
        Request::RequestRun { app, name: of } => (app, "request-run", name(of)),
        Request::SetAccess { app, .. } => (app, "set-access", None),
    }
}
