//! The virtual device of Rust tests: a world whose readings, apps and runs a test sets one by one.

use std::collections::BTreeMap;

use lull_policy::{
    AgentDeclaration, Answer, App, AppId, Caller, Condition, Device, EntryPoint, Event, FrontState,
    Key, Now, Outcome, Policy, Priority, Profile, Push, PushId, Reading, Record,
    RegistrationRequest, Request, Retention, Signer, Span, TaskName, TaskType, Trigger, Wall,
    usual_capabilities,
};

use crate::world::{Beginning, World};
use crate::{Behaviour, Entry, Happening};

/// A device in virtual time.
#[derive(Debug, Clone)]
pub struct VirtualDevice {
    world: World,
}

impl Default for VirtualDevice {
    fn default() -> Self {
        Self::new()
    }
}

/// 2026-03-02T08:00:00Z: where every virtual device's wall clock starts.
const START: Wall = Wall::from_millis(1_772_438_400_000);

/// Every task type that an app can register for; audio agents share a cap and stand apart (RES-06).
const TYPES: [TaskType; 8] = [
    TaskType::General,
    TaskType::SystemEvent,
    TaskType::Timer,
    TaskType::PushNotification,
    TaskType::ControlChannel,
    TaskType::DeviceUse,
    TaskType::DeviceServicing,
    TaskType::MediaProcessing,
];

impl VirtualDevice {
    /// A device that has just booted for the first time, with every reading unknown.
    pub fn new() -> Self {
        Self::with_profile(Profile::default())
    }

    /// The same, of a kind and a memory of its own.
    pub fn with_profile(profile: Profile) -> Self {
        Self {
            world: World::new(Beginning {
                wall: START,
                profile,
                ..Beginning::default()
            }),
        }
    }

    /// The machine itself, to look at.
    pub fn machine(&self) -> &Device {
        self.world.device()
    }

    /// The present moment.
    pub fn now(&self) -> Now {
        self.world.now()
    }

    /// Everything that happened so far.
    pub fn timeline(&self) -> &[Entry] {
        self.world.log()
    }

    /// Installs an app whose manifest declares these entry points for every task type.
    pub fn install(&mut self, app: &str, version: &str, entry_points: &[&str]) {
        let agents = entry_points.iter().map(|name| AgentDeclaration {
            entry_point: entry_point(name),
            types: TYPES.to_vec(),
            memory: None,
            time: None,
            multiple_instances: false,
            resource_group: None,
        });
        let app = App {
            id: app_id(app),
            version: version.to_owned(),
            agents: agents.collect(),
            capabilities: usual_capabilities(),
            signed_by: Signer::None,
        };
        self.install_app(app);
    }

    /// Installs an app with a manifest of its own making.
    pub fn install_app(&mut self, app: App) {
        self.world.install(app);
        self.world.settle();
    }

    /// Removes an app.
    pub fn uninstall(&mut self, app: &str) {
        self.world.uninstall(&app_id(app));
        self.world.settle();
    }

    /// Says how the runs of an entry point go from now on.
    pub fn behave(&mut self, entry: &str, behaviour: Behaviour) {
        let behaviours = self.world.behaviours();
        behaviours.of_entry_point(entry_point(entry), behaviour);
    }

    /// Says how the runs of a task go from now on, by run number from 1; the last repeats.
    pub fn behave_as(&mut self, app: &str, task: &str, runs: &[Behaviour]) {
        let behaviours = self.world.behaviours();
        behaviours.of_task(app_id(app), task_name(task), runs.to_vec());
    }

    /// Puts a policy into force.
    pub fn set_policy(&mut self, policy: Policy) {
        self.world.deliver(Event::PolicyChanged(policy));
    }

    /// Lets the app ask for background access; answers what it was told.
    ///
    /// # Panics
    /// As [`VirtualDevice::call`].
    pub fn allow(&mut self, app: &str) -> Answer {
        let app = app_id(app);
        self.call_front(&app.clone(), Request::RequestAccess { app })
    }

    /// Registers a task from the app's foreground.
    ///
    /// # Panics
    /// As [`VirtualDevice::call`].
    pub fn register(
        &mut self,
        app: &str,
        name: &str,
        entry: &str,
        trigger: Trigger,
        conditions: &[Condition],
    ) -> Answer {
        let entry_point = Some(entry_point(entry));
        let registration = RegistrationRequest {
            conditions: conditions.to_vec(),
            ..RegistrationRequest::new(task_name(name), entry_point, trigger)
        };
        let app = app_id(app);
        self.call_front(&app.clone(), Request::Register { app, registration })
    }

    /// A call from the app's foreground.
    ///
    /// # Panics
    /// As [`VirtualDevice::call`].
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
        #[expect(
            clippy::expect_used,
            reason = "a call without an answer is a fault of the machine"
        )]
        self.world
            .call(caller, request)
            .expect("the machine answers every call at once")
    }

    /// The app's own process comes into another state.
    pub fn front(&mut self, app: &str, state: FrontState) {
        self.world.set_front(&app_id(app), state);
    }

    /// A push of the app arrives, with 3 days to live.
    ///
    /// # Panics
    /// If `id` is no push id.
    pub fn push(&mut self, app: &str, id: &str, payload: &[u8]) {
        #[expect(clippy::expect_used, reason = "the test's own text")]
        let id = PushId::new(id).expect("a push id");
        self.handle(Event::PushArrived(Push {
            id,
            app: app_id(app),
            payload: payload.to_vec(),
            expires: self.world.now().wall.after(Span::days(3)),
            retention: Retention::Queue,
            priority: Priority::Low,
            collapse_key: None,
        }));
    }

    /// The world changes; what really changed is one event.
    pub fn set(&mut self, readings: &[Reading]) {
        self.world.set(readings.iter().copied());
    }

    /// Anything else that a host can say.
    pub fn handle(&mut self, event: Event) {
        self.world.deliver(event);
    }

    /// Time passes, deadline by deadline; what falls exactly on the end is still handled.
    pub fn advance(&mut self, span: Span) {
        self.world.advance_to(self.world.t().saturating_add(span));
    }

    /// The daemon dies and comes back at once; its agents live on.
    pub fn restart(&mut self) {
        self.world.restart(Span::ZERO);
    }

    /// The device loses power and boots again at once: all runs are gone, both boot clocks start anew.
    pub fn power_cut(&mut self) {
        self.world.power_cut(Span::ZERO);
    }

    /// How often a task was started.
    pub fn starts(&self, app: &str, task: &str) -> usize {
        let (app, task) = (app_id(app), task_name(task));
        let starts = self.timeline().iter().filter(|entry| match &entry.what {
            Happening::Started(launch) => launch.app == app && launch.task == task,
            _ => false,
        });
        starts.count()
    }

    /// How the runs of a task ended, oldest first, as far as the device keeps them.
    pub fn outcomes(&self, app: &str, task: &str) -> Vec<Outcome> {
        let (app, task) = (app_id(app), task_name(task));
        let runs = self
            .machine()
            .finished()
            .filter(|run| run.app == app && run.task == task);
        runs.map(|run| run.outcome).collect()
    }

    /// The records as the daemon would have them on disk.
    pub fn store(&self) -> &BTreeMap<Key, Record> {
        self.world.store()
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
