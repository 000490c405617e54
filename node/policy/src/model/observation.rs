//! What the machine decided, told as it decides: for timelines, logs and metrics. A host may drop them all.

use serde::{Deserialize, Serialize};

use crate::{
    AppId, CancelReason, DropReason, FrontReason, FrontState, HostKind, News, Outcome, PushId,
    Reasons, RegistrationId, Resource, RunId, Scheduling, Span, TaskName, Termination, TriggerKind,
    Wall,
};

/// A task, as observations name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Whose.
    pub app: AppId,
    /// Its name.
    pub task: TaskName,
    /// Its registration.
    pub id: RegistrationId,
    /// What fires it.
    pub trigger: TriggerKind,
}

/// Something decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Observation {
    /// A firing. Exactly one `Started` or `Dropped` follows.
    Triggered(Task),
    /// A firing waits, or what it waits for changed.
    Waiting {
        /// Whose firing.
        task: Task,
        /// Everything that holds it back now.
        reasons: Reasons,
    },
    /// A run began.
    Started {
        /// Whose.
        task: Task,
        /// The run.
        run: RunId,
        /// Where it runs.
        host: HostKind,
        /// From its start to its kill; absent = no limit.
        deadline: Option<Span>,
        /// Whether it has the network.
        network: bool,
        /// The push that started it.
        push: Option<PushId>,
    },
    /// A run was asked to cancel.
    CancelRequested {
        /// Whose.
        task: Task,
        /// The run.
        run: RunId,
        /// Why.
        reason: CancelReason,
    },
    /// A run is over.
    Ended {
        /// Whose.
        task: Task,
        /// The run.
        run: RunId,
        /// How.
        outcome: Outcome,
        /// Why it had been asked to cancel, if it had.
        cancelled: Option<CancelReason>,
        /// Why it had been ended without being asked, if it had.
        terminated: Option<Termination>,
        /// How long it ran.
        ran: Span,
    },
    /// A firing will never run.
    Dropped {
        /// Whose.
        task: Task,
        /// Why.
        reason: DropReason,
    },
    /// A run's network is cut or given back (RUN-31).
    Network {
        /// Whose.
        task: Task,
        /// The run.
        run: RunId,
        /// It has the network now.
        allowed: bool,
    },
    /// A run is frozen for a quota (RES-13).
    Suspended {
        /// Whose.
        task: Task,
        /// The run.
        run: RunId,
        /// Which quota.
        resource: Resource,
    },
    /// It goes on.
    Resumed {
        /// Whose.
        task: Task,
        /// The run.
        run: RunId,
    },
    /// The front client is told something of a run, now.
    Told {
        /// Whose.
        app: AppId,
        /// What.
        news: News,
    },
    /// The front client came into another state.
    Front {
        /// Whose.
        app: AppId,
        /// Which.
        state: FrontState,
        /// Why.
        reason: FrontReason,
    },
    /// A scheduled task runs no more until it is scheduled again.
    Unscheduled {
        /// Which.
        task: Task,
        /// Why; absent = its app removed it.
        reason: Option<Scheduling>,
    },
    /// A scheduled task lives longer (EXP-04, EXP-05).
    Renewed {
        /// Which.
        task: Task,
        /// Until then.
        expires: Wall,
    },
    /// More periodic agents are scheduled than is good for the battery (PER-07).
    PeriodicAgents {
        /// How many.
        count: u32,
        /// Beyond how many it is said.
        limit: u32,
    },
    /// What became of a push, at its arrival and once more if it waited.
    Push {
        /// Whose.
        app: AppId,
        /// Which.
        id: PushId,
        /// What became of it.
        fate: PushFate,
    },
    /// Something that makes no sense here was passed over.
    PassedOver {
        /// What, in words.
        what: String,
    },
}

/// What became of a push (PSH-09).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PushFate {
    /// A run of it began.
    Started {
        /// Whose.
        task: TaskName,
        /// The run.
        run: RunId,
    },
    /// It waits.
    Queued,
    /// A newer one took its place.
    Collapsed,
    /// Its time to live ended.
    Expired,
    /// It will never run.
    Dropped(DropReason),
    /// The running app got it itself.
    ShownToApp,
}
