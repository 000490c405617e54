//! The simulation: fleets of devices in a seeded world in which everything fails, watched by onlookers who know the rule
//! book and nothing of the machine.
//!
//! A [plan] says what comes from outside in one device's life; [draw] makes one from a seed. A [world] hosts the machine
//! (`lull-policy`) with clocks, a [store] whose commits take time and can be lost, [agents] that are slow, hung, greedy or
//! lying, and a coordinator's [mailbox] (`lull-fleet-policy`). [checkers] see every event and every effect. A breach is
//! [shrunk](shrink), [written as a scenario](scenario_file) and [told](report) with its seed and commit.
//!
//! `LULL_DEVICE_WEEKS` sets how much is lived (300 without it), `LULL_SEED` the first seed.
//!
//! Deliberately absent: time, files, processes, and any decision of the machine.

mod agents;
mod checkers;
mod clocks;
mod draw;
mod fleet;
mod mailbox;
mod plan;
mod queue;
mod random;
mod report;
mod rulebook;
mod sabotage;
mod scenario_file;
mod shrink;
mod store;
mod trace;
mod world;

use std::time::Instant;

use world::Options;

/// Device-weeks that every run of the tests lives; a few seconds.
const DEVICE_WEEKS: u64 = 300;

fn number(name: &str, or: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().expect("a whole number"),
        Err(_) => or,
    }
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "how fast it is, is measured; nothing depends on it"
)]
#[expect(clippy::print_stdout, reason = "a fleet's figures are its result")]
fn a_fleet_keeps_its_promises() {
    let (seed, weeks) = (
        number("LULL_SEED", 1),
        number("LULL_DEVICE_WEEKS", DEVICE_WEEKS),
    );
    let options = Options::default();
    let began = Instant::now();
    let fleet = fleet::run(seed, weeks, options);
    println!("{}", report::figures(&fleet, began.elapsed()));
    if let Some((seed, breach)) = fleet.breaches.first() {
        let options = fleet::options_of(*seed, options);
        let written = report::write_down(*seed, breach, options);
        panic!("{}", report::failure(*seed, breach, &written));
    }
}
