//! What is known of one app's process.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use lull_policy::{AppId, Exit};
use tokio::sync::mpsc;

use super::{Gone, Passing};
use crate::local::Lease;

/// An app's process: connected, started by the node, both, or gone.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// It is connected.
    pub(super) host: Option<Host>,
    /// The node started it.
    pub(super) started: Option<Started>,
    /// Why it could not be started the last time.
    pub(super) trouble: Option<String>,
    /// The last one that was connected.
    pub(super) departure: Option<Departure>,
    /// How the last one that the node started ended.
    last_exit: Option<(u32, Exit)>,
    /// Connections so far.
    pub(super) connections: u64,
}

/// A connected process.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// 1, 2, … within its app.
    pub(super) serial: u64,
    pub(super) to_process: mpsc::Sender<Passing>,
    pub(super) pid: u32,
    /// Names the process for good, whatever becomes of its number.
    pub(super) pidfd: Arc<OwnedFd>,
    pub(super) lease: Arc<Lease>,
}

/// A process that the node started.
#[derive(Debug)]
pub(super) struct Started {
    /// Absent while it is on its way.
    pub(super) pid: Option<u32>,
    #[expect(dead_code, reason = "held: the process counts as there")]
    pub(super) lease: Arc<Lease>,
}

/// A process that was connected.
#[derive(Debug)]
pub(super) struct Departure {
    pub(super) serial: u64,
    /// It said that it would go.
    pub(super) left: bool,
    pub(super) pid: u32,
    /// How it ended; absent = not known, or not yet.
    pub(super) exit: Option<Exit>,
}

impl Process {
    /// What became of a connection; absent = it stands, or the launcher has not said yet how its process ended.
    pub(super) fn fate(&self, serial: u64) -> Option<Gone> {
        let departure = self
            .departure
            .as_ref()
            .filter(|gone| gone.serial == serial)?;
        if departure.left {
            return Some(Gone::Left);
        }
        match &departure.exit {
            Some(exit) => Some(Gone::Died(exit.clone())),
            None if self.pid_of_started() == Some(departure.pid) => None,
            // Nobody will ever say.
            None => Some(Gone::Died(Exit::Vanished)),
        }
    }

    /// The launcher told how it ended.
    pub(super) fn ended(&mut self, app: &AppId, exit: Exit) {
        let pid = self.pid_of_started();
        self.started = None;
        let came = [
            self.host.as_ref().map(|host| host.pid),
            self.departure.as_ref().map(|departure| departure.pid),
        ];
        if let Exit::LaunchFailed { message } = &exit {
            self.trouble = Some(format!(
                "the process of app {app} was not started: {message}"
            ));
        } else if !came.contains(&pid) {
            self.trouble = Some(format!(
                "the process of app {app} ended before it connected to take its runs ({exit:?})"
            ));
        }
        let Some(pid) = pid else { return };
        if let Some(departure) = self.departure.as_mut().filter(|gone| gone.pid == pid) {
            departure.exit.get_or_insert_with(|| exit.clone());
        }
        self.last_exit = Some((pid, exit));
    }

    /// How a process ended, if the launcher has said so.
    pub(super) fn exit_of(&self, pid: u32) -> Option<Exit> {
        let known = self.last_exit.as_ref().filter(|(of, _)| *of == pid);
        known.map(|(_, exit)| exit.clone())
    }

    fn pid_of_started(&self) -> Option<u32> {
        self.started.as_ref().and_then(|started| started.pid)
    }
}
