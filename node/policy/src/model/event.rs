//! Everything the outside can say to the machine. A closed enum: a new event is a compile error where it matters.

use serde::{Deserialize, Serialize};

use crate::{
    App, AppId, BootId, CallId, Exit, Policy, Push, Reading, ReceiptSeq, RegistrationId,
    RegistrationRequest, Report, RunId, TaskName, Usage,
};

/// An input of the machine. The host stamps it with [`Now`](crate::Now).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The daemon is up and has loaded its records: always the first event of a process.
    ///
    /// A new boot id rebases what is kept on the boot clock, loses the runs that were under way and drops the latches of
    /// AMB-36. The same boot id waits for [`Event::RunsHeld`].
    Booted {
        /// The kernel's boot.
        boot: BootId,
    },
    /// The runs that the launcher still holds after a restart of the daemon; what the records know
    /// beyond these is lost.
    RunsHeld {
        /// Alive, or ended with their exit kept (an [`Event::RunEnded`] follows for those).
        runs: Vec<RunId>,
    },
    /// Readings that changed together. The first of each kind is a baseline.
    Readings(Vec<Reading>),
    /// All apps whose manifests are installed and valid now; the machine derives what changed.
    Apps(Vec<App>),
    /// A new device policy.
    PolicyChanged(Policy),
    /// A call of an app, its agent or the operator, to be answered by [`Effect::Reply`](crate::Effect::Reply).
    Call {
        /// The host's number for it.
        call: CallId,
        /// Who calls; the host has checked that it is so.
        caller: Caller,
        /// What is asked.
        request: Request,
    },
    /// A push came down the link.
    PushArrived(Push),
    /// The coordinator has every receipt up to this one.
    ReceiptsAcknowledged {
        /// The last it has.
        through: ReceiptSeq,
    },
    /// The link came up: receipts not yet acknowledged are sent again.
    LinkUp,
    /// The host started a run's processes.
    RunStarted {
        /// Which.
        run: RunId,
    },
    /// An agent said something of its run.
    RunReported {
        /// Which.
        run: RunId,
        /// What it said.
        report: Report,
    },
    /// Every process of a run is gone.
    RunEnded {
        /// Which.
        run: RunId,
        /// How.
        exit: Exit,
        /// What it used.
        usage: Usage,
        /// The last bytes it printed, at most 8 KiB.
        output: String,
    },
    /// A deadline of [`Device::deadline`](crate::Device::deadline) came, or the host looks in.
    DeadlineReached,
    /// The wall clock was stepped.
    ClockStepped,
}

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caller {
    /// A front client of the app.
    Front {
        /// Whose.
        app: AppId,
        /// It holds a foreground lease.
        foreground: bool,
    },
    /// A running agent of the app.
    Agent {
        /// Its run.
        run: RunId,
    },
    /// The operator on this device.
    Operator,
}

/// What can be asked. Reads (list, why, runs) go through `Device`'s own read-only functions and need no event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// Ask for background access (ACC-01).
    RequestAccess {
        /// For which app; a front client's own.
        app: AppId,
    },
    /// Drop it (ACC-13).
    RemoveAccess {
        /// For which app.
        app: AppId,
    },
    /// Register a task (ACC-20).
    Register {
        /// For which app.
        app: AppId,
        /// What.
        registration: RegistrationRequest,
    },
    /// Remove a registration by id (MNG-04).
    Unregister {
        /// For which app.
        app: AppId,
        /// Which.
        id: RegistrationId,
        /// Cancel its run too.
        cancel: bool,
    },
    /// Raise an application trigger (TRGD-21).
    RequestRun {
        /// For which app.
        app: AppId,
        /// The registration's name.
        name: TaskName,
    },
    /// The operator's choice of access for an app (ACC-14); absent = leave it to the app's own request.
    SetAccess {
        /// Which app.
        app: AppId,
        /// Always allow (also in Battery Saver), or deny.
        choice: Option<AccessChoice>,
    },
}

/// What an operator can decide over an app's background access.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessChoice {
    /// Exempt from Battery Saver (RES-11).
    Always,
    /// Never runs.
    Never,
}
