//! Recordings: what a scenario's device would have recorded is replayed, cut, damaged, and lived through again.

use std::fs;
use std::path::{Path, PathBuf};

use lull_policy::{BootId, Device, Event};
use lull_recording::{Entry, Snapshot, differences};
use lull_testkit::recording::{self, Blocked, Change, TaskChange, WhatIf};
use lull_testkit::scenario::Line;
use lull_testkit::{Recording, Scenario, Span};

/// Two days of a device that is mostly charged at night, with a push, a restart and a reboot; run lengths differ.
const DEVICE: &str = r#"
name = "device"
start = "2026-03-02T08:00:00Z"
length = "2d"
[[app]]
id = "mail"
access = "allowed"
front = "foreground"
[[app.agent]]
entry_point = "sync"
types = ["timer", "push-notification", "system-event"]
[[app.agent]]
entry_point = "upkeep"
types = ["scheduled"]
[[app.behaviour]]
task = "sync"
runs = [{ takes = "3s" }, { takes = "forever", on_cancel = "2s" }, { takes = "20s", ends = "abort" }]
[[app.behaviour]]
task = "periodic"
runs = [{ takes = "9s", memory = "12 MiB" }]
[[step]]
at = "0s"
app = "mail"
call = "register"
args = { name = "sync", entry_point = "sync", trigger = { timer = { minutes = 15 } }, conditions = ["internet-available"] }
expect = "ok"
[[step]]
at = "0s"
app = "mail"
call = "register"
args = { name = "new", entry_point = "sync", trigger = { push = {} } }
expect = "ok"
[[step]]
at = "0s"
app = "mail"
call = "add-scheduled"
args = { kind = "periodic", description = "keeps the mail tidy" }
expect = "ok"
[[step]]
at = "3h"
set = { internet = false }
[[step]]
at = "5h"
set = { internet = true }
[[step]]
at = "6h"
push = { app = "mail", payload = "hello" }
[[step]]
at = "7h"
device = "restart"
down = "20s"
[[step]]
at = "8h"
set = { external_power = false, battery = 15, battery_saver = true }
[[step]]
at = "20h"
set = { external_power = true, battery_saver = false }
[[step]]
at = "30h"
device = "reboot"
down = "1h"
[[step]]
at = "40h"
device = "suspend"
down = "2h"
"#;

fn scenario(text: &str) -> Scenario {
    Scenario::read(Path::new("test.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn read(text: &str) -> Recording {
    let file = Path::new("device.jsonl");
    Recording::read(file, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn what_if(text: &str, policy: &str) -> WhatIf {
    let figures = recording::figures(Path::new("new.toml"), policy);
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    read(text).what_if(&figures)
}

fn task<'w>(what_if: &'w WhatIf, name: &str) -> &'w TaskChange {
    let mut tasks = what_if.tasks.iter();
    let found = tasks.find(|task| format!("{}/{}", task.app, task.task) == name);
    found.unwrap_or_else(|| panic!("no {name} among {:?}", what_if.tasks))
}

fn scenarios(folder: &str) -> Vec<(PathBuf, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).expect("the scenarios are there");
    let files = entries.map(|entry| entry.expect("a file").path());
    let mut files: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("it can be read");
        let scenario = Scenario::read(&file, &text).unwrap_or_else(|error| panic!("{error}"));
        (file, scenario)
    };
    files.into_iter().map(read).collect()
}

/// Lines of what the machine decided, as JSON; a call is no decision, and a socket is the run's own affair.
fn decided(lines: &[Line]) -> Vec<String> {
    let lines = lines.iter();
    let lines = lines.filter(|line| line.event != "call" && line.event != "bind");
    lines.map(ToString::to_string).collect()
}

#[test]
fn a_replay_decides_what_was_decided() {
    let folders = ["scenarios", "../../tests/conformance/scenarios"];
    let all = folders.into_iter().flat_map(scenarios);
    let mut count = 0;
    for (file, scenario) in all {
        count += 1;
        let replay = read(&scenario.record()).replay();
        assert_eq!(replay.departures, [], "{}", file.display());
        let (lived, replayed) = (
            decided(&scenario.run(None).timeline),
            decided(&replay.timeline),
        );
        // What is there at T+0 writes no line in a scenario.
        let set_up = replayed.len().saturating_sub(lived.len());
        assert_eq!(replayed[set_up..], lived, "{}", file.display());
    }
    assert!(count > 100, "{count}");
}

