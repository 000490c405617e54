//! The host of one machine in virtual time: performs its effects on a world of plain values.

use std::collections::{BTreeMap, BTreeSet};

use lull_policy::{
    AgentDeclaration, Answer, App, AppId, CallId, Caller, Condition, Device, Elapsed, EntryPoint,
    Event, Exit, Key, Launch, Notice, Now, Outcome, Policy, Push, PushId, Reading, Readings,
    Receipt, Record, RegistrationRequest, Request, RunId, Running, Source, Span, TaskName,
    TaskType, Trigger, Wall,
};

use crate::Behaviour;

mod host;

use host::{apply, source};

/// Most events of one instant: more means that machine and world chase each other for ever.
const EVENTS_PER_INSTANT: u32 = 100_000;

/// Something that happened, with the time since the device was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Since [`VirtualDevice::new`].
    pub at: Span,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// A run was started.
    Started(Box<Launch>),
    /// A run was asked to cancel.
    AskedToCancel(RunId, lull_policy::CancelReason),
    /// A run was killed.
    Killed(RunId),
    /// Front clients were told something.
    Told(AppId, Notice),
    /// A receipt went up.
    Receipt(Receipt),
}

#[derive(Debug, Clone)]
struct VirtualRun {
    behaviour: Behaviour,
    ends: Option<(Running, Exit)>,
}

/// A device in virtual time.
#[derive(Debug, Clone)]
pub struct VirtualDevice {
    device: Device,
    store: BTreeMap<Key, Record>,
    now: Now,
    world: Readings,
    watched: BTreeSet<Source>,
    apps: BTreeMap<AppId, App>,
    behaviours: BTreeMap<EntryPoint, Behaviour>,
    runs: BTreeMap<RunId, VirtualRun>,
    answers: BTreeMap<CallId, Answer>,
    calls: u64,
    boots: u64,
    timeline: Vec<Entry>,
}

impl Default for VirtualDevice {
    fn default() -> Self {
        Self::new()
    }
}

/// 2026-03-02T08:00:00Z: where every virtual device's wall clock starts.
const START: Wall = Wall::from_millis(1_772_438_400_000);

impl VirtualDevice {
    /// A device that has just booted for the first time, with every reading unknown.
    pub fn new() -> Self {
        let now = Now {
            running: Running::default(),
            elapsed: Elapsed::default(),
            wall: START,
        };
        let mut device = Self {
            device: Device::new(),
            store: BTreeMap::new(),
            now,
            world: Readings::default(),
            watched: BTreeSet::new(),
            apps: BTreeMap::new(),
            behaviours: BTreeMap::new(),
            runs: BTreeMap::new(),
            answers: BTreeMap::new(),
            calls: 0,
            boots: 1,
            timeline: Vec::new(),
        };
        device.boot();
        device
    }

    /// The machine itself, to look at.
    pub fn machine(&self) -> &Device {
        &self.device
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        self.now
    }

    /// Everything that happened so far.
    pub fn timeline(&self) -> &[Entry] {
        &self.timeline
    }

    /// Installs an app whose manifest declares these entry points for every task type.
    pub fn install(&mut self, app: &str, version: &str, entry_points: &[&str]) {
        let types = vec![
            TaskType::General,
            TaskType::SystemEvent,
            TaskType::Timer,
            TaskType::PushNotification,
        ];
        let agents = entry_points.iter().map(|name| AgentDeclaration {
            entry_point: entry_point(name),
            types: types.clone(),
            memory: None,
            time: None,
        });
        let app = App {
            id: app_id(app),
            version: version.to_owned(),
            agents: agents.collect(),
        };
        self.install_app(app);
    }

    /// Installs an app with a manifest of its own making.
    pub fn install_app(&mut self, app: App) {
        self.apps.insert(app.id.clone(), app);
        self.handle(Event::Apps(self.apps.values().cloned().collect()));
    }

    /// Removes an app.
    pub fn uninstall(&mut self, app: &str) {
        self.apps.remove(&app_id(app));
        self.handle(Event::Apps(self.apps.values().cloned().collect()));
    }

    /// Says how the runs of an entry point go from now on.
    pub fn behave(&mut self, entry: &str, behaviour: Behaviour) {
        self.behaviours.insert(entry_point(entry), behaviour);
    }

    /// Puts a policy into force.
    pub fn set_policy(&mut self, policy: Policy) {
        self.handle(Event::PolicyChanged(policy));
    }

    /// Lets the app ask for background access; answers what it was told.
    pub fn allow(&mut self, app: &str) -> Answer {
        let app = app_id(app);
        self.call_front(&app.clone(), Request::RequestAccess { app })
    }

