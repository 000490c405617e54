//! A device under test: the real machine and the real link, with an engine that the test can hold up.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use lull_policy::{
    AgentDeclaration, Answer, App, AppId, BootId, CallId, Caller, Condition, Device, Effect,
    EntryPoint, Event, Exit, Now, Policy, Reading, RegistrationRequest, Request, RunId, TaskName,
    TaskType, Trigger, Usage, Wall,
};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::*;
use crate::link::{Link, Times, run};
use crate::ports::{Engine, EngineError, EngineRef, LinkOrder, PortFuture};
use crate::status::StatusBoard;

/// An engine without a store: what is handled is durable once the test lets it.
#[derive(Debug)]
pub(super) struct TestEngine {
    machine: Mutex<Machine>,
    orders: mpsc::Sender<LinkOrder>,
    /// Pushes that may be committed.
    pub(super) gate: Semaphore,
    /// How often the engine still refuses a push.
    pub(super) refuse: AtomicU32,
}

#[derive(Debug)]
struct Machine {
    device: Device,
    calls: u64,
    credit: Option<u32>,
    arrived: Vec<String>,
    launched: Vec<RunId>,
}

pub(super) fn app() -> AppId {
    AppId::new("photos").unwrap()
}

fn now() -> Now {
    Now {
        wall: Wall::from_millis(1_800_000_000_000),
        ..Now::default()
    }
}

impl TestEngine {
    /// Handles one event and passes orders on, as the engine does after a commit.
    fn handle(&self, event: Event) -> Vec<Effect> {
        let mut machine = self.machine.lock().unwrap();
        if let Event::PushArrived(push) = &event {
            machine.arrived.push(push.id.as_str().to_owned());
        }
        let link_up = event == Event::LinkUp;
        let mut effects = Vec::new();
        machine.device.handle(now(), event, &mut effects);
        let mut orders = Vec::new();
        for effect in &effects {
            match effect {
                Effect::SendReceipt(receipt) => orders.push(LinkOrder::Receipt(receipt.clone())),
                Effect::Launch(launch) => machine.launched.push(launch.run),
                _ => {}
            }
        }
        let free = machine.device.push_credit(&app());
        if machine.credit.replace(free) != Some(free) || link_up {
            orders.push(LinkOrder::Credit { app: app(), free });
        }
        for order in orders {
            // Without room it is lost, as from the engine.
            drop(self.orders.try_send(order));
        }
        effects
    }

    fn ask(&self, request: Request) -> Answer {
        let call = {
            let mut machine = self.machine.lock().unwrap();
            machine.calls += 1;
            CallId(machine.calls)
        };
        let caller = Caller::Operator;
        let event = Event::Call {
            call,
            caller,
            request,
        };
        let reply = self
            .handle(event)
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Reply { answer, .. } => Some(answer),
                _ => None,
            });
        reply.unwrap()
    }

    /// The ids of pushes in the order in which they came.
    pub(super) fn arrived(&self) -> Vec<String> {
        self.machine.lock().unwrap().arrived.clone()
    }

    /// Ends the oldest run that was launched.
    pub(super) fn finish_a_run(&self) {
        let run = self.machine.lock().unwrap().launched.remove(0);
        self.handle(Event::RunStarted { run });
        let exit = Exit::Status(0);
        let (usage, output) = (Usage::default(), String::new());
        self.handle(Event::RunEnded {
            run,
            exit,
            usage,
            output,
        });
    }

    /// A registration that a push fires, and that waits for a condition that never holds.
    pub(super) fn register(&self, waits: bool) {
        let conditions = if waits {
            vec![Condition::UserPresent]
        } else {
            vec![]
        };
        self.ask(Request::RequestAccess { app: app() });
        let (name, agent) = (TaskName::new("sync"), EntryPoint::new("sync"));
        let registration = RegistrationRequest {
            conditions,
            replace: true,
            ..RegistrationRequest::new(name.unwrap(), agent.ok(), Trigger::Push)
        };
        let answer = self.ask(Request::Register {
            app: app(),
            registration,
        });
        assert!(matches!(answer, Answer::Registered { .. }), "{answer:?}");
    }

    /// Receipts that the coordinator does not have.
    pub(super) fn receipts(&self) -> usize {
        self.machine.lock().unwrap().device.receipts().count()
    }

    pub(super) fn event(&self, event: Event) {
        self.handle(event);
    }
}

