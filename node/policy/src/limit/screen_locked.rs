//! The lock that a resource-intensive agent needs (INT-05).

use crate::admission::{Gate, Obstacle, Words};
use crate::readings::Quantity;
use crate::{Policy, Readings, Source, TriggerKind, WaitReason};

/// Whether the screen is locked; absent = nobody can tell.
pub(crate) fn holds(readings: &Readings, _policy: &Policy) -> Option<bool> {
    readings.screen_locked.value()
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::ScreenLocked),
    applies: |kind| kind == TriggerKind::ResourceIntensive,
    closed: |facts| holds(facts.readings(), facts.policy()) != Some(true),
    words: |facts| Words {
        since: facts.device.history.since(Quantity::ScreenLocked),
        seen: Quantity::ScreenLocked.words(facts.readings()),
        needs: "the screen has to be locked".to_owned(),
        until: None,
    },
    sources: &[Source::Screen],
    waived_for_test: true,
};
