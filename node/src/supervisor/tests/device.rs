//! A whole device: a real machine with its store and clock over a real launcher, and two apps whose agents are shell scripts.

use std::path::Path;

use actix::Arbiter;
use lull_policy::*;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::super::*;
use super::stage::{PATIENCE, Scripts, cages_name, launcher_command};
use crate::broker::Broker;
use crate::clock::System;
use crate::engine::{EngineHandle, Setting, channels};
use crate::fronts::Fronts;
use crate::ports::look;
use crate::store::{Store, StoreConfig};

/// The device.
pub(super) struct WholeDevice {
    pub(super) door: EngineRef,
    pub(super) board: Arc<StatusBoard>,
    scripts: Arc<Scripts>,
    clock: ClockRef,
    serving: JoinHandle<Result<(), SupervisorError>>,
    folder: TempDir,
}

/// Each app has one trigger of a kind at most (ACC-26), so the tasks that are to run side by side are of two apps.
fn app_of(task: &str) -> AppId {
    AppId::new(if task == "other" { "mail" } else { "photos" }).unwrap()
}

impl WholeDevice {
    /// A device on external power with this policy.
    pub(super) async fn new(arbiter: &Arbiter, policy: Policy) -> Self {
        Self::with_launcher(arbiter, policy, |command| command).await
    }

    /// As [`Self::new`], with another command for the launcher.
    pub(super) async fn with_launcher(
        arbiter: &Arbiter,
        policy: Policy,
        command: impl FnOnce(Vec<String>) -> Vec<String>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("launcher.sock");
        let clock: ClockRef = Arc::new(System::new().unwrap());
        let board = Arc::new(StatusBoard::new());
        let store = StoreConfig::at(folder.path().join("store.sqlite3"));
        let opened = Store::open(store, Arc::clone(&clock)).unwrap();
        let (orders, queues) = channels();
        let setting = Setting {
            clock: Arc::clone(&clock),
            store: opened.store,
            contents: opened.contents,
            orders,
            board: Arc::clone(&board),
        };
        let door = EngineHandle::start(&arbiter.handle(), setting)
            .unwrap()
            .door();
        let scripts = Arc::new(Scripts::default());
        let catalog: Arc<dyn AgentCatalog> = Arc::<Scripts>::clone(&scripts);
        let supervisor = Supervisor::start(Setup {
            engine: Arc::clone(&door),
            catalog,
            clock: Arc::clone(&clock),
            board: Arc::clone(&board),
            launcher_command: command(launcher_command(&socket)),
            launcher_socket: socket,
            cages: cages_name(),
            broker: Broker::new(Arc::clone(&door), Arc::clone(&clock), Arc::clone(&board)),
            fronts: Fronts::default(),
            local_socket: folder.path().join("local.sock"),
        })
        .await
        .unwrap();
        let runs = supervisor.held();
        door.commit(Event::RunsHeld { runs }).await.unwrap();
        let device = Self {
            door,
            board,
            scripts,
            clock,
            serving: tokio::spawn(supervisor.serve(queues.launches, queues.stops)),
            folder,
        };
        device.tell(Event::PolicyChanged(policy)).await;
        device.external_power(true).await;
        let photos = installed("photos", &["work", "pushed"]);
        let mail = installed("mail", &["other"]);
        device.tell(Event::Apps(vec![photos, mail])).await;
        for app in ["work", "other"].map(app_of) {
            device.ask(Request::RequestAccess { app }).await;
        }
        device
    }

    pub(super) async fn tell(&self, event: Event) {
        self.door.commit(event).await.unwrap();
    }

    pub(super) async fn external_power(&self, there: bool) {
        let readings = vec![
            Reading::ExternalPower(Level::Known(there)),
            Reading::BatterySaver(Level::Known(false)),
        ];
        self.tell(Event::Readings(readings)).await;
    }

    async fn ask(&self, request: Request) -> Answer {
        let (Request::RequestAccess { app }
        | Request::Register { app, .. }
        | Request::RequestRun { app, .. }
        | Request::RequestDevice { app, .. }) = &request
        else {
            panic!("these tests do not ask for {request:?}");
        };
        let caller = Caller::Front {
            app: app.clone(),
            foreground: true,
        };
        self.door.call(caller, request).await.unwrap()
    }

    /// Registers a task whose agent is a script.
    pub(super) async fn register(&self, name: &str, trigger: Trigger, script: &str) {
        let (app, entry_point) = (app_of(name), EntryPoint::new(name).unwrap());
        self.scripts.declare(entry_point.clone(), script);
        let name = TaskName::new(name).unwrap();
        let registration = RegistrationRequest::new(name, Some(entry_point), trigger);
        let answer = self.ask(Request::Register { app, registration }).await;
        assert!(matches!(answer, Answer::Registered { .. }), "{answer:?}");
    }

