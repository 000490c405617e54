//! A registration: one trigger, any number of conditions, immutable once made (ACC-20 to ACC-25).

use serde::{Deserialize, Serialize};

use crate::{
    AppId, Elapsed, EntryPoint, GroupId, Outcome, PushId, Reasons, RegistrationId, Subject,
    TaskName, Trigger, Wall,
};

/// The rule book's conditions (CND-20 to CND-27), all joined by AND.
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
    /// 7 (CND-26).
    FreeNetworkAvailable,
    /// 8 (CND-27).
    BackgroundWorkCostNotHigh,
}

impl Condition {
    /// The rule book's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::UserPresent => 1,
            Self::UserNotPresent => 2,
            Self::InternetAvailable => 3,
            Self::InternetNotAvailable => 4,
            Self::SessionConnected => 5,
            Self::SessionDisconnected => 6,
            Self::FreeNetworkAvailable => 7,
            Self::BackgroundWorkCostNotHigh => 8,
        }
    }
}

/// What an app asks to have registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent answer of its own"
)]
pub struct RegistrationRequest {
    /// Its name for it.
    pub name: TaskName,
    /// The agent to run, declared in the manifest (MAN-01); absent = in the app's own process (ACC-21, MAN-02).
    pub entry_point: Option<EntryPoint>,
    /// What fires it.
    pub trigger: Trigger,
    /// What must hold before it runs. At most [`bounds::CONDITIONS`](crate::bounds::CONDITIONS).
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Losing a condition during a run cancels it (CND-05).
    #[serde(default)]
    pub cancel_on_condition_loss: bool,
    /// The network stays up during a run, in standby too (RUN-30).
    #[serde(default)]
    pub network_requested: bool,
    /// Its group, if it is in one (MNG-03).
    #[serde(default)]
    pub group: Option<GroupId>,
    /// Replace registrations of the same name in one step (ACC-27).
    #[serde(default)]
    pub replace: bool,
    /// Only say whether it would be accepted (ACC-30).
    #[serde(default)]
    pub dry_run: bool,
}

impl RegistrationRequest {
    /// A request with every flag at its default (ACC-24).
    pub const fn new(name: TaskName, entry_point: Option<EntryPoint>, trigger: Trigger) -> Self {
        Self {
            name,
            entry_point,
            trigger,
            conditions: Vec::new(),
            cancel_on_condition_loss: false,
            network_requested: false,
            group: None,
            replace: false,
            dry_run: false,
        }
    }
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
    /// The agent it runs; absent = in the app's own process.
    pub entry_point: Option<EntryPoint>,
    /// What fires it.
    pub trigger: Trigger,
    /// What must hold before it runs; sorted, no doubles.
    pub conditions: Vec<Condition>,
    /// Losing a condition during a run cancels it (CND-05).
    pub cancel_on_condition_loss: bool,
    /// The network stays up during a run, in standby too (RUN-30).
    #[serde(default)]
    pub network_requested: bool,
    /// Its group, if it is in one (MNG-03).
    #[serde(default)]
    pub group: Option<GroupId>,
    /// When it was made.
    pub registered_at: Wall,
    /// A one-shot that has started (AMB-35).
    pub spent: bool,
    /// When a timer falls due next, on the boot clock of the boot it was written in. For a periodic agent the middle of
    /// the window in which it starts next (AMB-04).
    pub due: Option<Elapsed>,
    /// A timer starts no earlier than this, on the same clock: two starts are never closer than the floor
    /// (AMB-44).
    #[serde(default)]
    pub not_before: Option<Elapsed>,
    /// The firing that waits, if one does (CND-03).
    pub latch: Option<Latch>,
    /// Pushes waiting for a run, oldest first. At most `Policy::push_queue`.
    pub queue: Vec<QueuedPush>,
    /// Other arrivals with something to tell, oldest first (AMB-12). At most
    /// [`bounds::ARRIVALS`](crate::bounds::ARRIVALS).
    #[serde(default)]
    pub arrivals: Vec<Arrived>,
    /// What held its firings back when that was last looked at.
    #[serde(default)]
    pub held_by: Reasons,
    /// Runs so far.
    pub runs: u64,
    /// When its last run began.
    #[serde(default)]
    pub last_run: Option<Wall>,
    /// What a scheduled task has beyond a registration.
    #[serde(default)]
    pub schedule: Option<Box<Schedule>>,
}

/// Whether a scheduled task still runs, and why not (MNG-06).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheduling {
    /// It runs when it is due.
    Scheduled,
    /// Its life is over (EXP-01).
    Expired,
    /// It said that it cannot do its work (RUN-43).
    Aborted,
    /// It crashed too often in a row (CRS-01).
    Crashed,
}

/// What a scheduled task has beyond a registration (sections 6 to 9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// What the user is shown (ACC-46).
    pub description: String,
    /// Whether it still runs.
    pub scheduling: Scheduling,
    /// After this it never runs (EXP-01).
    pub expires: Wall,
    /// Crashes in a row (CRS-01, AMB-16).
    pub crashes: u32,
    /// When it was last scheduled to run (PER-09).
    pub last_scheduled: Option<Wall>,
    /// How its last run ended (PER-09, CRS-06).
    pub last_exit: Option<Outcome>,
    /// Its expiry counts; not while its app uploads photos by itself (EXP-06).
    pub mortal: bool,
    /// The stretch of eligibility in which it last ran (AMB-28).
    pub stretch: Option<u64>,
    /// When a launch for test is due (MNG-14).
    pub test: Option<Elapsed>,
}

/// A firing that has no run yet (CND-03).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latch {
    /// When it fired, on the wall clock, for people.
    pub since: Wall,
    /// Its number in the ledger.
    pub firing: u64,
    /// A launch for test: schedule and start conditions do not count (AMB-38).
    #[serde(default)]
    pub test: bool,
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

/// An arrival that waits for a run of this registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// What it tells.
    pub details: Details,
    /// When it came.
    pub since: Wall,
    /// Its number in the ledger.
    pub firing: u64,
}

/// What a run is told of its firing (TRGC-04). Empty for timers and edges.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Details {
    /// A text message came in.
    Sms,
    /// Something happened on a socket (TRGD-16).
    Socket {
        /// Which.
        id: Subject,
        /// What.
        activity: SocketActivity,
    },
    /// Something happened on a control channel (TRGD-10).
    Channel {
        /// Which.
        id: Subject,
        /// What.
        activity: ChannelActivity,
    },
    /// A device arrived or left (TRG-46), or is the one to be used or serviced.
    Device {
        /// Which.
        device: Subject,
        /// It is there.
        present: bool,
    },
    /// Something below the path changed (TRG-48).
    Files {
        /// The path.
        path: Subject,
    },
    /// The event of the bus (TRG-47).
    Bus {
        /// Its name.
        event: Subject,
    },
}

/// What happened on a socket, with the rule book's numbers (TRGD-16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SocketActivity {
    /// 1.
    Activity,
    /// 2.
    Accepted,
    /// 3.
    KeepAlive,
    /// 4.
    Closed,
}

impl SocketActivity {
    /// The rule book's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Activity => 1,
            Self::Accepted => 2,
            Self::KeepAlive => 3,
            Self::Closed => 4,
        }
    }
}

/// What happened on a control channel (TRGD-10, TRG-08).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelActivity {
    /// A message came.
    Message,
    /// The keep-alive fell due.
    KeepAlive,
    /// The connection was torn down and replaced.
    Reset,
}
