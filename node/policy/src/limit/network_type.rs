//! The network that a resource-intensive agent needs (INT-03, AMB-29): Wi-Fi or a cable carries the default route,
//! metered or not. Limited connectivity is enough.

use crate::admission::{Gate, Obstacle, Words};
use crate::readings::Quantity;
use crate::{Network, Policy, Readings, Source, TriggerKind, WaitReason};

/// Whether such a network carries the default route; absent = nobody can tell.
pub(crate) fn holds(readings: &Readings, _policy: &Policy) -> Option<bool> {
    let network = readings.network.value()?;
    Some(match network {
        Network::Wifi | Network::Ethernet => true,
        Network::None | Network::Cellular => false,
    })
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::NetworkType),
    applies: |kind| kind == TriggerKind::ResourceIntensive,
    closed: |facts| holds(facts.readings(), facts.policy()) != Some(true),
    words: |facts| Words {
        since: facts.device.history.since(Quantity::Network),
        seen: Quantity::Network.words(facts.readings()),
        needs: "Wi-Fi or a cable has to carry the default route".to_owned(),
        until: None,
    },
    sources: &[Source::Network],
    waived_for_test: true,
};
