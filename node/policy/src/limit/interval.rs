//! The interval of timers and periodic agents: not before one is due, and never two starts of a timer closer than the
//! floor (AMB-44). A resource-intensive agent may have a least gap (AMB-28).

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::{Elapsed, TriggerKind, WaitReason, Wall, bounds};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Interval),
    applies: |kind| match kind {
        TriggerKind::Timer
        | TriggerKind::Maintenance
        | TriggerKind::Periodic
        | TriggerKind::ResourceIntensive => true,
        TriggerKind::System(_)
        | TriggerKind::Push
        | TriggerKind::ControlChannel
        | TriggerKind::Socket
        | TriggerKind::Application
        | TriggerKind::Media
        | TriggerKind::DeviceUse
        | TriggerKind::DeviceServicing
        | TriggerKind::DeviceWatcher
        | TriggerKind::Files
        | TriggerKind::Bus
        | TriggerKind::Reserved
        | TriggerKind::UpdateTask => false,
    },
    closed: |facts| earliest(facts).is_some(),
    words,
    sources: &[],
    waived_for_test: true,
};

/// When the gate opens; absent = it is open.
fn earliest(facts: &Facts<'_>) -> Option<Elapsed> {
    let registration = facts.registration;
    let floor = registration
        .not_before
        .filter(|not_before| facts.now.elapsed.after(bounds::START_TOLERANCE) < *not_before);
    // A firing that waits has come due already.
    let due = if facts.fired {
        None
    } else if facts.kind == TriggerKind::Periodic {
        facts.device.planned_start(facts.now, registration)
    } else {
        let ticks = facts.device.ticks();
        registration
            .due
            .map(|due| ticks.next(due, facts.now.elapsed))
    };
    floor.max(due)
}

/// The gate's opening on the wall clock, for people.
pub(crate) fn opens(facts: &Facts<'_>) -> Option<Wall> {
    earliest(facts).map(|at| facts.now.wall.after(at.since(facts.now.elapsed)))
}

fn words(facts: &Facts<'_>) -> Words {
    let seen = if facts.fired {
        "its last start was less than the shortest period ago"
    } else if facts.kind.is_scheduled() {
        "its interval is not over"
    } else {
        "its timer is not due"
    };
    Words {
        since: None,
        seen: seen.to_owned(),
        needs: "time has to pass".to_owned(),
        until: opens(facts),
    }
}
