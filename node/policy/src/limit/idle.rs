//! Watchdogs over what a run uses (RUN-15, TRGD-31): a run that holds a deferral and does nothing, and a device-use run
//! without I/O. Both act on the samples that they order ([`Effect::Sample`]); without samples nobody is idle.

use crate::turn::Turn;
use crate::{
    CancelReason, Capability, Device, Effect, HostKind, Run, RunId, Running, Sample, Span,
    TriggerKind,
};

/// A watchdog looks so often within its own time, and so acts at most one part of it late.
const LOOKS: u64 = 10;

/// Nothing is looked at more often, whatever the policy says: a sample costs the daemon and the launcher some 50 µs each.
const SHORTEST: Span = Span::millis(50);

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

impl Idle {
    const fn from(now: Running) -> Self {
        Self {
            worked: now,
            device: now,
            cpu: 0,
        }
    }
}

impl Device {
    /// ENT-02: the idle watchdog is not for these.
    fn is_unlimited(&self, run: &Run) -> bool {
        let app = self.apps.get(&run.app);
        app.is_some_and(|app| app.can(Capability::ExtendedBackgroundTaskTime))
    }

    /// How often the watchdogs want to know what a run uses; absent = none of them looks at it. A run whose own limit
    /// comes before it can have been idle for long enough needs no look.
    fn sampling(&self, run: &Run) -> Option<Span> {
        let caged = match run.host {
            HostKind::OutOfProcess => !run.state.is_ending(),
            HostKind::InProcess => false,
        };
        if !caged || run.kind.is_scheduled() || run.debugged {
            return None;
        }
        let limit = run.cancel_at.or(run.kill_at);
        let lasts =
            |time: &Span| limit.is_none_or(|limit| limit.since(run.started_running) > *time);
        let idle = Some(self.policy.idle_time).filter(|_| !self.is_unlimited(run));
        let silent =
            Some(self.policy.device_use_idle).filter(|_| run.kind == TriggerKind::DeviceUse);
        let shortest = idle.into_iter().chain(silent).filter(lasts).min()?;
        Some(Span::millis(shortest.as_millis() / LOOKS).max(SHORTEST))
    }
}

impl Turn<'_> {
    /// From now on a run counts as at work, and the host samples it as often as its watchdogs want.
    pub(crate) fn watch_idleness(&mut self, id: RunId) {
        let now = self.now.running;
        let device = &mut *self.device;
        let every = device.runs.get(&id).and_then(|run| device.sampling(run));
        let was_watched = if every.is_some() {
            device.idle.insert(id, Idle::from(now)).is_some()
        } else {
            device.idle.remove(&id).is_some()
        };
        if every.is_some() || was_watched {
            self.effect(Effect::Sample { run: id, every });
        }
    }

    /// What the watchdogs want may be something else now, or the host may have forgotten it.
    pub(crate) fn watch_idleness_anew(&mut self) {
        let runs: Vec<RunId> = self.device.runs.keys().copied().collect();
        for run in runs {
            self.watch_idleness(run);
        }
    }

    /// What a run used since the last sample.
    pub(crate) fn run_sampled(&mut self, id: RunId, sample: Sample) {
        let now = self.now.running;
        let device = &mut *self.device;
        let Some(run) = device.runs.get(&id) else {
            return;
        };
        let idle = device.idle.entry(id).or_insert(Idle::from(now));
        if run.suspended.is_some() {
            // Frozen for its quota, it cannot work.
            *idle = Idle::from(now);
            return;
        }
        idle.cpu = idle.cpu.saturating_add(sample.cpu_micros);
        let policy = &device.policy;
        if sample.network_bytes > 0 || idle.cpu > policy.idle_cpu.as_millis() * 1_000 {
            idle.worked = now;
            idle.cpu = 0;
        }
        if sample.device_ios > 0 {
            idle.device = now;
        }
        let (worked, used) = (idle.worked, idle.device);
        let slept = !device.is_unlimited(run) && now.since(worked) >= policy.idle_time;
        let silent =
            run.kind == TriggerKind::DeviceUse && now.since(used) >= policy.device_use_idle;
        if (slept || silent) && !run.kind.is_scheduled() && !run.debugged {
            self.ask_to_cancel(id, CancelReason::IdleTask);
        }
    }
}
