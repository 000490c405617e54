//! The steps of a life as steps of a scenario, or as comments.

use std::fmt::Write as _;

use lull_policy::{
    AccessChoice, AppId, Choice, Level, Occurrence, PerMille, Policy, Reading, Readings,
    RegistrationRequest, Trigger,
};

use super::{duration, figures, toml, word};
use crate::plan::{Ask, Down, Plan, PlannedPush, Step};

/// All of them.
pub(super) fn write(plan: &Plan) -> String {
    let mut text = String::new();
    let mut truth = plan.readings;
    let mut policy = plan.policy.clone();
    for planned in &plan.steps {
        let said = step(plan, &planned.step, &mut truth, &mut policy);
        for said in said {
            let at = duration(planned.at);
            match said {
                Said::Step(said) => write!(text, "\n[[step]]\nat = {at}\n{said}\n"),
                Said::Comment(said) => write!(text, "\n# at {at}: {said}\n"),
            }
            .expect("text takes text");
        }
    }
    text
}

/// A step, or what cannot be one.
enum Said {
    Step(String),
    Comment(String),
}

fn step(plan: &Plan, step: &Step, truth: &mut Readings, policy: &mut Policy) -> Vec<Said> {
    let one = |said: String| vec![Said::Step(said)];
    let comment = |said: String| vec![Said::Comment(said)];
    match step {
        Step::Set(readings) => {
            for reading in readings {
                truth.put(*reading);
            }
            set(readings)
        }
        Step::Source { source, up: true } => set(&truth.of(*source)),
        Step::Source { source, up: false } => set(&Readings::default().of(*source)),
        Step::Occur(occurrence) => one(occurs(occurrence)),
        Step::Ask { app, ask } => asks(app, ask),
        Step::Push(pushed) => one(push(pushed)),
        Step::PushAgain(number) => {
            let pushes = plan.steps.iter().filter_map(|planned| match &planned.step {
                Step::Push(push) => Some(push),
                _ => None,
            });
            let mut again = pushes.filter(|push| push.number == *number);
            again.next().map_or_else(Vec::new, |again| one(push(again)))
        }
        Step::Front { app, state } => {
            let state = match state {
                lull_policy::FrontState::None => "\"exited\"".to_owned(),
                other => word(other),
            };
            one(format!("app = \"{app}\"\nfront = {state}"))
        }
        Step::Installed { app, version } => one(match version {
            Some(version) => format!("update = {{ app = \"{app}\", version = \"{version}.0\" }}"),
            None => format!("uninstall = {{ app = \"{app}\" }}"),
        }),
        Step::Policy(next) => {
            let figures = figures(next, policy);
            *policy = (**next).clone();
            if figures.is_empty() {
                return Vec::new();
            }
            one(format!("policy = {{ {} }}", figures.join(", ")))
        }
        Step::Down { how, length } => one(format!(
            "device = \"{}\"\ndown = {}",
            down(*how),
            duration(*length)
        )),
        Step::Clock(by) => {
            let sign = if *by < 0 { '-' } else { '+' };
            one(format!("clock = \"{sign}{}ms\"", by.unsigned_abs()))
        }
        Step::Link(up) => comment(format!("the link to the coordinator is up: {up}")),
        Step::Disk(takes) => comment(format!("a commit takes {takes} ms from now on")),
        Step::Late(late) => comment(format!("deadlines are met {late} ms late from now on")),
        Step::MemoryShort => comment("the device is short of memory".to_owned()),
    }
}

const fn down(how: Down) -> &'static str {
    match how {
        Down::Stop | Down::Killed => "restart",
        Down::Reboot => "reboot",
        Down::PowerCut { .. } => "power-cut",
        Down::Suspend => "suspend",
    }
}

fn set(readings: &[Reading]) -> Vec<Said> {
    let said: Vec<String> = readings
        .iter()
        .filter_map(reading)
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    vec![Said::Step(format!("set = {{ {} }}", said.join(", ")))]
}

/// A reading by its name in the format.
pub(super) fn reading(reading: &Reading) -> Option<(&'static str, String)> {
    let flag = |level: &Level<bool>| level.value().map(|value| value.to_string());
    let share = |level: &Level<PerMille>| {
        let tenths = level.value().map(PerMille::as_tenths);
        tenths.map(|tenths| format!("{}.{}", tenths / 10, tenths % 10))
    };
    let (name, value) = match reading {
        Reading::ExternalPower(level) => ("external_power", flag(level)),
        Reading::Battery(level) => ("battery", share(level)),
        Reading::BatterySaver(level) => ("battery_saver", flag(level)),
        // It stands beside a saver that is on only.
        Reading::SaverManual(level) if level.value() != Some(true) => return None,
        Reading::SaverManual(level) => ("saver_manual", flag(level)),
        Reading::Network(level) => ("network", level.value().map(|value| word(&value))),
        Reading::Internet(level) => ("internet", flag(level)),
        Reading::Metered(level) => ("metered", flag(level)),
        Reading::Session(level) => ("session", level.value().map(|value| word(&value))),
        Reading::UserPresent(level) => ("user_present", flag(level)),
        Reading::ScreenLocked(level) => ("screen_locked", flag(level)),
        Reading::ScreenOn(level) => ("screen_on", flag(level)),
        Reading::Standby(level) => ("standby", flag(level)),
        Reading::Call(level) => ("call", level.value().map(|value| word(&value))),
        Reading::Zone(level) => {
            let zone = level.value().map(|zone| match zone.offset {
                3_600 => "\"Europe/Paris\"".to_owned(),
                7_200 => "\"Europe/Helsinki\"".to_owned(),
                -18_000 => "\"America/New_York\"".to_owned(),
                _ => "\"UTC\"".to_owned(),
            });
            ("zone", zone)
        }
        Reading::CpuPressure(level) => ("cpu_pressure", share(level)),
    };
    Some((name, value.unwrap_or_else(|| "\"unknown\"".to_owned())))
}

