//! The arguments of `register`, with its trigger.
//!
//! A name that does not exist makes the file unusable; a value that the device would refuse is kept for its answer.

use lull_document::{DocumentError, Section, unknown_name};
use lull_policy::{
    EntryPoint, GroupId, NameError, RESERVED_EVENTS, RESERVED_TRIGGERS, RegistrationRequest,
    Subject, SystemEvent, TaskName, Trigger,
};

use super::words::{CONDITIONS, SLOTS};
use crate::scenario::{RegisterCall, ResultWord, Unacceptable};

pub(super) const REGISTER_KEYS: [&str; 9] = [
    "name",
    "entry_point",
    "trigger",
    "conditions",
    "cancel_on_condition_loss",
    "network_requested",
    "group",
    "replace",
    "dry_run",
];

/// What is asked, or what it is refused for.
type Asked<T> = Result<T, Unacceptable>;

/// A call without any arguments.
pub(super) fn nothing() -> RegisterCall {
    RegisterCall {
        name: String::new(),
        request: Err(invalid("name", "a registration needs a name")),
    }
}

pub(super) fn read(args: &Section<'_>) -> Result<RegisterCall, DocumentError> {
    let flag = |key| Ok::<bool, DocumentError>(args.flag(key)?.unwrap_or(false));
    let name = args.text("name")?.unwrap_or_default();
    let entry_point = args.text("entry_point")?.filter(|text| !text.is_empty());
    let group = args.text("group")?;
    let trigger = trigger(args)?;
    let reserved = matches!(trigger, Ok(Trigger::Reserved { .. }));
    let conditions = args.words("conditions", &CONDITIONS)?.unwrap_or_default();
    let (cancel_on_condition_loss, network_requested) = (
        flag("cancel_on_condition_loss")?,
        flag("network_requested")?,
    );
    let (replace, dry_run) = (flag("replace")?, flag("dry_run")?);
    let request = || {
        Ok(RegistrationRequest {
            name: TaskName::new(name.as_str()).map_err(named("name"))?,
            entry_point: entry_point
                .map(|text| EntryPoint::new(text).map_err(named("entry_point")))
                .transpose()?,
            trigger: trigger?,
            conditions,
            cancel_on_condition_loss,
            network_requested,
            group: group
                .map(|text| GroupId::new(text).map_err(named("group")))
                .transpose()?,
            replace,
            dry_run,
        })
    };
    // What is not offered here is refused as that, whatever else is wrong.
    let request = request().map_err(|mut unacceptable: Unacceptable| {
        if reserved {
            unacceptable.result = ResultWord::Unsupported;
        }
        unacceptable
    });
    Ok(RegisterCall { name, request })
}

fn named(field: &'static str) -> impl FnOnce(NameError) -> Unacceptable {
    move |error| invalid(field, error.to_string())
}

fn invalid(field: &str, message: impl Into<String>) -> Unacceptable {
    Unacceptable {
        result: ResultWord::InvalidArgument,
        field: field.to_owned(),
        message: message.into(),
    }
}

/// How many triggers are offered.
const OFFERED: usize = 13;

/// Every trigger's name: those that are offered, then those that are reserved.
const TRIGGER_KEYS: [&str; OFFERED + RESERVED_TRIGGERS.len()] = {
    let offered: [&str; OFFERED] = [
        "timer",
        "maintenance",
        "system",
        "push",
        "control-channel",
        "socket",
        "application",
        "media",
        "device-use",
        "device-servicing",
        "device-watcher",
        "files",
        "bus",
    ];
    let mut keys = [""; OFFERED + RESERVED_TRIGGERS.len()];
    let mut n = 0;
    while n < keys.len() {
        keys[n] = if n < OFFERED {
            offered[n]
        } else {
            RESERVED_TRIGGERS[n - OFFERED]
        };
        n += 1;
    }
    keys
};

fn trigger(args: &Section<'_>) -> Result<Asked<Trigger>, DocumentError> {
    let Some(section) = args.section("trigger", &TRIGGER_KEYS)? else {
        return Ok(Err(invalid("trigger", "a registration needs a trigger")));
    };
    let expected = "exactly one trigger, such as { timer = { minutes = 30 } }";
    let kind = section.one_of(&TRIGGER_KEYS, expected)?;
    // Reserved ones have arguments that nobody here knows.
    let keys: &'static [&'static str] = match kind {
        "timer" | "maintenance" => &["minutes", "one_shot"],
        "system" => &["event", "one_shot"],
        "control-channel" => &["id", "keep_alive_minutes", "slot"],
        "socket" => &["id"],
        "device-watcher" => &["match"],
        "files" => &["path"],
        "bus" => &["event"],
        "push" | "application" | "media" | "device-use" | "device-servicing" => &[],
        reserved => return Ok(self::reserved(reserved)),
    };
    match section.section(kind, keys)? {
        Some(inner) => offered(kind, &inner),
        None => Err(section.missing(kind, "a table")),
    }
}

