//! The sockets of the daemon: for callers, for sockets that are handed over, and for the apps' own processes.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Daemon, Parts, STORE, forever, spawn};
use crate::broker::Broker;
use crate::debuggers::{Debuggers, find_tracers};
use crate::engine;
use crate::error_chain::chain;
use crate::fronts::{self, Door};
use crate::local::{Authority, HandoverDoor, Local, LocalSocket, Recordings};
use crate::manifest::Catalog;
use crate::ports::EngineRef;
use crate::store::Journal;

impl Daemon {
    pub(super) fn start_local(
        &self,
        engine: &EngineRef,
        orders: &engine::Orders,
        parts: &mut Parts,
    ) -> anyhow::Result<()> {
        let owners: Arc<Catalog> = Arc::clone(&self.catalog);
        let leases = self.fronts.leases().clone();
        let telling = leases.clone().tell(Arc::clone(engine));
        spawn(&mut parts.obliging, "leases", forever(telling));
        let debuggers = self.watch_debuggers(engine, parts);
        let local = Local {
            engine: Arc::clone(engine),
            authority: self.authority(),
            owners: Arc::<Catalog>::clone(&owners),
            source: owners,
            notices: orders.notices.clone(),
            leases,
            debuggers: debuggers.clone(),
            takers: orders.takers.clone(),
            board: Arc::clone(&self.board),
            recordings: Recordings::of(Journal::at(self.config.state_dir.join(STORE))),
            clock: Arc::clone(&self.clock),
            ending: self.ending.clone(),
        };
        self.start_hosts(parts)?;
        let path = self.config.local_socket();
        // The first time here, so that a socket that cannot be had keeps the daemon from saying that it is ready.
        let mut first = Some(LocalSocket::bind(&path)?);
        let keeper = self.keeper();
        spawn(&mut parts.obliging, "local-api", async move {
            let kept = keeper.keep("local-api", || {
                serve(local.clone(), first.take(), path.clone())
            });
            Ok(kept.await?)
        });
        Ok(())
    }

    /// The socket on which the apps' own processes take their tasks.
    fn start_hosts(&self, parts: &mut Parts) -> anyhow::Result<()> {
        let door = Door::open(&self.config.host_socket())?;
        let serving = fronts::serve(
            door,
            self.fronts.clone(),
            self.authority(),
            Arc::clone(&self.board),
            self.ending.clone(),
        );
        spawn(&mut parts.obliging, "apps' processes", forever(serving));
        Ok(())
    }

    fn watch_debuggers(&self, engine: &EngineRef, parts: &mut Parts) -> Debuggers {
        let debuggers = Debuggers::default();
        let telling = debuggers.clone().tell(Arc::clone(engine));
        spawn(&mut parts.obliging, "debuggers", forever(telling));
        if self.config.profile.device().developer_mode {
            let (engine, board) = (Arc::clone(engine), Arc::clone(&self.board));
            let cages = self.config.cgroup.name.clone();
            let finding = find_tracers(debuggers.clone(), engine, board, cages);
            spawn(&mut parts.waiting, "tracers", forever(finding));
        }
        debuggers
    }

    /// The second socket, on which apps hand sockets over.
    pub(super) fn start_handover(&self, broker: Broker, parts: &mut Parts) -> anyhow::Result<()> {
        let door = HandoverDoor {
            authority: self.authority(),
            broker,
            board: Arc::clone(&self.board),
            clock: Arc::clone(&self.clock),
            ending: self.ending.clone(),
        };
        let path = self.config.handover_socket();
        let mut first = Some(LocalSocket::bind(&path)?);
        let keeper = self.keeper();
        spawn(&mut parts.obliging, "hand-over", async move {
            let kept = keeper.keep("hand-over", || {
                receive(door.clone(), first.take(), path.clone())
            });
            Ok(kept.await?)
        });
        Ok(())
    }

    fn authority(&self) -> Authority {
        Authority {
            daemon_uid: rustix::process::geteuid().as_raw(),
            cage: self.config.cgroup.name.clone(),
            owners: Arc::<Catalog>::clone(&self.catalog),
        }
    }
}

/// Serves the local API once; a socket that cannot be had is the keeper's next attempt.
async fn serve(local: Local, bound: Option<LocalSocket>, path: PathBuf) {
    let socket = match bound.map_or_else(|| LocalSocket::bind(&path), Ok) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(error = chain(&error), "the local API has no socket");
            return;
        }
    };
    if let Err(error) = local.serve(socket).await {
        tracing::error!(error = chain(&error), "the local API failed");
    }
}

/// As [`serve`], for the sockets that apps hand over.
async fn receive(door: HandoverDoor, bound: Option<LocalSocket>, path: PathBuf) {
    match bound.map_or_else(|| LocalSocket::bind(&path), Ok) {
        Ok(socket) => door.serve(socket).await,
        Err(error) => {
            tracing::error!(error = chain(&error), "apps have no socket to hand over on");
        }
    }
}
