//! The host of one machine in virtual time: hands it events, performs its effects on plain values, lets time pass.
//!
//! One instant is lived through in this order: the device comes up if it was down, what is done to it from outside (steps
//! of a scenario, calls of a test), the acts and ends of runs, quotas that are used up, the machine's own deadlines; again
//! until nothing more is due. The world watches every source, whatever the machine is interested in.
//!
//! Deliberately absent: decisions, and the words of scenario files and timelines.

mod behaviours;
mod clock;
mod follow;
mod meter;
mod numbers;
mod perform;
mod power;
mod record;
mod run;
mod runs;
mod time;
mod zone;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use lull_policy::{
    Answer, App, AppId, Bytes, CallId, Caller, CancelReason, Deadline, Device, Event, FrontState,
    HostKind, Key, Launch, Notice, Now, Observation, Occurrence, Policy, Profile, Reading,
    Readings, Receipt, ReceiptSeq, Record, Request, RunId, ScheduledKind, Source, Span, TaskName,
    Wall,
};

use crate::scenario::Interface;
pub(crate) use behaviours::Behaviours;
use clock::Clock;
use meter::Meters;
pub(crate) use numbers::Numbers;
use power::Power;
use run::VirtualRun;
pub(crate) use zone::{ZoneWatch, moment};

/// Most events of one instant: more means that machine and world chase each other for ever.
const EVENTS_PER_INSTANT: u32 = 100_000;

/// Something that happened, with the time since the device was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since the device was made; no clock step, suspend or boot moves it.
    pub at: Span,
    /// The device's wall clock then.
    pub wall: Wall,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A run was started.
    Started(Box<Launch>),
    /// A run was asked to cancel.
    AskedToCancel(RunId, CancelReason),
    /// A run was killed.
    Killed(RunId),
    /// Front clients were told something.
    Told(AppId, Notice),
    /// A receipt went up.
    Receipt(Receipt),
    /// The machine decided something.
    Observed(Box<Observation>),
    /// A run bound a socket to an interface, or was kept from it (INT-09).
    Bound {
        /// Whose.
        app: AppId,
        /// Which task's.
        task: TaskName,
        /// Which run.
        run: RunId,
        /// To which.
        interface: Interface,
        /// It could.
        allowed: bool,
    },
    /// A run tried to schedule itself (ACC-50).
    TriedToSchedule {
        /// Whose.
        app: AppId,
        /// As which kind.
        kind: ScheduledKind,
        /// What it was told; absent = nobody was there to answer.
        answer: Option<Box<Answer>>,
    },
}

/// What a world begins with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Beginning {
    /// The wall clock.
    pub(crate) wall: Wall,
    /// What the device is.
    pub(crate) profile: Profile,
    /// The node's own configuration.
    pub(crate) policy: Policy,
    /// What the watchers report; the zone is the zone watch's.
    pub(crate) readings: Readings,
    /// The time zone, where one is known.
    pub(crate) zone: Option<ZoneWatch>,
    /// What is installed.
    pub(crate) apps: Vec<App>,
    /// What the machine is told is recorded.
    pub(crate) recorded: bool,
    /// What a test broke of the machine.
    #[cfg(feature = "sabotage")]
    pub(crate) sabotage: lull_policy::Sabotage,
}

/// One device in its world.
#[derive(Debug, Clone)]
pub(crate) struct World {
    device: Device,
    /// The machine's deadline since the last event; looked up when it is asked for.
    deadline: Cell<Option<Deadline>>,
    store: BTreeMap<Key, Record>,
    clock: Clock,
    power: Power,
    profile: Profile,
    policy: Policy,
    /// As the watchers see it now, and as they have last told the machine.
    readings: Readings,
    reported: Readings,
    zone: Option<ZoneWatch>,
    apps: BTreeMap<AppId, App>,
    fronts: BTreeMap<AppId, FrontState>,
    debugged: BTreeSet<(AppId, TaskName)>,
    behaviours: Behaviours,
    numbers: Numbers,
    runs: BTreeMap<RunId, VirtualRun>,
    meters: Meters,
    /// The call that waits for its answer, and the answer.
    calls: u64,
    answer: Option<(CallId, Answer)>,
    /// The newest receipt that went up and is not acknowledged.
    receipt: Option<ReceiptSeq>,
    log: Vec<Entry>,
    /// What a node would have recorded, line by line; absent = nobody wants to know.
    recorded: Option<Vec<String>>,
    /// What a test broke of the machine: it stays broken over every restart.
    #[cfg(feature = "sabotage")]
    sabotage: lull_policy::Sabotage,
    /// A process of the daemon starts: it is told everything in an order of its own.
    booting: bool,
    /// Nothing is written into the log: the world is being set up.
    pub(crate) quiet: bool,
}

