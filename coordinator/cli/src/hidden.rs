//! The hidden verbs: the processes that `lull up` makes of this same executable, and its node's enrolment.

use std::path::Path;

use lull_coordinator::config::CoordinatorConfig;
use lull_node::config::{NodeConfig, Overrides};
use lull_node::identity::{Identity, IdentityError};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::clock::wall;
use crate::failure::{Failure, chain};
use crate::locate::StateFolder;

/// The coordinator's process.
pub(crate) fn coordinator(config: &Path) -> Result<(), Failure> {
    end_with_parent()?;
    let config = CoordinatorConfig::load(config).map_err(|error| refused(&error))?;
    lull_coordinator::server::run(config)
        .map_err(|error| Failure::internal("the coordinator failed", &error))
}

/// The node's process.
pub(crate) fn node(config: &Path) -> Result<(), Failure> {
    end_with_parent()?;
    let mut config = node_config(config)?;
    config.launch_by(&["__launcher"]);
    lull_node::daemon::run(config).map_err(|error| Failure::internal("the node failed", &error))
}

/// The launcher's process. It outlives the node on purpose.
pub(crate) fn launcher(socket: &Path) -> Result<(), Failure> {
    lull_launcher::run(socket)
        .map_err(|error| Failure::internal("the launcher failed", &error.into()))
}

/// Whether the node of this state folder has an identity that is good. One whose certificate has ended is set aside: the
/// device joins anew.
pub(crate) fn is_enrolled(node: &StateFolder) -> Result<bool, Failure> {
    let folder = node.node().join("identity");
    match Identity::load(&folder) {
        Ok(identity) => Ok(identity.is_some()),
        Err(IdentityError::Ended { .. }) => {
            let aside = node
                .node()
                .join(format!("identity.ended-{}", wall().as_second()));
            std::fs::rename(&folder, &aside)
                .map(|()| false)
                .map_err(|error| {
                    Failure::internal(
                        format!("cannot set {} aside", folder.display()),
                        &error.into(),
                    )
                })
        }
        Err(error) => Err(refused(&error)),
    }
}

/// Trades a token for the identity of a node.
pub(crate) async fn enroll(config: &Path, door: &str, token: &str) -> Result<(), Failure> {
    let config = node_config(config)?;
    let enrolled = lull_node::identity::enroll(&config, token, door).await;
    enrolled
        .map(drop)
        .map_err(|error| Failure::Refused(chain(&error).join(": ")))
}

/// What the file says alone: the environment is that of whoever called `lull`.
fn node_config(path: &Path) -> Result<NodeConfig, Failure> {
    NodeConfig::load(Some(path), [], Overrides::default()).map_err(|error| refused(&error))
}

/// Asks to be ended when the process that started this one dies without ending it.
fn end_with_parent() -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|error| Failure::internal("cannot follow the parent process", &error.into()))
}

fn refused(error: &(dyn std::error::Error + 'static)) -> Failure {
    Failure::Input(chain(error).join(": "))
}
