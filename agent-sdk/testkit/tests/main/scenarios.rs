//! The documented examples, and what every timeline has to be.

use std::fs;
use std::path::{Path, PathBuf};

use lull_testkit::{Scenario, Span, scenario};

/// The example of the format's own page.
const EXAMPLE: &str = r#"
name   = "one-shot timer of 25 minutes"
start  = "2026-03-02T08:00:00Z"
length = "24h"

[[app]]
id     = "mail"
access = "allowed"

  [[app.agent]]
  entry_point = "sync"
  types       = ["timer"]

  [[app.behaviour]]
  task = "sync"
  runs = [{ takes = "10s", memory = "8 MiB" }, { takes = "forever", on_cancel = "ignore" }]

[[step]]
at     = "0s"
app    = "mail"
call   = "register"
args   = { name = "sync", entry_point = "sync", trigger = { timer = { minutes = 25, one_shot = true } } }
expect = "ok"

[[step]]
at  = "10m"
set = { external_power = false, battery = 89.5 }

[[expect]]
task   = "mail/sync"
starts = 1
first  = { after = "25m", before = "40m" }
"#;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let entries = fs::read_dir(folder).expect("the examples are there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

fn read(path: &Path) -> Scenario {
    let text = fs::read_to_string(path).expect("it can be read");
    Scenario::read(path, &text).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_example_sees_what_it_says() {
    let files = examples();
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let text = fs::read_to_string(&file).expect("it can be read");
        assert!(
            text.starts_with("# "),
            "{}: an example says first what it answers",
            file.display()
        );
        scenario::check(&file);
    }
}

#[test]
fn two_runs_of_one_file_are_the_same_to_the_byte() {
    for file in examples() {
        let lines = || -> Vec<String> {
            let outcome = read(&file).run(None);
            outcome
                .timeline
                .iter()
                .map(scenario::Line::to_json)
                .collect()
        };
        let first = lines();
        assert!(!first.is_empty());
        assert_eq!(first, lines(), "{}", file.display());
    }
}

#[test]
fn time_never_goes_back_and_ends_with_the_file() {
    for file in examples() {
        let scenario = read(&file);
        let times: Vec<Span> = scenario
            .run(None)
            .timeline
            .iter()
            .map(|line| line.t)
            .collect();
        assert!(times.is_sorted(), "{}", file.display());
        assert!(times.last() <= Some(&scenario.length), "{}", file.display());
    }
}

#[test]
fn tables_fit_eighty_columns() {
    for file in examples() {
        let table = scenario::table(&read(&file).run(None).timeline);
        let wide = table.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{}", file.display());
    }
}

#[test]
fn the_example_of_the_page_runs() {
    let scenario = Scenario::read(Path::new("example.toml"), EXAMPLE).expect("it can be used");
    let outcome = scenario.run(None);
    assert_eq!(outcome.failures, []);
    let lines: Vec<String> = outcome
        .timeline
        .iter()
        .map(scenario::Line::to_json)
        .collect();
    assert_eq!(
        lines,
        [
            r#"{"t":0,"at":"2026-03-02T08:00:00Z","event":"call","app":"mail","call":"register","name":"sync","result":"ok","id":1}"#,
            r#"{"t":1800,"at":"2026-03-02T08:30:00Z","event":"triggered","app":"mail","task":"sync","id":1,"trigger":"timer"}"#,
            r#"{"t":1800,"at":"2026-03-02T08:30:00Z","event":"started","app":"mail","task":"sync","id":1,"run":1,"host":"out-of-process","deadline":30,"network":true}"#,
            r#"{"t":1810,"at":"2026-03-02T08:30:10Z","event":"ended","app":"mail","task":"sync","id":1,"run":1,"outcome":"completed","ran":10}"#,
        ]
    );
}

#[test]
fn a_run_that_is_cut_short_checks_nothing_of_the_end() {
    let wants_more = EXAMPLE.replace("starts = 1", "starts = 7");
    let scenario = Scenario::read(Path::new("example.toml"), &wants_more).expect("it can be used");
    let failures: Vec<String> = scenario
        .run(None)
        .failures
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        failures,
        ["example.toml:29: mail/sync: starts: expected 7, seen 1 (t=86400)"]
    );
    let short = scenario.run(Some(Span::minutes(10)));
    assert_eq!(short.failures, []);
    assert!(
        short
            .timeline
            .iter()
            .all(|line| line.t <= Span::minutes(10))
    );
}

#[test]
fn a_call_that_answers_something_else_is_told() {
    let refused = EXAMPLE.replace("minutes = 25", "minutes = 14");
    let scenario = Scenario::read(Path::new("example.toml"), &refused).expect("it can be used");
    let failures = scenario.run(None).failures;
    let call = failures
        .first()
        .map(ToString::to_string)
        .unwrap_or_default();
    assert!(
        call.starts_with("example.toml:18: mail: register: expected ok, seen invalid-argument: "),
        "{call}"
    );
    assert!(call.ends_with("(t=0)"), "{call}");
    assert_eq!(failures.len(), 3, "starts and first as well: {failures:?}");
}
