//! The supervisor: carries out the engine's orders about runs, and tells the engine what becomes of them.
//!
//! It speaks to the launcher, which owns the processes and outlives the daemon, and to every agent over the socket that
//! the agent inherited. Deliberately absent: decisions. When a run is asked to cancel or is killed stands in the orders;
//! how its outcome is called is decided by the machine.
//!
//! Nothing that counts is lost with the daemon: the launcher keeps a run until its end is durable, an agent's words stay in
//! its socket until what they say is durable, and what a later daemon must know of a run is kept as a note with it.
//!
//! - `desk` is the one task that takes orders and speaks to the launcher;
//! - `conversation` is one task a run: the line protocol, and its reports to the engine;
//! - `hosted` is a conversation with a run in the app's own process, `front_desk` starts and ends such processes;
//! - `order` makes a launch order of a decision and a program;
//! - `metering` has runs read, as often as somebody wants to know, and tells the engine what they used.

mod agent_socket;
mod catalog;
mod conversation;
mod delivery;
mod desk;
mod device_use;
mod front_desk;
mod hosted;
mod launcher;
mod memory;
mod metering;
mod nodes;
mod order;
mod sabotage;
mod seat;
#[cfg(test)]
pub(crate) mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use lull_launcher::ClientError;
use lull_policy::RunId;
use tokio::sync::mpsc;

use crate::broker::Broker;
use crate::clock::ClockRef;
use crate::fronts::Fronts;
use crate::ports::{EngineError, EngineRef, RunOrder};
use crate::status::StatusBoard;
pub use catalog::{AgentCatalog, AgentProgram};
use desk::Desk;
pub(crate) use front_desk::is_front;
use launcher::Launcher;

/// What the supervisor stands on.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Who decides.
    pub engine: EngineRef,
    /// Who knows the programs.
    pub catalog: Arc<dyn AgentCatalog>,
    /// Who knows the time.
    pub clock: ClockRef,
    /// Where runs, the launcher and what cannot be enforced are shown.
    pub board: Arc<StatusBoard>,
    /// Who holds the sockets that runs get and hand over.
    pub broker: Broker,
    /// How the launcher is started where none answers.
    pub launcher_command: Vec<String>,
    /// Where it answers.
    pub launcher_socket: PathBuf,
    /// Name of the folder of cages.
    pub cages: String,
    /// The apps' own processes.
    pub fronts: Fronts,
    /// The node's socket, which such a process is told of.
    pub local_socket: PathBuf,
}

/// Why there is no supervision.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// The launcher cannot be started.
    #[error("starting the launcher")]
    Launcher(#[source] lull_launcher::SpawnError),
    /// It cannot be spoken to.
    #[error("connecting to the launcher at {}", socket.display())]
    Connection {
        /// Where.
        socket: PathBuf,
        /// Why.
        #[source]
        source: ClientError,
    },
    /// The runtime refused something every process can have.
    #[error("watching the launcher's socket")]
    Descriptor(#[source] std::io::Error),
    /// A part of it failed in a way that is a fault of the program. A restart of the daemon adopts all runs.
    #[error("the supervision of a run failed; the daemon must be started again")]
    Fault,
    /// The engine is gone.
    #[error("the engine")]
    Engine(#[source] EngineError),
}

/// Supervision that is connected and has not begun.
#[derive(Debug)]
pub struct Supervisor {
    desk: Desk,
    held: Vec<RunId>,
}

impl Supervisor {
    /// Starts a launcher where none answers, connects, and learns which runs it holds. Writes to the board what cannot be enforced.
    ///
    /// The caller then tells the engine [`Booted`](lull_policy::Event::Booted) and
    /// [`RunsHeld`](lull_policy::Event::RunsHeld) with [`Self::held`], and only then calls [`Self::serve`].
    pub async fn start(setup: Setup) -> Result<Self, SupervisorError> {
        let (launcher, held) = Launcher::connect(&setup).await?;
        let ids = held.iter().map(|run| RunId(run.run)).collect();
        Ok(Self {
            desk: Desk::new(setup, launcher, held),
            held: ids,
        })
    }

    /// The runs that the launcher holds: alive, or ended with their end not yet durable. An app's own process is none.
    pub fn held(&self) -> Vec<RunId> {
        let runs = self.held.iter().copied();
        runs.filter(|run| !is_front(*run)).collect()
    }

    /// Supervises until both channels are closed; the runs go on with the launcher.
    ///
    /// # Errors
    /// Only what a restart of the daemon mends. A launcher that dies is started again, and its runs are reported lost.
    pub async fn serve(
        self,
        launches: mpsc::Receiver<RunOrder>,
        stops: mpsc::Receiver<RunOrder>,
    ) -> Result<(), SupervisorError> {
        self.desk.serve(launches, stops).await
    }
}
