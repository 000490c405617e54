//! What a fleet came to, for people: figures, and of a breach all that is needed to see it again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::checkers::Breach;
use crate::draw;
use crate::fleet::Fleet;
use crate::plan::Plan;
use crate::scenario_file;
use crate::shrink::{Shrunk, shrink};
use crate::world::Options;

/// The figures of a fleet.
pub(crate) fn figures(fleet: &Fleet, took: Duration) -> String {
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    let a_second = |count: u64| count * 1_000 / millis;
    let tally = &fleet.tally;
    format!(
        "{} device-weeks in {} lives, {}.{} s: {} device-weeks/s, {} events/s\n\
         {} events, {} effects (most of one event: {}), {} runs, {} pushes, {} absences, {} commits, at most {} records\n\
         {} lives lived twice, trace {:016x}",
        fleet.weeks,
        fleet.lives,
        millis / 1_000,
        millis / 100 % 10,
        a_second(fleet.weeks),
        a_second(tally.events),
        tally.events,
        tally.effects,
        tally.most_effects,
        tally.runs,
        tally.pushes,
        tally.absences,
        tally.commits,
        tally.most_records,
        fleet.twice,
        fleet.trace
    )
}

/// A breach, shrunk and written down.
#[derive(Debug)]
pub(crate) struct Written {
    /// What is left of the life.
    pub(crate) shrunk: Shrunk,
    /// The scenario.
    pub(crate) scenario: String,
    /// Where it stands.
    pub(crate) file: PathBuf,
}

/// Shrinks the life of a seed and writes what is left as a scenario.
///
/// # Panics
/// If the file cannot be written.
pub(crate) fn write_down(seed: u64, breach: &Breach, options: Options) -> Written {
    let plan: Plan = draw::plan(seed);
    let shrunk = shrink(&plan, options, breach);
    let scenario = scenario_file::write(&shrunk.plan, &shrunk.breach);
    let name = match options.broken {
        Some(broken) => format!("simulation-{broken:?}-{seed}.toml"),
        None => format!("simulation-{seed}.toml"),
    };
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, &scenario).expect("the target folder takes a file");
    Written {
        shrunk,
        scenario,
        file,
    }
}

/// What is said of a breach.
pub(crate) fn failure(seed: u64, breach: &Breach, written: &Written) -> String {
    let mut text = String::new();
    let shrunk = &written.shrunk;
    let (seconds, left) = (breach.at / 1_000, shrunk.plan.steps.len());
    let (rule, found) = (&shrunk.breach.rule, &shrunk.breach.found);
    write!(
        text,
        "{}: {} (after {seconds} s)\n\
         seed {seed}, commit {}; to see it again: LULL_SEED={seed} LULL_DEVICE_WEEKS=1\n\
         shrunk to {left} steps: {rule}: {found}\n\
         as a scenario: {}\n\nthe last turns:\n",
        breach.rule,
        breach.found,
        commit(),
        written.file.display()
    )
    .expect("text takes text");
    let from = shrunk.story.len().saturating_sub(TURNS);
    for turn in shrunk.story.iter().skip(from) {
        text.push_str(turn);
        text.push('\n');
    }
    text
}

/// Turns that a report shows.
const TURNS: usize = 6;

/// What was checked out, with a word where the tree differs from it.
fn commit() -> String {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    match git {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        }
        _ => "unknown".to_owned(),
    }
}
