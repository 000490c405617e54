//! A life of one device as it is planned before it begins: everything that comes from outside, with its instant.
//!
//! What a plan does not say follows from it, so that leaving steps out changes nothing else: a plan can be shrunk.
//! Deliberately absent: chance.

use std::collections::BTreeMap;

use lull_policy::{
    AccessChoice, App, AppId, Choice, FrontState, Occurrence, Policy, Priority, Profile, Reading,
    Readings, RegistrationRequest, Retention, ScheduledKind, Source, Subject, TaskName,
};

use crate::agents::Behaviour;

/// Milliseconds in a second, a minute, an hour, a day.
pub(crate) const SECOND: u64 = 1_000;
pub(crate) const MINUTE: u64 = 60 * SECOND;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;
/// And in a week.
pub(crate) const WEEK: u64 = 7 * DAY;

/// What kind of weeks a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Little happens.
    Quiet,
    /// Much happens, nothing fails.
    Busy,
    /// Everything fails now and then.
    Faulty,
}

/// A life of one device.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Where it came from.
    pub(crate) seed: u64,
    /// What kind of weeks.
    pub(crate) kind: Kind,
    /// How long it is, in milliseconds.
    pub(crate) length: u64,
    /// The wall clock at its beginning, in milliseconds since the epoch.
    pub(crate) wall: u64,
    /// What the device is.
    pub(crate) profile: Profile,
    /// Its figures at the beginning.
    pub(crate) policy: Policy,
    /// What the world is like at the beginning.
    pub(crate) readings: Readings,
    /// What is installed at the beginning.
    pub(crate) apps: Vec<PlannedApp>,
    /// What happens, in order.
    pub(crate) steps: Vec<Planned>,
    /// Watchers report at once; else within seconds.
    pub(crate) prompt: bool,
    /// How long a commit takes at the beginning; 0 = none at all.
    pub(crate) commit: u64,
}

/// An app and how its runs go.
#[derive(Debug, Clone)]
pub(crate) struct PlannedApp {
    /// Its manifest.
    pub(crate) app: App,
    /// By run number of each task; the last repeats.
    pub(crate) behaviours: BTreeMap<TaskName, Vec<Behaviour>>,
}

/// A step and its instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Planned {
    /// Milliseconds since the beginning.
    pub(crate) at: u64,
    /// What happens.
    pub(crate) step: Step,
}

/// What can come from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The world changes.
    Set(Vec<Reading>),
    /// A source of readings fails, or is there again.
    Source { source: Source, up: bool },
    /// Something that is no reading.
    Occur(Occurrence),
    /// The app's front client, or the operator, asks for something.
    Ask { app: AppId, ask: Ask },
    /// A sender has a push for the app.
    Push(PlannedPush),
    /// The network delivers a push again that was delivered before.
    PushAgain(u32),
    /// The front client moves.
    Front { app: AppId, state: FrontState },
    /// A new version of the app is installed, or it is removed (absent).
    Installed { app: AppId, version: Option<u32> },
    /// The operator changes figures.
    Policy(Box<Policy>),
    /// The device, or its daemon, is away for a while.
    Down { how: Down, length: u64 },
    /// The wall clock is stepped.
    Clock(i64),
    /// The link to the coordinator breaks, or is there again.
    Link(bool),
    /// From now on a commit takes so long.
    Disk(u64),
    /// From now on the host comes so late to a deadline.
    Late(u64),
    /// The device is short of memory.
    MemoryShort,
}

/// How a device goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Down {
    /// The daemon is stopped: everything is written.
    Stop,
    /// The daemon is killed: what is not durable is lost, runs go on.
    Killed,
    /// The device shuts down in order.
    Reboot,
    /// The power is gone: what is not durable is lost, and every run. The commit under way is lost too, or not.
    PowerCut { torn: bool },
    /// It sleeps.
    Suspend,
}

/// What is asked of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// For access.
    Access,
    /// To drop it.
    RemoveAccess,
    /// To register.
    Register(Box<RegistrationRequest>),
    /// To unregister all of a name.
    Unregister { name: TaskName, cancel: bool },
    /// To schedule; the expiry counts from then.
    AddScheduled {
        kind: ScheduledKind,
        expires: Option<u64>,
    },
    /// To take off the schedule.
    RemoveScheduled(ScheduledKind),
    /// For a run for test.
    LaunchForTest { kind: ScheduledKind, delay: u64 },
    /// For a run of an application trigger.
    RequestRun(TaskName),
    /// For the use of a device.
    RequestDevice { name: TaskName, device: Subject },
    /// The operator chooses.
    Choose(Choice),
    /// The operator decides over access.
    SetAccess(Option<AccessChoice>),
}

/// A push as its sender means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedPush {
    /// Its number in this life.
    pub(crate) number: u32,
    /// For whom.
    pub(crate) app: AppId,
    /// How long it lives from then.
    pub(crate) life: u64,
    /// What becomes of it while it is held back.
    pub(crate) retention: Retention,
    /// How much it wants to be delivered.
    pub(crate) priority: Priority,
    /// What it replaces.
    pub(crate) collapse_key: Option<&'static str>,
}

impl Kind {
    /// In one word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Busy => "busy",
            Self::Faulty => "faulty",
        }
    }
}

impl Plan {
    /// Weeks, of which the last may be cut short.
    pub(crate) const fn weeks(&self) -> u64 {
        self.length.div_ceil(WEEK)
    }

    /// How run `number` (1, 2, …) of a task goes.
    pub(crate) fn behaviour(&self, app: &AppId, task: &TaskName, number: u64) -> Behaviour {
        let planned = self.apps.iter().find(|planned| planned.app.id == *app);
        let runs = planned.and_then(|planned| planned.behaviours.get(task));
        let runs = runs.map_or(&[][..], Vec::as_slice);
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        runs.get(index).or(runs.last()).cloned().unwrap_or_default()
    }
}
