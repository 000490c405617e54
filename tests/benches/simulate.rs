//! Fourteen virtual days of 20 registrations, 10 timers and 10 periodic agents, read from a scenario and run to its end.
//! Beside it the floor: the same lines of JSON written once more.
//!
//! `cargo bench -p lull-testkit --bench simulate`.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result};
use lull_testkit::Scenario;
use measure::{Watch, median};

#[path = "../src/measure.rs"]
#[expect(unreachable_pub, dead_code, reason = "the harness has it too")]
mod measure;

/// Timers, and as many periodic agents.
const EACH: usize = 10;
/// So often, for a median.
const ROUNDS: usize = 5;

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> Result<()> {
    let text = scenario()?;
    let (mut times, mut floors, mut lines) = (Vec::new(), Vec::new(), 0);
    for _ in 0..ROUNDS {
        let watch = Watch::start();
        let scenario = Scenario::read(Path::new("bench.toml"), &text)?;
        let outcome = scenario.run(None);
        times.push(watch.elapsed().as_secs_f64());
        anyhow::ensure!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        let watch = Watch::start();
        let written: Vec<String> = outcome.timeline.iter().map(ToString::to_string).collect();
        floors.push(watch.elapsed().as_secs_f64());
        lines = written.len();
    }
    let (time, floor) = (median(&times), median(&floors));
    println!(
        "14 virtual days of {} registrations: {time:.3} s, {lines} lines; written as JSON {floor:.3} s, ratio {:.1}",
        2 * EACH,
        time / floor
    );
    Ok(())
}

fn scenario() -> Result<String> {
    let mut text = String::from(
        "name = \"two weeks of twenty\"\nstart = \"2026-03-02T08:00:00Z\"\nlength = \"14d\"\n",
    );
    for number in 0..EACH {
        write!(
            text,
            r#"
[[app]]
id = "app-{number}"
front = "foreground"
access = "allowed"
pinned = true

  [[app.agent]]
  entry_point = "sync"
  types = ["timer", "scheduled"]

[[step]]
at = "{number}m"
app = "app-{number}"
call = "register"
args = {{ name = "timer", entry_point = "sync", trigger = {{ timer = {{ minutes = 15 }} }} }}
expect = "ok"

[[step]]
at = "{number}m"
app = "app-{number}"
call = "add-scheduled"
args = {{ kind = "periodic", description = "keeps something fresh" }}
expect = "ok"
"#
        )
        .context("writing to a string")?;
    }
    Ok(text)
}
