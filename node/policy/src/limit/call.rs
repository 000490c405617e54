//! No call while a resource-intensive agent runs (INT-06, AMB-24).

use crate::admission::{Gate, Obstacle, Words};
use crate::readings::Quantity;
use crate::{Call, Policy, Readings, Source, TriggerKind, WaitReason};

/// Whether no call is in the way; absent = nobody can tell.
pub(crate) fn holds(readings: &Readings, policy: &Policy) -> Option<bool> {
    let call = readings.call.value()?;
    Some(match call {
        Call::None => true,
        Call::Ringing => !policy.intensive_ringing_counts,
        Call::Active => false,
    })
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Call),
    applies: |kind| kind == TriggerKind::ResourceIntensive,
    closed: |facts| holds(facts.readings(), facts.policy()) != Some(true),
    words: |facts| Words {
        since: facts.device.history.since(Quantity::Call),
        seen: Quantity::Call.words(facts.readings()),
        needs: "the call has to end".to_owned(),
        until: None,
    },
    sources: &[Source::Telephony],
    waived_for_test: true,
};
