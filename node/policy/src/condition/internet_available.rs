//! CND-22: the Internet is available. It is never woken up for (CND-08).

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::InternetAvailable,
    quantity: Quantity::Internet,
    sources: &[Source::Network],
    missing: WaitReason::Internet,
    holds: |readings| readings.internet.value(),
    needs: "the Internet has to become available",
};
