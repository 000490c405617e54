//! Recordings: what a scenario's device would have recorded is replayed, damaged, and lived through again.

use std::fs;
use std::path::{Path, PathBuf};

use lull_testkit::recording::{self, Change, WhatIf};
use lull_testkit::scenario::Line;
use lull_testkit::{Recording, Scenario};

fn scenario(text: &str) -> Scenario {
    Scenario::read(Path::new("test.toml"), text).unwrap_or_else(|error| panic!("{error}"))
}

fn read(text: &str) -> Recording {
    let file = Path::new("device.jsonl");
    Recording::read(file, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn what_if(scenario: &Scenario, policy: &str) -> WhatIf {
    let figures = recording::figures(Path::new("new.toml"), policy);
    let figures = figures.unwrap_or_else(|error| panic!("{error}"));
    read(&scenario.record()).what_if(&figures)
}

fn examples() -> Vec<PathBuf> {
    let folder = std::env::var("LULL_SCENARIOS").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios").to_owned());
    let entries = fs::read_dir(folder).expect("the examples are there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).filter(|p| p.extension().is_some_and(|e| e=="toml")).collect();
    files.sort();
    files
}

/// Lines of what the machine decided, as JSON; a call is no decision, and a socket is the run's own affair.
fn decided(lines: &[Line]) -> Vec<String> {
    let lines = lines.iter();
    let lines = lines.filter(|line| line.event != "call" && line.event != "bind");
    lines.map(ToString::to_string).collect()
}

#[test]
fn a_replay_decides_what_was_decided() {
    let mut bad = 0;
    for file in examples() {
        let text = fs::read_to_string(&file).expect("it can be read");
        let Ok(scenario) = Scenario::read(&file, &text) else { continue };
        let replay = read(&scenario.record()).replay();
        let lived = decided(&scenario.run(None).timeline);
        let replayed = decided(&replay.timeline);
        // What is there at T+0 writes no line in a scenario.
        let set_up = replayed.len().saturating_sub(lived.len());
        if replayed[set_up..] != lived[..] || !replay.departures.is_empty() {
            bad += 1;
            let first = replayed[set_up..].iter().zip(&lived).find(|(a, b)| a != b);
            println!("{}: {first:?} {:?}", file.display(), replay.departures.first());
        }
    }
    assert_eq!(bad, 0);
}

#[test]
fn virtual_runs_under_the_same_policy_start_as_those_of_the_time() {
    let mut bad = 0;
    for file in examples() {
        let text = fs::read_to_string(&file).expect("it can be read");
        let Ok(scenario) = Scenario::read(&file, &text) else { continue };
        let same = what_if(&scenario, "push_attempts = 3");
        for task in &same.tasks {
            if task.recorded != task.now {
                bad += 1;
                println!("{}: {task:?}", file.display());
            }
        }
    }
    assert_eq!(bad, 0);
}
