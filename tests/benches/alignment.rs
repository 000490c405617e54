//! Wake-ups a day, on battery and on external power, against the naive schedule and against the optimum (PER-02).
//!
//! The engine's schedule comes out of the scenario runner; the optimum, the bound and the judge of the schedule come from
//! [`lull_tests::optimum`], which knows nothing of it. Seeds are fixed, so two runs print the same.
//!
//! `cargo bench -p lull-tests --bench alignment`.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Result, anyhow};
use lull_testkit::Scenario;
use lull_testkit::scenario::Value;
use lull_tests::optimum::{self, MOST, Periodic, Plan, Timer};

/// Plans of each size.
const PLANS: u64 = 40;
/// The day that is counted.
const HORIZON: u64 = 24 * 60 * 60;
/// Sizes, as periodic agents and timers.
const SIZES: [(u64, u64); 7] = [(1, 0), (2, 0), (3, 2), (6, 0), (4, 4), (10, 10), (18, 2)];

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn main() -> Result<()> {
    println!(
        "periodic timers |  naive battery powered   least |  battery/least  battery/naive | least is"
    );
    for (periodic, timers) in SIZES {
        let mut sums = Sums::default();
        for seed in 0..PLANS {
            sums.add(&plan(seed, periodic, timers))?;
        }
        let exact = usize::try_from(periodic)? <= MOST;
        println!(
            "{periodic:>8} {timers:>6} | {:>6} {:>7} {:>7} {:>7} | {:>8.3} ({:.3}) {:>8.3} ({:.3}) | {}",
            sums.naive,
            sums.battery,
            sums.powered,
            sums.least,
            ratio(sums.battery, sums.least),
            sums.worst,
            ratio(sums.battery, sums.naive),
            sums.worst_naive,
            if exact {
                "the optimum"
            } else {
                "a lower bound"
            },
        );
    }
    println!("sums over {PLANS} days each; in brackets the worst single day");
    Ok(())
}

/// Wake-ups over all plans of a size.
#[derive(Default)]
struct Sums {
    naive: usize,
    battery: usize,
    powered: usize,
    least: usize,
    worst: f64,
    worst_naive: f64,
}

impl Sums {
    fn add(&mut self, plan: &Plan) -> Result<()> {
        let naive = optimum::naive(plan);
        let battery = wake_ups(plan, false)?;
        let least = if plan.periodic.len() <= MOST {
            optimum::optimum(plan)
        } else {
            optimum::lower_bound(plan)
        };
        self.naive += naive;
        self.battery += battery;
        self.powered += wake_ups(plan, true)?;
        self.least += least;
        self.worst = self.worst.max(ratio(battery, least));
        self.worst_naive = self.worst_naive.max(ratio(battery, naive));
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a day has at most 1,440 wake-ups"
)]
fn ratio(one: usize, other: usize) -> f64 {
    one as f64 / other as f64
}

/// A plan drawn from a seed: everything comes within the first hour, at whole minutes.
fn plan(seed: u64, periodic: u64, timers: u64) -> Plan {
    let mut state = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(periodic << 32 | timers);
    let mut draw = move |below: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    };
    Plan {
        periodic: (0..periodic)
            .map(|_| Periodic {
                added: draw(60) * 60,
            })
            .collect(),
        timers: (0..timers)
            .map(|_| Timer {
                registered: draw(60) * 60,
                minutes: 15 + draw(346),
            })
            .collect(),
        horizon: HORIZON,
    }
}

/// Runs the plan on a virtual device and has the schedule judged.
fn wake_ups(plan: &Plan, powered: bool) -> Result<usize> {
    let text = scenario(plan, powered);
    let scenario =
        Scenario::read(Path::new("plan.toml"), &text).map_err(|error| anyhow!("{error}"))?;
    let outcome = scenario.run(None);
    let mut instants = BTreeSet::new();
    let mut starts = Vec::new();
    for line in &outcome.timeline {
        if line.event != "started" {
            continue;
        }
        let second = line.t.as_millis() / 1_000;
        instants.insert(second);
        let Some(Value::App(app)) = line.field("app") else {
            return Err(anyhow!("a start of no app"));
        };
        if let Some(index) = app.as_str().strip_prefix("periodic-") {
            starts.push((index.parse()?, second));
        }
    }
    let judged = optimum::check(plan, &starts).map_err(|error| anyhow!("{error}\n{text}"))?;
    anyhow::ensure!(
        judged == instants.len(),
        "{judged} by the judge, {} seen",
        instants.len()
    );
    Ok(judged)
}

fn scenario(plan: &Plan, powered: bool) -> String {
    let mut text = format!(
        "start = \"2026-03-02T08:00:00Z\"\nlength = \"{HORIZON}s\"\n\n[readings]\nexternal_power = {powered}\n"
    );
    let mut steps: Vec<(u64, String)> = Vec::new();
    for (n, periodic) in plan.periodic.iter().enumerate() {
        app(&mut text, &format!("periodic-{n}"), "scheduled");
        let at = periodic.added;
        steps.push((at, format!(
            "\n[[step]]\nat = \"{at}s\"\napp = \"periodic-{n}\"\ncall = \"add-scheduled\"\nargs = {{ kind = \"periodic\", \
             description = \"keeps fresh\" }}\nexpect = \"ok\"\n"
        )));
    }
    for (n, timer) in plan.timers.iter().enumerate() {
        app(&mut text, &format!("timer-{n}"), "timer");
        let (at, minutes) = (timer.registered, timer.minutes);
        steps.push((at, format!(
            "\n[[step]]\nat = \"{at}s\"\napp = \"timer-{n}\"\ncall = \"register\"\nargs = {{ name = \"t\", entry_point = \"work\", \
             trigger = {{ timer = {{ minutes = {minutes} }} }} }}\nexpect = \"ok\"\n"
        )));
    }
    steps.sort();
    for (_, step) in steps {
        text.push_str(&step);
    }
    text
}

fn app(text: &mut String, id: &str, kind: &str) {
    text.push_str("\n[[app]]\naccess = \"allowed\"\nfront = \"foreground\"\nid = \"");
    text.push_str(id);
    text.push_str("\"\n\n  [[app.agent]]\n  entry_point = \"work\"\n  types = [\"");
    text.push_str(kind);
    text.push_str("\"]\n");
}
