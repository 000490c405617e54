//! The optional gate on CPU pressure (INT-14, AMB-25): to start only, never to end.

use crate::admission::{Gate, Obstacle, Words};
use crate::readings::{Quantity, percent};
use crate::{Source, TriggerKind, WaitReason};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::CpuPressure),
    applies: |kind| kind == TriggerKind::ResourceIntensive,
    closed: |facts| {
        let pressure = facts.readings().cpu_pressure.value();
        let limit = facts.policy().intensive_pressure_below;
        limit.is_some_and(|limit| pressure.is_none_or(|pressure| pressure >= limit))
    },
    words: |facts| Words {
        since: facts.device.history.since(Quantity::CpuPressure),
        seen: Quantity::CpuPressure.words(facts.readings()),
        needs: facts
            .policy()
            .intensive_pressure_below
            .map_or_else(String::new, |limit| {
                format!("a CPU pressure below {}", percent(limit))
            }),
        until: None,
    },
    sources: &[Source::Pressure],
    waived_for_test: true,
};
