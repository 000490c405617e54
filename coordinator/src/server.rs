//! The daemon: from a configuration to two listeners that serve, and back.
//!
//! One shared multi-thread runtime carries the actor system, its arbiters and the servers. Deliberately absent: what the
//! services do.

mod files;
mod listeners;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix::{Actor as _, Addr, Arbiter, System};
use anyhow::Context as _;
use lull_fleet_policy::{Limits, Span, Wall};
use sd_notify::NotifyState;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::Services;
use crate::api::callers::Callers;
use crate::authority::{Authority, LOCAL_OPERATOR, RENEWAL_CHECK};
use crate::clock::{ClockRef, SystemClock};
use crate::config::CoordinatorConfig;
use crate::shard::{Common, Shard};
use crate::store::{
    Change, ClientRecord, ClientRole, Holder, NewCertificate, Options, Outcome, SqliteStore, Store,
};
use crate::sweep::{Expiries, Sweep};
use crate::watch::Watchers;
use listeners::{Listeners, Sockets};

/// How long calls under way may take to finish when the coordinator ends.
const FINISH: Duration = Duration::from_secs(10);

/// Where a coordinator listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The fleet listener.
    pub fleet: SocketAddr,
    /// The door.
    pub door: SocketAddr,
}

/// Runs a coordinator until SIGTERM or SIGINT. Writes its log to standard error.
pub fn run(config: CoordinatorConfig) -> anyhow::Result<()> {
    config.check()?;
    files::log(&config.log.level)?;
    let ending = CancellationToken::new();
    serve(config, Arc::new(SystemClock), ending.clone(), |runtime| {
        runtime.spawn(end_at_signal(ending));
        |_bound| {}
    })
}

