//! The settle time of resource-intensive agents (AMB-27): their conditions have to hold together for a while before one
//! starts. To end one, none.

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::{Elapsed, TriggerKind, WaitReason};

/// When it is over; absent = it is, or the conditions do not hold together.
pub(crate) fn over(facts: &Facts<'_>) -> Option<Elapsed> {
    let device = facts.device;
    let over = device
        .clock
        .settling_since?
        .after(device.policy.intensive_settle);
    (over > facts.now.elapsed).then_some(over)
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Settling),
    applies: |kind| kind == TriggerKind::ResourceIntensive,
    closed: |facts| over(facts).is_some(),
    words: |facts| Words {
        since: None,
        seen: "the conditions hold together, but not for long enough yet".to_owned(),
        needs: "they have to go on holding".to_owned(),
        until: over(facts).map(|at| facts.now.wall.after(at.since(facts.now.elapsed))),
    },
    sources: &[],
    waived_for_test: true,
};
