//! What a file becomes.

use std::path::Path;

use lull_policy::{
    AccessStatus, Bytes, FrontState, Level, Network, PerMille, Policy, Priority, Reading,
    Retention, ScheduledKind, Slot, Span, Subject, TaskName, TaskType, Trigger, WaitReason, Wall,
};

use super::read;
use crate::scenario::{
    Action, Behaviour, Between, Call, ClockStep, Ends, ExpectedOutcomes, Interface, OnCancel,
    ResultWord, Scenario, ZoneReading,
};

/// The example of the documentation.
const EXAMPLE: &str = include_str!("example.toml");

const HEAD: &str = "start = \"2026-03-02T08:00:00Z\"\nlength = \"1h\"\n";

fn task(name: &str) -> TaskName {
    TaskName::new(name).unwrap()
}

/// A scenario with one app and these steps.
fn steps(text: &str) -> Vec<Action> {
    let text = format!("{HEAD}app = [{{ id = \"mail\" }}]\n{text}");
    let steps = read(&text).unwrap().steps;
    steps.into_iter().map(|step| step.action).collect()
}

fn call(text: &str) -> Call {
    let text = format!("[[step]]\nat = \"0s\"\napp = \"mail\"\n{text}");
    match steps(&text).remove(0) {
        Action::Call(step) => step.call,
        other => panic!("{other:?} is no call"),
    }
}

#[test]
fn the_example_of_the_documentation_is_read() {
    let scenario = read(EXAMPLE).unwrap();
    assert_eq!(scenario.name, "one-shot timer of 25 minutes");
    assert_eq!(scenario.start, Wall::from_millis(1_772_438_400_000));
    assert_eq!(scenario.length, Span::days(1));
    assert_eq!((scenario.zone.as_str(), scenario.seed), ("UTC", 1));
    assert_eq!(scenario.policy.periodic_hard_limit, Some(6));
    assert_eq!(scenario.figures.len(), 1);
    let app = &scenario.apps[0];
    assert_eq!(app.app.agents[0].types.len(), 9);
    assert_eq!(app.app.agents[1].types, [TaskType::Scheduled]);
    assert_eq!(app.access, AccessStatus::AllowedSubjectToSystemPolicy);
    assert_eq!(app.front, FrontState::None);
    let first = app.behaviour(&task("sync"), 1);
    assert_eq!(first.takes, Some(Span::seconds(10)));
    assert_eq!((first.ends, first.memory), (Ends::Complete, Bytes::mib(8)));
    let later = app.behaviour(&task("sync"), 7);
    assert_eq!((later.takes, later.on_cancel), (None, OnCancel::Ignores));
    assert_eq!(app.behaviour(&task("other"), 1), Behaviour::default());
    let Action::Call(call) = &scenario.steps[0].action else {
        panic!("{:?}", scenario.steps[0]);
    };
    assert_eq!(
        (call.from_agent, call.expect),
        (false, Some(ResultWord::Ok))
    );
    let Action::Set(set) = &scenario.steps[1].action else {
        panic!("{:?}", scenario.steps[1]);
    };
    let battery = Reading::Battery(Level::Known(PerMille::new(895)));
    assert_eq!(
        set.readings,
        [Reading::ExternalPower(Level::Known(false)), battery]
    );
    let place = scenario.expectations[0].place.line;
    assert_eq!(
        EXAMPLE.lines().nth(place - 1),
        Some("[[expect]]                          # optional, checked at the end")
    );
    let window = Between {
        low: Some(Span::minutes(25)),
        high: Some(Span::minutes(40)),
    };
    assert_eq!(scenario.expectations[0].first, Some(window));
}

#[test]
fn the_smallest_file_has_every_default() {
    let scenario = read(HEAD).unwrap();
    assert_eq!(scenario.name, "s");
    assert_eq!(scenario.policy, Policy::default());
    let hardware = &scenario.profile;
    assert_eq!(hardware.profile.memory, Some(Bytes::mib(2048)));
    assert!(hardware.has_battery && hardware.has_screen && hardware.has_modem);
    assert!(hardware.profile.developer_mode);
    let readings = scenario.readings;
    assert_eq!(readings.network, Level::Known(Network::Wifi));
    assert_eq!(readings.battery, Level::Known(PerMille::percent(100)));
    assert!(readings.user_present.is(true) && readings.screen_on.is(true));
    assert!(scenario.apps.is_empty() && scenario.steps.is_empty());
}

