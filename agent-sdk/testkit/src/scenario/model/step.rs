//! What happens to the device while the scenario runs.

use lull_document::Place;
use lull_document::policy_figures::FigureChange;
use lull_policy::{
    AccessStatus, AgentDeclaration, AppId, ChannelActivity, Choice, FrontState, GroupId,
    Occurrence, Priority, PushId, Reading, RegistrationRequest, Retention, ScheduledKind,
    SocketActivity, Span, Subject, TaskName,
};

use super::{ResultWord, ZoneName};

/// Something that happens.
#[derive(Debug, Clone)]
pub struct Step {
    /// Where its table stands.
    pub place: Place,
    /// Since the scenario's start.
    pub at: Span,
    /// What.
    pub action: Action,
}

/// What happens. Every app that is named is one of the file's.
#[derive(Debug, Clone)]
pub enum Action {
    /// A call of an app's.
    Call(Box<CallStep>),
    /// Readings change together.
    Set(SetStep),
    /// Something that is no reading: a message, a reset channel, the online identity, the user logging off.
    Event(Occurrence),
    /// A push arrives.
    Push(Box<PushStep>),
    /// A front client comes into another state; `None` = it exited.
    Front {
        /// Whose.
        app: AppId,
        /// Which.
        state: FrontState,
    },
    /// An app is updated.
    Update {
        /// Which.
        app: AppId,
        /// Its new version.
        version: String,
        /// What its manifest declares from now on; absent = what it did.
        agents: Option<Vec<AgentDeclaration>>,
    },
    /// An app is removed.
    Uninstall {
        /// Which.
        app: AppId,
    },
    /// The operator chooses for an app.
    Operator(OperatorStep),
    /// A new generation of the device policy: these figures change, the others stay as they are in force.
    Policy(Vec<FigureChange>),
    /// The daemon or the device goes down.
    Device {
        /// How.
        what: DeviceStep,
        /// How long it is down.
        down: Span,
    },
    /// The wall clock is stepped.
    Clock(ClockStep),
    /// A debugger comes to a task or leaves it.
    Debugger {
        /// Whose.
        app: AppId,
        /// Which.
        task: TaskName,
        /// It is attached from now on.
        attached: bool,
    },
    /// Something happens on a socket.
    Socket {
        /// Whose.
        app: AppId,
        /// Which.
        id: Subject,
        /// What.
        what: SocketActivity,
    },
    /// Something happens on a control channel.
    Channel {
        /// Whose.
        app: AppId,
        /// Which.
        id: Subject,
        /// What.
        what: ChannelActivity,
    },
    /// A device arrives or leaves.
    Plug {
        /// Which.
        device: Subject,
        /// It is there from now on.
        present: bool,
    },
    /// A watched path changes.
    Files {
        /// Whose watch.
        app: AppId,
        /// The path.
        path: Subject,
    },
    /// A declared custom event of the bus.
    Bus {
        /// For whom.
        app: AppId,
        /// Its name.
        event: Subject,
    },
}

/// A call of an app's, and what it has to answer.
#[derive(Debug, Clone)]
pub struct CallStep {
    /// Whose.
    pub app: AppId,
    /// It comes from the app's running agent instead of its front client.
    pub from_agent: bool,
    /// What is asked.
    pub call: Call,
    /// The result that it must have.
    pub expect: Option<ResultWord>,
}

/// What is asked.
#[derive(Debug, Clone)]
pub enum Call {
    /// Ask for background access.
    RequestAccess,
    /// Drop it.
    RemoveAccess,
    /// Read it.
    AccessStatus,
    /// Register a task.
    Register(RegisterCall),
    /// Remove every registration of a name.
    Unregister {
        /// The name.
        name: AskedName,
        /// Cancel their runs too.
        cancel: bool,
    },
    /// Make the app's ungrouped registrations these.
    Reconcile {
        /// All that it wants.
        desired: Vec<RegisterCall>,
    },
    /// Schedule the app's agent.
    AddScheduled {
        /// As which kind.
        kind: ScheduledKind,
        /// What the user is shown; may be empty, which is refused at run time.
        description: String,
        /// From the call on; absent = as long as may be.
        expires: Option<Span>,
    },
    /// Take it off the schedule.
    RemoveScheduled {
        /// Which kind.
        kind: ScheduledKind,
    },
    /// Raise an application or media trigger.
    RequestRun {
        /// The registration's name.
        name: AskedName,
    },
    /// Raise a device-use trigger.
    RequestDevice {
        /// The registration's name.
        name: AskedName,
        /// The device.
        device: Subject,
        /// What the user answers if asked.
        consent: bool,
    },
    /// Raise a device-servicing trigger.
    RequestServicing {
        /// The registration's name.
        name: AskedName,
        /// The device.
        device: Subject,
        /// How long it will take; absent = unknown.
        expected: Option<Span>,
        /// What the user answers when asked.
        consent: bool,
    },
    /// Run a scheduled agent for test.
    LaunchForTest {
        /// Which kind.
        kind: ScheduledKind,
        /// From the call on.
        delay: Span,
    },
    /// The card has new content.
    UpdateCard,
    /// The app's registrations.
    List {
        /// Those of a group only; absent = those of none.
        group: Option<GroupId>,
    },
    /// What the app uses of its memory.
    MemoryUsage,
    /// The durable completion log.
    Outcomes,
}

