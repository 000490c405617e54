//! The coordinator and the node of one state folder, as children of this process.

use std::ffi::OsStr;
use std::time::Duration;

use lull_proto::local::v1::{GetStatusRequest, GetStatusResponse};
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, kill_process, set_child_subreaper, waitpid,
};

use super::cages;
use super::daemon::{Daemon, until};
use super::folder::HeldFolder;
use super::settings;
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::locate::{Ready, StateFolder};
use crate::node::Node;
use crate::proc::Process;

/// To make keys, open the store and bind, on a loaded machine.
const STARTING: Duration = Duration::from_secs(30);
/// For the node's session: its first attempts are at most a few seconds apart.
const CONNECTING: Duration = Duration::from_secs(30);
/// For an idle launcher to end.
const LAUNCHER: Duration = Duration::from_secs(5);

/// The two daemons, each there or not.
#[derive(Debug)]
pub(crate) struct Pair {
    held: HeldFolder,
    coordinator: Option<Daemon>,
    node: Option<Daemon>,
    launcher: Option<Process>,
}

impl Pair {
    /// None of them runs yet. From here on a launcher whose node has gone is this process's child, and reaped by it.
    pub(crate) fn new(held: HeldFolder) -> Result<Self, Failure> {
        set_child_subreaper(Some(getpid()))
            .map_err(|error| Failure::internal("cannot take on orphans", &error.into()))?;
        Ok(Self {
            held,
            coordinator: None,
            node: None,
            launcher: None,
        })
    }

    /// What is where.
    pub(crate) fn folder(&self) -> &StateFolder {
        &self.held.folder
    }

    /// The folder and the executable, held.
    pub(crate) fn held(&self) -> &HeldFolder {
        &self.held
    }

    /// The coordinator's process, while there is one.
    pub(crate) fn coordinator_process(&self) -> Option<Process> {
        self.coordinator.as_ref().map(Daemon::process)
    }

    /// The node's process, while there is one.
    pub(crate) fn node_process(&self) -> Option<Process> {
        self.node.as_ref().map(Daemon::process)
    }

    /// The launcher's process, as the node last named it.
    pub(crate) fn launcher_process(&self) -> Option<Process> {
        self.launcher
    }

    /// Starts the coordinator and waits until it listens.
    pub(crate) async fn start_coordinator(&mut self) -> Result<Ready, Failure> {
        let config = settings::coordinator(self.folder())?;
        let mut daemon = self.start("coordinator", "__coordinator", config.as_os_str())?;
        let (path, pid) = (self.folder().ready(), daemon.process().pid);
        let ready = until(STARTING, "the coordinator did not listen", async || {
            daemon.check()?;
            Ok(Ready::read(&path).filter(|ready| ready.pid == pid))
        });
        let ready = ready.await;
        self.coordinator = Some(daemon);
        let ready = ready?;
        settings::keep_ports(self.folder(), &ready)?;
        Ok(ready)
    }

    /// Connects to the coordinator as its operator.
    pub(crate) async fn operator(&self) -> Result<Coordinator, Failure> {
        let ready = Ready::read(&self.folder().ready()).ok_or_else(|| Failure::Unreachable {
            message: format!("{} says nothing", self.folder().ready().display()),
            causes: Vec::new(),
        })?;
        Coordinator::connect(&ready.fleet, &self.folder().operator()).await
    }

    /// Has the node trade a token for its identity; it need not run.
    pub(crate) async fn enrol(&self, door: &str, token: &str) -> Result<(), Failure> {
        let config = settings::node(self.folder())?;
        crate::hidden::enroll(&config, door, token).await
    }

    /// Starts the node and waits until it answers.
    pub(crate) async fn start_node(&mut self) -> Result<GetStatusResponse, Failure> {
        let config = settings::node(self.folder())?;
        let mut daemon = self.start("node", "__node", config.as_os_str())?;
        let (socket, pid) = (self.folder().socket(), daemon.process().pid);
        let status = until(
            STARTING,
            "the node did not answer on its socket",
            async || {
                daemon.check()?;
                Ok(status(&socket).await.filter(|status| status.pid == pid))
            },
        );
        let status = status.await;
        self.node = Some(daemon);
        let status = status?;
        self.launcher = Process::of(status.launcher_pid);
        Ok(status)
    }