impl Engine for TestEngine {
    fn commit(&self, event: Event) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            if matches!(event, Event::PushArrived(_)) {
                let refuse = &self.refuse;
                let left = refuse.load(Ordering::Relaxed);
                if left > 0 {
                    refuse.store(left - 1, Ordering::Relaxed);
                    return Err(EngineError::Unavailable);
                }
                self.gate.acquire().await.unwrap().forget();
            }
            self.handle(event);
            Ok(())
        })
    }
    fn tell(&self, event: Event) -> Result<(), EngineError> {
        self.handle(event);
        Ok(())
    }
    fn call(&self, _: Caller, request: Request) -> PortFuture<'_, Result<Answer, EngineError>> {
        Box::pin(async move { Ok(self.ask(request)) })
    }
    fn look(
        &self,
        look: Box<dyn FnOnce(&Device, Now) + Send>,
    ) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            look(&self.machine.lock().unwrap().device, now());
            Ok(())
        })
    }
}

/// The device, with its link running.
pub(super) struct Node {
    pub(super) engine: Arc<TestEngine>,
    pub(super) board: Arc<StatusBoard>,
    pub(super) apps: watch::Sender<Arc<Vec<App>>>,
    pub(super) folder: tempfile::TempDir,
    link: JoinHandle<()>,
}

/// What a device is made of.
pub(super) struct Plan {
    pub(super) times: Times,
    pub(super) queue: u32,
    /// Orders that the engine can have waiting for the link.
    pub(super) orders: usize,
    /// Commits of pushes that need no word of the test.
    pub(super) open: usize,
}

impl Default for Plan {
    fn default() -> Self {
        let times = Times {
            base: Duration::from_millis(20),
            spread: Duration::from_millis(40),
            cap: Duration::from_millis(80),
            ..Times::default()
        };
        Self {
            times,
            queue: 64,
            orders: 4_096,
            open: 100_000,
        }
    }
}

fn installed(version: &str) -> App {
    App {
        id: app(),
        version: version.into(),
        agents: vec![AgentDeclaration {
            entry_point: EntryPoint::new("sync").unwrap(),
            types: vec![TaskType::PushNotification],
            memory: None,
            time: None,
            multiple_instances: false,
            resource_group: None,
        }],
        capabilities: lull_policy::usual_capabilities(),
        signed_by: lull_policy::Signer::None,
    }
}

impl Node {
    pub(super) fn start(plan: &Plan) -> Self {
        let (sender, orders) = mpsc::channel(plan.orders);
        let mut device = Device::new();
        let boot = BootId::new("boot-1").unwrap();
        let policy = Policy {
            push_queue: plan.queue,
            ..Policy::default()
        };
        let mut effects = Vec::new();
        for event in [
            Event::Booted { boot: boot.clone() },
            Event::RunsHeld { runs: vec![] },
            Event::PolicyChanged(policy),
            Event::Apps(vec![installed("1")]),
        ] {
            device.handle(now(), event, &mut effects);
        }
        let machine = Machine {
            device,
            calls: 0,
            credit: None,
            arrived: vec![],
            launched: vec![],
        };
        let engine = Arc::new(TestEngine {
            machine: Mutex::new(machine),
            orders: sender,
            gate: Semaphore::new(plan.open),
            refuse: AtomicU32::new(0),
        });
        let apps = watch::Sender::new(Arc::new(vec![installed("1")]));
        let board = Arc::new(StatusBoard::new());
        let folder = tempfile::tempdir().unwrap();
        let door: Arc<TestEngine> = Arc::clone(&engine);
        let door: EngineRef = door;
        let link = run(Link {
            identity_dir: folder.path().join("identity"),
            place_file: folder.path().join("link.json"),
            labels: [("site".to_owned(), "berlin".to_owned())].into(),
            boot,
            store_incarnation: "store-1".into(),
            engine: door,
            orders,
            apps: apps.subscribe(),
            board: Arc::clone(&board),
            times: plan.times,
        });
        let link = tokio::spawn(link);
        Self {
            engine,
            board,
            apps,
            folder,
            link,
        }
    }

    pub(super) fn identity(&self) -> PathBuf {
        self.folder.path().join("identity")
    }

    pub(super) fn place(&self) -> PathBuf {
        self.folder.path().join("link.json")
    }

    /// A new version of the app is installed.
    pub(super) fn update(&self) {
        let apps = vec![installed("2")];
        self.engine.event(Event::Apps(apps.clone()));
        self.apps.send_replace(Arc::new(apps));
    }

    pub(super) fn reading(&self, reading: Reading) {
        self.engine.event(Event::Readings(vec![reading]));
    }

    /// Waits until the board shows a count.
    pub(super) async fn counted(&self, counter: &'static str, least: u64) {
        let counted = async {
            while self.board.counter(counter) < least {
                tokio::task::yield_now().await;
            }
        };
        soon(counter, counted).await;
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.link.abort();
    }
}

/// Reads the place that the link keeps.
pub(super) fn kept(path: &Path) -> (String, u64) {
    let text = std::fs::read_to_string(path).unwrap_or_else(|_none| "{}".into());
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mailbox = json["mailbox"].as_str().unwrap_or_default().to_owned();
    (mailbox, json["delivered_through"].as_u64().unwrap_or(0))
}
