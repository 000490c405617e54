//! Everything the outside can say to the machine. A closed enum: a new event is a compile error where it matters.

use serde::{Deserialize, Serialize};

use crate::{
    App, AppId, BootId, CallId, ChannelActivity, Exit, FrontState, Policy, Profile, Push, PushId,
    Reading, ReceiptSeq, RegistrationId, RegistrationRequest, Report, Resource, RunId, Sample,
    ScheduledKind, SocketActivity, Span, Subject, TaskName, Usage, Wall,
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
    /// What the watchers read after a time in which nobody could follow (suspend): levels without edges.
    ReadingsAnew(Vec<Reading>),
    /// All apps whose manifests are installed and valid now; the machine derives what changed.
    Apps(Vec<App>),
    /// What the device is; said before anything that depends on it.
    ProfileChanged(Profile),
    /// The node's own configuration of the policy. It counts until a document of the fleet has come.
    PolicyChanged(Policy),
    /// A policy document of the fleet, verified by the host. One that is not newer than the one in force is passed
    /// over.
    PolicyDocument {
        /// Its generation, from 1.
        generation: u64,
        /// What it says.
        policy: Policy,
    },
    /// An app's front client came into another state.
    FrontChanged {
        /// Whose.
        app: AppId,
        /// Which.
        state: FrontState,
    },
    /// Something that is no reading happened.
    Occurred(Occurrence),
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
    /// The host's answer to an offered push where no client of the app takes one (PSH-10); a client answers by
    /// [`Request::AnswerPush`].
    PushAnswered {
        /// Which.
        push: PushId,
        /// The app did with it what there was to do: no task runs.
        handled: bool,
    },
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
    /// What a run used since the last sample.
    RunSampled {
        /// Which.
        run: RunId,
        /// What.
        sample: Sample,
    },
    /// What was set by [`Effect::Meter`](crate::Effect::Meter) is used up.
    QuotaSpent {
        /// Whose.
        app: AppId,
        /// Which.
        resource: Resource,
    },
    /// The whole device is short of memory (RUN-14).
    MemoryShort,
    /// The device shuts down: runs are asked to end, nothing begins.
    ShuttingDown,
    /// A deadline of [`Device::deadline`](crate::Device::deadline) came, or the host looks in.
    DeadlineReached,
    /// The wall clock was stepped.
    ClockStepped,
}

