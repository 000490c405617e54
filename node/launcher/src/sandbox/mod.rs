//! Sandboxes: what an agent may do of all that its Unix user could (RUN-46, RUN-47). What is not granted is refused.
//!
//! Two kernel features, both given up for good before `execve`, both inherited by everything the agent starts:
//!
//! - `calls`: seccomp filters of system calls, compiled when the launcher begins;
//! - `files`: a Landlock ruleset of files, made for each launch.
//!
//! [`grant`] is the table of what can be granted; which of it an app has is the daemon's business and stands in the order as a
//! [`Sandbox`]. A denied operation fails (EPERM for calls, EACCES for files), and the run goes on.
//!
//! Deliberately absent: mount namespaces, so that the names of other processes in `/proc` can be read, and sockets with a path are
//! kept from agents by their own file modes only; limits of use, which are the cages'; and addresses, since whom an agent may
//! speak to on the network is not decided here.

mod call_list;
mod calls;
mod files;
pub mod grant;

use std::collections::BTreeSet;
use std::io;

use serde::{Deserialize, Serialize};

pub use files::{
    DEVICES, NAME_SERVICE, PRIVATE, PROGRAMS, SYSTEM_READ, SYSTEM_RUN, own_programs, refuse_read,
    refuse_write,
};
pub use grant::Grant;

use crate::cage::CannotEnforce;
use crate::wire::Launch;

/// What one agent may do beyond what every agent may.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sandbox {
    /// Its abilities.
    pub grants: BTreeSet<Grant>,
    /// Files and folders that it may read, absolute paths. What is not there is not granted.
    pub reads: Vec<String>,
    /// Files and folders that it may read and change, the app's own folder among them.
    pub writes: Vec<String>,
    /// Device nodes that it may use: those of the device for which it was started (TRGD-26).
    pub devices: Vec<String>,
}

impl Sandbox {
    /// For an order of a daemon that knows no sandboxes: the Internet, and its own folder.
    fn usual(folder: &str) -> Self {
        Self {
            grants: [Grant::Internet].into(),
            writes: vec![folder.to_owned()],
            ..Self::default()
        }
    }
}

/// What this kernel lets us enforce, found out once, and what is the same for all agents.
#[derive(Debug)]
pub(crate) struct Sandboxes {
    calls: Option<calls::Filters>,
    /// The system's folders; absent where there is no Landlock.
    files: Option<files::System>,
}

/// What a child gives up, prepared before the clone.
#[derive(Debug)]
pub(crate) struct Walls<'a> {
    calls: Option<&'a calls::Filters>,
    internet: bool,
    files: Option<files::Rules>,
}

/// Why a sandbox could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the agent's Landlock ruleset")]
pub(crate) struct SandboxError(#[from] landlock::RulesetError);

impl Sandboxes {
    /// Finds out what this kernel offers, and confines this process to what it and agents need; also what cannot be enforced.
    pub(crate) fn begin() -> (Self, Vec<CannotEnforce>) {
        let mut cannot = Vec::new();
        let calls = calls::Filters::begin().map_err(|reason| {
            cannot.push(CannotEnforce {
                limit: "the filter of system calls",
                reason: format!(
                    "{reason}; agents can call everything that their user may; use a kernel with CONFIG_SECCOMP_FILTER"
                ),
            });
        });
        let missing = files::missing();
        let whole = missing.iter().any(|(level, _)| *level == files::Level::All);
        cannot.extend(missing.into_iter().map(|(_level, missing)| missing));
        if !rustix::process::geteuid().is_root() {
            cannot.push(CannotEnforce {
                limit: "the distance to displays and sessions",
                reason: "the launcher is not root, so agents can connect to the sockets of its own user's session; start the node as root".to_owned(),
            });
        }
        let sandboxes = Self {
            calls: calls.ok(),
            files: (!whole).then(files::System::find),
        };
        (sandboxes, cannot)
    }

    /// Prepares the walls of a launch.
    pub(crate) fn prepare(&self, order: &Launch) -> Result<Walls<'_>, SandboxError> {
        let usual;
        let sandbox = if let Some(sandbox) = &order.sandbox {
            sandbox
        } else {
            usual = Sandbox::usual(&order.folder);
            &usual
        };
        Ok(Walls {
            calls: self.calls.as_ref(),
            internet: sandbox.grants.contains(&Grant::Internet),
            files: self
                .files
                .as_ref()
                .map(|system| system.rules(order, sandbox))
                .transpose()?,
        })
    }
}

impl Walls<'_> {
    /// In the child: from here on it has the files of its sandbox. Descriptors that are open stay as they are.
    pub(crate) fn close_files(&self) -> io::Result<()> {
        self.files.as_ref().map_or(Ok(()), files::Rules::apply)
    }

    /// In the child, last before `execve`: from here on it has the system calls of its sandbox.
    pub(crate) fn close_calls(&self) -> io::Result<()> {
        let filters = self.calls;
        filters.map_or(Ok(()), |filters| filters.apply(self.internet))
    }
}
