//! The daemon: builds its parts in order, keeps them alive, and ends them in order.
//!
//! The launcher is there before the first thread; then the store, the engine, the supervisor, the watchers, the trigger sources, the
//! local API and the link. At the end calls are turned away, what was decided is committed, and agents go on under the launcher.
//! Deliberately absent: what the parts do.

mod doors;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use anyhow::Context as _;
use lull_policy::{Event, Policy, Profile};
use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::broker::Broker;
use crate::clock::{self, ClockRef};
use crate::config::NodeConfig;
use crate::engine::{self, EngineHandle, OrderQueues, Setting};
use crate::folders::Folders;
use crate::fronts::Fronts;
use crate::keeper::{self, Keeper};
use crate::link::{self, Link};
use crate::local::LocalSocket;
use crate::manifest::{self, Catalog};
use crate::ports::{AppSource as _, EngineRef, LinkOrder, RunOrder, look};
use crate::status::StatusBoard;
use crate::store::{Opened, Store, StoreConfig};
use crate::supervisor::{Setup, Supervisor};
use crate::{awake, declared, sources, watch};

/// The store's file in the state folder.
const STORE: &str = "store.sqlite3";

/// Threads of the runtime. Everything but the engine, the store and the supervisor's blocking calls shares them; an idle node has
/// nothing for them to do.
const THREADS: usize = 2;

/// Threads for calls that block on files: a handful of manifests, folders and launches at a time.
const BLOCKING: usize = 16;

/// How long the parts have to end once the engine has. What has not ended then is cut off; nothing that was promised is lost.
const FAREWELL: Duration = Duration::from_secs(3);

/// How long the engine has to commit what it decided: the store's own patience, and its sync.
const LAST_COMMIT: Duration = Duration::from_secs(10);

/// How long the engine may take to answer the watchdog: half of the shortest usual limit of 10 s.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// Runs the daemon until it is asked to end (SIGTERM, SIGINT). Blocks; builds its own runtime.
///
/// # Errors
/// What kept it from starting, or a part that cannot be kept alive; agents go on under the launcher in both cases.
pub fn run(config: NodeConfig) -> anyhow::Result<()> {
    observe(&config.log.level)?;
    let folders = Folders::take(&config.state_dir, &config.run_dir)?;
    lull_launcher::spawn(&config.launcher_command, &config.launcher_socket())
        .context("starting the launcher")?;
    let clock: ClockRef = Arc::new(clock::System::new()?);
    let catalog = Arc::new(Catalog::open(&config)?);
    let store = StoreConfig::at(config.state_dir.join(STORE));
    let opened = Store::open(store, Arc::clone(&clock))?;
    let runtime = Arc::new(
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .max_blocking_threads(BLOCKING)
            .enable_all()
            .build()
            .context("building the runtime")?,
    );
    let pool = Arc::clone(&runtime);
    let daemon = Daemon {
        config: Arc::new(config),
        clock,
        catalog,
        board: Arc::new(StatusBoard::new()),
        fronts: Fronts::default(),
        ending: CancellationToken::new(),
    };
    let result = actix::System::with_tokio_rt(move || runtime).block_on(daemon.live(pool, opened));
    drop(folders);
    result
}

/// Says what happens on standard error: text for a person at a terminal, JSON for everything else.
fn observe(level: &str) -> anyhow::Result<()> {
    let quiet = "h2=warn,hyper=warn,hyper_util=warn,tower=warn,actix_rt=warn";
    let filter = EnvFilter::try_new(format!("{quiet},{level}")).context("reading log.level")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    let set = if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        builder.try_init()
    } else {
        builder.json().try_init()
    };
    if let Err(error) = set {
        // Whoever linked the daemon into its own program listens already.
        tracing::debug!(%error, "events go to the subscriber that is there");
    }
    Ok(())
}

/// What all parts share.
#[derive(Debug, Clone)]
struct Daemon {
    config: Arc<NodeConfig>,
    clock: ClockRef,
    catalog: Arc<Catalog>,
    board: Arc<StatusBoard>,
    fronts: Fronts,
    ending: CancellationToken,
}

/// The parts that are alive, each with its name.
#[derive(Debug, Default)]
struct Parts {
    /// End by themselves when the daemon does.
    obliging: JoinSet<Ended>,
    /// Wait for the outside (a folder, a coordinator) and are cut off: what they had not finished comes again.
    waiting: JoinSet<Ended>,
}

