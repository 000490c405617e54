//! CND-23: the Internet is not available.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::InternetNotAvailable,
    quantity: Quantity::Internet,
    sources: &[Source::Network],
    missing: WaitReason::NoInternet,
    holds: |readings| readings.internet.value().map(|available| !available),
    needs: "the Internet has to go away",
};
