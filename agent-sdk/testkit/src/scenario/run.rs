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

use lull_document::policy_figures::FigureChange;
use lull_policy::{Policy, Span};

pub(crate) use answer::Answered;
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
        Runner::new(self).outcome(until)
    }

    /// Runs it to its end; what a node would have recorded, as [`Recording::read`](crate::Recording::read) takes it.
    ///
    /// # Panics
    /// As [`Scenario::run`].
    pub fn record(&self) -> String {
        let mut runner = Runner::recorded(self);
        runner.run_to(self.length);
        runner.world.recording(&self.name)
    }

    /// Runs it on a machine with a broken decision: what it proves, it has to notice.
    ///
    /// # Panics
    /// As [`Scenario::run`].
    #[cfg(feature = "sabotage")]
    pub fn run_broken(&self, until: Option<Span>, sabotage: &lull_policy::Sabotage) -> Outcome {
        Runner::on_broken(self, sabotage).outcome(until)
    }

    /// The same scenario under other figures; those that the file sets itself stand.
    #[must_use]
    pub fn with_figures(&self, figures: &[FigureChange]) -> Self {
        let mut policy = Policy::default();
        for figure in figures.iter().chain(&self.figures) {
            figure.apply(&mut policy);
        }
        Self {
            policy,
            ..self.clone()
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
    fn outcome(mut self, until: Option<Span>) -> Outcome {
        let length = self.scenario.length;
        let end = until.map_or(length, |until| until.min(length));
        self.run_to(end);
        let mut failures = self.failures;
        if end == length {
            let checked = super::expect::check(self.scenario, &self.recorder.facts, &self.world);
            failures.extend(checked);
        }
        Outcome {
            timeline: self.recorder.lines,
            failures,
        }
    }

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
