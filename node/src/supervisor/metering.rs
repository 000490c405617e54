//! Has runs read while somebody wants to know what they use, and tells the engine.
//!
//! The launcher reads their cages, the device's own counters are read here. Which run is to be read when, and what it comes to, is
//! counted by [`Meter`]. While nothing is wanted nobody wakes up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lull_launcher::wire::Request;
use lull_policy::meter::{Meter, Totals};
use lull_policy::{AppId, Details, Event, Launch, Run, RunId, TriggerKind};

use super::Setup;
use super::device_use::DeviceUse;
use crate::clock::ClockRef;
use crate::ports::{EngineRef, Hold, RunOrder};
use crate::status::StatusBoard;

/// Counts samples for which the engine had no room; a watchdog acts on the next one.
const DROPPED: &str = "samples-dropped";

/// Counts spent quotas for which the engine had no room; they are told again.
const REFUSED: &str = "quotas-refused";

/// Processors that are switched on.
const ONLINE: &str = "/sys/devices/system/cpu/online";

/// What has to be known of a run to meter it.
#[derive(Debug, Clone)]
pub(super) struct Metered {
    app: AppId,
    rationed: bool,
    /// The device that it was started for the use of.
    device: Option<String>,
}

impl Metered {
    /// Of a run that is to be launched.
    pub(super) fn launch(launch: &Launch) -> Self {
        let kind = launch.trigger.kind();
        Self::new(&launch.app, kind, launch.details.as_ref())
    }

    /// Of a run under way.
    pub(super) fn run(run: &Run) -> Self {
        Self::new(&run.app, run.kind, run.details.as_ref())
    }

    fn new(app: &AppId, kind: TriggerKind, details: Option<&Details>) -> Self {
        let device = match details {
            Some(Details::Device { device, .. }) if kind == TriggerKind::DeviceUse => {
                Some(device.to_string())
            }
            _ => None,
        };
        Self {
            app: app.clone(),
            rationed: kind.is_rationed(),
            device,
        }
    }
}

/// The metering of all runs.
#[derive(Debug)]
pub(super) struct Metering {
    meter: Meter,
    devices: BTreeMap<RunId, DeviceUse>,
    engine: EngineRef,
    clock: ClockRef,
    board: Arc<StatusBoard>,
}

impl Metering {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            meter: Meter::new(processors()),
            devices: BTreeMap::new(),
            engine: Arc::clone(&setup.engine),
            clock: Arc::clone(&setup.clock),
            board: Arc::clone(&setup.board),
        }
    }

    /// A run is with the launcher; `new`: by this daemon's order, so that all it uses counts.
    pub(super) fn begins(&mut self, run: RunId, metered: Metered, new: bool) {
        let Metered {
            app,
            rationed,
            device,
        } = metered;
        if let Some(device) = device {
            self.devices.insert(run, DeviceUse::watch(&device));
        }
        self.meter.begins(run, app, rationed, new);
    }

    /// What the machine wants to know.
    pub(super) fn obey(&mut self, order: RunOrder) {
        match order {
            RunOrder::Meter {
                app,
                resource,
                budget,
            } => self.meter.order(&app, resource, budget),
            RunOrder::Sample { run, every } => self.meter.watch(run, every),
            RunOrder::Launch(_)
            | RunOrder::AskToCancel { .. }
            | RunOrder::Kill { .. }
            | RunOrder::StartFront { .. }
            | RunOrder::KillFront { .. }
            | RunOrder::Hold { .. } => {}
        }
    }

    /// A run is held otherwise.
    pub(super) fn holds(&mut self, run: RunId, hold: Hold) {
        if let Hold::Frozen(frozen) = hold {
            self.meter.freezes(run, frozen);
        }
    }

    /// A run wants to be told of its memory.
    pub(super) fn follows_memory(&mut self, run: RunId) {
        self.meter.follows_memory(run);
    }

    /// Whether a run wants that.
    pub(super) fn follows(&self, run: RunId) -> bool {
        self.meter.is_followed(run)
    }

    /// Resolves when something is to be read; never, while nothing is wanted.
    pub(super) async fn due(&self) {
        let now = self.clock.now().running;
        match self.meter.next(now) {
            Some(at) => {
                let wait = Duration::from_millis(at.since(now).as_millis());
                tokio::time::sleep(wait).await;
            }
            None => std::future::pending().await,
        }
    }

    /// What the launcher is asked now.
    pub(super) fn looks(&mut self) -> Vec<Request> {
        self.tell_spent();
        let looks = self.meter.looks(self.clock.now().running);
        let request = |look: lull_policy::meter::Look| Request::Sample {
            run: look.run.0,
            network: look.network,
        };
        looks.into_iter().map(request).collect()
    }

    /// What the launcher has read.
    pub(super) fn sampled(&mut self, run: RunId, cpu: Option<u64>, network: Option<u64>) {
        let totals = self.totals(run, cpu, network);
        let now = self.clock.now().running;
        if let Some(event) = self.meter.read(now, run, totals)
            && self.engine.tell(event).is_err()
        {
            self.board.count(DROPPED);
        }
        self.tell_spent();
    }

    /// A run is gone, with what it used in all.
    pub(super) fn ended(&mut self, run: RunId, cpu: Option<u64>, network: Option<u64>) {
        let totals = self.totals(run, cpu, network);
        self.devices.remove(&run);
        self.meter.ended(run, totals);
        self.tell_spent();
    }

    /// The launcher did not hear the last questions.
    pub(super) fn unanswered(&mut self) {
        self.meter.unanswered();
    }

    fn totals(&mut self, run: RunId, cpu: Option<u64>, network: Option<u64>) -> Totals {
        let device = self.devices.get_mut(&run);
        Totals {
            cpu_micros: cpu,
            network_bytes: network,
            device_ios: device.and_then(DeviceUse::ios),
        }
    }

    /// What is used up is told until the engine has it.
    fn tell_spent(&mut self) {
        for (app, resource) in self.meter.spent() {
            let spent = Event::QuotaSpent {
                app: app.clone(),
                resource,
            };
            match self.engine.tell(spent) {
                Ok(()) => self.meter.is_told(&app, resource),
                Err(_full) => self.board.count(REFUSED),
            }
        }
    }
}

/// How many processors this device has switched on; 1 where nobody says.
fn processors() -> usize {
    let listed = std::fs::read_to_string(ONLINE)
        .ok()
        .and_then(|text| count(text.trim()));
    let available = || std::thread::available_parallelism().ok().map(usize::from);
    listed.or_else(available).unwrap_or(1)
}

/// The length of a list as the kernel writes it: `0-3,6`.
fn count(list: &str) -> Option<usize> {
    let length = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(last.checked_sub(first)? + 1)
    };
    list.split(',').map(length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_counted_as_the_kernel_lists_them() {
        let rows = [
            ("0", Some(1)),
            ("0-3", Some(4)),
            ("0-1,4,6-7", Some(5)),
            ("", None),
            ("3-1", None),
        ];
        for (list, expected) in rows {
            assert_eq!(count(list), expected, "{list:?}");
        }
        assert!(processors() >= 1);
    }
}
