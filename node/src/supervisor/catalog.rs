//! The port of the catalog of agents: which program an entry point is, and as whom it runs.
//!
//! Deliberately absent: how manifests are read, and how a uid is chosen for an app; that is the catalog's own business.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use lull_launcher::sandbox::Sandbox;
use lull_policy::{AppId, EntryPoint};

/// Knows the program of every entry point of every installed app.
pub trait AgentCatalog: Send + Sync + Debug + 'static {
    /// The program behind an entry point. Called off the runtime's threads, so that it may look at files.
    ///
    /// # Errors
    /// Why it cannot be started, for people: the app is gone, the entry point is not declared, its folder cannot be had. The text
    /// becomes the outcome of the run (`not-started`), so it names the thing, the value and the way out.
    fn agent(&self, app: &AppId, entry_point: &EntryPoint) -> Result<AgentProgram, String>;

    /// The app's own program, which is started in the background for its in-process tasks (RUN-04). As [`agent`](Self::agent).
    ///
    /// # Errors
    /// Why it cannot be started; above all, that its manifest has no `[front]`.
    fn front(&self, app: &AppId) -> Result<AgentProgram, String>;
}

/// One agent program, ready to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentProgram {
    /// The program, an absolute path. No shell is involved.
    pub program: PathBuf,
    /// Its arguments, without the program itself.
    pub args: Vec<String>,
    /// What the manifest adds to its environment. Names of the node's own (`LULL_…`) are overwritten.
    pub environment: BTreeMap<String, String>,
    /// The app's Unix user. Never 0 where the daemon is root; where it is not, agents run as the daemon's own user whatever stands here.
    pub uid: u32,
    /// The app's Unix group.
    pub gid: u32,
    /// Supplementary groups; empty for a uid of the configured range.
    pub groups: Vec<u32>,
    /// The user's name for `USER`; absent for a uid of the configured range.
    pub user_name: Option<String>,
    /// What it may do; the app's own folder is added to it.
    pub sandbox: Sandbox,
    /// The app's own folder, which exists and belongs to `uid`: `LULL_STATE`, `HOME` and the working folder.
    pub state_dir: PathBuf,
}
