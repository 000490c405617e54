//! `lull simulate`: what a device would do, in virtual time, as scenario files describe it.
//!
//! All files are read before anything is printed. The timelines go to the standard output, what was expected and did not
//! come to the standard error. Deliberately absent: a node; nothing of this machine is read but the files.

use std::path::{Path, PathBuf};

use lull_testkit::{Scenario, Span, scenario};

use crate::command::Simulate;
use crate::failure::Failure;
use crate::output::Output;
use crate::words::count;

/// Runs the verb.
pub(crate) fn run(simulate: &Simulate, output: &Output) -> Result<(), Failure> {
    let scenarios = read_all(&simulate.files)?;
    let until = simulate.until.map(|until| {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        Span::millis(millis)
    });
    let mut failures = 0;
    for scenario in &scenarios {
        let outcome = scenario.run(until);
        if simulate.table {
            output.line(table(scenario, &outcome, scenarios.len() > 1));
        } else {
            let lines: Vec<String> = outcome.timeline.iter().map(ToString::to_string).collect();
            if !lines.is_empty() {
                output.line(lines.join("\n"));
            }
        }
        for failure in &outcome.failures {
            output.note(failure);
        }
        failures += outcome.failures.len();
    }
    if failures == 0 {
        return Ok(());
    }
    let failures = u64::try_from(failures).unwrap_or(u64::MAX);
    Err(Failure::Refused(format!(
        "{} not met",
        count(failures, "expectation")
    )))
}

/// Every scenario, or everything that is wrong with the files.
fn read_all(files: &[PathBuf]) -> Result<Vec<Scenario>, Failure> {
    let mut scenarios = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        match read(file) {
            Ok(scenario) => scenarios.push(scenario),
            Err(problem) => wrong.push(problem),
        }
    }
    if wrong.is_empty() {
        Ok(scenarios)
    } else {
        Err(Failure::Input(wrong.join("\n")))
    }
}

fn read(file: &Path) -> Result<Scenario, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    Scenario::read(file, &text).map_err(|error| error.to_string())
}

/// A timeline for people; one of several says which file it is of.
fn table(scenario: &Scenario, outcome: &scenario::Outcome, named: bool) -> String {
    let rows = scenario::table(&outcome.timeline);
    let rows = rows.trim_end();
    if named {
        format!("{}: {}\n{rows}", scenario.file.display(), scenario.name)
    } else {
        rows.to_owned()
    }
}
