//! A step's `call`: what is asked, with its arguments.

use lull_document::{DocumentError, Section, unknown_name};
use lull_policy::{GroupId, TaskName};

use super::register::{self, REGISTER_KEYS};
use super::step::subject;
use super::words::SCHEDULED;
use super::{Known, needed, needed_word};
use crate::scenario::{AskedName, Call, CallStep, ResultWord};

/// Every call with the arguments it has.
const CALLS: [(&str, &[&str]); 16] = [
    ("request-access", &[]),
    ("remove-access", &[]),
    ("access-status", &[]),
    ("register", &REGISTER_KEYS),
    ("unregister", &["name", "cancel"]),
    ("reconcile", &["desired"]),
    ("add-scheduled", &["kind", "description", "expires"]),
    ("remove-scheduled", &["kind"]),
    ("request-run", &["name"]),
    ("request-device", &["name", "device", "consent"]),
    (
        "request-servicing",
        &["name", "device", "expected", "consent"],
    ),
    ("launch-for-test", &["kind", "delay"]),
    ("update-card", &[]),
    ("list", &["group"]),
    ("memory-usage", &[]),
    ("outcomes", &[]),
];

pub(super) fn read(step: &Section<'_>, known: &Known) -> Result<CallStep, DocumentError> {
    let (name, keys) = needed(step, "call", "the name of a call, in quotes", |text| {
        let call = CALLS.iter().find(|(name, _)| *name == text);
        call.copied().ok_or_else(|| {
            let names = CALLS.map(|(name, _)| name);
            unknown_name("value", text, &names)
        })
    })?;
    let args = step.section("args", keys)?;
    let call = match args {
        Some(args) => with_arguments(name, &args)?,
        None => without_arguments(name, step)?,
    };
    let words = ResultWord::ALL.map(|result| (result.word(), result));
    Ok(CallStep {
        app: known.needed_app(step, "app")?,
        from_agent: step.word("from", &[("agent", ())])?.is_some(),
        call,
        expect: step.word("expect", &words)?,
    })
}

/// Calls that have no argument which must be there.
fn without_arguments(name: &'static str, step: &Section<'_>) -> Result<Call, DocumentError> {
    match name {
        "register" => Ok(Call::Register(register::nothing())),
        "list" => Ok(Call::List { group: None }),
        _ => plain(name)
            .ok_or_else(|| step.missing("args", &format!("a table of the arguments of {name:?}"))),
    }
}

/// Calls that have no arguments at all.
fn plain(name: &str) -> Option<Call> {
    match name {
        "request-access" => Some(Call::RequestAccess),
        "remove-access" => Some(Call::RemoveAccess),
        "access-status" => Some(Call::AccessStatus),
        "update-card" => Some(Call::UpdateCard),
        "memory-usage" => Some(Call::MemoryUsage),
        "outcomes" => Some(Call::Outcomes),
        _ => None,
    }
}

fn with_arguments(name: &'static str, args: &Section<'_>) -> Result<Call, DocumentError> {
    if let Some(call) = plain(name) {
        return Ok(call);
    }
    let consent = || Ok::<bool, DocumentError>(args.flag("consent")?.unwrap_or(true));
    Ok(match name {
        "register" => Call::Register(register::read(args)?),
        "unregister" => Call::Unregister {
            name: asked_name(args)?,
            cancel: args.flag("cancel")?.unwrap_or(false),
        },
        "reconcile" => reconcile(args)?,
        "add-scheduled" => Call::AddScheduled {
            kind: needed_word(args, "kind", &SCHEDULED)?,
            description: args.text("description")?.unwrap_or_default(),
            expires: args.time("expires")?,
        },
        "remove-scheduled" => Call::RemoveScheduled {
            kind: needed_word(args, "kind", &SCHEDULED)?,
        },
        "request-run" => Call::RequestRun {
            name: asked_name(args)?,
        },
        "request-device" => Call::RequestDevice {
            name: asked_name(args)?,
            device: subject(args, "device")?,
            consent: consent()?,
        },
        "request-servicing" => Call::RequestServicing {
            name: asked_name(args)?,
            device: subject(args, "device")?,
            expected: args.time("expected")?,
            consent: consent()?,
        },
        "launch-for-test" => Call::LaunchForTest {
            kind: needed_word(args, "kind", &SCHEDULED)?,
            delay: args.time("delay")?.unwrap_or_default(),
        },
        _ => Call::List {
            group: args.parsed("group", "a group's id, in quotes", |text| {
                GroupId::new(text)
            })?,
        },
    })
}

fn reconcile(args: &Section<'_>) -> Result<Call, DocumentError> {
    if !args.has("desired") {
        return Err(args.missing("desired", "a list of registrations, which may be empty"));
    }
    let desired = args.sections("desired", &REGISTER_KEYS)?;
    let desired = desired
        .iter()
        .map(register::read)
        .collect::<Result<_, _>>()?;
    Ok(Call::Reconcile { desired })
}

fn asked_name(args: &Section<'_>) -> Result<AskedName, DocumentError> {
    let text = args.text("name")?;
    let text = text.ok_or_else(|| args.missing("name", "a registration's name, in quotes"))?;
    let task = TaskName::new(text.as_str()).ok();
    Ok(AskedName { text, task })
}
