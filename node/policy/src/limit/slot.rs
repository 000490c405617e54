//! Places: one run at a time per registration, and one push run at a time per app (RUN-23, AMB-11, PSH-12).

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::{Trigger, WaitReason};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Slot),
    closed: |facts| facts.holder.is_some(),
    words,
};

fn words(facts: &Facts<'_>) -> Words {
    let Some(run) = facts.holder else {
        return Words::default();
    };
    Words {
        since: Some(run.started),
        seen: format!("run {} of {} is under way", run.id.0, run.task),
        needs: "that run has to end".to_owned(),
        until: run
            .kill_at
            .map(|at| facts.now.wall.after(at.since(facts.now.running))),
    }
}

/// Whether all registrations of an app with this trigger share one place (PSH-12).
pub(crate) const fn serial_by_app(trigger: Trigger) -> bool {
    match trigger {
        Trigger::Push => true,
        Trigger::Timer { .. } | Trigger::System { .. } | Trigger::Application => false,
    }
}
