//! `[[step]]`: when, and one thing that happens.

use lull_document::quantity::SignedSpan;
use lull_document::{DocumentError, Section, policy_figures, unknown_name};
use lull_policy::{Choice, Occurrence, PushId, Span, Subject};

use super::words::{ACCESS, CHANNEL, DEVICE_STEPS, FRONT_STEPS, PRIORITIES, RETENTIONS, SOCKET};
use super::{
    Known, app, call, needed, needed_flag, needed_task, needed_time, needed_word, readings,
};
use crate::scenario::{Action, ClockStep, OperatorStep, PushStep, Step};

pub(super) const KEYS: [&str; 23] = [
    "at",
    "app",
    "args",
    "expect",
    "from",
    "down",
    "call",
    "set",
    "event",
    "push",
    "front",
    "update",
    "uninstall",
    "operator",
    "policy",
    "device",
    "clock",
    "debugger",
    "socket",
    "channel",
    "plug",
    "files",
    "bus",
];

/// Those of [`KEYS`] that say what happens.
const ACTIONS: [&str; 17] = [
    "call",
    "set",
    "event",
    "push",
    "front",
    "update",
    "uninstall",
    "operator",
    "policy",
    "device",
    "clock",
    "debugger",
    "socket",
    "channel",
    "plug",
    "files",
    "bus",
];

/// Those that stand beside one, and beside which.
const COMPANIONS: [(&str, &[&str]); 5] = [
    ("app", &["call", "event", "front"]),
    ("args", &["call"]),
    ("expect", &["call"]),
    ("from", &["call"]),
    ("down", &["device"]),
];

/// How long a push lives that does not say it (rule book 0a).
const TIME_TO_LIVE: Span = Span::days(3);

/// The body of a push that has none in the file: a body has a byte at least (PSH-08).
const PAYLOAD: &str = "x";

/// All steps. Pushes without an id are counted over the file.
pub(super) fn read(sections: &[Section<'_>], known: &Known) -> Result<Vec<Step>, DocumentError> {
    let mut pushes = 0;
    let step = |section| step(section, known, &mut pushes);
    sections.iter().map(step).collect()
}

fn step(section: &Section<'_>, known: &Known, pushes: &mut u32) -> Result<Step, DocumentError> {
    let action = section.one_of(&ACTIONS, EXACTLY_ONE)?;
    for (companion, beside) in COMPANIONS {
        if section.has(companion) && !beside.contains(&action) {
            let problem = format!(
                "does not go with {action:?}; it stands beside {}",
                beside.join(", ")
            );
            return Err(section.error(companion, problem));
        }
    }
    Ok(Step {
        place: section.place(),
        at: needed_time(section, "at")?,
        action: read_action(action, section, known, pushes)?,
    })
}

const EXACTLY_ONE: &str = "exactly one of call, set, event, push, front, update, uninstall, operator, policy, device, \
    clock, debugger, socket, channel, plug, files, bus";

fn read_action(
    action: &'static str,
    step: &Section<'_>,
    known: &Known,
    pushes: &mut u32,
) -> Result<Action, DocumentError> {
    match action {
        "call" => call::read(step, known).map(Box::new).map(Action::Call),
        "set" => readings::set(step, known.has_modem).map(Action::Set),
        "event" => event(step, known).map(Action::Event),
        "push" => push(&inner(step, "push", &PUSH_KEYS)?, known, pushes)
            .map(Box::new)
            .map(Action::Push),
        "front" => Ok(Action::Front {
            app: known.needed_app(step, "app")?,
            state: needed_word(step, "front", &FRONT_STEPS)?,
        }),
        "update" => update(
            &inner(step, "update", &["app", "version", "agents"])?,
            known,
        ),
        "uninstall" => Ok(Action::Uninstall {
            app: known.needed_app(&inner(step, "uninstall", &["app"])?, "app")?,
        }),
        "operator" => {
            operator(&inner(step, "operator", &OPERATOR_KEYS)?, known).map(Action::Operator)
        }
        "policy" => {
            let figures = inner(step, "policy", policy_figures::NAMES)?;
            policy_figures::read(&figures).map(Action::Policy)
        }
        "device" => Ok(Action::Device {
            what: needed_word(step, "device", &DEVICE_STEPS)?,
            down: step.time("down")?.unwrap_or_default(),
        }),
        "clock" => clock(step),
        _ => outside(action, step, known),
    }
}

/// What comes to single apps from outside.
fn outside(
    action: &'static str,
    step: &Section<'_>,
    known: &Known,
) -> Result<Action, DocumentError> {
    let keys: &'static [&'static str] = match action {
        "debugger" => &["app", "task", "attached"],
        "socket" | "channel" => &["app", "id", "what"],
        "plug" => &["device", "present"],
        "files" => &["app", "path"],
        _ => &["app", "event"],
    };
    let section = inner(step, action, keys)?;
    if action == "plug" {
        return Ok(Action::Plug {
            device: subject(&section, "device")?,
            present: needed_flag(&section, "present")?,
        });
    }
    let app = known.needed_app(&section, "app")?;
    Ok(match action {
        "debugger" => Action::Debugger {
            app,
            task: needed_task(&section, "task")?,
            attached: needed_flag(&section, "attached")?,
        },
        "socket" => Action::Socket {
            app,
            id: subject(&section, "id")?,
            what: needed_word(&section, "what", &SOCKET)?,
        },
        "channel" => Action::Channel {
            app,
            id: subject(&section, "id")?,
            what: needed_word(&section, "what", &CHANNEL)?,
        },
        "files" => Action::Files {
            app,
            path: subject(&section, "path")?,
        },
        _ => Action::Bus {
            app,
            event: subject(&section, "event")?,
        },
    })
}