/// Every scenario of the rule book, in its own words.
#[test]
fn the_conformance_scenarios_are_read() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/conformance/scenarios"
    );
    let mut files = 0;
    let mut refused = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        files += 1;
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.file_name().unwrap();
        if let Err(error) = Scenario::read(Path::new(file), &text) {
            refused.push(error.to_string());
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
    assert!(files > 0, "{folder} has no scenarios");
}

#[test]
fn every_kind_of_step_is_read() {
    let actions = steps(
        r#"
step = [
  { at = "0s", event = "log-off", app = "mail" },
  { at = "0s", push = { app = "mail", priority = "very-low", retention = "latest", ttl = "1h", collapse_key = "k" } },
  { at = "0s", push = { app = "mail", id = "own", payload = "ö" } },
  { at = "0s", push = { app = "mail" } },
  { at = "0s", front = "exited", app = "mail" },
  { at = "0s", update = { app = "mail", version = "2.0", agents = [{ entry_point = "a", types = ["timer"] }] } },
  { at = "0s", uninstall = { app = "mail" } },
  { at = "0s", operator = { app = "mail", pinned = true, access = "none" } },
  { at = "0s", policy = { saver_level = 30 } },
  { at = "0s", device = "suspend", down = "2h" },
  { at = "0s", clock = "-30m" },
  { at = "0s", debugger = { app = "mail", task = "periodic", attached = true } },
  { at = "0s", socket = { app = "mail", id = "s", what = "keep-alive" } },
  { at = "0s", channel = { app = "mail", id = "c", what = "reset" } },
  { at = "0s", plug = { device = "cam", present = false } },
  { at = "0s", files = { app = "mail", path = "/srv" } },
  { at = "0s", bus = { app = "mail", event = "org.example.Alarm" } },
  { at = "0s", set = { zone = "europe/berlin", battery = "unknown" } },
  { at = "0s", set = { zone = "unknown" } },
]
"#,
    );
    let Action::Push(push) = &actions[1] else {
        panic!("{:?}", actions[1]);
    };
    assert_eq!((push.id.as_str(), push.ttl), ("push-1", Span::hours(1)));
    assert_eq!(
        (push.priority, push.retention),
        (Priority::VeryLow, Retention::Latest)
    );
    let ids = actions.iter().filter_map(|action| match action {
        Action::Push(push) => Some(push.id.as_str()),
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["push-1", "own", "push-2"]);
    let Action::Front { state, .. } = &actions[4] else {
        panic!("{:?}", actions[4]);
    };
    assert_eq!(*state, FrontState::None);
    let Action::Operator(operator) = &actions[7] else {
        panic!("{:?}", actions[7]);
    };
    assert_eq!(operator.access, Some(AccessStatus::Unspecified));
    assert_eq!(
        (operator.choice.pinned, operator.choice.lock_screen),
        (Some(true), None)
    );
    let Action::Policy(figures) = &actions[8] else {
        panic!("{:?}", actions[8]);
    };
    let mut policy = Policy::default();
    figures[0].apply(&mut policy);
    assert_eq!(policy.saver_level, PerMille::percent(30));
    assert!(
        matches!(actions[10], Action::Clock(ClockStep::Back(span)) if span == Span::minutes(30))
    );
    let Action::Set(set) = &actions[17] else {
        panic!("{:?}", actions[17]);
    };
    assert_eq!(set.readings, [Reading::Battery(Level::Unknown)]);
    assert!(
        matches!(&set.zone, Some(ZoneReading::Known(zone)) if zone.as_str() == "Europe/Berlin")
    );
    let Action::Set(set) = &actions[18] else {
        panic!("{:?}", actions[18]);
    };
    assert_eq!(set.zone, Some(ZoneReading::Unknown));
}

#[test]
fn every_call_is_read() {
    for text in [
        "call = \"request-access\"",
        "call = \"remove-access\"\nargs = {}",
        "call = \"access-status\"",
        "call = \"update-card\"",
        "call = \"memory-usage\"\nfrom = \"agent\"",
        "call = \"outcomes\"",
        "call = \"list\"",
        "call = \"list\"\nargs = { group = \"g\" }",
        "call = \"register\"",
        "call = \"unregister\"\nargs = { name = \"\", cancel = true }",
        "call = \"reconcile\"\nargs = { desired = [{}] }",
        "call = \"add-scheduled\"\nargs = { kind = \"periodic\" }",
        "call = \"remove-scheduled\"\nargs = { kind = \"resource-intensive\" }",
        "call = \"request-run\"\nargs = { name = \"x\" }",
        "call = \"request-device\"\nargs = { name = \"x\", device = \"cam\" }",
        "call = \"request-servicing\"\nargs = { name = \"x\", device = \"cam\", expected = \"5m\", consent = false }",
        "call = \"launch-for-test\"\nargs = { kind = \"periodic\", delay = \"1m\" }",
    ] {
        let word = call(text).word();
        assert!(text.starts_with(&format!("call = {word:?}")), "{text}");
    }
    let scheduled =
        call("call = \"add-scheduled\"\nargs = { kind = \"periodic\", expires = \"14d\" }");
    let Call::AddScheduled {
        kind,
        description,
        expires,
    } = scheduled
    else {
        panic!("{scheduled:?}");
    };
    assert_eq!((kind, description.as_str()), (ScheduledKind::Periodic, ""));
    assert_eq!(expires, Some(Span::days(14)));
}

fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

fn check_triggers(triggers: &[(&str, Trigger)]) {
    for (text, trigger) in triggers {
        let args = format!("name = \"x\", entry_point = \"\", trigger = {{ {text} }}");
        let Call::Register(register) = call(&format!("call = \"register\"\nargs = {{ {args} }}"))
        else {
            panic!("{text}");
        };
        let request = register.request.unwrap();
        assert_eq!(request.trigger, *trigger);
        assert_eq!(request.entry_point, None);
    }
}

#[test]
fn triggers_with_arguments_are_read() {
    let timer = Trigger::Timer {
        minutes: 5,
        one_shot: false,
    };
    let maintenance = Trigger::Maintenance {
        minutes: 5,
        one_shot: true,
    };
    let channel = Trigger::ControlChannel {
        id: subject("c"),
        keep_alive_minutes: 15,
        slot: Slot::Software,
    };
    let watcher = Trigger::DeviceWatcher {
        pattern: subject("cam*"),
    };
    let (id, path, event) = (subject("s"), subject("/srv"), subject("e"));
    check_triggers(&[
        ("timer = { minutes = 5 }", timer),
        (
            "maintenance = { minutes = 5, one_shot = true }",
            maintenance,
        ),
        (
            "control-channel = { id = \"c\", keep_alive_minutes = 15 }",
            channel,
        ),
        ("socket = { id = \"s\" }", Trigger::Socket { id }),
        ("device-watcher = { match = \"cam*\" }", watcher),
        ("files = { path = \"/srv\" }", Trigger::Files { path }),
        ("bus = { event = \"e\" }", Trigger::Bus { event }),
    ]);
}

#[test]
fn plain_and_reserved_triggers_are_read() {
    let reserved = |name| Trigger::Reserved {
        name: subject(name),
    };
    let event = "default-sign-in-account-change";
    check_triggers(&[
        ("push = {}", Trigger::Push),
        ("application = {}", Trigger::Application),
        ("media = {}", Trigger::Media),
        ("device-use = {}", Trigger::DeviceUse),
        ("device-servicing = {}", Trigger::DeviceServicing),
        ("smart-card = { reader = 1 }", reserved("smart-card")),
        (
            &format!("system = {{ event = {event:?} }}"),
            reserved(event),
        ),
    ]);
}

/// Arguments that a device refuses are answers of the call: the file is good.
#[test]
fn what_a_call_is_refused_for_waits_for_the_call() {
    let long = "x".repeat(129);
    for (args, result, field) in [
        (
            "trigger = { push = {} }".to_owned(),
            ResultWord::InvalidArgument,
            "name",
        ),
        (
            format!("name = {long:?}, trigger = {{ push = {{}} }}"),
            ResultWord::InvalidArgument,
            "name",
        ),
        (
            format!("name = {long:?}, trigger = {{ geovisit = {{}} }}"),
            ResultWord::Unsupported,
            "name",
        ),
        (
            "name = \"x\"".to_owned(),
            ResultWord::InvalidArgument,
            "trigger",
        ),
        (
            "name = \"x\", trigger = { timer = {} }".to_owned(),
            ResultWord::InvalidArgument,
            "trigger.minutes",
        ),
        (
            "name = \"x\", trigger = { timer = { minutes = -1 } }".to_owned(),
            ResultWord::InvalidArgument,
            "trigger.minutes",
        ),
        (
            "name = \"x\", trigger = { system = {} }".to_owned(),
            ResultWord::InvalidArgument,
            "trigger.event",
        ),
        (
            "name = \"x\", trigger = { socket = { id = \"\" } }".to_owned(),
            ResultWord::InvalidArgument,
            "trigger.id",
        ),
        (
            "name = \"x\", entry_point = \"a b\", trigger = { push = {} }".to_owned(),
            ResultWord::InvalidArgument,
            "entry_point",
        ),
        (
            "name = \"x\", group = \"\", trigger = { push = {} }".to_owned(),
            ResultWord::InvalidArgument,
            "group",
        ),
    ] {
        let Call::Register(register) = call(&format!("call = \"register\"\nargs = {{ {args} }}"))
        else {
            panic!("{args}");
        };
        let unacceptable = register.request.unwrap_err();
        assert_eq!(
            (unacceptable.result, unacceptable.field.as_str()),
            (result, field),
            "{args}"
        );
    }
}

#[test]
fn expectations_are_read() {
    let text = format!(
        "{HEAD}[[app]]\nid = \"mail\"\n[[expect]]\ntask = \"mail/a/b\"\nstarts = {{ at_least = 2 }}\ngap = {{ at_most = \"5m\" }}\n\
         outcomes = {{ all = \"completed\" }}\nwaiting_for = [\"slot\", \"quota\"]\nscheduled = true\n"
    );
    let expectation = read(&text).unwrap().expectations.remove(0);
    assert_eq!(expectation.task, task("a/b"));
    let starts = expectation.starts.unwrap();
    assert!(starts.contains(&2) && starts.contains(&900) && !starts.contains(&1));
    let gap = expectation.gap.unwrap();
    assert!(gap.contains(&Span::ZERO) && !gap.contains(&Span::minutes(6)));
    let all = ExpectedOutcomes::All(lull_policy::Outcome::Completed);
    assert_eq!(expectation.outcomes, Some(all));
    let reasons = [WaitReason::Slot, WaitReason::Quota].into_iter().collect();
    assert_eq!(expectation.waiting_for, Some(reasons));
    assert_eq!(expectation.scheduled, Some(true));
}

#[test]
fn behaviours_are_read() {
    let text = format!(
        "{HEAD}[[app]]\nid = \"mail\"\n[[app.behaviour]]\ntask = \"t\"\nruns = [{{ takes = \"1m\", ends = \"return-with-work\", \
         on_cancel = \"2s\", progress = [[\"5s\", 50]], updates_card = \"1s\", adds_scheduled = true, cpu = \"3s\", \
         binds = [[\"5s\", \"cellular\"]], handles_out_of_memory = true }}]\n"
    );
    let run = read(&text).unwrap().apps[0].behaviour(&task("t"), 1);
    assert_eq!(run.ends, Ends::ReturnWithWork);
    assert_eq!(run.on_cancel, OnCancel::LeavesAfter(Span::seconds(2)));
    let progress = run.progress[0];
    assert_eq!((progress.after, progress.value), (Span::seconds(5), 50));
    assert_eq!(run.binds[0].interface, Interface::Cellular);
    assert_eq!(
        (run.cpu, run.updates_card),
        (Span::seconds(3), Some(Span::seconds(1)))
    );
    assert!(run.adds_scheduled && run.handles_out_of_memory);
}

#[test]
fn assumed_levels_and_missing_hardware() {
    let text = format!(
        "{HEAD}profile = {{ has_modem = false, assume = {{ battery = 95, network = \"wifi\", user_present = false }} }}\n\
         readings = {{ call = \"unknown\", battery_saver = true, saver_manual = true }}\n"
    );
    let scenario = read(&text).unwrap();
    let assumed = [
        Reading::Battery(Level::Assumed(PerMille::percent(95))),
        Reading::Network(Level::Assumed(Network::Wifi)),
        Reading::UserPresent(Level::Assumed(false)),
    ];
    assert_eq!(scenario.profile.assume, assumed);
    assert_eq!(scenario.readings.call, Level::Unknown);
}
