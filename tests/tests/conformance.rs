//! The rule book against the machine: `tests/conformance/requirements.toml` says what proves each rule, and the scenarios next to
//! it are run here: as the device is, and with the very decision broken that they are to prove.
//!
//! Absent: properties, which are tests of their own that the list only names, and what needs a real device.

mod requirements;
mod scenarios;

use std::collections::BTreeSet;

use anyhow::Result;
use lull_tests::workspace::{files, root};

use requirements::{Proof, Requirement, list};
use scenarios::{Scenarios, expects_something, in_threads};

/// Rules of the book that are not left out: change it with the book, never to make a test pass.
const REQUIRED: usize = 326;

fn assert_none(problems: &[String]) {
    assert!(
        problems.is_empty(),
        "{} problems:\n{}",
        problems.len(),
        problems.join("\n")
    );
}

#[test]
fn every_required_rule_stands_in_the_list_once() -> Result<()> {
    let requirements = list()?;
    let ids: BTreeSet<&str> = requirements.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids.len(), requirements.len(), "an id stands there twice");
    assert_eq!(ids.len(), REQUIRED);
    let odd: Vec<String> = requirements
        .iter()
        .filter_map(Requirement::oddity)
        .collect();
    assert_none(&odd);
    Ok(())
}

#[test]
fn every_scenario_passes() -> Result<()> {
    let scenarios = Scenarios::read()?;
    let failures = in_threads(scenarios.all(), |(name, scenario)| {
        let failures = scenario.run(None).failures;
        let lines = failures.iter().map(|failure| format!("{name}: {failure}"));
        lines.collect::<Vec<_>>()
    });
    assert_none(&failures.concat());
    Ok(())
}

#[test]
fn every_scenario_is_there_for_a_rule_and_expects_something() -> Result<()> {
    let requirements = list()?;
    let scenarios = Scenarios::read()?;
    let named = |one: &Requirement| one.scenarios().map(str::to_owned).collect::<Vec<_>>();
    let named: BTreeSet<String> = requirements.iter().flat_map(named).collect();
    let mut problems = Vec::new();
    for name in &named {
        match scenarios.get(name) {
            None => problems.push(format!("{name} is named and does not exist")),
            Some(scenario) if !expects_something(scenario) => {
                problems.push(format!("{name} expects nothing"));
            }
            Some(_) => {}
        }
    }
    let unused = scenarios.all().filter(|(name, _)| !named.contains(*name));
    problems.extend(unused.map(|(name, _)| format!("{name} stands for no rule")));
    assert_none(&problems);
    Ok(())
}

#[test]
fn every_test_that_is_named_is_there() -> Result<()> {
    let requirements = list()?;
    let mut sources = String::new();
    for file in files(".rs")? {
        sources += &std::fs::read_to_string(root().join(file))?;
    }
    let exists = |test: &String| sources.contains(&format!("fn {test}("));
    let properties = requirements
        .iter()
        .filter(|one| one.proof != Proof::Scenario);
    let problems: Vec<String> = properties
        .flat_map(|one| one.by.iter().map(move |test| (&one.id, test)))
        .filter(|(_, test)| !exists(test))
        .map(|(id, test)| format!("{id}: there is no test {test}"))
        .collect();
    assert_none(&problems);
    Ok(())
}

#[test]
fn what_a_scenario_proves_it_misses_when_it_is_broken() -> Result<()> {
    let requirements = list()?;
    let scenarios = Scenarios::read()?;
    let proved = requirements
        .iter()
        .filter(|one| one.proof == Proof::Scenario);
    let verdicts = in_threads(proved, |one| scenarios.notices(one));
    let mut problems = Vec::new();
    for verdict in verdicts {
        problems.extend(verdict?);
    }
    assert_none(&problems);
    Ok(())
}
