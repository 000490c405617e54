//! The command as a shell meets it: exit statuses, what goes to which stream, and that no message leaves the reader
//! without a way out.

use assert_cmd::Command;

fn lull(arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("lull").expect("cargo built it");
    for name in [
        "LULL_STATE",
        "LULL_COORDINATOR",
        "LULL_IDENTITY",
        "LULL_LOCAL_SOCKET",
    ] {
        command.env_remove(name);
    }
    let output = command.args(arguments).output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn help_goes_to_the_standard_output() {
    let (status, out, err) = lull(&["--help"]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.contains("Exit status:"));
}

#[test]
fn a_wrong_command_line_is_status_2() {
    for arguments in [
        &["frobnicate"][..],
        &["push", "photos"],
        &[
            "push",
            "photos",
            "--device",
            "d",
            "--payload",
            "x",
            "--ttl",
            "soon",
        ],
        &["runs", "--limit", "0"],
    ] {
        let (status, out, err) = lull(arguments);
        assert_eq!((status, out.as_str()), (2, ""), "{arguments:?}: {err}");
        assert!(!err.is_empty());
    }
}

#[test]
fn a_daemon_that_is_not_there_is_status_4_and_named() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    for verb in [
        &["devices"][..],
        &["enroll"],
        &["apps"],
        &["tasks"],
        &["runs"],
        &["recording"],
        &["why", "photos"],
    ] {
        let arguments = [&["--state", folder], verb].concat();
        let (status, out, err) = lull(&arguments);
        assert_eq!((status, out.as_str()), (4, ""), "{verb:?}: {err}");
        assert!(
            err.contains(folder) && err.contains("lull up"),
            "{verb:?}: {err}"
        );
    }
}

#[test]
fn an_identity_that_is_not_there_is_status_2_and_named() {
    let state = tempfile::tempdir().unwrap();
    let folder = state.path().to_str().unwrap();
    let (status, _, err) = lull(&[
        "--coordinator",
        "127.0.0.1:1",
        "--identity",
        folder,
        "devices",
    ]);
    assert_eq!(status, 2, "{err}");
    assert!(
        err.contains("root.pem") && err.contains("lull client-certificate"),
        "{err}"
    );
}

#[test]
fn the_demonstration_wants_a_fresh_state() {
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("something"), "").unwrap();
    let (status, _, err) = lull(&["--state", state.path().to_str().unwrap(), "up", "--demo"]);
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("fresh state"), "{err}");
}

#[test]
fn an_oversized_body_is_refused_before_anything_is_sent() {
    let state = tempfile::tempdir().unwrap();
    let body = state.path().join("body");
    std::fs::write(&body, vec![b'x'; 5_001]).unwrap();
    let (status, _, err) = lull(&[
        "push",
        "photos",
        "--device",
        "d",
        "--payload-file",
        body.to_str().unwrap(),
    ]);
    assert_eq!(status, 2, "{err}");
    assert!(err.contains("5000"), "{err}");
}

/// A device of two days with one timer of 15 minutes.
const SCENARIO: &str = r#"
name = "timer"
start = "2026-03-02T08:00:00Z"
length = "2d"
[[app]]
id = "mail"
access = "allowed"
[[app.agent]]
entry_point = "sync"
types = ["timer"]
[[step]]
at = "0s"
app = "mail"
call = "register"
args = { name = "sync", entry_point = "sync", trigger = { timer = { minutes = 15 } } }
expect = "ok"
[[expect]]
task = "mail/sync"
starts = 192
"#;

fn scenario(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("the folder takes a file");
    path.to_str().expect("its path is UTF-8").to_owned()
}

#[test]
fn a_scenario_that_holds_is_status_0_and_a_json_object_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(&folder, "timer.toml", SCENARIO);
    let (status, out, err) = lull(&["simulate", &file]);
    assert_eq!((status, err.as_str()), (0, ""));
    for line in out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        assert!(line["t"].is_number() && line["at"].is_string() && line["event"].is_string());
    }
    assert_eq!(lull(&["simulate", &file]).1, out, "the same bytes");
    let (status, twice, _) = lull(&["simulate", &file, &file]);
    assert_eq!((status, twice), (0, [out.as_str(), out.as_str()].concat()));
    let (status, short, _) = lull(&["simulate", &file, "--until", "1h"]);
    assert_eq!(status, 0);
    assert!(short.lines().count() > 4 && out.starts_with(&short));
    let (status, table, _) = lull(&["simulate", "--table", &file]);
    assert_eq!(status, 0);
    assert!(table.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn an_expectation_that_is_not_met_is_status_1_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = scenario(&folder, "timer.toml", &SCENARIO.replace("192", "193"));
    let (status, out, err) = lull(&["simulate", &file]);
    assert_eq!(status, 1, "{err}");
    assert!(
        out.lines().count() > 192,
        "the timeline is printed all the same"
    );
    let told = "timer.toml:17: mail/sync: starts: expected 193, seen 192 (t=172800)";
    assert!(err.contains(told), "{err}");
}