fn occurs(occurrence: &Occurrence) -> String {
    let of = |app: &Option<AppId>| {
        let app = app.as_ref();
        app.map_or_else(String::new, |app| format!("\napp = \"{app}\""))
    };
    match occurrence {
        Occurrence::SmsReceived { app } => format!("event = \"sms-received\"{}", of(app)),
        Occurrence::ControlChannelReset { app } => {
            format!("event = \"control-channel-reset\"{}", of(app))
        }
        Occurrence::OnlineIdChanged => "event = \"online-id-changed\"".to_owned(),
        Occurrence::LogOff { app } => format!("event = \"log-off\"{}", of(app)),
        Occurrence::Socket { app, id, activity } => format!(
            "socket = {{ app = \"{app}\", id = \"{id}\", what = {} }}",
            word(activity)
        ),
        Occurrence::Channel { app, id, activity } => format!(
            "channel = {{ app = \"{app}\", id = \"{id}\", what = {} }}",
            word(activity)
        ),
        Occurrence::Device { device, present } => {
            format!("plug = {{ device = \"{device}\", present = {present} }}")
        }
        Occurrence::FilesChanged { app, path } => {
            format!("files = {{ app = \"{app}\", path = \"{path}\" }}")
        }
        Occurrence::Bus { app, event } => {
            format!("bus = {{ app = \"{app}\", event = \"{event}\" }}")
        }
        Occurrence::Debugger {
            app,
            task,
            attached,
        } => format!("debugger = {{ app = \"{app}\", task = \"{task}\", attached = {attached} }}"),
    }
}

fn push(push: &PlannedPush) -> String {
    let key = push.collapse_key;
    let key = key.map_or_else(String::new, |key| format!(", collapse_key = \"{key}\""));
    format!(
        "push = {{ app = \"{}\", id = \"push-{}\", ttl = {}, retention = {}, priority = {}{key} }}",
        push.app,
        push.number,
        duration(push.life),
        word(&push.retention),
        word(&push.priority)
    )
}

fn asks(app: &AppId, ask: &Ask) -> Vec<Said> {
    let call = |call: &str, args: &str| {
        let args = if args.is_empty() {
            String::new()
        } else {
            format!("\nargs = {{ {args} }}")
        };
        vec![Said::Step(format!(
            "app = \"{app}\"\ncall = \"{call}\"{args}"
        ))]
    };
    match ask {
        Ask::Access => call("request-access", ""),
        Ask::RemoveAccess => call("remove-access", ""),
        Ask::Register(request) => call("register", &register(request)),
        Ask::Unregister { name, cancel } => call(
            "unregister",
            &format!("name = \"{name}\", cancel = {cancel}"),
        ),
        Ask::AddScheduled { kind, expires } => {
            let expires = expires.map(|after| format!(", expires = {}", duration(after)));
            let expires = expires.unwrap_or_default();
            let kind = word(kind);
            let args = format!("kind = {kind}, description = \"keeps up\"{expires}");
            call("add-scheduled", &args)
        }
        Ask::RemoveScheduled(kind) => call("remove-scheduled", &format!("kind = {}", word(kind))),
        Ask::LaunchForTest { kind, delay } => call(
            "launch-for-test",
            &format!("kind = {}, delay = {}", word(kind), duration(*delay)),
        ),
        Ask::RequestRun(name) => call("request-run", &format!("name = \"{name}\"")),
        Ask::RequestDevice { name, device } => call(
            "request-device",
            &format!("name = \"{name}\", device = \"{device}\", consent = true"),
        ),
        Ask::Choose(choice) => operator(app, *choice),
        Ask::SetAccess(choice) => {
            let access = match choice {
                Some(AccessChoice::Always) => "always-allowed",
                Some(AccessChoice::Never) => "denied-by-user",
                Some(AccessChoice::DeniedBySystem) => "denied-by-system-policy",
                None => "allowed",
            };
            let said = format!("operator = {{ app = \"{app}\", access = \"{access}\" }}");
            vec![Said::Step(said)]
        }
    }
}

fn operator(app: &AppId, choice: Choice) -> Vec<Said> {
    let said = [
        ("pinned", choice.pinned),
        ("lock_screen", choice.lock_screen),
        ("auto_upload", choice.auto_upload),
        ("agents_disabled", choice.agents_disabled),
    ];
    let said: String = said
        .into_iter()
        .filter_map(|(name, value)| Some(format!(", {name} = {}", value?)))
        .collect();
    vec![Said::Step(format!(
        "operator = {{ app = \"{app}\"{said} }}"
    ))]
}

fn register(request: &RegistrationRequest) -> String {
    let name = &request.name;
    let point = request.entry_point.as_ref();
    let point = point.map_or_else(String::new, |point| format!("entry_point = \"{point}\", "));
    let trigger = trigger(&request.trigger);
    let conditions: Vec<String> = request.conditions.iter().map(word).collect();
    let conditions = conditions.join(", ");
    let (loss, network, replace) = (
        request.cancel_on_condition_loss,
        request.network_requested,
        request.replace,
    );
    format!(
        "name = \"{name}\", {point}trigger = {trigger}, conditions = [{conditions}], \
         cancel_on_condition_loss = {loss}, network_requested = {network}, replace = {replace}"
    )
}

fn trigger(trigger: &Trigger) -> String {
    let value = serde_json::to_value(trigger).unwrap_or_default();
    match value.as_str() {
        Some(word) => format!("{{ {word} = {{}} }}"),
        None => toml(&value),
    }
}
