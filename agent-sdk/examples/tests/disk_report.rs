//! The plain command: no socket, no SDK; its status says it all.

use std::path::Path;
use std::process::{Command, Output};

use lull_examples::DISK_REPORT;

fn run(state: Option<&Path>, path: Option<&Path>) -> Output {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", DISK_REPORT]).env_remove("LULL_STATE");
    if let Some(state) = state {
        command.env("LULL_STATE", state);
    }
    if let Some(path) = path {
        command.env("PATH", path);
    }
    command.output().unwrap()
}

#[test]
fn it_writes_the_report_and_prints_a_line() {
    let state = tempfile::tempdir().unwrap();
    let output = run(Some(state.path()), None);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(
        printed.starts_with("fullest: /") && printed.ends_with(" %\n"),
        "{printed}"
    );
    let report = std::fs::read_to_string(state.path().join("disk-report.txt")).unwrap();
    assert!(report.contains("Mounted on"), "{report}");
    assert_eq!(std::fs::read_dir(state.path()).unwrap().count(), 1);
}

#[test]
fn it_aborts_where_df_is_absent() {
    let state = tempfile::tempdir().unwrap();
    let output = run(Some(state.path()), Some(state.path()));
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("df is not installed"));
}

#[test]
fn it_crashes_with_a_word_where_no_node_started_it() {
    let output = run(None, None);
    assert!(!matches!(output.status.code(), Some(0 | 75)), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("LULL_STATE"));
}
