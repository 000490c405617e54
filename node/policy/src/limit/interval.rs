//! The interval of timers: not before a timer is due, and never two starts closer than the floor (AMB-44).

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::{Elapsed, WaitReason, Wall, bounds};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Interval),
    closed: |facts| earliest(facts).is_some(),
    words,
};

/// When the gate opens; absent = it is open.
fn earliest(facts: &Facts<'_>) -> Option<Elapsed> {
    let floor = facts
        .registration
        .not_before
        .filter(|not_before| facts.now.elapsed.after(bounds::START_TOLERANCE) < *not_before);
    let tick = if facts.fired { None } else { facts.next_tick };
    floor.max(tick)
}

/// The gate's opening on the wall clock, for people.
pub(crate) fn opens(facts: &Facts<'_>) -> Option<Wall> {
    earliest(facts).map(|at| facts.now.wall.after(at.since(facts.now.elapsed)))
}

fn words(facts: &Facts<'_>) -> Words {
    let seen = if facts.fired {
        "its last start was less than the shortest timer period ago"
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
