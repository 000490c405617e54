//! The charge that a resource-intensive agent needs (INT-04): strictly above the level.

use crate::admission::{Gate, Obstacle, Words};
use crate::readings::Quantity;
use crate::{Policy, Readings, Source, TriggerKind, WaitReason};

/// Whether the charge is above the level; absent = nobody can tell.
pub(crate) fn holds(readings: &Readings, policy: &Policy) -> Option<bool> {
    let charge = readings.battery.value()?;
    Some(charge > policy.intensive_battery_above)
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::BatteryLevel),
    applies: |kind| kind == TriggerKind::ResourceIntensive,
    closed: |facts| holds(facts.readings(), facts.policy()) != Some(true),
    words: |facts| Words {
        since: facts.device.history.since(Quantity::Battery),
        seen: Quantity::Battery.words(facts.readings()),
        needs: format!(
            "a charge above {}",
            crate::readings::percent(facts.policy().intensive_battery_above)
        ),
        until: None,
    },
    sources: &[Source::Power],
    waived_for_test: true,
};