fn reserved(name: &str) -> Asked<Trigger> {
    let name = Subject::new(name).map_err(named("trigger"))?;
    Ok(Trigger::Reserved { name })
}

fn offered(kind: &'static str, inner: &Section<'_>) -> Result<Asked<Trigger>, DocumentError> {
    match kind {
        "timer" | "maintenance" => timer(kind, inner),
        "system" => system(inner),
        "control-channel" => channel(inner),
        "socket" => Ok(subject(inner, "id")?.map(|id| Trigger::Socket { id })),
        "device-watcher" => {
            Ok(subject(inner, "match")?.map(|pattern| Trigger::DeviceWatcher { pattern }))
        }
        "files" => Ok(subject(inner, "path")?.map(|path| Trigger::Files { path })),
        "bus" => Ok(subject(inner, "event")?.map(|event| Trigger::Bus { event })),
        "push" => Ok(Ok(Trigger::Push)),
        "application" => Ok(Ok(Trigger::Application)),
        "media" => Ok(Ok(Trigger::Media)),
        "device-use" => Ok(Ok(Trigger::DeviceUse)),
        _ => Ok(Ok(Trigger::DeviceServicing)),
    }
}

fn timer(kind: &'static str, inner: &Section<'_>) -> Result<Asked<Trigger>, DocumentError> {
    let minutes = minutes(inner, "minutes")?;
    let one_shot = inner.flag("one_shot")?.unwrap_or(false);
    Ok(minutes.map(|minutes| match kind {
        "timer" => Trigger::Timer { minutes, one_shot },
        _ => Trigger::Maintenance { minutes, one_shot },
    }))
}

/// A number of minutes that the machine can be asked for; whether it takes them is its answer.
fn minutes(inner: &Section<'_>, key: &'static str) -> Result<Asked<u32>, DocumentError> {
    let field = format!("trigger.{key}");
    let Some(minutes) = inner.integer(key)? else {
        return Ok(Err(invalid(
            &field,
            "missing; it is a whole number of minutes",
        )));
    };
    let problem = |_| invalid(&field, format!("{minutes} minutes are no period"));
    Ok(u32::try_from(minutes).map_err(problem))
}

fn system(inner: &Section<'_>) -> Result<Asked<Trigger>, DocumentError> {
    let one_shot = inner.flag("one_shot")?.unwrap_or(false);
    let expected = "the name of a system event, in quotes";
    let trigger = inner.parsed("event", expected, |text| {
        let event = SystemEvent::ALL
            .into_iter()
            .find(|event| event.word() == text);
        if let Some(event) = event {
            return Ok(Ok(Trigger::System { event, one_shot }));
        }
        if RESERVED_EVENTS.contains(&text) {
            return Ok(reserved(text));
        }
        let words = SystemEvent::ALL.map(SystemEvent::word);
        let names: Vec<&str> = words.into_iter().chain(RESERVED_EVENTS).collect();
        Err(unknown_name("value", text, &names))
    })?;
    Ok(trigger.unwrap_or_else(|| {
        Err(invalid(
            "trigger.event",
            format!("missing; it is {expected}"),
        ))
    }))
}

fn channel(inner: &Section<'_>) -> Result<Asked<Trigger>, DocumentError> {
    let (id, minutes) = (subject(inner, "id")?, minutes(inner, "keep_alive_minutes")?);
    let slot = inner.word("slot", &SLOTS)?.unwrap_or_default();
    Ok(id.and_then(|id| {
        Ok(Trigger::ControlChannel {
            id,
            keep_alive_minutes: minutes?,
            slot,
        })
    }))
}

/// The name of something outside.
fn subject(inner: &Section<'_>, key: &'static str) -> Result<Asked<Subject>, DocumentError> {
    let field = format!("trigger.{key}");
    let text = inner.text(key)?.unwrap_or_default();
    Ok(Subject::new(text).map_err(|error| invalid(&field, error.to_string())))
}
