//! The checks at the end: what a file expects of a task, against what became of it.

use lull_policy::{Outcome, Reasons, Scheduling, Span};

use super::facts::{Facts, TaskFacts};
use super::failure::Unmet;
use super::timeline::{Seconds, words};
use super::{Between, Expectation, ExpectedOutcomes, Failure, Scenario};
use crate::world::World;

/// Every expectation that does not hold, in file order, and by the order of keys in the contract.
pub(super) fn check(scenario: &Scenario, facts: &Facts, world: &World) -> Vec<Failure> {
    let none = TaskFacts::default();
    let mut failures = Vec::new();
    for expectation in &scenario.expectations {
        let seen = Seen {
            expectation,
            facts: facts
                .task(&expectation.app, &expectation.task)
                .unwrap_or(&none),
            world,
        };
        let unmet = seen.unmet();
        failures.extend(
            unmet
                .into_iter()
                .map(|unmet| Failure::of_expectation(scenario, expectation, unmet)),
        );
    }
    failures
}

/// What was seen of one task, in the part of the timeline that counts.
struct Seen<'a> {
    expectation: &'a Expectation,
    facts: &'a TaskFacts,
    world: &'a World,
}

impl Seen<'_> {
    fn unmet(&self) -> Vec<Unmet> {
        let starts = self.starts();
        [
            self.count(&starts),
            self.moment("first", self.expectation.first, starts.first()),
            self.moment("last", self.expectation.last, starts.last()),
            self.gap(&starts),
            self.outcomes(),
            self.waiting_for(),
            self.scheduled(),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn counts(&self, at: Span) -> bool {
        let within = self.expectation.within.as_ref();
        within.is_none_or(|within| within.contains(&at))
    }

    fn starts(&self) -> Vec<Span> {
        let starts = self.facts.starts.iter().copied();
        starts.filter(|at| self.counts(*at)).collect()
    }

    /// The end of what counts: where an expectation looks that is about no single moment.
    fn end(&self) -> Span {
        let t = self.world.t();
        let end = self.expectation.within.and_then(|within| within.high);
        end.map_or(t, |end| end.min(t))
    }

    fn count(&self, starts: &[Span]) -> Option<Unmet> {
        let expected = self.expectation.starts?;
        let seen = u64::try_from(starts.len()).unwrap_or(u64::MAX);
        (!expected.contains(&seen)).then(|| Unmet {
            key: "starts",
            expected: range(expected, |count| count.to_string()),
            seen: seen.to_string(),
            t: self.end(),
        })
    }

    fn moment(
        &self,
        key: &'static str,
        expected: Option<Between<Span>>,
        start: Option<&Span>,
    ) -> Option<Unmet> {
        let expected = expected?;
        let met = start.is_some_and(|at| expected.contains(at));
        (!met).then(|| Unmet {
            key,
            expected: format!("a start {}", range(expected, moment)),
            seen: start.map_or_else(|| "none".to_owned(), |at| moment(*at)),
            t: start.copied().unwrap_or(self.end()),
        })
    }

    fn gap(&self, starts: &[Span]) -> Option<Unmet> {
        let expected = self.expectation.gap?;
        let mut pairs = starts.iter().zip(starts.iter().skip(1));
        let (before, after) =
            pairs.find(|(before, after)| !expected.contains(&after.saturating_sub(**before)))?;
        Some(Unmet {
            key: "gap",
            expected: range(expected, moment),
            seen: moment(after.saturating_sub(*before)),
            t: *after,
        })
    }

    fn outcomes(&self) -> Option<Unmet> {
        let expected = self.expectation.outcomes.as_ref()?;
        let ends = self.facts.ends.iter().filter(|(at, _)| self.counts(*at));
        let ends: Vec<(Span, Outcome)> = ends.copied().collect();
        let seen: Vec<Outcome> = ends.iter().map(|(_, outcome)| *outcome).collect();
        let (expected, wrong) = match expected {
            ExpectedOutcomes::List(list) => {
                let same = list.iter().zip(&seen).take_while(|(a, b)| a == b).count();
                let met = *list == seen;
                (outcomes(list), (!met).then_some(same))
            }
            ExpectedOutcomes::All(all) => (
                format!("all {}", words::outcome(*all)),
                seen.iter().position(|outcome| outcome != all),
            ),
        };
        let wrong = ends.get(wrong?).map(|(at, _)| *at);
        Some(Unmet {
            key: "outcomes",
            expected,
            seen: outcomes(&seen),
            t: wrong.unwrap_or(self.end()),
        })
    }

    fn waiting_for(&self) -> Option<Unmet> {
        let expected = self.expectation.waiting_for?;
        let seen = self.facts.waiting_for(self.end());
        (seen != expected).then(|| Unmet {
            key: "waiting_for",
            expected: reasons(expected),
            seen: reasons(seen),
            t: self.end(),
        })
    }

    /// Whether anything of that name can still run.
    fn scheduled(&self) -> Option<Unmet> {
        let expected = self.expectation.scheduled?;
        let mut registrations = self.world.device().registrations().filter(|registration| {
            registration.app == self.expectation.app && registration.name == self.expectation.task
        });
        let seen = registrations.any(|registration| match &registration.schedule {
            Some(schedule) => schedule.scheduling == Scheduling::Scheduled,
            None => !registration.spent,
        });
        (seen != expected).then(|| Unmet {
            key: "scheduled",
            expected: expected.to_string(),
            seen: seen.to_string(),
            t: self.world.t(),
        })
    }
}

fn moment(span: Span) -> String {
    format!("{} s", Seconds(span))
}

/// A range in words; one with equal ends is the value.
fn range<T: PartialEq + Copy>(range: Between<T>, word: impl Fn(T) -> String) -> String {
    match (range.low, range.high) {
        (Some(low), Some(high)) if low == high => word(low),
        (Some(low), Some(high)) => format!("{} to {}", word(low), word(high)),
        (Some(low), None) => format!("at least {}", word(low)),
        (None, Some(high)) => format!("at most {}", word(high)),
        (None, None) => "any".to_owned(),
    }
}

fn outcomes(list: &[Outcome]) -> String {
    let list: Vec<_> = list.iter().copied().map(words::outcome).collect();
    format!("[{}]", list.join(", "))
}

fn reasons(reasons: Reasons) -> String {
    let mut list: Vec<_> = reasons.iter().map(words::wait).collect();
    list.sort_unstable();
    format!("[{}]", list.join(", "))
}
