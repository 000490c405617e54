//! Runs a scenario: one device, step by step and deadline by deadline, to its end.
//!
//! At each instant the steps come first, in file order, then whatever the world has due (`world`). Deliberately absent:
//! decisions, and checking what is expected at the end (`expect`).

mod answer;
mod call;
mod instruments;
mod reads;
mod setup;
mod step;

use lull_policy::{Policy, Span};

pub(super) use answer::Answered;
use instruments::Instruments;

use super::timeline::{Line, Recorder};
use super::{Failure, Scenario, Step};
use crate::world::World;

/// What a scenario came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// What happened, in the order in which it was decided.
    pub timeline: Vec<Line>,
    /// What was expected and did not come; steps before the checks at the end.
    pub failures: Vec<Failure>,
}

impl Scenario {
    /// Runs it, to its end or only so far. Expectations that are checked at the end need the end: one that is cut short
    /// checks the results of the calls that it has made, and nothing else.
    ///
    /// # Panics
    /// If machine and world never come to rest, which is a fault of the machine.
    pub fn run(&self, until: Option<Span>) -> Outcome {
        let end = until.map_or(self.length, |until| until.min(self.length));
        let mut runner = Runner::new(self);
        runner.run_to(end);
        let mut failures = runner.failures;
        if end == self.length {
            let checked = super::expect::check(self, &runner.recorder.facts, &runner.world);
            failures.extend(checked);
        }
        Outcome {
            timeline: runner.recorder.lines,
            failures,
        }
    }
}

/// A scenario under way.
#[derive(Debug, Clone)]
struct Runner<'s> {
    scenario: &'s Scenario,
    world: World,
    instruments: Instruments,
    /// The policy in force, with what policy steps have changed of it.
    policy: Policy,
    generation: u64,
    recorder: Recorder,
    failures: Vec<Failure>,
}

impl Runner<'_> {
    fn run_to(&mut self, end: Span) {
        let mut steps: Vec<&Step> = self.scenario.steps.iter().collect();
        // Stable: steps of one instant stay in file order.
        steps.sort_by_key(|step| step.at);
        let mut steps = steps.into_iter().peekable();
        loop {
            let step = steps.peek().map(|step| step.at);
            let next = [step, self.world.next()].into_iter().flatten().min();
            let Some(at) = next.filter(|at| *at <= end) else {
                break;
            };
            self.world.pass_to(at);
            while let Some(step) = steps.next_if(|step| step.at <= at) {
                self.take(step);
            }
            self.world.settle();
            self.recorder.record(&mut self.world);
        }
        self.world.pass_to(end);
        self.recorder.record(&mut self.world);
    }
}