/// Something that is no reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occurrence {
    /// A text message came in (TRG-04).
    SmsReceived {
        /// For one app only; absent = for all.
        app: Option<AppId>,
    },
    /// A control channel was reset (TRG-08).
    ControlChannelReset {
        /// Whose; absent = everybody's.
        app: Option<AppId>,
    },
    /// The online identity changed (TRG-03).
    OnlineIdChanged,
    /// The user logs off: trigger tasks are asked to cancel (RUN-16).
    LogOff {
        /// Of one app only; absent = of all.
        app: Option<AppId>,
    },
    /// Something happened on a socket (TRGD-16).
    Socket {
        /// Whose.
        app: AppId,
        /// Which.
        id: Subject,
        /// What.
        activity: SocketActivity,
    },
    /// Something happened on a control channel (TRGD-10).
    Channel {
        /// Whose.
        app: AppId,
        /// Which.
        id: Subject,
        /// What.
        activity: ChannelActivity,
    },
    /// A device arrived or left.
    Device {
        /// Which.
        device: Subject,
        /// It is there.
        present: bool,
    },
    /// Something below a watched path changed (TRG-48).
    FilesChanged {
        /// Whose watch.
        app: AppId,
        /// The path.
        path: Subject,
    },
    /// A maker-defined event of the bus (TRG-47).
    Bus {
        /// For whom.
        app: AppId,
        /// Its name.
        event: Subject,
    },
    /// A debugger came to a task or left it (RES-22).
    Debugger {
        /// Whose.
        app: AppId,
        /// Which.
        task: TaskName,
        /// It is attached.
        attached: bool,
    },
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
    /// Ask for a kind of access that somebody has to decide on (ACC-10).
    RequestAccessKind {
        /// For which app.
        app: AppId,
        /// Which kind.
        kind: AccessKind,
        /// Why, for whoever decides; at most [`bounds::MESSAGE`](crate::bounds::MESSAGE) bytes.
        reason: String,
    },
    /// Make the app's ungrouped registrations these (ACC-32).
    Reconcile {
        /// For which app.
        app: AppId,
        /// All that it wants.
        desired: Vec<RegistrationRequest>,
    },
    /// Answer to a push that was offered to the app (PSH-10).
    AnswerPush {
        /// Which app.
        app: AppId,
        /// Which push.
        push: PushId,
        /// As in [`Event::PushAnswered`].
        handled: bool,
    },
    /// Schedule the app's agent (ACC-42); from the foreground only.
    AddScheduled {
        /// For which app.
        app: AppId,
        /// As which kind.
        kind: ScheduledKind,
        /// What the user is shown (ACC-46).
        description: String,
        /// Until when; absent = as long as may be (EXP-02).
        expires: Option<Wall>,
    },
    /// Take it off the schedule (ACC-47); from the foreground only.
    RemoveScheduled {
        /// For which app.
        app: AppId,
        /// Which kind.
        kind: ScheduledKind,
    },
    /// Run a scheduled agent for test (MNG-14).
    LaunchForTest {
        /// For which app.
        app: AppId,
        /// Which kind.
        kind: ScheduledKind,
        /// After so long.
        delay: Span,
    },
    /// Fire a registration by hand (MNG-13); the operator, in developer mode.
    DebugFire {
        /// For which app.
        app: AppId,
        /// Which.
        id: RegistrationId,
    },
    /// Raise a device-use trigger (TRGD-30).
    RequestDevice {
        /// For which app.
        app: AppId,
        /// The registration's name.
        name: TaskName,
        /// The device.
        device: Subject,
        /// What the user answered when asked; once given it holds (TRGD-32).
        consent: bool,
    },
    /// Raise a device-servicing trigger (TRGD-34).
    RequestServicing {
        /// For which app.
        app: AppId,
        /// The registration's name.
        name: TaskName,
        /// The device.
        device: Subject,
        /// How long it will take; absent = unknown.
        expected: Option<Span>,
        /// What the user answered when asked, this time (TRGD-35).
        consent: bool,
    },
    /// The user lets the app use a device, until it is taken back (TRGD-32); by the operator.
    GiveConsent {
        /// Which app.
        app: AppId,
        /// Which device.
        device: Subject,
    },
    /// The user no longer lets the app use a device (TRGD-32).
    RevokeConsent {
        /// Which app.
        app: AppId,
        /// Which device.
        device: Subject,
    },
    /// The app's card has new content; by its agent it may renew its schedule (EXP-04, EXP-05).
    UpdateCard {
        /// For which app.
        app: AppId,
    },
    /// What the operator chooses for an app; what is absent stays.
    Choose {
        /// For which app.
        app: AppId,
        /// What.
        choice: Choice,
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
    /// The device itself denies it, until the app asks again (AMB-22).
    DeniedBySystem,
}

/// A kind of access, with the rule book's numbers (ACC-10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessKind {
    /// 0: runs in Battery Saver too.
    AlwaysAllowed,
    /// 1: the system manages it.
    AllowedSubjectToSystemPolicy,
}

/// What an operator chooses for an app, in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    /// Its card is pinned (EXP-04).
    pub pinned: Option<bool>,
    /// It is chosen for the lock screen (EXP-05, TRG-10, TRG-11).
    pub lock_screen: Option<bool>,
    /// It uploads photos by itself (EXP-06).
    pub auto_upload: Option<bool>,
    /// Its scheduled agents are switched off (MNG-07).
    pub agents_disabled: Option<bool>,
}

/// What an operator chose for an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent answer of its own"
)]
pub struct Choices {
    /// Which app.
    pub app: AppId,
    /// Its card is pinned (EXP-04).
    pub pinned: bool,
    /// It is chosen for the lock screen (EXP-05).
    pub lock_screen: bool,
    /// It uploads photos by itself (EXP-06).
    pub auto_upload: bool,
    /// Its scheduled agents are switched off (MNG-07).
    pub agents_disabled: bool,
}
