//! A fleet: as many lives as a budget of device-weeks has room for, on two threads with a range of seeds each.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::checkers::Breach;
use crate::draw;
use crate::plan::Plan;
use crate::world::{Options, Outcome, Tally, World};

/// Worker threads: what the smallest machine that runs the tests has.
const THREADS: u64 = 2;

/// One life in so many is lived twice (I10), and one is looked at after every event.
const TWICE: u64 = 100;
const THOROUGHLY: u64 = 50;

/// What a fleet came to.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// Lives begun.
    pub(crate) lives: u64,
    /// Their weeks.
    pub(crate) weeks: u64,
    /// What was counted in all of them.
    pub(crate) tally: Tally,
    /// All trace hashes in one.
    pub(crate) trace: u64,
    /// Lives that were lived twice.
    pub(crate) twice: u64,
    /// The seed of each life with a breach, the lowest first.
    pub(crate) breaches: Vec<(u64, Breach)>,
}

/// Lives a plan; a panic is a breach too.
pub(crate) fn live(plan: &Plan, options: Options) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| World::live(plan, options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome {
            breach: Some(Breach {
                rule: "panic",
                at: 0,
                found: text.unwrap_or_default(),
            }),
            tally: Tally::default(),
            trace: 0,
            story: Vec::new(),
        }
    })
}

/// Lives until the budget of device-weeks is used up, or something is found.
pub(crate) fn run(first_seed: u64, weeks: u64, options: Options) -> Fleet {
    let stop = AtomicBool::new(false);
    let share = weeks.div_ceil(THREADS);
    let fleets: Vec<Fleet> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|n| {
                // Each has a range of its own; no range is ever that long.
                let from = first_seed + n * (1 << 32);
                let stop = &stop;
                scope.spawn(move || range(from, share, options, stop))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a worker catches what panics"))
            .collect()
    });
    let mut all = Fleet::default();
    for fleet in fleets {
        all.add(fleet);
    }
    all.breaches.sort_by_key(|(seed, _)| *seed);
    all
}

/// How a seed is looked at.
pub(crate) const fn options_of(seed: u64, options: Options) -> Options {
    Options {
        thorough: options.thorough || seed.is_multiple_of(THOROUGHLY),
        traced: options.traced || seed.is_multiple_of(TWICE),
        ..options
    }
}

fn range(from: u64, weeks: u64, options: Options, stop: &AtomicBool) -> Fleet {
    let mut fleet = Fleet::default();
    let mut seed = from;
    while fleet.weeks < weeks && !stop.load(Ordering::Relaxed) {
        let plan = draw::plan(seed);
        let options = options_of(seed, options);
        let outcome = live(&plan, options);
        fleet.lives += 1;
        fleet.weeks += plan.weeks();
        fleet.trace ^= crate::random::mix(seed, outcome.trace);
        fleet.tally.add(&outcome.tally);
        let mut breach = outcome.breach.clone();
        if breach.is_none() && seed.is_multiple_of(TWICE) {
            fleet.twice += 1;
            let again = live(&plan, options);
            if again != outcome {
                let found = format!("{:x} and {:x}", outcome.trace, again.trace);
                breach = Some(Breach {
                    rule: "I10 same seed, same trace",
                    at: 0,
                    found,
                });
            }
        }
        if let Some(breach) = breach {
            fleet.breaches.push((seed, breach));
            stop.store(true, Ordering::Relaxed);
        }
        seed += 1;
    }
    fleet
}

impl Fleet {
    fn add(&mut self, other: Self) {
        self.lives += other.lives;
        self.weeks += other.weeks;
        self.twice += other.twice;
        self.trace ^= other.trace;
        self.tally.add(&other.tally);
        self.breaches.extend(other.breaches);
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.effects += other.effects;
        self.runs += other.runs;
        self.pushes += other.pushes;
        self.absences += other.absences;
        self.commits += other.commits;
        self.most_effects = self.most_effects.max(other.most_effects);
        self.most_records = self.most_records.max(other.most_records);
    }
}