/// A part and how it ended.
type Ended = (&'static str, anyhow::Result<()>);

impl Parts {
    /// The next part that ends; never, if there is none.
    async fn next(&mut self) -> Result<Ended, JoinError> {
        tokio::select! {
            Some(ended) = self.obliging.join_next() => ended,
            Some(ended) = self.waiting.join_next() => ended,
            else => std::future::pending().await,
        }
    }
}

impl Daemon {
    async fn live(self, pool: Arc<Runtime>, opened: Opened) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
        let arbiter = Arbiter::with_tokio_rt(move || pool);
        let incarnation = opened.contents.incarnation.to_string();
        if let Some(aside) = &opened.contents.set_aside {
            self.board
                .set_store_set_aside(aside.path.clone(), &aside.found);
        }
        let (orders, queues) = engine::channels();
        let setting = Setting {
            clock: Arc::clone(&self.clock),
            store: opened.store,
            contents: opened.contents,
            orders: orders.clone(),
            board: Arc::clone(&self.board),
        };
        let engine =
            EngineHandle::start(&arbiter.handle(), setting).context("starting the engine")?;
        let mut parts = Parts::default();
        let door = engine.door();
        let starting = self.start(&door, orders, queues, incarnation, &mut parts);
        let started = tokio::select! {
            started = starting => started,
            _ = terminate.recv() => Err(anyhow::anyhow!("asked to end before it was ready")),
            _ = interrupt.recv() => Err(anyhow::anyhow!("asked to end before it was ready")),
        };
        let result = match started {
            Ok(()) => {
                tracing::info!(socket = %self.config.local_socket().display(), "the node is ready");
                notify(&[NotifyState::Ready]);
                tokio::select! {
                    _ = terminate.recv() => Ok(()),
                    _ = interrupt.recv() => Ok(()),
                    ended = parts.next() => Err(too_early(ended)),
                }
            }
            Err(error) => Err(error),
        };
        self.end(&engine, parts).await;
        arbiter.stop();
        result
    }

    /// Starts every part, in order: what others need comes first.
    async fn start(
        &self,
        engine: &EngineRef,
        orders: engine::Orders,
        queues: OrderQueues,
        incarnation: String,
        parts: &mut Parts,
    ) -> anyhow::Result<()> {
        // The catalog first: a run may begin as soon as the machine knows which runs are held.
        let catalog = Arc::clone(&self.catalog);
        let report = tokio::task::spawn_blocking(move || catalog.reload())
            .await
            .context("reading the manifests")?;
        for refused in &report.refused {
            tracing::error!(manifest = %refused.path.display(), error = refused.error, "this manifest is refused");
        }
        self.say_what_the_device_is(engine).await?;
        let (clock, board) = (Arc::clone(&self.clock), Arc::clone(&self.board));
        let broker = Broker::new(Arc::clone(engine), clock, board);
        self.start_supervisor(engine, &broker, queues.launches, queues.stops, parts)
            .await?;
        self.adopt_policy(engine).await?;
        declared::install(engine, &report)
            .await
            .context("installing the apps")?;
        let (config, door, board, clock) = (
            Arc::clone(&self.config),
            Arc::clone(engine),
            Arc::clone(&self.board),
            Arc::clone(&self.clock),
        );
        let watching = async move { watch::run(&config, door, board, clock, queues.watch).await };
        spawn(&mut parts.obliging, "watchers", forever(watching));
        let sources = sources::run(
            self.config.identity_dir(),
            Arc::<Catalog>::clone(&self.catalog),
            Arc::clone(engine),
            Arc::clone(&self.board),
            queues.registrations.clone(),
        );
        spawn(&mut parts.waiting, "trigger sources", forever(sources));
        let waking = awake::run(queues.awake, Arc::clone(&self.board), None);
        spawn(&mut parts.waiting, "stay-awake", forever(waking));
        let brokering = broker.clone().watch(queues.registrations);
        spawn(&mut parts.waiting, "socket broker", forever(brokering));
        self.start_local(engine, &orders, parts)?;
        self.start_handover(broker, parts)?;
        let following = manifest::follow(Arc::clone(&self.catalog), Arc::clone(engine));
        spawn(&mut parts.waiting, "manifests", forever(following));
        let linking = link::run(self.link(engine, queues.link, incarnation));
        spawn(&mut parts.waiting, "link", forever(linking));
        if let Some(limit) = sd_notify::watchdog_enabled() {
            spawn(
                &mut parts.obliging,
                "watchdog",
                watchdog(Arc::clone(engine), limit / 3, self.ending.clone()),
            );
        }
        Ok(())
    }

    /// Connects to the launcher and tells the machine which runs it holds; from then on orders are carried out.
    async fn start_supervisor(
        &self,
        engine: &EngineRef,
        broker: &Broker,
        launches: mpsc::Receiver<RunOrder>,
        stops: mpsc::Receiver<RunOrder>,
        parts: &mut Parts,
    ) -> anyhow::Result<()> {
        let supervisor = Supervisor::start(Setup {
            engine: Arc::clone(engine),
            catalog: Arc::<Catalog>::clone(&self.catalog),
            clock: Arc::clone(&self.clock),
            board: Arc::clone(&self.board),
            broker: broker.clone(),
            launcher_command: self.config.launcher_command.clone(),
            launcher_socket: self.config.launcher_socket(),
            cages: self.config.cgroup.name.clone(),
            fronts: self.fronts.clone(),
            local_socket: self.config.local_socket(),
        })
        .await?;
        let runs = supervisor.held();
        engine
            .commit(Event::RunsHeld { runs })
            .await
            .context("adopting the runs that live")?;
        spawn(&mut parts.obliging, "supervisor", async move {
            Ok(supervisor.serve(launches, stops).await?)
        });
        Ok(())
    }

    /// Before anything that depends on it; the machine is told what differs from what it knows.
    async fn say_what_the_device_is(&self, engine: &EngineRef) -> anyhow::Result<()> {
        let profile = self.config.profile.device();
        let known: Profile = look(engine, |device, _now| device.profile().clone()).await?;
        if known == profile {
            return Ok(());
        }
        engine
            .commit(Event::ProfileChanged(profile))
            .await
            .context("telling the machine what the device is")
    }

    /// The file is the operator's word on figures; the machine is told what differs from what it knows.
    async fn adopt_policy(&self, engine: &EngineRef) -> anyhow::Result<()> {
        let known: Policy = look(engine, |device, _now| device.policy().clone()).await?;
        if known == self.config.policy {
            return Ok(());
        }
        let changed = Event::PolicyChanged(self.config.policy.clone());
        engine
            .commit(changed)
            .await
            .context("adopting the policy of the configuration")
    }

    fn link(
        &self,
        engine: &EngineRef,
        orders: mpsc::Receiver<LinkOrder>,
        store_incarnation: String,
    ) -> Link {
        Link {
            identity_dir: self.config.identity_dir(),
            place_file: self.config.state_dir.join("link.json"),
            labels: self.config.device.labels.clone(),
            boot: self.clock.boot(),
            store_incarnation,
            engine: Arc::clone(engine),
            orders,
            apps: self.catalog.subscribe(),
            board: Arc::clone(&self.board),
            times: link::Times::default(),
        }
    }

    fn keeper(&self) -> Keeper {
        Keeper {
            clock: Arc::clone(&self.clock),
            board: Arc::clone(&self.board),
            ending: self.ending.clone(),
            retry: keeper::RETRY,
        }
    }

    /// Calls are turned away first, then the engine commits what it decided; the supervisor performs stops until then.
    async fn end(&self, engine: &EngineHandle, mut parts: Parts) {
        tracing::info!("the node is ending; agents go on under the launcher");
        notify(&[NotifyState::Stopping]);
        self.ending.cancel();
        parts.waiting.shutdown().await;
        if tokio::time::timeout(LAST_COMMIT, engine.end())
            .await
            .is_err()
        {
            tracing::error!("the last commit did not come to its end in time");
        }
        let gone = async { while parts.obliging.join_next().await.is_some() {} };
        if tokio::time::timeout(FAREWELL, gone).await.is_err() {
            tracing::warn!("a part did not end in time and is cut off");
        }
        parts.obliging.shutdown().await;
        LocalSocket::remove(&self.config.local_socket());
        LocalSocket::remove(&self.config.host_socket());
        LocalSocket::remove(&self.config.handover_socket());
    }
}

