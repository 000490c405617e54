//! Everything the machine can ask of the host. A closed enum.
//!
//! Effects that begin or promise wait until the records of their event are durable. Effects that stop
//! never wait: they are idempotent and re-issued from the records after a restart. [`Effect::order`] says which is which.

use serde::{Deserialize, Serialize};

use crate::{
    AccessStatus, AppId, Bytes, CallId, CancelReason, DropReason, EntryPoint, FinishedRun, Key,
    Push, Receipt, Record, RegistrationId, RunId, Running, Source, TaskName, Trigger,
};

/// A request of the machine to its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Make this record durable.
    Put(Record),
    /// Forget this record.
    Remove(Key),
    /// Start the watcher of a source, with its first interest.
    Watch(Source),
    /// Stop it, with its last.
    Unwatch(Source),
    /// Start a run.
    Launch(Box<Launch>),
    /// Ask a run to cancel; it has until its kill.
    AskToCancel {
        /// Which.
        run: RunId,
        /// Why.
        reason: CancelReason,
        /// When it will be killed.
        kill_at: Option<Running>,
    },
    /// Kill the whole tree of a run now.
    Kill {
        /// Which.
        run: RunId,
    },
    /// Answer a call.
    Reply {
        /// Which.
        call: CallId,
        /// With what.
        answer: Answer,
    },
    /// Send a receipt up the link, if it is up; it stays a record until it is acknowledged.
    SendReceipt(Receipt),
    /// Tell the front clients of an app, if there are any.
    Notify {
        /// Whose.
        app: AppId,
        /// What.
        notice: Notice,
    },
}

/// Whether an effect may overtake the commit of its event's records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Goes to the store itself.
    Record,
    /// Begins or promises: waits for the commit.
    AfterCommit,
    /// Stops, or is free of promises: never waits.
    AtOnce,
}

impl Effect {
    /// When the host performs this effect (architecture, 5).
    pub const fn order(&self) -> Order {
        match self {
            Self::Put(_) | Self::Remove(_) => Order::Record,
            Self::Launch(_) | Self::Reply { .. } | Self::SendReceipt(_) | Self::Notify { .. } => {
                Order::AfterCommit
            }
            Self::Watch(_) | Self::Unwatch(_) | Self::AskToCancel { .. } | Self::Kill { .. } => {
                Order::AtOnce
            }
        }
    }
}

/// What the host needs to start a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The run.
    pub run: RunId,
    /// Its registration.
    pub registration: RegistrationId,
    /// Its app.
    pub app: AppId,
    /// Its registration's name.
    pub task: TaskName,
    /// The agent.
    pub entry_point: EntryPoint,
    /// 1, 2, … within its registration.
    pub number: u64,
    /// What fired it.
    pub trigger: Trigger,
    /// The push that fired it, with its body.
    pub push: Option<Push>,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// Its memory cap.
    pub memory: Option<Bytes>,
    /// When it is asked to cancel.
    pub cancel_at: Option<Running>,
    /// When it is killed.
    pub kill_at: Option<Running>,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The access status after the call.
    Access(AccessStatus),
    /// The registration made.
    Registered {
        /// Its id.
        id: RegistrationId,
        /// What is odd about it though allowed (ACC-26, ACC-29).
        warnings: Vec<String>,
    },
    /// It is gone.
    Unregistered,
    /// An application trigger was raised (TRGD-22).
    Raised(Raised),
    /// The call was refused.
    Refused(Refusal),
}

/// What raising an application trigger answers, with the rule book's numbers 0 to 3 (TRGD-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Raised {
    /// It runs, or will as soon as its conditions hold.
    Allowed,
    /// One run at a time.
    CurrentlyRunning,
    /// Access, policy or Battery Saver.
    DisabledByPolicy,
}

/// Why a call was refused, sorted by what the caller must do. Each message names the thing, the value, the
/// limit and the way out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// Ask for access first.
    #[error("{message}")]
    AccessDenied {
        /// For people.
        message: String,
    },
    /// Correct the argument.
    #[error("{field}: {message}")]
    InvalidArgument {
        /// Which.
        field: String,
        /// For people.
        message: String,
    },
    /// It exists already.
    #[error("{message}")]
    AlreadyExists {
        /// For people.
        message: String,
    },
    /// A bound of the device.
    #[error("{message}")]
    LimitReached {
        /// For people.
        message: String,
    },
    /// There is no such thing.
    #[error("{message}")]
    NotFound {
        /// For people.
        message: String,
    },
    /// This caller may not.
    #[error("{message}")]
    PermissionDenied {
        /// For people.
        message: String,
    },
}

/// What front clients are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Notice {
    /// A run began.
    Started {
        /// Which.
        run: RunId,
        /// Its registration's name.
        task: TaskName,
    },
    /// Newest progress of a run (RUN-18).
    Progress {
        /// Which.
        run: RunId,
        /// Its registration's name.
        task: TaskName,
        /// The meaning is the app's.
        value: u32,
    },
    /// A run ended (RUN-19).
    Completion(Box<FinishedRun>),
    /// A firing will never run.
    Dropped {
        /// The registration's name.
        task: TaskName,
        /// Why.
        reason: DropReason,
    },
}
