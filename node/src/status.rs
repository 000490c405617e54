//! The status board: what the parts of the daemon say about themselves, for `GetStatus`, and their counters.
//!
//! Every part writes its own lines, the local API reads all of them. Deliberately absent: decisions; nothing is ever read from
//! the board to decide something.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lull_policy::RunId;
use tokio::sync::watch;

/// Counter names on the board: each part has a handful; more would be a label that is not bounded.
pub const COUNTERS: usize = 128;

/// Lines about what cannot be enforced: one per limit and per missing controller, with room to spare.
pub const CANNOT_ENFORCE: usize = 64;

/// Runs with processes at one time: one per registration of every app is far above what a device can hold.
pub const PROCESSES: usize = 4_096;

/// Bytes of one line; what is longer is cut at a character.
pub const LINE: usize = 512;

/// Names of the readings, as `GetStatus` shows them.
pub mod reading {
    /// [`lull_policy::Reading::ExternalPower`].
    pub const EXTERNAL_POWER: &str = "external-power";
    /// [`lull_policy::Reading::Battery`].
    pub const BATTERY: &str = "battery";
    /// [`lull_policy::Reading::BatterySaver`].
    pub const BATTERY_SAVER: &str = "battery-saver";
    /// [`lull_policy::Reading::SaverManual`].
    pub const SAVER_MANUAL: &str = "saver-manual";
    /// [`lull_policy::Reading::Network`].
    pub const NETWORK: &str = "network";
    /// [`lull_policy::Reading::Internet`].
    pub const INTERNET: &str = "internet";
    /// [`lull_policy::Reading::Metered`].
    pub const METERED: &str = "metered";
    /// [`lull_policy::Reading::Session`].
    pub const SESSION: &str = "session";
    /// [`lull_policy::Reading::UserPresent`].
    pub const USER_PRESENT: &str = "user-present";
    /// [`lull_policy::Reading::ScreenLocked`].
    pub const SCREEN_LOCKED: &str = "screen-locked";
    /// [`lull_policy::Reading::ScreenOn`].
    pub const SCREEN_ON: &str = "screen-on";
    /// [`lull_policy::Reading::Standby`].
    pub const STANDBY: &str = "standby";
    /// [`lull_policy::Reading::Call`].
    pub const CALL: &str = "call";
    /// [`lull_policy::Reading::Zone`].
    pub const ZONE: &str = "zone";
    /// [`lull_policy::Reading::CpuPressure`].
    pub const CPU_PRESSURE: &str = "cpu-pressure";
}

/// Who keeps this device awake for a run that asked for the network, as a line of [`Status::sources`] (RUN-30).
pub const STAY_AWAKE: &str = "stay-awake";

/// Names of the trigger sources that are no readings, as lines of [`Status::sources`].
pub mod trigger_source {
    /// Files that change (TRG-48).
    pub const FILES: &str = "trigger-files";
    /// Devices that come and go (TRG-46).
    pub const DEVICES: &str = "trigger-devices";
    /// Signals of the bus (TRG-47).
    pub const BUS: &str = "trigger-bus";
    /// Text messages (TRG-04).
    pub const SMS: &str = "trigger-sms";
    /// The enrolled identity (TRG-03).
    pub const IDENTITY: &str = "trigger-identity";
}

/// Where the processes of a run are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunProcess {
    /// Its main process.
    pub pid: u32,
    /// Its cage, as a path below the cgroup file system.
    pub cgroup: String,
}

/// All that is on the board, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// This device's id; empty = not enrolled.
    pub device: String,
    /// The session with the coordinator is up.
    pub connected: bool,
    /// The coordinator's address; empty = not enrolled.
    pub coordinator: String,
    /// Where each reading comes from, by its name in [`reading`], and where each source of [`trigger_source`] stands.
    pub sources: BTreeMap<&'static str, String>,
    /// What this machine cannot enforce, in words.
    pub cannot_enforce: BTreeSet<String>,
    /// The launcher's process; 0 = not known.
    pub launcher_pid: u32,
    /// Processes of runs under way.
    pub processes: BTreeMap<RunId, RunProcess>,
    /// Counters of this process.
    pub counters: BTreeMap<&'static str, u64>,
    /// Where a damaged store was moved to at this start.
    pub store_set_aside: Option<PathBuf>,
    /// What was found damaged in it.
    pub store_damage: String,
    /// Why the store takes nothing that begins now; empty = it works.
    pub store_trouble: String,
}