fn spawn(
    parts: &mut JoinSet<Ended>,
    name: &'static str,
    part: impl Future<Output = anyhow::Result<()>> + Send + 'static,
) {
    parts.spawn(async move { (name, part.await) });
}

/// A part that ends only with the daemon.
async fn forever(part: impl Future<Output = ()>) -> anyhow::Result<()> {
    part.await;
    Ok(())
}

fn too_early(ended: Result<Ended, JoinError>) -> anyhow::Error {
    match ended {
        Ok((part, Err(error))) => error.context(format!("the part {part:?} of the daemon failed")),
        Ok((part, Ok(()))) => anyhow::anyhow!("the part {part:?} of the daemon ended by itself"),
        Err(panicked) => anyhow::Error::new(panicked).context("a part of the daemon panicked"),
    }
}

/// Tells the service manager that the engine decides, as long as it does.
async fn watchdog(
    engine: EngineRef,
    every: Duration,
    ending: CancellationToken,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(every);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = ending.cancelled() => return Ok(()),
        }
        let alive = tokio::time::timeout(SIGN_OF_LIFE, look(&engine, |_device, _now| ()));
        match alive.await {
            Ok(Ok(())) => notify(&[NotifyState::Watchdog]),
            Ok(Err(error)) => tracing::warn!(%error, "the engine gave no sign of life"),
            Err(_elapsed) => tracing::error!("the engine gave no sign of life in time"),
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