    /// Registers an application task and raises it; its run.
    pub(super) async fn raise(&self, name: &str, script: &str) -> RunId {
        self.register(name, Trigger::Application, script).await;
        let request = Request::RequestRun {
            app: app_of(name),
            name: TaskName::new(name).unwrap(),
        };
        assert_eq!(self.ask(request).await, Answer::Raised(Raised::Allowed));
        self.run_of(name).await
    }

    /// Registers a task for the use of a device and raises it; its run.
    pub(super) async fn use_device(&self, name: &str, device: &Path, script: &str) -> RunId {
        self.register(name, Trigger::DeviceUse, script).await;
        let request = Request::RequestDevice {
            app: app_of(name),
            name: TaskName::new(name).unwrap(),
            device: Subject::new(device.to_str().unwrap()).unwrap(),
            consent: true,
        };
        assert_eq!(self.ask(request).await, Answer::Raised(Raised::Allowed));
        self.run_of(name).await
    }

    /// Sends a push, which starts the task that is registered for it; its run.
    pub(super) async fn push(&self, task: &str) -> RunId {
        let push = Push {
            id: PushId::new("p1").unwrap(),
            app: app_of(task),
            payload: b"new photos".to_vec(),
            expires: self.clock.now().wall.after(Span::days(1)),
            retention: Retention::default(),
            priority: Priority::default(),
            collapse_key: None,
        };
        self.tell(Event::PushArrived(push)).await;
        self.run_of(task).await
    }

    /// The run of a task, when its program executes.
    async fn run_of(&self, task: &str) -> RunId {
        let task = TaskName::new(task).unwrap();
        self.see("a run under way", move |device, _now| {
            let mut runs = device.runs();
            let run = runs.find(|run| run.task == task && run.state == RunState::Running);
            run.map(|run| run.id)
        })
        .await
    }

    /// Looks at the machine until there is something to see.
    pub(super) async fn see<T: Send + 'static>(
        &self,
        what: &str,
        read: impl Fn(&Device, Now) -> Option<T> + Clone + Send + 'static,
    ) -> T {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(5));
        let looking = async {
            loop {
                looks.tick().await;
                if let Some(seen) = look(&self.door, read.clone()).await.unwrap() {
                    return seen;
                }
            }
        };
        let seen = tokio::time::timeout(PATIENCE, looking).await;
        let Ok(seen) = seen else {
            let found = look(&self.door, |device, _now| {
                let runs: Vec<Run> = device.runs().cloned().collect();
                let ended: Vec<FinishedRun> = device.finished().cloned().collect();
                format!("under way: {runs:#?}\nended: {ended:#?}")
            });
            panic!("{what} did not come in time; {}", found.await.unwrap());
        };
        seen
    }

    /// How a run ended.
    pub(super) async fn end(&self, run: RunId) -> FinishedRun {
        self.see("the end of a run", move |device, _now| {
            device
                .finished()
                .find(|finished| finished.id == run)
                .cloned()
        })
        .await
    }

    /// CPU time of a run's cage, as the kernel has it.
    pub(super) fn cpu_micros(&self, run: RunId) -> u64 {
        let cage = self.board.read().processes[&run].cgroup.clone();
        let stat = std::fs::read_to_string(format!("{cage}/cpu.stat")).unwrap();
        let usage = stat
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "));
        usage.unwrap().parse().unwrap()
    }
}

impl Drop for WholeDevice {
    fn drop(&mut self) {
        self.serving.abort();
        let pid = i32::try_from(self.board.read().launcher_pid);
        if let Some(pid) = pid.ok().and_then(Pid::from_raw) {
            // It ends what it holds and removes its cages.
            kill_process(pid, Signal::TERM).ok();
        }
        // The store's file goes with the folder.
        let _path = self.folder.path();
    }
}

/// An app with agents for whatever these tests register.
fn installed(id: &str, agents: &[&str]) -> App {
    let agent = |name: &&str| AgentDeclaration {
        entry_point: EntryPoint::new(*name).unwrap(),
        types: vec![
            TaskType::General,
            TaskType::PushNotification,
            TaskType::DeviceUse,
        ],
        memory: None,
        time: None,
        multiple_instances: false,
        resource_group: None,
    };
    App {
        id: AppId::new(id).unwrap(),
        version: "1.0".into(),
        agents: agents.iter().map(agent).collect(),
        capabilities: usual_capabilities(),
        signed_by: Signer::None,
    }
}
