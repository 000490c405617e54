//! A run as its app sees it, under way or ended.
//!
//! Deliberately absent: what the agent made, which is in the app's own files (RUN-22).

use std::time::{Duration, SystemTime};

use crate::{CancelReason, RunId};

/// One run of one of the app's tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub run: RunId,
    /// Its registration's name.
    pub task: String,
    /// 1, 2, … within its registration.
    pub number: u64,
    /// Where it stands, or how it ended.
    pub state: RunState,
    /// Why it was asked to cancel; absent = it was not.
    pub cancel_reason: Option<CancelReason>,
    /// The error it gave; absent = none.
    pub message: Option<String>,
    /// How its processes ended, in words; absent while it is under way.
    pub exit: Option<String>,
    /// When it started.
    pub started: Option<SystemTime>,
    /// When it ended; absent while it is under way.
    pub ended: Option<SystemTime>,
    /// How long it ran, or runs.
    pub ran: Option<Duration>,
    /// Its newest progress; absent = it reported none. The meaning is the app's (RUN-18).
    pub progress: Option<u32>,
    /// Most memory that its cage used, in bytes; absent = not known.
    pub memory_peak: Option<u64>,
    /// The push that started it; absent = none did.
    pub push: Option<String>,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// The last that it printed, at most 8 KiB.
    pub output: String,
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RunState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// It was asked to cancel.
    Cancelling,
    /// Its kill was ordered.
    Killing,
    /// It ended.
    Ended(Outcome),
    /// A state of a newer node, by its name there.
    Unrecognised(String),
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It said so, or its process returned 0.
    Completed,
    /// It said that it could not do its work, or its process returned 75.
    Aborted,
    /// It ended between the request to cancel and the kill.
    Cancelled,
    /// It was killed after the grace.
    Hung,
    /// It passed its memory cap.
    MemoryQuotaExceeded,
    /// It crashed: any other exit or signal.
    UnhandledException,
    /// The device ended it.
    Terminated,
    /// The node lost it, for instance in a power cut.
    Lost,
    /// It could not be started; nothing of it ran.
    NotStarted,
    /// An outcome of a newer node, by its name there.
    Unrecognised(String),
}

/// Why a run did not do its work (RUN-20).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// It has no result yet.
    #[error("run {run} of {task} is still under way")]
    UnderWay {
        /// Which.
        run: RunId,
        /// Its registration's name.
        task: String,
    },
    /// It ended without a result.
    #[error("run {run} of {task} ended as {outcome}{}", in_words(.cancel_reason.as_ref(), .message.as_deref()))]
    Failed {
        /// Which.
        run: RunId,
        /// Its registration's name.
        task: String,
        /// How it ended.
        outcome: Outcome,
        /// Why it was asked to cancel, if it was.
        cancel_reason: Option<CancelReason>,
        /// The error it gave, or how its processes ended; absent = neither is known.
        message: Option<String>,
    },
}

impl Run {
    /// Whether it did its work: an error carries what it said (RUN-20).
    pub fn check_result(&self) -> Result<(), RunError> {
        let outcome = match &self.state {
            RunState::Ended(Outcome::Completed) => return Ok(()),
            RunState::Ended(outcome) => outcome.clone(),
            RunState::Starting
            | RunState::Running
            | RunState::Cancelling
            | RunState::Killing
            | RunState::Unrecognised(_) => {
                return Err(RunError::UnderWay {
                    run: self.run,
                    task: self.task.clone(),
                });
            }
        };
        Err(RunError::Failed {
            run: self.run,
            task: self.task.clone(),
            outcome,
            cancel_reason: self.cancel_reason.clone(),
            message: self.message.clone().or_else(|| self.exit.clone()),
        })
    }
}

impl RunState {
    pub(super) fn named(name: &str) -> Self {
        match name {
            "starting" => Self::Starting,
            "running" => Self::Running,
            "cancelling" => Self::Cancelling,
            "killing" => Self::Killing,
            newer => Self::Unrecognised(newer.to_owned()),
        }
    }
}

impl Outcome {
    const KNOWN: [Self; 9] = [
        Self::Completed,
        Self::Aborted,
        Self::Cancelled,
        Self::Hung,
        Self::MemoryQuotaExceeded,
        Self::UnhandledException,
        Self::Terminated,
        Self::Lost,
        Self::NotStarted,
    ];

    /// Its name, in kebab case.
    pub fn name(&self) -> &str {
        match self {
            Self::Completed => "completed",
            Self::Aborted => "aborted",
            Self::Cancelled => "cancelled",
            Self::Hung => "hung",
            Self::MemoryQuotaExceeded => "memory-quota-exceeded",
            Self::UnhandledException => "unhandled-exception",
            Self::Terminated => "terminated",
            Self::Lost => "lost",
            Self::NotStarted => "not-started",
            Self::Unrecognised(name) => name,
        }
    }

    pub(super) fn named(name: &str) -> Self {
        let known = Self::KNOWN
            .into_iter()
            .find(|outcome| outcome.name() == name);
        known.unwrap_or_else(|| Self::Unrecognised(name.to_owned()))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn in_words(cancel_reason: Option<&CancelReason>, message: Option<&str>) -> String {
    let reason = cancel_reason.map(|reason| format!(" (asked to cancel: {reason})"));
    let message = message.map(|message| format!(": {message}"));
    reason.unwrap_or_default() + &message.unwrap_or_default()
}
