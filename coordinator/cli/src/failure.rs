//! What can go wrong, sorted by who must act, and the exit status that says so.

use std::error::Error as _;
use std::process::ExitCode;

use lull_proto::problem;
use tonic::{Code, Status};

/// The exit statuses, as `lull --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// What was asked for was done.
    Done = 0,
    /// It failed or was refused.
    Failed = 1,
    /// The command line or an input is wrong.
    Usage = 2,
    /// This machine cannot show or enforce it.
    NotShown = 3,
    /// The daemon cannot be reached.
    Unreachable = 4,
    /// The identity may not do this.
    NotAllowed = 5,
    /// It was not over in time.
    Late = 6,
    /// A fault of Lull's own, or of this machine.
    Internal = 70,
}

/// Every exit status with its meaning, for `--help`.
pub(crate) const EXITS: [(Exit, &str); 8] = [
    (Exit::Done, "done"),
    (Exit::Failed, "what was asked for failed or was refused"),
    (Exit::Usage, "the command line or an input is wrong"),
    (
        Exit::NotShown,
        "this machine cannot show or enforce it (lull up --demo)",
    ),
    (
        Exit::Unreachable,
        "the node or the coordinator cannot be reached",
    ),
    (Exit::NotAllowed, "this identity may not do it"),
    (
        Exit::Late,
        "it was not over within its time; it may still go on",
    ),
    (Exit::Internal, "a fault of this machine or of lull itself"),
];

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a verb did not do what it was asked. Each message names the thing, the value, the limit and the way out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// What was asked for failed or was refused.
    #[error("{0}")]
    Refused(String),
    /// The asker must correct something.
    #[error("{0}")]
    Input(String),
    /// Not on this machine.
    #[error("{0}")]
    NotShown(String),
    /// A daemon does not answer.
    #[error("{message}")]
    Unreachable {
        /// Which, where, and what to try.
        message: String,
        /// The transport's own words, outermost first.
        causes: Vec<String>,
    },
    /// The identity may not.
    #[error("{0}")]
    NotAllowed(String),
    /// Not over in time.
    #[error("{0}")]
    Late(String),
    /// A fault of this machine or of ours.
    #[error("{message}")]
    Internal {
        /// What was being done.
        message: String,
        /// Why it could not be, outermost first.
        causes: Vec<String>,
    },
}

impl Failure {
    /// The exit status of this failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Failed,
            Self::Input(_) => Exit::Usage,
            Self::NotShown(_) => Exit::NotShown,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::NotAllowed(_) => Exit::NotAllowed,
            Self::Late(_) => Exit::Late,
            Self::Internal { .. } => Exit::Internal,
        }
    }

    /// What lies under it, outermost first, each said once.
    pub(crate) fn causes(&self) -> &[String] {
        match self {
            Self::Unreachable { causes, .. } | Self::Internal { causes, .. } => causes,
            Self::Refused(_)
            | Self::Input(_)
            | Self::NotShown(_)
            | Self::NotAllowed(_)
            | Self::Late(_) => &[],
        }
    }

    /// Something on this machine could not be done.
    pub(crate) fn internal(doing: impl Into<String>, error: &anyhow::Error) -> Self {
        let causes = error.chain().map(ToString::to_string).collect();
        Self::Internal {
            message: doing.into(),
            causes,
        }
    }

    /// What a daemon answered, in its own words; `what` names it where it could not be reached.
    pub(crate) fn answered(what: &str, status: &Status) -> Self {
        let message = sentence(status);
        match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Self::Input(message),
            Code::PermissionDenied | Code::Unauthenticated => Self::NotAllowed(message),
            Code::DeadlineExceeded => {
                Self::Late(format!("{what} did not answer in time: {message}"))
            }
            Code::Unavailable | Code::Unknown | Code::Cancelled => Self::Unreachable {
                message: format!("{what} does not answer"),
                causes: transport(status),
            },
            Code::NotFound
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Unimplemented => Self::Refused(message),
            Code::Ok | Code::Internal | Code::DataLoss => Self::Internal {
                message: format!("{what} failed"),
                causes: vec![message],
            },
        }
    }
}

/// What a status says, with the fields it complains of where the message does not name them.
fn sentence(status: &Status) -> String {
    let mut parts = vec![status.message().to_owned()];
    if status.message().is_empty() {
        parts = vec![format!("answered {:?} without a word", status.code())];
    }
    for (field, description) in problem::violations(status) {
        if !parts.iter().any(|part| part.contains(&description)) {
            parts.push(format!("{field}: {description}"));
        }
    }
    parts.join("; ")
}

/// The words of a status and of the transport errors under it, without repetitions.
fn transport(status: &Status) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut say = |text: String| {
        if !text.is_empty() && !causes.iter().any(|said| said.contains(&text)) {
            causes.push(text);
        }
    };
    say(status.message().to_owned());
    let mut source = status.source();
    while let Some(error) = source {
        say(error.to_string());
        source = error.source();
    }
    causes
}

/// The words of an error and of those under it, without repetitions.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        if !causes.iter().any(|said| said.contains(&text)) {
            causes.push(text);
        }
        next = error.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_exit_status() {
        let exit = |code| Failure::answered("the coordinator", &Status::new(code, "x")).exit();
        assert_eq!(exit(Code::InvalidArgument), Exit::Usage);
        assert_eq!(exit(Code::NotFound), Exit::Failed);
        assert_eq!(exit(Code::ResourceExhausted), Exit::Failed);
        assert_eq!(exit(Code::PermissionDenied), Exit::NotAllowed);
        assert_eq!(exit(Code::Unauthenticated), Exit::NotAllowed);
        assert_eq!(exit(Code::Unavailable), Exit::Unreachable);
        assert_eq!(exit(Code::DeadlineExceeded), Exit::Late);
        assert_eq!(exit(Code::Internal), Exit::Internal);
    }

    #[test]
    fn a_field_is_named_once() {
        let status = problem::invalid("payload", "5,001 bytes, at most 5,000 are accepted");
        let said = Failure::answered("the coordinator", &status).to_string();
        assert_eq!(said, "payload: 5,001 bytes, at most 5,000 are accepted");
    }
}
