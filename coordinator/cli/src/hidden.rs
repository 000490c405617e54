//! The hidden verbs: the processes that `lull up` makes of this same executable.

use std::path::Path;

use lull_coordinator::config::CoordinatorConfig;
use lull_node::config::NodeConfig;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::failure::Failure;

/// The coordinator's process.
pub(crate) fn coordinator(config: &Path) -> Result<(), Failure> {
    end_with_parent()?;
    let config = CoordinatorConfig::load(config).map_err(|error| refused(&error.into()))?;
    lull_coordinator::server::run(config)
        .map_err(|error| Failure::internal("the coordinator failed", &error))
}

/// The node's process.
pub(crate) fn node(config: &Path) -> Result<(), Failure> {
    end_with_parent()?;
    let mut config = NodeConfig::load(config).map_err(|error| refused(&error.into()))?;
    lull_node::daemon::run(config).map_err(|error| Failure::internal("the node failed", &error))
}

/// The launcher's process. It outlives the node on purpose.
pub(crate) fn launcher(socket: &Path) -> Result<(), Failure> {
    lull_launcher::run(socket)
        .map_err(|error| Failure::internal("the launcher failed", &error.into()))
}

/// Trades a token for the identity of a node.
pub(crate) async fn enroll(
    folder: &crate::locate::StateFolder,
    door: &str,
    token: &str,
) -> Result<(), Failure> {
    Ok(())
}

/// Asks to be ended when the process that started this one dies without ending it.
fn end_with_parent() -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure::internal("cannot follow the parent process", &error.into()))
}

fn refused(error: &anyhow::Error) -> Failure {
    Failure::Input(
        error
            .chain()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": "),
    )
}
