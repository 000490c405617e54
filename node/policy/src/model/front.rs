//! The app's own process, as the machine knows it (MNG-16).

use serde::{Deserialize, Serialize};

use crate::{AppId, Outcome, RunId, TaskName};

/// Where an app's front client stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrontState {
    /// It does not run.
    #[default]
    None,
    /// Whoever uses the device looks at it.
    Foreground,
    /// It runs unseen.
    Background,
    /// It is frozen, and remembered.
    Suspended,
}

/// Why a front client came into its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrontReason {
    /// It said so itself.
    Step,
    /// It was started for an in-process task (RUN-04).
    StartedForTask,
    /// An in-process task crashed (RUN-02).
    Crashed,
    /// An in-process task did not leave in time (RUN-05).
    Killed,
}

/// A front client that runs, with what it has not been told yet (RUN-18, RUN-19, TRGD-33). Gone with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Front {
    /// Whose.
    pub app: AppId,
    /// Where it stands.
    pub state: FrontState,
    /// News kept for when it is in the foreground, oldest first. At most
    /// [`bounds::UNHEARD`](crate::bounds::UNHEARD).
    pub unheard: Vec<News>,
}

/// What a front client is told of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The run.
    pub run: RunId,
    /// 1, 2, … within its registration.
    pub number: u64,
    /// Its task.
    pub task: TaskName,
    /// What.
    pub what: Happening,
}

/// What happened to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Happening {
    /// Its newest progress.
    Progress(u32),
    /// Its end.
    Completion(Outcome),
}
