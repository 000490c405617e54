//! Places: one run at a time per registration (RUN-23, AMB-11), one push run per app (PSH-12), one run of an app's agent
//! over both kinds (RUN-41), one resource-intensive run (INT-08) and one servicing run (TRGD-38) on the device.

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::{Broken, Device, Registration, Run, TriggerKind, WaitReason};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Slot),
    applies: |_kind| true,
    closed: |facts| facts.device.holder(facts.registration).is_some(),
    words,
    sources: &[],
    waived_for_test: false,
};

fn words(facts: &Facts<'_>) -> Words {
    let Some(run) = facts.device.holder(facts.registration) else {
        return Words::default();
    };
    let whose = if run.app == facts.registration.app {
        run.task.to_string()
    } else {
        format!("{}/{}", run.app, run.task)
    };
    Words {
        since: Some(run.started),
        seen: format!("run {} of {whose} is under way", run.id.0),
        needs: "that run has to end".to_owned(),
        until: run
            .kill_at
            .map(|at| facts.now.wall.after(at.since(facts.now.running))),
    }
}

impl Device {
    /// The run that holds the place a registration needs.
    pub(crate) fn holder(&self, registration: &Registration) -> Option<&Run> {
        let index = &self.index;
        let app = &registration.app;
        let several = registration.entry_point.as_ref().is_some_and(|entry| {
            let agent = self.apps.get(app).and_then(|app| app.agent(entry));
            agent.is_some_and(|agent| agent.multiple_instances)
                && !self.broken(Broken::InstancesIgnored)
        });
        let own = || index.run_of(registration.id).filter(|_| !several);
        let run = match registration.trigger.kind() {
            TriggerKind::Push => own().or_else(|| index.push_run(app)),
            TriggerKind::Periodic => own().or_else(|| index.agent_run(app)),
            TriggerKind::ResourceIntensive => own()
                .or_else(|| index.agent_run(app))
                .or_else(|| index.intensive_run()),
            TriggerKind::DeviceServicing => own().or_else(|| index.servicing_run()),
            TriggerKind::Timer
            | TriggerKind::Maintenance
            | TriggerKind::System(_)
            | TriggerKind::ControlChannel
            | TriggerKind::Socket
            | TriggerKind::Application
            | TriggerKind::Media
            | TriggerKind::DeviceUse
            | TriggerKind::DeviceWatcher
            | TriggerKind::Files
            | TriggerKind::Bus
            | TriggerKind::Reserved
            | TriggerKind::UpdateTask => own(),
        };
        self.runs.get(&run?)
    }
}