    /// Waits until the node's session with the coordinator is up.
    pub(crate) async fn connected(&mut self) -> Result<GetStatusResponse, Failure> {
        let socket = self.folder().socket();
        let Some(daemon) = &mut self.node else {
            return Err(not_running("node"));
        };
        until(
            CONNECTING,
            "the node did not reach its coordinator",
            async || {
                daemon.check()?;
                Ok(status(&socket).await.filter(|status| status.connected))
            },
        )
        .await
    }

    fn start(&self, name: &'static str, verb: &str, config: &OsStr) -> Result<Daemon, Failure> {
        let log = self.folder().logs().join(format!("{name}.log"));
        let arguments = [OsStr::new(verb), OsStr::new("--config"), config];
        Daemon::start(name, &self.held.executable, &arguments, &log)
    }

    /// Resolves when one of them ends by itself, which is a failure.
    pub(crate) async fn unexpected_end(&mut self) -> Failure {
        match (&mut self.coordinator, &mut self.node) {
            (Some(coordinator), Some(node)) => tokio::select! {
                failure = coordinator.unexpected_end() => failure,
                failure = node.unexpected_end() => failure,
            },
            (Some(one), None) | (None, Some(one)) => one.unexpected_end().await,
            (None, None) => not_running("coordinator"),
        }
    }

    /// Ends the node in order; its runs stay with the launcher.
    pub(crate) async fn stop_node(&mut self) -> Result<(), Failure> {
        self.node
            .take()
            .ok_or_else(|| not_running("node"))?
            .stop()
            .await
    }

    /// Kills the node (SIGKILL).
    pub(crate) async fn kill_node(&mut self) -> Result<(), Failure> {
        self.node
            .take()
            .ok_or_else(|| not_running("node"))?
            .kill()
            .await
    }

    /// Kills the coordinator (SIGKILL).
    pub(crate) async fn kill_coordinator(&mut self) -> Result<(), Failure> {
        self.coordinator
            .take()
            .ok_or_else(|| not_running("coordinator"))?
            .kill()
            .await
    }

    /// Ends whatever runs: the node, the launcher if it holds no run, the coordinator. The first failure is told, after
    /// all were tried.
    pub(crate) async fn end(&mut self) -> Result<(), Failure> {
        let busy = self.node.is_some() && self.holds_runs().await;
        self.end_with(busy).await
    }

    /// Ends whatever runs, the launcher too, whatever it holds.
    pub(crate) async fn end_all(&mut self) -> Result<(), Failure> {
        self.end_with(false).await
    }

    async fn end_with(&mut self, keep_launcher: bool) -> Result<(), Failure> {
        let node = match self.node.take() {
            Some(node) => node.stop().await,
            None => Ok(()),
        };
        let launcher = if keep_launcher {
            Ok(())
        } else {
            self.end_launcher().await
        };
        let coordinator = match self.coordinator.take() {
            Some(coordinator) => coordinator.stop().await,
            None => Ok(()),
        };
        if !keep_launcher {
            // Empty ones; what is left in one is the next start's to adopt.
            cages::remove(&settings::cage(&self.folder().0));
        }
        node.and(launcher).and(coordinator)
    }

    /// Whether agents run now. A node that does not answer is taken to have some: they are not to be lost.
    async fn holds_runs(&self) -> bool {
        let runs = async {
            let node = Node::connect(&self.folder().socket()).await?;
            crate::verb::list_runs(&node, "", 1).await
        };
        runs.await
            .map_or(true, |runs| runs.iter().any(|run| run.state.is_some()))
    }

    /// Ends the launcher: it was started by the node, on purpose not as its child for good.
    async fn end_launcher(&mut self) -> Result<(), Failure> {
        let Some(launcher) = self.launcher.take().filter(|launcher| launcher.alive()) else {
            return Ok(());
        };
        let pid = i32::try_from(launcher.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM).ok();
        }
        until(LAUNCHER, "the launcher did not end", async || {
            // Ours to reap where its node has gone; a launcher of an earlier start is somebody else's.
            waitpid(pid, WaitOptions::NOHANG).ok();
            Ok((!launcher.listed()).then_some(()))
        })
        .await
    }
}

async fn status(socket: &std::path::Path) -> Option<GetStatusResponse> {
    let node = Node::connect(socket).await.ok()?;
    node.operator()
        .get_status(GetStatusRequest {})
        .await
        .ok()
        .map(tonic::Response::into_inner)
}

fn not_running(name: &str) -> Failure {
    Failure::Internal {
        message: format!("the {name} does not run"),
        causes: Vec::new(),
    }
}