    /// Registers a task from the app's foreground.
    pub fn register(
        &mut self,
        app: &str,
        name: &str,
        entry: &str,
        trigger: Trigger,
        conditions: &[Condition],
    ) -> Answer {
        let registration = RegistrationRequest {
            name: task_name(name),
            entry_point: entry_point(entry),
            trigger,
            conditions: conditions.to_vec(),
            cancel_on_condition_loss: false,
            replace: false,
        };
        let app = app_id(app);
        self.call_front(&app.clone(), Request::Register { app, registration })
    }

    /// A call from the app's foreground.
    pub fn call_front(&mut self, app: &AppId, request: Request) -> Answer {
        self.call(
            Caller::Front {
                app: app.clone(),
                foreground: true,
            },
            request,
        )
    }

    /// Any call; its answer.
    ///
    /// # Panics
    /// If the machine does not answer, which it must.
    pub fn call(&mut self, caller: Caller, request: Request) -> Answer {
        self.calls += 1;
        let call = CallId(self.calls);
        self.handle(Event::Call {
            call,
            caller,
            request,
        });
        #[expect(
            clippy::expect_used,
            reason = "a call without an answer is a fault of the machine"
        )]
        self.answers
            .remove(&call)
            .expect("the machine answers every call at once")
    }

    /// A push of the app arrives, with 3 days to live.
    ///
    /// # Panics
    /// If `id` is no push id.
    pub fn push(&mut self, app: &str, id: &str, payload: &[u8]) {
        let expires = self.now.wall.after(Span::days(3));
        #[expect(clippy::expect_used, reason = "the test's own text")]
        let id = PushId::new(id).expect("a push id");
        self.handle(Event::PushArrived(Push {
            id,
            app: app_id(app),
            payload: payload.to_vec(),
            expires,
        }));
    }

    /// The world changes; the machine hears of it if it watches that source.
    pub fn set(&mut self, readings: &[Reading]) {
        for reading in readings {
            apply(&mut self.world, *reading);
        }
        let heard: Vec<_> = readings
            .iter()
            .copied()
            .filter(|reading| self.watched.contains(&source(*reading)))
            .collect();
        if !heard.is_empty() {
            self.handle(Event::Readings(heard));
        }
    }

    /// Time passes, deadline by deadline; what falls exactly on the end is still handled.
    pub fn advance(&mut self, span: Span) {
        let end = Now {
            running: self.now.running.after(span),
            elapsed: self.now.elapsed.after(span),
            wall: self.now.wall.after(span),
        };
        while let Some(step) = self
            .next_step()
            .filter(|step| self.now.elapsed.after(*step) <= end.elapsed)
        {
            self.pass(step);
            self.end_due_runs();
            self.handle(Event::DeadlineReached);
        }
        self.pass(end.elapsed.since(self.now.elapsed));
    }

    /// The daemon dies and comes back at once; its agents live on.
    pub fn restart(&mut self) {
        self.device = Device::restore(self.store.values().cloned());
        self.watched.clear();
        self.boot();
    }

    /// The device loses power and boots again at once: all runs are gone, both boot clocks start anew.
    pub fn power_cut(&mut self) {
        self.runs.clear();
        self.boots += 1;
        self.now = Now {
            running: Running::default(),
            elapsed: Elapsed::default(),
            wall: self.now.wall,
        };
        self.restart();
    }

    /// How often a task was started.
    pub fn starts(&self, app: &str, task: &str) -> usize {
        let (app, task) = (app_id(app), task_name(task));
        let starts = self.timeline.iter().filter(|entry| match &entry.what {
            Happening::Started(launch) => launch.app == app && launch.task == task,
            _ => false,
        });
        starts.count()
    }

    /// How the runs of a task ended, oldest first, as far as the device keeps them.
    pub fn outcomes(&self, app: &str, task: &str) -> Vec<Outcome> {
        let (app, task) = (app_id(app), task_name(task));
        let runs = self
            .device
            .finished()
            .filter(|run| run.app == app && run.task == task);
        runs.map(|run| run.outcome).collect()
    }

    /// The records as the daemon would have them on disk.
    pub fn store(&self) -> &BTreeMap<Key, Record> {
        &self.store
    }
}

#[expect(
    clippy::expect_used,
    reason = "the test's own text; a wrong one should stop the test here"
)]
fn app_id(text: &str) -> AppId {
    AppId::new(text).expect("an app id")
}

#[expect(
    clippy::expect_used,
    reason = "the test's own text; a wrong one should stop the test here"
)]
fn entry_point(text: &str) -> EntryPoint {
    EntryPoint::new(text).expect("an entry point")
}

#[expect(
    clippy::expect_used,
    reason = "the test's own text; a wrong one should stop the test here"
)]
fn task_name(text: &str) -> TaskName {
    TaskName::new(text).expect("a task name")
}
