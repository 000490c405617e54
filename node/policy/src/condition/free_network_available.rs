//! CND-26: an unmetered network is available, with the Internet behind it.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::FreeNetworkAvailable,
    quantity: Quantity::Metered,
    sources: &[Source::Network],
    missing: WaitReason::UnmeteredNetwork,
    holds: |readings| match (readings.internet.value(), readings.metered.value()) {
        (Some(false), _) | (_, Some(true)) => Some(false),
        (Some(true), Some(false)) => Some(true),
        (None, _) | (_, None) => None,
    },
    needs: "an unmetered network with the Internet behind it",
};