#[test]
fn virtual_runs_under_the_same_policy_start_as_those_of_the_time() {
    for (file, scenario) in scenarios("scenarios") {
        // That is what it was.
        let same = what_if(&scenario.record(), "push_attempts = 3");
        for task in &same.tasks {
            let counts = (task.recorded, task.recorded);
            assert_eq!(
                (task.now, task.then),
                counts,
                "{}: {task:?}",
                file.display()
            );
            assert_eq!(task.change, Change::Same);
        }
    }
}

#[test]
fn calls_and_boots_stand_in_the_timeline() {
    let replay = read(&scenario(DEVICE).record()).replay();
    assert_eq!(replay.length, Span::days(2));
    let calls: Vec<String> = replay
        .timeline
        .iter()
        .filter(|line| line.event == "call" && line.field("name").is_some())
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        calls.first().map(String::as_str),
        Some(
            "{\"t\":0,\"at\":\"2026-03-02T08:00:00Z\",\"event\":\"call\",\"app\":\"mail\",\"call\":\"register\",\
             \"name\":\"sync\",\"result\":\"ok\",\"id\":1}"
        )
    );
    let app = recording::AppId::new("mail").unwrap();
    let name = recording::TaskName::new("sync").unwrap();
    let of_task = |line: &&Line| recording::concerns(line, &app, &name);
    let starts = replay.timeline.iter().filter(of_task);
    let starts = starts.filter(|line| line.event == "started").count();
    assert!(starts > 50, "{starts}");
}

/// The recording from an entry on, after a snapshot of the machine as it is there; absent where none would be taken.
fn cut(text: &str, at: usize) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut device = Device::new();
    let (mut now, mut boot) = (
        lull_policy::Now::default(),
        BootId::new("none").expect("a boot id"),
    );
    for line in &lines[1..at] {
        match Entry::read(line).expect("an entry") {
            Entry::Snapshot(snapshot) => {
                (now, boot, device) = (snapshot.now, snapshot.boot.clone(), snapshot.revive());
            }
            Entry::Event(then, event) => {
                now = then;
                device.handle(then, *event, &mut Vec::new());
            }
        }
    }
    let next = Entry::read(lines[at]).expect("an entry");
    if matches!(next, Entry::Event(_, event) if matches!(*event, Event::Booted { .. })) {
        return None;
    }
    let snapshot = Snapshot::under_way(now, boot, &device, Vec::new());
    snapshot.revives(&device).then(|| {
        let snapshot = Entry::write_snapshot(&snapshot).expect("plain data");
        [&[lines[0], &snapshot], &lines[at..]].concat().join("\n")
    })
}

#[test]
fn a_recording_may_begin_at_most_moments() {
    let whole = scenario(DEVICE).record();
    let end = read(&whole).replay().device;
    let (mut cuts, mut tries) = (0, 0);
    for at in (20..whole.lines().count()).step_by(7) {
        tries += 1;
        let Some(part) = cut(&whole, at) else {
            continue;
        };
        cuts += 1;
        let recording = read(&part);
        let replay = recording.replay();
        assert_eq!(replay.departures, [], "cut at line {at}");
        let differing = differences(replay.device.records(), end.records());
        assert_eq!(differing, [], "cut at line {at}");
        let same = what_if(&part, "push_attempts = 3");
        assert_eq!(
            (same.now, same.then),
            (same.recorded, same.recorded),
            "cut at line {at}"
        );
    }
    assert!(cuts * 2 > tries, "{cuts} of {tries}");
}

#[test]
fn a_policy_gains_loses_and_starves() {
    let recording = scenario(DEVICE).record();
    let rarer = what_if(
        &recording,
        "[policy]\nperiodic_interval = \"2h\"\nsaver_level = 10",
    );
    let periodic = task(&rarer, "mail/periodic");
    assert_eq!(periodic.change, Change::Fewer, "{periodic:?}");
    assert!(periodic.then * 2 < periodic.now, "{periodic:?}");
    // 15 percent is no emergency any more: twelve hours of timers.
    let sync = task(&rarer, "mail/sync");
    assert_eq!(sync.change, Change::More, "{sync:?}");
    assert!(sync.then > sync.now + 40, "{sync:?}");
    let tally = rarer.tally();
    assert_eq!((tally.gain, tally.lose, tally.starve), (1, 1, 0));
    assert_eq!(rarer.recorded, rarer.now);

    // Registered before the recording begins: its firings are dropped. After: it is not registered at all.
    let part = (60..).find_map(|at| cut(&recording, at)).unwrap();
    let denied = what_if(&part, "denied_apps = [\"mail\"]");
    let sync = task(&denied, "mail/sync");
    assert_eq!((sync.then, sync.change), (0, Change::Never));
    let reason = sync.blocked.as_ref().map(Blocked::word);
    assert_eq!(reason, Some("policy"), "{sync:?}");
    assert!(denied.tally().starve >= 2, "{denied:?}");
    let denied = what_if(&recording, "denied_apps = [\"mail\"]");
    let sync = task(&denied, "mail/sync");
    assert!(
        matches!(&sync.blocked, Some(Blocked::Refused(_))),
        "{sync:?}"
    );

    let floor = what_if(&recording, "timer_floor = \"1h\"\nagent_memory = \"8 MiB\"");
    let sync = task(&floor, "mail/sync");
    assert!(
        matches!(&sync.blocked, Some(Blocked::Refused(_))),
        "{sync:?}"
    );
    // Its runs need 12 MiB: two that are ended for their memory unschedule it.
    assert_eq!(task(&floor, "mail/periodic").then, 2, "{floor:?}");
}