impl World {
    /// A device that boots for the first time.
    pub(crate) fn new(beginning: Beginning) -> Self {
        let mut world = Self::still(beginning);
        world.read_zone();
        world.record_start();
        world.boot();
        world.quiet = false;
        world
    }

    /// A device that has not booted yet.
    fn still(beginning: Beginning) -> Self {
        #[cfg_attr(
            not(feature = "sabotage"),
            expect(unused_mut, reason = "a broken machine is broken here")
        )]
        let mut world = Self {
            device: Device::new(),
            deadline: Cell::new(None),
            store: BTreeMap::new(),
            clock: Clock::starting(beginning.wall),
            power: Power::default(),
            profile: beginning.profile,
            policy: beginning.policy,
            readings: beginning.readings,
            reported: Readings::default(),
            zone: beginning.zone,
            apps: beginning
                .apps
                .into_iter()
                .map(|app| (app.id.clone(), app))
                .collect(),
            fronts: BTreeMap::new(),
            debugged: BTreeSet::new(),
            behaviours: Behaviours::default(),
            numbers: Numbers::default(),
            runs: BTreeMap::new(),
            meters: Meters::default(),
            calls: 0,
            answer: None,
            receipt: None,
            log: Vec::new(),
            recorded: beginning.recorded.then(Vec::new),
            #[cfg(feature = "sabotage")]
            sabotage: beginning.sabotage,
            booting: false,
            quiet: true,
        };
        #[cfg(feature = "sabotage")]
        world.device.sabotage(world.sabotage.clone());
        world
    }

    /// The machine, to look at. While the daemon is down it is as it was.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    fn deadline(&self) -> Deadline {
        let deadline = self.deadline.get();
        let deadline = deadline.unwrap_or_else(|| self.device.deadline());
        self.deadline.set(Some(deadline));
        deadline
    }

    /// The records as the daemon would have them on disk.
    pub(crate) fn store(&self) -> &BTreeMap<Key, Record> {
        &self.store
    }

    /// The generation of the policy in force; 0 = the node's own configuration.
    pub(crate) fn policy_generation(&self) -> u64 {
        match self.store.get(&Key::Device) {
            Some(Record::Device(device)) => device.policy_generation,
            _ => 0,
        }
    }

    /// The device's clocks.
    pub(crate) fn now(&self) -> Now {
        self.clock.now
    }

    /// Since the start.
    pub(crate) fn t(&self) -> Span {
        self.clock.t
    }

    /// How runs go.
    pub(crate) fn behaviours(&mut self) -> &mut Behaviours {
        &mut self.behaviours
    }

    /// The number of a run within its task, over restarts and registrations.
    pub(crate) fn number(&self, run: RunId) -> u64 {
        self.numbers.known(run)
    }

    /// The numbers of all runs.
    pub(crate) fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Where an app's front client stands.
    pub(crate) fn front(&self, app: &AppId) -> FrontState {
        self.fronts.get(app).copied().unwrap_or_default()
    }

    /// What an app declares, as it was last installed.
    pub(crate) fn app(&self, app: &AppId) -> Option<&App> {
        self.apps.get(app)
    }

    /// The oldest run of an app that is under way.
    pub(crate) fn run_of(&self, app: &AppId) -> Option<RunId> {
        let mut runs = self.runs.iter();
        runs.find(|(_, run)| run.launch.app == *app)
            .map(|(id, _)| *id)
    }

    /// The memory of a run: what it uses, and its cap.
    pub(crate) fn memory_of(&self, run: RunId) -> Option<(Bytes, Option<Bytes>)> {
        let run = self.runs.get(&run)?;
        Some((run.memory(), run.launch.memory))
    }

    /// What the runs in an app's own process use of its memory.
    pub(crate) fn memory_in_process(&self, app: &AppId) -> Bytes {
        let in_process = self
            .runs
            .values()
            .filter(|run| run.launch.app == *app && run.launch.host == HostKind::InProcess);
        Bytes(in_process.map(|run| run.memory().0).sum())
    }

    /// What happened since this was last asked.
    pub(crate) fn drain(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.log)
    }

    /// Everything that happened and was not drained.
    pub(crate) fn log(&self) -> &[Entry] {
        &self.log
    }

    /// Readings change together; what really changed is one event.
    pub(crate) fn set(&mut self, readings: impl IntoIterator<Item = Reading>) {
        for reading in readings {
            self.readings.put(reading);
        }
        if self.is_up() {
            self.report();
        }
    }

    /// Says what the watchers read after a sleep: nobody could follow how it came to be.
    fn report_anew(&mut self) {
        self.reported = self.readings;
        self.hand(Event::ReadingsAnew(all(&self.readings).collect()));
    }

    /// Says what changed since the watchers last reported.
    fn report(&mut self) {
        let now = all(&self.readings);
        let changed: Vec<Reading> = now
            .zip(all(&self.reported))
            .filter(|(now, before)| now != before)
            .map(|(now, _)| now)
            .collect();
        self.reported = self.readings;
        if !changed.is_empty() {
            self.hand(Event::Readings(changed));
        }
    }

    /// These apps are installed from now on.
    pub(crate) fn install(&mut self, app: App) {
        self.apps.insert(app.id.clone(), app);
        self.say_apps();
    }

    /// An app is installed no more.
    pub(crate) fn uninstall(&mut self, app: &AppId) {
        self.apps.remove(app);
        self.fronts.remove(app);
        self.say_apps();
    }

    fn say_apps(&mut self) {
        if self.is_up() {
            let apps = self.apps.values().cloned().collect();
            self.hand(Event::Apps(apps));
        }
    }

    /// Something that is no reading happens: lost where nobody is there to see it.
    pub(crate) fn occur(&mut self, what: Occurrence) {
        if self.is_up() {
            self.hand(Event::Occurred(what));
        }
    }

    /// A debugger comes to a task or leaves it.
    pub(crate) fn debug(&mut self, app: AppId, task: TaskName, attached: bool) {
        let session = (app.clone(), task.clone());
        if attached {
            self.debugged.insert(session);
        } else {
            self.debugged.remove(&session);
        }
        // While nobody is there to see it, this is what is found afterwards.
        self.occur(Occurrence::Debugger {
            app,
            task,
            attached,
        });
    }

    /// A front client comes into a state.
    pub(crate) fn set_front(&mut self, app: &AppId, state: FrontState) {
        self.fronts.insert(app.clone(), state);
        self.deliver(Event::FrontChanged {
            app: app.clone(),
            state,
        });
    }

    /// Any call; absent = nobody is there to answer.
    pub(crate) fn call(&mut self, caller: Caller, request: Request) -> Option<Answer> {
        if !self.is_up() {
            return None;
        }
        self.calls += 1;
        let call = CallId(self.calls);
        self.hand(Event::Call {
            call,
            caller,
            request,
        });
        let (answered, answer) = self.answer.take()?;
        (answered == call).then_some(answer)
    }

    /// A call that nobody waits for: now, or as soon as the daemon is up.
    pub(crate) fn ask(&mut self, caller: Caller, request: Request) {
        self.calls += 1;
        self.deliver(Event::Call {
            call: CallId(self.calls),
            caller,
            request,
        });
    }

    /// What the operator does: now, or as soon as the daemon is up.
    pub(crate) fn operate(&mut self, request: Request) {
        self.ask(Caller::Operator, request);
    }
}

/// Every reading, in a fixed order.
fn all(readings: &Readings) -> impl Iterator<Item = Reading> {
    let readings = *readings;
    Source::ALL
        .into_iter()
        .flat_map(move |source| readings.of(source))
}
