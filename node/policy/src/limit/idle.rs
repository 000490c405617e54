//! Watchdogs over what a run uses (RUN-15, TRGD-31): a run that holds a deferral and does nothing, and a device-use run
//! without I/O. Both act on the host's samples; without samples nobody is idle.

use crate::turn::Turn;
use crate::{CancelReason, Capability, RunId, Running, Sample, TriggerKind};

/// Since when a run has done nothing that counts. Transient: a restart of the daemon begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Idle {
    /// The last sample that counted as work.
    worked: Running,
    /// The last one with I/O on its device.
    device: Running,
    /// CPU time since `worked`, in microseconds.
    cpu: u64,
}

impl Turn<'_> {
    /// What a run used since the last sample.
    pub(crate) fn run_sampled(&mut self, id: RunId, sample: Sample) {
        let now = self.now.running;
        let device = &mut *self.device;
        let Some(run) = device.runs.get(&id) else {
            return;
        };
        let idle = device.idle.entry(id).or_insert(Idle {
            worked: run.started_running,
            device: run.started_running,
            cpu: 0,
        });
        idle.cpu = idle.cpu.saturating_add(sample.cpu_micros);
        let policy = &device.policy;
        if sample.network_bytes > 0 || idle.cpu > policy.idle_cpu.as_millis() * 1_000 {
            idle.worked = now;
            idle.cpu = 0;
        }
        if sample.device_ios > 0 {
            idle.device = now;
        }
        let unlimited = device
            .apps
            .get(&run.app)
            .is_some_and(|app| app.can(Capability::ExtendedBackgroundTaskTime));
        // ENT-02: no watchdog for these.
        let slept = !unlimited && now.since(idle.worked) >= policy.idle_time;
        let silent =
            run.kind == TriggerKind::DeviceUse && now.since(idle.device) >= policy.device_use_idle;
        if (slept || silent) && !run.kind.is_scheduled() && !run.debugged {
            self.ask_to_cancel(id, CancelReason::IdleTask);
        }
    }
}
