//! Scenario files in the tests of whoever writes agents.

use std::path::Path;

use super::Scenario;
use super::timeline::table;

/// Reads a scenario file and runs it.
///
/// ```no_run
/// lull_testkit::scenario::check("tests/sync.toml");
/// ```
///
/// # Panics
/// If the file cannot be read or used, or does not see what it expects; the message has every failure, and the timeline.
pub fn check(path: impl AsRef<Path>) {
    let path = path.as_ref();
    let text = std::fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let scenario = Scenario::read(path, &text).unwrap_or_else(|error| panic!("{error}"));
    let outcome = scenario.run(None);
    let failures: Vec<_> = outcome.failures.iter().map(ToString::to_string).collect();
    assert!(
        failures.is_empty(),
        "{}\n\n{}",
        failures.join("\n"),
        table(&outcome.timeline)
    );
}
