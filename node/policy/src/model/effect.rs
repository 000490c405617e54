//! Everything the machine can ask of the host. A closed enum.
//!
//! Effects that begin or promise wait until the records of their event are durable. Effects that stop
//! never wait: they are idempotent and re-issued from the records after a restart. [`Effect::order`] says which is which.

use serde::{Deserialize, Serialize};

use crate::{
    AccessStatus, AppId, Bytes, CallId, CancelReason, Details, DropReason, EntryPoint, FinishedRun,
    HostKind, Key, Observation, Push, Receipt, Record, RegistrationId, Resource, RunId, Running,
    Source, Span, TaskName, Trigger, TriggerKind,
};

/// A request of the machine to its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(
    clippy::large_enum_variant,
    reason = "records are the most frequent effects; a box each would cost more than the room"
)]
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
    /// Cut a run's network, or give it back (RUN-31).
    Network {
        /// Which.
        run: RunId,
        /// It has the network from now on.
        allowed: bool,
    },
    /// Stop a run's processes where they are.
    Freeze {
        /// Which.
        run: RunId,
    },
    /// Let them go on.
    Thaw {
        /// Which.
        run: RunId,
    },
    /// Say when the app's runs that are not critical have together used so much more ([`Event::QuotaSpent`](crate::Event::QuotaSpent)).
    /// Replaces what was said before of this app and resource; absent = it is not metered any more.
    Meter {
        /// Whose.
        app: AppId,
        /// Of what.
        resource: Resource,
        /// How much: microseconds or bytes.
        budget: Option<u64>,
    },
    /// Say what a run uses, so often ([`Event::RunSampled`](crate::Event::RunSampled)): its watchdogs ask for it (RUN-15, TRGD-31).
    /// Replaces what was said before of this run; absent = no watchdog looks at it any more.
    Sample {
        /// Which.
        run: RunId,
        /// Between two samples.
        every: Option<Span>,
    },
    /// Put these limits on a run in place of those it has: a debugger came or left (RES-22).
    Limit {
        /// Which.
        run: RunId,
        /// Its memory cap.
        memory: Option<Bytes>,
        /// When it is killed.
        kill_at: Option<Running>,
    },
    /// Start the app's own process in the background, for in-process runs (RUN-04).
    StartFront {
        /// Whose.
        app: AppId,
    },
    /// Kill the app's own process (RUN-05).
    KillFront {
        /// Whose.
        app: AppId,
    },
    /// Offer a push to a client of the app; answered by [`Request::AnswerPush`](crate::Request::AnswerPush), or by
    /// [`Event::PushAnswered`](crate::Event::PushAnswered) where nobody takes it.
    OfferPush(Box<Push>),
    /// Something was decided.
    Observe(Box<Observation>),
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
            Self::Launch(_)
            | Self::Reply { .. }
            | Self::SendReceipt(_)
            | Self::Notify { .. }
            | Self::Thaw { .. }
            | Self::Network { allowed: true, .. }
            | Self::StartFront { .. }
            | Self::OfferPush(_) => Order::AfterCommit,
            Self::Watch(_)
            | Self::Unwatch(_)
            | Self::AskToCancel { .. }
            | Self::Kill { .. }
            | Self::KillFront { .. }
            | Self::Freeze { .. }
            | Self::Network { allowed: false, .. }
            | Self::Meter { .. }
            | Self::Sample { .. }
            | Self::Limit { .. }
            | Self::Observe(_) => Order::AtOnce,
        }
    }
}

/// What the host needs to start a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent answer of its own"
)]
pub struct Launch {
    /// The run.
    pub run: RunId,
    /// Its registration.
    pub registration: RegistrationId,
    /// Its app.
    pub app: AppId,
    /// Its registration's name.
    pub task: TaskName,
    /// The agent; absent = the app's own process.
    pub entry_point: Option<EntryPoint>,
    /// Where it runs.
    pub host: HostKind,
    /// Runs of one group share a process: a resource group, or `audio` (RUN-07, RES-06).
    pub group: Option<Box<str>>,
    /// 1, 2, … within its registration.
    pub number: u64,
    /// What fired it.
    pub trigger: Trigger,
    /// What it is told of its firing, beside a push.
    pub details: Option<Details>,
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
    /// It has the network (RUN-31).
    pub network: bool,
    /// The network and the device stay awake for it (RUN-30).
    pub network_requested: bool,
    /// It may bind to a cellular interface (INT-09).
    pub cellular: bool,
    /// Quotas do not count for it, and its CPU weight is raised (RES-16).
    pub critical: bool,
}

/// The group in which all audio agents of an app share a process and its cap (RES-06).
pub(crate) const AUDIO: &str = "audio";

/// How the processor and the disks are to treat a run, beside what people do on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Only where nobody else wants them (RES-21).
    Background,
    /// Long work while nobody is there (INT-15).
    Intensive,
    /// As an ordinary program (RES-16).
    Critical,
}

impl Launch {
    /// AMB-15: a trigger task sees an allocation beyond its cap fail before it is killed; scheduled and audio agents (RES-05, RES-06)
    /// are killed at their cap.
    pub fn is_forgiven(&self) -> bool {
        !self.trigger.kind().is_scheduled() && self.group.as_deref() != Some(AUDIO)
    }

    /// Its class.
    pub fn class(&self) -> Class {
        if self.critical {
            Class::Critical
        } else if self.trigger.kind() == TriggerKind::ResourceIntensive {
            Class::Intensive
        } else {
            Class::Background
        }
    }
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
    /// It would be accepted (ACC-30).
    Valid {
        /// What is odd about it though allowed.
        warnings: Vec<String>,
    },
    /// It is gone.
    Unregistered,
    /// What became of each registration, by name (ACC-32).
    Reconciled(Reconciled),
    /// It was done.
    Done,
    /// Whether the wished kind of access is there now (ACC-10).
    Granted(bool),
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
    /// The user does not let it use the device (TRGD-30).
    DeniedByUser,
    /// The device is not there, or not for this app (TRGD-30, TRGD-34).
    DeniedBySystem,
    /// The charge is too low for servicing (TRGD-37).
    LowBattery,
}

/// What reconciling did, by names (ACC-32).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Reconciled {
    /// Made anew.
    pub registered: Vec<TaskName>,
    /// Not wanted any more.
    pub unregistered: Vec<TaskName>,
    /// Made anew in place of a different one.
    pub replaced: Vec<TaskName>,
    /// Left alone, with id, due time and latch.
    pub kept: Vec<TaskName>,
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
    /// Known by name and not offered here.
    #[error("{message}")]
    Unsupported {
        /// For people.
        message: String,
    },
    /// Not as things stand.
    #[error("{message}")]
    FailedPrecondition {
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
