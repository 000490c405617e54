//! External power, for maintenance tasks (TRGD-08, TRGD-09) and resource-intensive agents (INT-02).

use crate::admission::{Gate, Obstacle, Words};
use crate::readings::Quantity;
use crate::{Readings, Source, TriggerKind, WaitReason};

/// Whether it is there; absent = nobody can tell.
pub(crate) fn holds(readings: &Readings) -> Option<bool> {
    readings.external_power.value()
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::ExternalPower),
    applies: |kind| {
        matches!(
            kind,
            TriggerKind::Maintenance | TriggerKind::ResourceIntensive
        )
    },
    closed: |facts| holds(facts.readings()) != Some(true),
    words: |facts| Words {
        since: facts.device.history.since(Quantity::ExternalPower),
        seen: Quantity::ExternalPower.words(facts.readings()),
        needs: "external power has to be connected".to_owned(),
        until: None,
    },
    sources: &[Source::Power],
    waived_for_test: true,
};
