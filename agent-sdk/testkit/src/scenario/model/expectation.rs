//! What has to be true of a task at the end.

use lull_document::Place;
use lull_policy::{AppId, Outcome, Reasons, Span, TaskName};

/// What is checked at the end for one task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// Where its table stands.
    pub place: Place,
    /// Whose task.
    pub app: AppId,
    /// Which: a registration's name, `periodic`, `resource-intensive`, `update-task`.
    pub task: TaskName,
    /// How often it started.
    pub starts: Option<Between<u64>>,
    /// When it started first, since T+0.
    pub first: Option<Between<Span>>,
    /// When it started last, since T+0.
    pub last: Option<Between<Span>>,
    /// From each start to the next.
    pub gap: Option<Between<Span>>,
    /// How its runs ended.
    pub outcomes: Option<ExpectedOutcomes>,
    /// The set of reasons that hold it back at the end.
    pub waiting_for: Option<Reasons>,
    /// Whether it is scheduled at the end.
    pub scheduled: Option<bool>,
    /// Only this part of the timeline counts, since T+0.
    pub within: Option<Between<Span>>,
}

/// A range with both ends in it; an end that is absent is open. The low end is never above the high one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Between<T> {
    /// `at_least` or `after`.
    pub low: Option<T>,
    /// `at_most` or `before`.
    pub high: Option<T>,
}

impl<T: PartialOrd> Between<T> {
    /// Whether a value lies in it.
    pub fn contains(&self, value: &T) -> bool {
        self.low.as_ref().is_none_or(|low| low <= value)
            && self.high.as_ref().is_none_or(|high| value <= high)
    }
}

/// How the runs of a task have to have ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedOutcomes {
    /// In this order, and no others.
    List(Vec<Outcome>),
    /// Every one of them so.
    All(Outcome),
}
