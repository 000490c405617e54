//! For tests of the daemon's parts: an engine with a real machine, a real store and a clock that tests move.

use std::future::Future;
use std::time::Duration;

use actix::Arbiter;
use lull_policy::{
    AgentDeclaration, App, AppId, BootId, EntryPoint, Level, Now, Push, PushId, Reading,
    RegistrationRequest, Span, TaskName, TaskType, Trigger, Wall,
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::broadcast;

use super::*;
use crate::clock::Manual;
use crate::ports::look;
use crate::store::StoreConfig;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Runs a test as the daemon runs: one shared runtime, the engine on an arbiter of its own.
pub(crate) fn on_runtime<F: Future<Output = ()>>(test: impl FnOnce(Arbiter) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let runtime = Arc::new(runtime);
    let pool = Arc::clone(&runtime);
    actix::System::with_tokio_rt(move || runtime).block_on(async move {
        let arbiter = Arbiter::with_tokio_rt(move || pool);
        tokio::time::timeout(4 * PATIENCE, test(arbiter))
            .await
            .unwrap();
    });
}

pub(crate) struct Rig {
    _folder: TempDir,
    pub(crate) config: StoreConfig,
    pub(crate) clock: Arc<Manual>,
    pub(crate) board: Arc<StatusBoard>,
    pub(crate) handle: EngineHandle,
    pub(crate) door: EngineRef,
    pub(crate) queues: OrderQueues,
    pub(crate) notices: broadcast::Sender<AppNotice>,
}

pub(crate) fn now() -> Now {
    Now {
        wall: Wall::from_millis(1_763_700_000_000),
        ..Now::default()
    }
}

/// The door of a new engine over a new store, with an app that may run.
pub(crate) async fn rig(arbiter: &Arbiter, patience: Duration) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        patience,
        ..StoreConfig::at(folder.path().join("store.sqlite3"))
    };
    let clock = Arc::new(Manual::new(BootId::new("boot").unwrap(), now()));
    let board = Arc::new(StatusBoard::new());
    let (handle, queues, notices) = start(arbiter, &config, &clock, &board);
    let rig = Rig {
        _folder: folder,
        config,
        clock,
        board,
        door: handle.door(),
        handle,
        queues,
        notices,
    };
    rig.door
        .commit(Event::RunsHeld { runs: Vec::new() })
        .await
        .unwrap();
    rig.door.commit(Event::Apps(vec![photos()])).await.unwrap();
    let readings = vec![
        Reading::ExternalPower(Level::Known(true)),
        Reading::BatterySaver(Level::Known(false)),
    ];
    rig.call(Request::RequestAccess { app: app() })
        .await
        .unwrap();
    rig.call(register("sync", Trigger::Application))
        .await
        .unwrap();
    rig.call(register("pushed", Trigger::Push)).await.unwrap();
    rig.door.commit(Event::Readings(readings)).await.unwrap();
    rig
}

pub(crate) fn start(
    arbiter: &Arbiter,
    config: &StoreConfig,
    clock: &Arc<Manual>,
    board: &Arc<StatusBoard>,
) -> (EngineHandle, OrderQueues, broadcast::Sender<AppNotice>) {
    let clock: ClockRef = Arc::<Manual>::clone(clock);
    let opened = Store::open(config.clone(), Arc::clone(&clock)).unwrap();
    let (orders, queues) = channels();
    let notices = orders.notices.clone();
    let setting = Setting {
        clock,
        store: opened.store,
        contents: opened.contents,
        orders,
        board: Arc::clone(board),
    };
    let handle = EngineHandle::start(&arbiter.handle(), setting).unwrap();
    (handle, queues, notices)
}

impl Rig {
    pub(crate) async fn call(&self, request: Request) -> Result<Answer, EngineError> {
        let caller = Caller::Front {
            app: app(),
            foreground: true,
        };
        self.door.call(caller, request).await
    }

    /// Holds the file as a backup or a stalled disk would, until dropped.
    pub(crate) fn hold_store(&self) -> HeldStore {
        let connection = Connection::open(&self.config.path).unwrap();
        connection.busy_timeout(PATIENCE).unwrap();
        connection.execute_batch("BEGIN IMMEDIATE").unwrap();
        HeldStore {
            _connection: connection,
        }
    }

    pub(crate) async fn run_names(&self) -> Vec<String> {
        look(&self.door, |device, _now| {
            device.runs().map(|run| run.task.to_string()).collect()
        })
        .await
        .unwrap()
    }
}

/// Closing the connection lets go of the file.
pub(crate) struct HeldStore {
    _connection: Connection,
}

pub(crate) fn app() -> AppId {
    AppId::new("photos").unwrap()
}

pub(crate) fn name(name: &str) -> TaskName {
    TaskName::new(name).unwrap()
}

pub(crate) fn photos() -> App {
    App {
        id: app(),
        version: "1.0".into(),
        agents: vec![AgentDeclaration {
            entry_point: EntryPoint::new("photo-sync").unwrap(),
            types: vec![
                TaskType::General,
                TaskType::Timer,
                TaskType::PushNotification,
                TaskType::Scheduled,
            ],
            memory: None,
            time: None,
            multiple_instances: false,
            resource_group: None,
        }],
        capabilities: lull_policy::usual_capabilities(),
        signed_by: lull_policy::Signer::None,
    }
}

pub(crate) fn register(task: &str, trigger: Trigger) -> Request {
    Request::Register {
        app: app(),
        registration: RegistrationRequest {
            replace: true,
            ..RegistrationRequest::new(name(task), EntryPoint::new("photo-sync").ok(), trigger)
        },
    }
}

pub(crate) fn raise() -> Request {
    Request::RequestRun {
        app: app(),
        name: name("sync"),
    }
}

pub(crate) fn push(id: &str) -> Event {
    Event::PushArrived(Push {
        id: PushId::new(id).unwrap(),
        app: app(),
        payload: b"new photos".to_vec(),
        expires: now().wall.after(Span::days(1)),
        retention: lull_policy::Retention::default(),
        priority: lull_policy::Priority::default(),
        collapse_key: None,
    })
}

pub(crate) async fn next<T>(queue: &mut mpsc::Receiver<T>) -> T {
    tokio::time::timeout(PATIENCE, queue.recv())
        .await
        .unwrap()
        .unwrap()
}

/// Waits until `holds`, asking the engine again and again; fails after the patience.
pub(crate) async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let wait = async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.unwrap();
}
