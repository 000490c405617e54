//! The operator's switch for an app's scheduled agents (MNG-07, ACC-44): off holds them, and keeps them scheduled.

use crate::admission::{Gate, Obstacle, Words};
use crate::{TriggerKind, WaitReason};

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::Operator),
    applies: TriggerKind::is_scheduled,
    closed: |facts| {
        facts
            .device
            .choices
            .get(&facts.registration.app)
            .is_some_and(|choices| choices.agents_disabled)
    },
    words: |facts| Words {
        since: None,
        seen: format!(
            "the operator switched the agents of {} off",
            facts.registration.app
        ),
        needs: "the operator has to switch them on".to_owned(),
        until: None,
    },
    sources: &[],
    waived_for_test: false,
};