async fn end_at_signal(ending: CancellationToken) {
    let (Ok(mut term), Ok(mut int)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        tracing::error!("signals cannot be heard; end the process with SIGKILL");
        return;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    ending.cancel();
}

/// Runs a coordinator on this clock until told to end. `prepare` is called with the runtime, and gives what is told where
/// the coordinator listens. Blocks.
pub fn serve<P, R>(
    config: CoordinatorConfig,
    clock: ClockRef,
    ending: CancellationToken,
    prepare: P,
) -> anyhow::Result<()>
where
    P: FnOnce(&Runtime) -> R,
    R: FnOnce(Bound),
{
    config.check()?;
    let state = config.state_dir.clone();
    let _lock = files::take_state(&state)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let runtime = Arc::new(runtime);
    let ready = prepare(&runtime);
    let (pool, arbiters) = (Arc::clone(&runtime), Arc::clone(&runtime));
    let system = System::with_tokio_rt(move || pool);
    let served = system.block_on(async move {
        let coordinator = Coordinator::open(config, clock, ending).await?;
        coordinator.serve(&arbiters, ready).await
    });
    files::remove_ready(&state);
    // What still runs are tasks of connections that were cut off; they hold nothing that must be kept.
    drop(system);
    if let Ok(runtime) = Arc::try_unwrap(runtime) {
        runtime.shutdown_timeout(FINISH);
    }
    served
}

/// A coordinator whose state is open, and that does not listen yet.
struct Coordinator {
    config: CoordinatorConfig,
    clock: ClockRef,
    ending: CancellationToken,
    fatal: CancellationToken,
    authority: Arc<Authority>,
    store: Arc<dyn Store>,
}

impl Coordinator {
    async fn open(
        config: CoordinatorConfig,
        clock: ClockRef,
        ending: CancellationToken,
    ) -> anyhow::Result<Self> {
        let authority = Authority::open(&config.state_dir, &config.advertise, clock.clone())
            .context("cannot open the authority")?;
        let store = open_store(&config.state_dir, &clock)?;
        let coordinator = Self {
            config,
            clock,
            ending,
            fatal: CancellationToken::new(),
            authority: Arc::new(authority),
            store: Arc::new(store),
        };
        list_operator(&coordinator.authority, coordinator.store.as_ref()).await?;
        Ok(coordinator)
    }

    async fn serve(self, runtime: &Arc<Runtime>, ready: impl FnOnce(Bound)) -> anyhow::Result<()> {
        let sockets = Sockets::bind(&self.config)?;
        let common = self.common();
        let shards = Shard::open_all(&common).await;
        let shards = shards.context("cannot read the devices from the store")?;
        let (arbiters, shards) = start(shards, runtime)?;
        let listeners = Listeners {
            sockets,
            config: self.config.clone(),
            services: self.services(shards, &common),
            devices: common.devices,
        };
        let served = self.run(listeners, ready).await;
        for arbiter in arbiters {
            arbiter.stop();
            // A shard that panicked has been reported by `fatal`.
            drop(arbiter.join());
        }
        served?;
        if self.fatal.is_cancelled() {
            anyhow::bail!("a shard has died or was taken over; see the log");
        }
        tracing::info!("the coordinator has ended");
        Ok(())
    }

    fn common(&self) -> Common {
        let limits = &self.config.limits;
        Common {
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            limits: Limits {
                mailbox_count: limits.mailbox_count,
                mailbox_bytes: limits.mailbox_bytes.0,
            },
            ping: Span::millis(millis(self.config.session.ping.0)),
            watchers: Watchers::new(limits.watchers as usize),
            devices: Arc::new(AtomicU64::new(0)),
            fatal: self.fatal.clone(),
        }
    }

    fn services(&self, shards: Shards, common: &Common) -> Services {
        Services {
            authority: Arc::clone(&self.authority),
            store: Arc::clone(&self.store),
            shards,
            watchers: Arc::clone(&common.watchers),
            clock: Arc::clone(&self.clock),
            callers: Arc::new(Callers::new(Arc::clone(&self.store))),
            broadcasts: Arc::default(),
            expiries: Expiries::default(),
        }
    }

    /// Serves until told to end, and then until all sessions have ended.
    async fn run(&self, listeners: Listeners, ready: impl FnOnce(Bound)) -> anyhow::Result<()> {
        let bound = listeners.sockets.bound();
        let services = &listeners.services;
        let sweep = Sweep {
            store: Arc::clone(&self.store),
            shards: Arc::clone(&services.shards),
            watchers: Arc::clone(&services.watchers),
            clock: Arc::clone(&self.clock),
            expiries: services.expiries.clone(),
        };
        files::write_ready(&self.config.state_dir, bound)?;
        let tasks = TaskTracker::new();
        tasks.spawn(sweep.run(self.ending.clone()));
        tasks.spawn(renew(
            Arc::clone(&self.authority),
            Arc::clone(&self.store),
            self.ending.clone(),
        ));
        // Without a service manager there is nobody to tell.
        drop(sd_notify::notify(&[NotifyState::Ready]));
        tracing::info!(fleet = %bound.fleet, door = %bound.door, "the coordinator is ready");
        ready(bound);
        let served = listeners.serve(&self.ending, &self.fatal, &tasks).await;
        drop(sd_notify::notify(&[NotifyState::Stopping]));
        self.ending.cancel();
        tasks.close();
        if tokio::time::timeout(FINISH, tasks.wait()).await.is_err() {
            tracing::warn!("some sessions did not end in time and are cut off");
        }
        served
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn open_store(state: &Path, clock: &ClockRef) -> anyhow::Result<SqliteStore> {
    let mut incarnation = [0; 16];
    aws_lc_rs::rand::fill(&mut incarnation)
        .map_err(|_none| anyhow::anyhow!("the system gives no random numbers"))?;
    let store = SqliteStore::open(&Options {
        path: state.join("coordinator.db"),
        incarnation: crate::authority::hex(&incarnation),
        now: Wall::from_millis(clock.wall()),
    })
    .context("cannot open the store")?;
    if let Some(aside) = store.set_aside() {
        tracing::error!(
            aside = %aside.display(),
            "the store was damaged: it was set aside and a new one begun; devices have to enrol anew, \
             unless a copy is restored"
        );
    }
    Ok(store)
}

/// The local operator's certificate is on the list of those that are good.
async fn list_operator(authority: &Authority, store: &dyn Store) -> anyhow::Result<()> {
    let facts = authority.operator()?;
    let name = lull_fleet_policy::ClientName::new(LOCAL_OPERATOR)?;
    let changes = vec![
        Change::PutClient(ClientRecord {
            name: name.clone(),
            role: ClientRole::Operator,
        }),
        Change::AddCertificate(NewCertificate {
            serial: facts.serial,
            holder: Holder::Client(name),
            expires: Wall::from_millis(facts.expires_at),
        }),
    ];
    let outcomes = store.commit(changes).await?;
    let refused = outcomes
        .into_iter()
        .find(|outcome| !matches!(outcome, Outcome::Applied(_)));
    match refused {
        None => Ok(()),
        Some(outcome) => anyhow::bail!("cannot list the local operator's certificate: {outcome:?}"),
    }
}

/// Renews certificates in time.
async fn renew(authority: Arc<Authority>, store: Arc<dyn Store>, ending: CancellationToken) {
    loop {
        tokio::select! {
            () = ending.cancelled() => return,
            () = tokio::time::sleep(RENEWAL_CHECK) => {}
        }
        if let Err(error) = authority.renew() {
            tracing::error!(%error, "certificates cannot be renewed; it is tried again tomorrow");
        } else if let Err(error) = list_operator(&authority, store.as_ref()).await {
            tracing::error!(%error, "the operator's certificate cannot be listed");
        }
    }
}

type Shards = Arc<[Addr<Shard>]>;

/// Each shard on an arbiter of its own.
fn start(shards: Vec<Shard>, runtime: &Arc<Runtime>) -> anyhow::Result<(Vec<Arbiter>, Shards)> {
    let mut arbiters = Vec::new();
    let mut addresses = Vec::new();
    for shard in shards {
        let pool = Arc::clone(runtime);
        let arbiter =
            Arbiter::try_with_tokio_rt(move || Ok(pool)).context("cannot start a thread")?;
        addresses.push(Shard::start_in_arbiter(&arbiter.handle(), |_| shard));
        arbiters.push(arbiter);
    }
    Ok((arbiters, addresses.into()))
}
