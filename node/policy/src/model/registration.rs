//! A registration: one trigger, any number of conditions, immutable once made (ACC-20 to ACC-25).

use serde::{Deserialize, Serialize};

use crate::{AppId, Elapsed, EntryPoint, PushId, RegistrationId, TaskName, Wall};

/// System events that fire a task (TRG-01 and on).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemEvent {
    /// The Internet becomes available: an edge (TRG-01).
    InternetAvailable,
}

/// What fires a registration. Exactly one each (ACC-22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// After so many minutes, once or again and again (TRG-12).
    Timer {
        /// Minutes, 15 to 43,199.
        minutes: u32,
        /// Spent at its first start (AMB-35).
        one_shot: bool,
    },
    /// A system event (TRGC-02).
    System {
        /// Which.
        event: SystemEvent,
        /// Spent at its first start (AMB-35).
        one_shot: bool,
    },
    /// A raw push for the app (TRG-13).
    Push,
    /// The app asks for it from the foreground (TRG-16).
    Application,
}

/// The rule book's conditions (CND-20 to CND-25), all joined by AND.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// 1 (CND-20).
    UserPresent,
    /// 2 (CND-21).
    UserNotPresent,
    /// 3 (CND-22).
    InternetAvailable,
    /// 4 (CND-23).
    InternetNotAvailable,
    /// 5 (CND-24).
    SessionConnected,
    /// 6 (CND-25).
    SessionDisconnected,
}

/// What an app asks to have registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationRequest {
    /// Its name for it.
    pub name: TaskName,
    /// The agent to run; must be declared in the manifest (MAN-01). In-process tasks come later.
    pub entry_point: EntryPoint,
    /// What fires it.
    pub trigger: Trigger,
    /// What must hold before it runs. At most [`bounds::CONDITIONS`](crate::bounds::CONDITIONS).
    pub conditions: Vec<Condition>,
    /// Losing a condition during a run cancels it (CND-05).
    pub cancel_on_condition_loss: bool,
    /// Replace registrations of the same name in one step (ACC-27).
    pub replace: bool,
}

/// A registration as it stands, durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// Its id.
    pub id: RegistrationId,
    /// Whose it is.
    pub app: AppId,
    /// Its name.
    pub name: TaskName,
    /// The agent it runs.
    pub entry_point: EntryPoint,
    /// What fires it.
    pub trigger: Trigger,
    /// What must hold before it runs; sorted, no doubles.
    pub conditions: Vec<Condition>,
    /// Losing a condition during a run cancels it (CND-05).
    pub cancel_on_condition_loss: bool,
    /// When it was made.
    pub registered_at: Wall,
    /// A one-shot that has started (AMB-35).
    pub spent: bool,
    /// When a timer falls due next, on the boot clock of the boot it was written in.
    pub due: Option<Elapsed>,
    /// A timer starts no earlier than this, on the same clock: two starts are never closer than the floor
    /// (AMB-44).
    #[serde(default)]
    pub not_before: Option<Elapsed>,
    /// The firing that waits, if one does (CND-03).
    pub latch: Option<Latch>,
    /// Pushes waiting for a run, oldest first. At most `Policy::push_queue`.
    pub queue: Vec<QueuedPush>,
    /// Runs so far.
    pub runs: u64,
}

/// A firing that has no run yet (CND-03).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// When it fired, on the wall clock, for people.
    pub since: Wall,
    /// Its number in the ledger.
    pub firing: u64,
}

/// A push that waits for a run of this registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedPush {
    /// The push, whose body is kept once in [`Record::Push`](crate::Record::Push).
    pub id: PushId,
    /// When it came.
    pub since: Wall,
    /// 1, or more after a run that the node itself lost.
    pub attempt: u32,
    /// Its number in the ledger; 0 for a further attempt, whose firing has its verdict (it ran) already.
    pub firing: u64,
}
