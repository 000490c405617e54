//! What a call answers, in the words of the contract.

use lull_policy::{Answer, Raised, Reconciled, Refusal, TaskName};

use crate::scenario::timeline::{Value, words};
use crate::scenario::{ResultWord, Unacceptable};

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answered {
    /// In one word.
    pub(crate) result: ResultWord,
    /// What is wrong, where something is.
    pub(in crate::scenario) message: Option<String>,
    /// What else there is to say.
    pub(in crate::scenario) fields: Vec<(&'static str, Value)>,
}

impl Answered {
    /// It was done.
    pub(in crate::scenario) fn ok() -> Self {
        Self::word(ResultWord::Ok)
    }

    pub(in crate::scenario) fn word(result: ResultWord) -> Self {
        Self {
            result,
            message: None,
            fields: Vec::new(),
        }
    }

    /// It failed.
    pub(in crate::scenario) fn failed(result: ResultWord, message: impl Into<String>) -> Self {
        Self {
            message: Some(message.into()),
            ..Self::word(result)
        }
    }

    /// It was done, and there is this to say.
    pub(in crate::scenario) fn with(fields: Vec<(&'static str, Value)>) -> Self {
        Self {
            fields,
            ..Self::ok()
        }
    }

    /// Nobody is there to answer (ACC-45).
    pub(in crate::scenario) fn unavailable() -> Self {
        Self::failed(
            ResultWord::Unavailable,
            "the daemon is down; a later try may work",
        )
    }

    /// What the machine said; absent = it is down.
    pub(crate) fn of(answer: Option<&Answer>) -> Self {
        let Some(answer) = answer else {
            return Self::unavailable();
        };
        match answer {
            Answer::Access(status) => Self::word(words::access(*status)),
            Answer::Registered { id, .. } => Self::with(vec![("id", Value::Number(id.0))]),
            Answer::Reconciled(reconciled) => Self::with(names(reconciled)),
            Answer::Valid { .. } | Answer::Unregistered | Answer::Done | Answer::Granted(_) => {
                Self::ok()
            }
            Answer::Raised(raised) => Self::raised(*raised),
            Answer::Refused(refusal) => Self::failed(refused(refusal), refusal.to_string()),
        }
    }

    /// What is refused before the machine sees it.
    pub(in crate::scenario) fn unacceptable(what: &Unacceptable) -> Self {
        Self::failed(what.result, format!("{}: {}", what.field, what.message))
    }

    fn raised(raised: Raised) -> Self {
        let (result, message) = match raised {
            Raised::Allowed => return Self::word(ResultWord::Allowed),
            Raised::CurrentlyRunning => (
                ResultWord::CurrentlyRunning,
                "its run has not ended yet, and there is one at a time",
            ),
            Raised::DisabledByPolicy => (
                ResultWord::DisabledByPolicy,
                "background access, policy or Battery Saver does not let it run now",
            ),
            Raised::DeniedByUser => (
                ResultWord::DeniedByUser,
                "the user does not let the app use the device",
            ),
            Raised::DeniedBySystem => (
                ResultWord::DeniedBySystem,
                "the device is not there, or not for this app",
            ),
            Raised::LowBattery => (ResultWord::LowBattery, "the charge is too low"),
        };
        Self::failed(result, message)
    }

    /// Writes it into a line.
    pub(crate) fn write(self, fields: &mut Vec<(&'static str, Value)>) {
        fields.push(("result", Value::Word(self.result.word())));
        fields.extend(self.message.map(|text| ("message", Value::Text(text))));
        fields.extend(self.fields);
    }
}

const fn refused(refusal: &Refusal) -> ResultWord {
    match refusal {
        Refusal::AccessDenied { .. } => ResultWord::AccessDenied,
        Refusal::InvalidArgument { .. } => ResultWord::InvalidArgument,
        Refusal::AlreadyExists { .. } => ResultWord::AlreadyExists,
        Refusal::LimitReached { .. } => ResultWord::LimitReached,
        Refusal::NotFound { .. } => ResultWord::NotFound,
        Refusal::PermissionDenied { .. } => ResultWord::PermissionDenied,
        Refusal::Unsupported { .. } => ResultWord::Unsupported,
        Refusal::FailedPrecondition { .. } => ResultWord::FailedPrecondition,
    }
}

fn names(reconciled: &Reconciled) -> Vec<(&'static str, Value)> {
    let list = |names: &[TaskName]| Value::List(names.iter().cloned().map(Value::Task).collect());
    vec![
        ("registered", list(&reconciled.registered)),
        ("unregistered", list(&reconciled.unregistered)),
        ("replaced", list(&reconciled.replaced)),
        ("kept", list(&reconciled.kept)),
    ]
}
