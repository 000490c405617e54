//! Where this machine's node and the fleet's coordinator are, when nobody says so.
//!
//! Searched in this order: what the command line (or its environment variable) names, the state folder of `lull up`,
//! and for the node the socket of the system's own service.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::command::Global;
use crate::failure::Failure;

/// The socket of a node that runs as a system service.
const SERVICE_SOCKET: &str = "/run/lull/local.sock";

/// The state folder that a verb speaks about.
pub(crate) fn state(global: &Global) -> PathBuf {
    global.state.clone().unwrap_or_else(default_state)
}

/// The state folder of `lull up` where none is named.
pub(crate) fn default_state() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/lull-up");
    }
    let folder = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    folder("XDG_STATE_HOME")
        .or_else(|| folder("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(|| PathBuf::from("/tmp"))
        .join("lull")
}

/// Where things are inside the state folder of `lull up`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StateFolder(pub(crate) PathBuf);

impl StateFolder {
    /// The coordinator's own state.
    pub(crate) fn coordinator(&self) -> PathBuf {
        self.0.join("coordinator")
    }

    /// The node's own state.
    pub(crate) fn node(&self) -> PathBuf {
        self.0.join("node")
    }

    /// The node's sockets.
    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    /// The node's local API.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run().join("local.sock")
    }

    /// The apps' manifests.
    pub(crate) fn apps(&self) -> PathBuf {
        self.0.join("apps")
    }

    /// What the daemons say.
    pub(crate) fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// The operator's identity.
    pub(crate) fn operator(&self) -> PathBuf {
        self.coordinator().join("operator")
    }

    /// Where the coordinator says that it listens.
    pub(crate) fn ready(&self) -> PathBuf {
        self.coordinator().join("ready.json")
    }
}

/// What a coordinator says once it listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Ready {
    /// Its fleet listener, `ip:port`.
    pub(crate) fleet: String,
    /// Its door, `ip:port`.
    pub(crate) door: String,
    /// Its process.
    pub(crate) pid: u32,
}

impl Ready {
    /// Reads `ready.json`; none while it is not there or half there.
    pub(crate) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        serde_json::from_str(&text).ok()
    }
}

/// The socket of this machine's node.
pub(crate) fn node_socket(global: &Global) -> PathBuf {
    if let Some(socket) = &global.node_socket {
        return socket.clone();
    }
    let ours = StateFolder(state(global)).socket();
    if global.state.is_some() || ours.exists() {
        ours
    } else {
        PathBuf::from(SERVICE_SOCKET)
    }
}

/// The coordinator's fleet listener and the identity to show there.
pub(crate) fn coordinator(global: &Global) -> Result<(String, PathBuf), Failure> {
    let folder = StateFolder(state(global));
    let identity = global.identity.clone().unwrap_or_else(|| folder.operator());
    if let Some(address) = &global.coordinator {
        return Ok((address.clone(), identity));
    }
    match Ready::read(&folder.ready()) {
        Some(ready) => Ok((ready.fleet, identity)),
        None => Err(Failure::Unreachable {
            message: format!(
                "no coordinator is known here: {} says nothing; start one with `lull up`, or name one with \
                 --coordinator HOST:PORT --identity DIR, or the state folder of `lull up` with --state DIR",
                folder.ready().display()
            ),
            causes: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(state: &Path) -> Global {
        Global {
            json: false,
            state: Some(state.to_owned()),
            node_socket: None,
            coordinator: None,
            identity: None,
        }
    }

    #[test]
    fn the_coordinator_is_found_in_the_state_folder() {
        let state = tempfile::tempdir().unwrap();
        let global = global(state.path());
        assert!(coordinator(&global).is_err());
        let folder = StateFolder(state.path().to_owned());
        std::fs::create_dir(folder.coordinator()).unwrap();
        let ready = r#"{"fleet":"127.0.0.1:4001","door":"127.0.0.1:4002","pid":7}"#;
        std::fs::write(folder.ready(), ready).unwrap();
        let found = coordinator(&global).unwrap();
        assert_eq!(found, ("127.0.0.1:4001".to_owned(), folder.operator()));
        let named = Global {
            coordinator: Some("fleet:7443".to_owned()),
            ..global
        };
        assert_eq!(coordinator(&named).unwrap().0, "fleet:7443");
    }

    #[test]
    fn a_half_written_ready_file_is_none() {
        let state = tempfile::tempdir().unwrap();
        let path = state.path().join("ready.json");
        std::fs::write(&path, r#"{"fleet":"127.0.0.1:40"#).unwrap();
        assert_eq!(Ready::read(&path), None);
    }
}
