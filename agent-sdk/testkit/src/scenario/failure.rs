//! What was expected and did not come.

use std::path::PathBuf;

use lull_document::Place;
use lull_policy::Span;

use super::run::Answered;
use super::timeline::Seconds;
use super::{CallStep, Expectation, Scenario, Step};

/// An expectation of a file that was not met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}:{line}: {subject}: {key}: expected {expected}, seen {seen} (t={t})",
    file = file.display(),
    line = place.line,
    t = Seconds(*t)
)]
pub struct Failure {
    /// The file.
    pub file: PathBuf,
    /// Where it says so.
    pub place: Place,
    /// The task, as `app/task`; for a call the app.
    pub subject: String,
    /// The key, or the call.
    pub key: String,
    /// What was expected.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// When it was seen, since the start.
    pub t: Span,
}

impl Failure {
    /// A call that answered something else.
    pub(super) fn of_call(
        scenario: &Scenario,
        step: &Step,
        asked: &CallStep,
        answered: &Answered,
    ) -> Self {
        let message = answered.message.as_ref();
        let message = message.map(|message| format!(": {message}"));
        Self {
            file: scenario.file.clone(),
            place: step.place,
            subject: asked.app.to_string(),
            key: asked.call.word().to_owned(),
            expected: asked
                .expect
                .map_or("anything", super::ResultWord::word)
                .to_owned(),
            seen: answered.result.word().to_owned() + &message.unwrap_or_default(),
            t: step.at,
        }
    }

    /// Something that does not hold at the end.
    pub(super) fn of_expectation(
        scenario: &Scenario,
        expectation: &Expectation,
        unmet: Unmet,
    ) -> Self {
        Self {
            file: scenario.file.clone(),
            place: expectation.place,
            subject: format!("{}/{}", expectation.app, expectation.task),
            key: unmet.key.to_owned(),
            expected: unmet.expected,
            seen: unmet.seen,
            t: unmet.t,
        }
    }
}

/// What one key of an expectation asks for and does not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmet {
    /// The key.
    pub(super) key: &'static str,
    /// What was expected.
    pub(super) expected: String,
    /// What was seen.
    pub(super) seen: String,
    /// When.
    pub(super) t: Span,
}