#[test]
fn a_file_that_cannot_be_used_is_status_2_and_nothing_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let good = scenario(&folder, "good.toml", SCENARIO);
    let bad = scenario(&folder, "bad.toml", &SCENARIO.replace("length", "lenght"));
    let absent = folder.path().join("absent.toml");
    let (status, out, err) = lull(&["simulate", &good, &bad, absent.to_str().unwrap()]);
    assert_eq!((status, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("bad.toml:4:1") && err.contains("length"),
        "{err}"
    );
    assert!(err.contains("absent.toml"), "{err}");
}

/// Two days of the device, as its node would have recorded them; Battery Saver acts for half a day.
const DEVICE: &str = r#"
name = "0190a4c2-7f5e-7c3a-9d1b-3f2e8a6b4c5d"
start = "2026-03-02T08:00:00Z"
length = "2d"
[[app]]
id = "mail"
access = "allowed"
front = "foreground"
[[app.agent]]
entry_point = "sync"
types = ["timer"]
[[app.agent]]
entry_point = "upkeep"
types = ["scheduled"]
[[step]]
at = "0s"
app = "mail"
call = "register"
args = { name = "sync", entry_point = "sync", trigger = { timer = { minutes = 15 } } }
[[step]]
at = "0s"
app = "mail"
call = "add-scheduled"
args = { kind = "periodic", description = "keeps the mail tidy" }
[[step]]
at = "6h"
device = "restart"
[[step]]
at = "8h"
set = { external_power = false, battery = 15, battery_saver = true }
[[step]]
at = "20h"
set = { external_power = true, battery_saver = false }
"#;

fn recording(folder: &tempfile::TempDir, name: &str) -> String {
    let scenario = lull_testkit::Scenario::read(std::path::Path::new(name), DEVICE);
    let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
    self::scenario(folder, name, &scenario.record())
}

#[test]
fn a_recording_is_replayed_as_a_timeline_for_programs_and_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(&folder, "device.jsonl");
    let (status, out, err) = lull(&["replay", &file]);
    assert_eq!((status, err.as_str()), (0, ""));
    for line in out.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("a JSON object");
        assert!(line["t"].is_number() && line["at"].is_string() && line["event"].is_string());
    }
    let (status, short, _) = lull(&["replay", &file, "--until", "7h"]);
    assert!(status == 0 && out.starts_with(&short) && short.len() < out.len());
    let (status, one, _) = lull(&["replay", &file, "--task", "mail/periodic"]);
    assert_eq!(status, 0);
    assert!(!one.contains("\"sync\"") && one.contains("\"periodic\""));
    let (status, table, _) = lull(&["replay", &file, "--table", "--until", "46m"]);
    assert_eq!(status, 0);
    insta::assert_snapshot!(table);
}

#[test]
fn another_policy_is_compared_by_task() {
    let folder = tempfile::tempdir().unwrap();
    let file = recording(&folder, "device.jsonl");
    let policy = "[policy]\nperiodic_interval = \"2h\"\nsaver_level = 10\n";
    let policy = scenario(&folder, "new.toml", policy);
    let (status, out, err) = lull(&["what-if", "--policy", &policy, &file]);
    assert_eq!((status, err.as_str()), (0, ""));
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    insta::assert_snapshot!(out);
    let (_, json, _) = lull(&["what-if", "--policy", &policy, &file, &file, "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["recordings"], &json["gain"], &json["lose"]),
        (&2.into(), &1.into(), &1.into())
    );
    let deny = scenario(&folder, "deny.toml", "denied_apps = [\"mail\"]\n");
    let (status, out, _) = lull(&["what-if", "--policy", &deny, &file]);
    assert_eq!(status, 0);
    insta::assert_snapshot!(out);
}

#[test]
fn a_recording_or_policy_that_cannot_be_used_is_status_2_and_nothing_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let good = recording(&folder, "good.jsonl");
    let text = std::fs::read_to_string(&good).unwrap();
    let newer = text.replacen("\"lull-recording\":1", "\"lull-recording\":9", 1);
    let newer = scenario(&folder, "newer.jsonl", &newer);
    let cut = scenario(&folder, "cut.jsonl", &text[..text.len() - 30]);
    let policy = scenario(&folder, "new.toml", "crash_limt = 3\n");
    let (status, out, err) = lull(&["replay", &good, &newer, &cut]);
    assert_eq!((status, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("newer.jsonl:1: ") && err.contains("format version 9"),
        "{err}"
    );
    let last = format!("cut.jsonl:{}: ", text.lines().count());
    assert!(err.contains(&last) && err.contains("cut off"), "{err}");
    let (status, out, err) = lull(&["what-if", "--policy", &policy, &good, &cut]);
    assert_eq!((status, out.as_str()), (2, ""), "{err}");
    assert!(
        err.contains("new.toml:1:1") && err.contains("crash_limit"),
        "{err}"
    );
    assert!(err.contains(&last), "{err}");
}