/// The board. Shared by reference; every method takes a short lock and none blocks on anything else.
#[derive(Debug, Default)]
pub struct StatusBoard {
    status: Mutex<Status>,
    /// Processes of runs that are on the board.
    processes: watch::Sender<usize>,
}

impl StatusBoard {
    /// An empty board.
    pub fn new() -> Self {
        Self::default()
    }

    /// All that is on it now.
    pub fn read(&self) -> Status {
        self.lock().clone()
    }

    /// The identity under which this node is enrolled, and with whom.
    pub fn set_identity(&self, device: &str, coordinator: &str) {
        let mut status = self.lock();
        status.device = line(device);
        status.coordinator = line(coordinator);
    }

    /// The session with the coordinator came up or went down.
    pub fn set_connected(&self, connected: bool) {
        self.lock().connected = connected;
    }

    /// Where a reading comes from (a path of sysfs, "assumed by the profile", …), or how a trigger source stands. `name` is one
    /// of [`reading`] or [`trigger_source`], or [`STAY_AWAKE`].
    pub fn set_source(&self, name: &'static str, source: &str) {
        self.lock().sources.insert(name, line(source));
    }

    /// Adds a limit that this machine cannot enforce, with the reason.
    pub fn cannot_enforce(&self, what: &str) {
        let mut status = self.lock();
        if status.cannot_enforce.len() < CANNOT_ENFORCE {
            status.cannot_enforce.insert(line(what));
        }
    }

    /// The launcher's process.
    pub fn set_launcher(&self, pid: u32) {
        self.lock().launcher_pid = pid;
    }

    /// A run has processes.
    pub fn set_process(&self, run: RunId, process: RunProcess) {
        let mut status = self.lock();
        if status.processes.len() < PROCESSES {
            status.processes.insert(run, process);
        }
        self.processes.send_replace(status.processes.len());
    }

    /// Waits until a run has processes.
    pub async fn some_process(&self) {
        let mut count = self.processes.subscribe();
        // The sender is this board's own and lives as long.
        count.wait_for(|count| *count > 0).await.ok();
    }

    /// Every process of a run is gone.
    pub fn remove_process(&self, run: RunId) {
        let mut status = self.lock();
        status.processes.remove(&run);
        self.processes.send_replace(status.processes.len());
    }

    /// Where the damaged store was moved to, and what was found.
    pub fn set_store_set_aside(&self, path: PathBuf, found: &str) {
        let mut status = self.lock();
        status.store_set_aside = Some(path);
        status.store_damage = line(found);
    }

    /// Why the store takes nothing that begins; empty = it works again.
    pub fn set_store_trouble(&self, trouble: &str) {
        self.lock().store_trouble = line(trouble);
    }

    /// Counts one. Names are constants of the part that counts, for instance `link-orders-dropped`.
    pub fn count(&self, counter: &'static str) {
        self.add(counter, 1);
    }

    /// Counts several.
    pub fn add(&self, counter: &'static str, n: u64) {
        let mut status = self.lock();
        if status.counters.len() < COUNTERS || status.counters.contains_key(counter) {
            let sum = status.counters.entry(counter).or_default();
            *sum = sum.saturating_add(n);
        }
    }

    /// One counter, 0 if nothing was counted.
    pub fn counter(&self, counter: &'static str) -> u64 {
        self.lock().counters.get(counter).copied().unwrap_or(0)
    }

    /// A poisoned board still has true lines: each is written in one step.
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn line(text: &str) -> String {
    let end = text.floor_char_boundary(LINE);
    text.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_and_lists_are_bounded() {
        let board = StatusBoard::new();
        board.set_identity(&"ü".repeat(LINE), "127.0.0.1:7443");
        for n in 0..2 * CANNOT_ENFORCE {
            board.cannot_enforce(&format!("limit {n}"));
        }
        let status = board.read();
        assert_eq!(status.device.len(), LINE);
        assert_eq!(status.cannot_enforce.len(), CANNOT_ENFORCE);
    }

    #[test]
    fn counters_add_up() {
        let board = StatusBoard::new();
        board.count("refused");
        board.add("refused", 2);
        assert_eq!(board.counter("refused"), 3);
        assert_eq!(board.counter("other"), 0);
    }
}
