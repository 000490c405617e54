//! CND-20: the user is present.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::UserPresent,
    quantity: Quantity::UserPresent,
    sources: &[Source::Session],
    missing: WaitReason::UserPresent,
    holds: |readings| readings.user_present.value(),
    needs: "the user has to be present",
};