/// The table of an action, which is known to be there.
fn inner<'d>(
    step: &Section<'d>,
    key: &'static str,
    known: &'static [&'static str],
) -> Result<Section<'d>, DocumentError> {
    step.section(key, known)?
        .ok_or_else(|| step.missing(key, "a table"))
}

/// The name of something outside.
pub(super) fn subject(section: &Section<'_>, key: &'static str) -> Result<Subject, DocumentError> {
    needed(section, key, "a name, in quotes", |text| Subject::new(text))
}

const EVENTS: [&str; 4] = [
    "sms-received",
    "control-channel-reset",
    "online-id-changed",
    "log-off",
];

fn event(step: &Section<'_>, known: &Known) -> Result<Occurrence, DocumentError> {
    let app = known.app(step, "app")?;
    let expected = "the name of an event, in quotes";
    needed(step, "event", expected, |text| match text {
        "sms-received" => Ok(Occurrence::SmsReceived { app }),
        "control-channel-reset" => Ok(Occurrence::ControlChannelReset { app }),
        // The identity is the device's: an app beside it changes nothing.
        "online-id-changed" => Ok(Occurrence::OnlineIdChanged),
        "log-off" => Ok(Occurrence::LogOff { app }),
        _ => Err(unknown_name("value", text, &EVENTS)),
    })
}

const PUSH_KEYS: [&str; 7] = [
    "app",
    "payload",
    "ttl",
    "retention",
    "priority",
    "collapse_key",
    "id",
];

fn push(section: &Section<'_>, known: &Known, pushes: &mut u32) -> Result<PushStep, DocumentError> {
    let given = section.parsed("id", "the push's id, in quotes", |text| PushId::new(text))?;
    let id = if let Some(id) = given {
        id
    } else {
        *pushes += 1;
        let id = PushId::new(format!("push-{pushes}"));
        id.map_err(|error| section.error("id", error.to_string()))?
    };
    let payload = section
        .text("payload")?
        .unwrap_or_else(|| PAYLOAD.to_owned());
    Ok(PushStep {
        id,
        app: known.needed_app(section, "app")?,
        payload: payload.into_bytes(),
        ttl: section.time("ttl")?.unwrap_or(TIME_TO_LIVE),
        retention: section.word("retention", &RETENTIONS)?.unwrap_or_default(),
        priority: section.word("priority", &PRIORITIES)?.unwrap_or_default(),
        collapse_key: section.text("collapse_key")?.map(String::into_boxed_str),
    })
}

fn update(section: &Section<'_>, known: &Known) -> Result<Action, DocumentError> {
    let expected = "the app's new version, in quotes";
    let version = section.text("version")?;
    Ok(Action::Update {
        app: known.needed_app(section, "app")?,
        version: version.ok_or_else(|| section.missing("version", expected))?,
        agents: if section.has("agents") {
            Some(app::agents(section, "agents")?)
        } else {
            None
        },
    })
}

const OPERATOR_KEYS: [&str; 6] = [
    "app",
    "pinned",
    "lock_screen",
    "auto_upload",
    "access",
    "agents_disabled",
];

fn operator(section: &Section<'_>, known: &Known) -> Result<OperatorStep, DocumentError> {
    Ok(OperatorStep {
        app: known.needed_app(section, "app")?,
        choice: Choice {
            pinned: section.flag("pinned")?,
            lock_screen: section.flag("lock_screen")?,
            auto_upload: section.flag("auto_upload")?,
            agents_disabled: section.flag("agents_disabled")?,
        },
        access: section.word("access", &ACCESS)?,
    })
}

fn clock(step: &Section<'_>) -> Result<Action, DocumentError> {
    match step.signed_time("clock")? {
        Some(SignedSpan::Ahead(span)) => Ok(Action::Clock(ClockStep::Forward(span))),
        Some(SignedSpan::Back(span)) => Ok(Action::Clock(ClockStep::Back(span))),
        None => Err(step.missing("clock", "a time with its sign, such as \"+1h\"")),
    }
}
