//! App manifests: which agents are installed, what starts them, as whom they run.
//!
//! [`read`] turns one file into a [`Manifest`] that cannot be wrong inside; [`Catalog`] holds the set that is installed
//! now, chooses the Unix user of each app and keeps its folder; [`allowed`] is the table of what capabilities open at run time, and
//! [`certify`] tells it of one manifest. Deliberately absent: what an app may register (the machine's decision), how a program is
//! started and confined (the launcher).

pub mod allowed;
mod catalog;
mod certify;
mod folder;
mod follow;
mod owner;
mod read;
mod register;
mod state_folder;
mod uids;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use lull_policy::{
    AgentDeclaration, App, AppId, Capability, EntryPoint, RegistrationRequest, Signer,
};

pub use catalog::{Catalog, CatalogError};
pub use certify::{AgentCertificate, Certificate, Finding, NEVER, certify, certify_file};
pub use follow::follow;
pub use owner::{Owner, Rights};
pub use read::read;

/// Bounds of manifests, each with its reason.
pub mod bounds {
    /// Bytes of a manifest (threat T2): hundreds of agents would fit.
    pub const FILE: u64 = 64 << 10;
    /// Files that are looked at in the folder: twice the apps a device has.
    pub const FILES: usize = 2 * lull_policy::bounds::APPS;
    /// Agents of one app: a large app has a handful.
    pub const AGENTS: usize = 32;
    /// Registrations that one manifest declares: some for each agent.
    pub const REGISTRATIONS: usize = 64;
    /// Words of a command, the program included.
    pub const COMMAND_WORDS: usize = 64;
    /// Bytes of one word of a command: a path at its longest (`PATH_MAX`).
    pub const WORD: usize = 4_096;
    /// Paths that an agent declares to read, and as many to write.
    pub const PATHS: usize = 16;
    /// Bytes of all words of a command.
    pub const COMMAND: usize = 32 << 10;
    /// Variables of one agent.
    pub const VARIABLES: usize = 64;
    /// Bytes of a variable's name.
    pub const VARIABLE_NAME: usize = 64;
    /// Bytes of a variable's value.
    pub const VARIABLE_VALUE: usize = 4_096;
    /// Bytes of a version.
    pub const VERSION: usize = 64;
    /// Bytes of a resource group's name.
    pub const GROUP: usize = 64;
    /// Bytes of a Unix user's name (`useradd`'s own bound).
    pub const USER: usize = 32;
}

/// One manifest, parsed and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The app's id.
    pub id: AppId,
    /// Its version.
    pub version: String,
    /// The Unix user it names; absent = one of the configured range.
    pub user: Option<String>,
    /// What it may do beyond running.
    pub capabilities: BTreeSet<Capability>,
    /// The app's own program, for in-process tasks (RUN-04); absent = it is never started by the node.
    pub front: Option<Program>,
    /// Its agents.
    pub agents: BTreeMap<EntryPoint, Agent>,
    /// Registrations that the daemon makes for it.
    pub registrations: Vec<RegistrationRequest>,
}

/// One agent of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// What the machine needs to know of it.
    pub declaration: AgentDeclaration,
    /// What is started.
    pub program: Program,
}

/// A program of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The program: an absolute path without `..`.
    pub path: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// What is added to its environment.
    pub environment: BTreeMap<String, String>,
    /// Files and folders that it may read beside the system's and its own.
    pub reads: Vec<String>,
    /// Files and folders that it may change beside its own.
    pub writes: Vec<String>,
}

impl Manifest {
    /// The machine's view.
    pub fn app(&self) -> App {
        App {
            id: self.id.clone(),
            version: self.version.clone(),
            agents: self
                .agents
                .values()
                .map(|agent| agent.declaration.clone())
                .collect(),
            capabilities: self.capabilities.clone(),
            // This release verifies no signature: privileged capabilities never count.
            signed_by: Signer::None,
        }
    }
}

#[cfg(test)]
mod tests;