impl Call {
    /// Its name in files and timelines.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::RequestAccess => "request-access",
            Self::RemoveAccess => "remove-access",
            Self::AccessStatus => "access-status",
            Self::Register(_) => "register",
            Self::Unregister { .. } => "unregister",
            Self::Reconcile { .. } => "reconcile",
            Self::AddScheduled { .. } => "add-scheduled",
            Self::RemoveScheduled { .. } => "remove-scheduled",
            Self::RequestRun { .. } => "request-run",
            Self::RequestDevice { .. } => "request-device",
            Self::RequestServicing { .. } => "request-servicing",
            Self::LaunchForTest { .. } => "launch-for-test",
            Self::UpdateCard => "update-card",
            Self::List { .. } => "list",
            Self::MemoryUsage => "memory-usage",
            Self::Outcomes => "outcomes",
        }
    }
}

/// A name as a call gives it. One that no registration can have is an answer of the call, not a fault of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedName {
    /// As it stands in the file.
    pub text: String,
    /// Parsed; absent where no registration can have such a name.
    pub task: Option<TaskName>,
}

/// The arguments of a `register` call.
#[derive(Debug, Clone)]
pub struct RegisterCall {
    /// The name as it stands in the file; empty where there is none. For the timeline.
    pub name: String,
    /// What is asked, or why that cannot be put to the machine at all. The access check comes before that answer.
    pub request: Result<RegistrationRequest, Unacceptable>,
}

/// Arguments that a client library or the local API refuses before the machine sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacceptable {
    /// [`ResultWord::Unsupported`] for a reserved trigger, else [`ResultWord::InvalidArgument`].
    pub result: ResultWord,
    /// Which argument, with dots.
    pub field: String,
    /// For people.
    pub message: String,
}

/// Readings that change together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetStep {
    /// In the order of `[readings]`; each level is `Known` or `Unknown`, none is the zone.
    pub readings: Vec<Reading>,
    /// The time zone, if it is among them.
    pub zone: Option<ZoneReading>,
}

/// What the watcher of the time zone reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ZoneReading {
    /// This zone.
    Known(ZoneName),
    /// Its source is down.
    Unknown,
}

/// A push that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushStep {
    /// Its id; `push-1`, `push-2`, … where the file gives none.
    pub id: PushId,
    /// Whose.
    pub app: AppId,
    /// Its body; `x` where the file gives none, because a body has a byte at least (PSH-08).
    pub payload: Vec<u8>,
    /// From its arrival on.
    pub ttl: Span,
    /// What becomes of it while it is held back.
    pub retention: Retention,
    /// How much it wants to be delivered.
    pub priority: Priority,
    /// Replaces an undelivered push of the same app and key.
    pub collapse_key: Option<Box<str>>,
}

/// What the operator chooses for an app; what is absent stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStep {
    /// For which.
    pub app: AppId,
    /// Card, lock screen, uploads, scheduled agents.
    pub choice: Choice,
    /// Its grant from now on; `Unspecified` = none.
    pub access: Option<AccessStatus>,
}

/// How the daemon or the device goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceStep {
    /// The daemon alone; runs go on and are adopted.
    Restart,
    /// Runs are told and get the grace.
    Reboot,
    /// Runs are lost.
    PowerCut,
    /// The device sleeps.
    Suspend,
}

impl DeviceStep {
    /// Its word in files.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Reboot => "reboot",
            Self::PowerCut => "power-cut",
            Self::Suspend => "suspend",
        }
    }
}

/// By how much the wall clock is stepped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockStep {
    /// It shows a later time.
    Forward(Span),
    /// It shows an earlier time.
    Back(Span),
}