#[test]
fn several_devices_are_added_up() {
    let policy = "[policy]\nintensive_battery_above = 99\nsaver_level = 10";
    let one = what_if(&scenario(DEVICE).record(), policy);
    let all = recording::combine(&[one.clone(), one.clone()]);
    assert_eq!(
        (all.now, all.then, all.length),
        (2 * one.now, 2 * one.then, Span::days(4))
    );
    assert_eq!(
        task(&all, "mail/sync").change,
        task(&one, "mail/sync").change
    );
    assert_eq!(all.tally(), one.tally());
}

#[test]
fn a_file_that_cannot_be_used_names_line_and_reason() {
    let whole = scenario(DEVICE).record();
    let lines: Vec<&str> = whole.lines().collect();
    let newer = whole.replacen(
        "\"lull-recording\":1",
        "\"lull-recording\":2,\"more\":[]",
        1,
    );
    let damaged = whole.replacen("\"battery-saver\"", "\"battery-sav\u{1}r\"", 1);
    let cases = [
        (String::new(), 1, "no recording"),
        ("name = \"scenario\"\n".to_owned(), 1, "no recording"),
        (
            "{\"t\":0,\"event\":\"call\"}\n".to_owned(),
            1,
            "no recording",
        ),
        (newer, 1, "format version 2"),
        (format!("{}\n", lines[0]), 2, "ends before"),
        ([lines[0], lines[2]].join("\n"), 2, "has to be a snapshot"),
        (
            [lines[0], lines[1], &lines[2][..9]].join("\n"),
            3,
            "cut off",
        ),
        ([lines[0], lines[1], "[1,2]"].join("\n"), 3, "damaged"),
    ];
    for (text, line, reason) in cases {
        let error = Recording::read(Path::new("device.jsonl"), text.as_bytes()).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.to_string().starts_with("device.jsonl:"), "{error}");
    }
    let error = Recording::read(Path::new("device.jsonl"), damaged.as_bytes()).unwrap_err();
    assert!(
        error.line > 2 && error.problem.contains("damaged"),
        "{error}"
    );
    let mut bytes = whole.clone().into_bytes();
    let last = bytes.len() - 20;
    bytes[last] = 0xff;
    let error = Recording::read(Path::new("device.jsonl"), &bytes).unwrap_err();
    assert_eq!(error.line, lines.len(), "{error}");
}

#[test]
fn a_replay_that_differs_says_where_and_goes_on_from_what_was_recorded() {
    let whole = scenario(DEVICE).record();
    let mut lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    let snapshot = |line: &String| line.starts_with(lull_recording::SNAPSHOT_BEGINS);
    let at = lines.iter().rposition(snapshot).expect("a restart");
    assert!(lines[at].contains("\"next_run\":"), "{}", lines[at]);
    lines[at] = lines[at].replacen("\"next_run\":", "\"next_run\":1000", 1);
    let replay = read(&lines.join("\n")).replay();
    let [departure] = &replay.departures[..] else {
        panic!("{:?}", replay.departures);
    };
    assert_eq!(departure.line, at + 1);
    assert_eq!(departure.keys, [lull_policy::Key::Device]);
    assert!(replay.device.runs().any(|run| run.id.0 > 1_000));
}

#[test]
fn figures_stand_in_a_table_or_at_the_top() {
    let read = |text: &str| recording::figures(Path::new("new.toml"), text);
    assert_eq!(
        read("crash_limit = 3\ntimer_tick = \"5m\"").unwrap().len(),
        2
    );
    assert_eq!(read("[policy]\ncrash_limit = 3").unwrap().len(), 1);
    for (text, reason) in [
        ("crash_limt = 3", "crash_limit"),
        (
            "crash_limit = 3\n[policy]\ncrash_limit = 4",
            "stands beside",
        ),
        ("", "no figure"),
        ("[policy]\ncrash_limit = \"many\"", "new.toml:2:"),
        ("[policy", "no TOML"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}
