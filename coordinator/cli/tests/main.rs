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
