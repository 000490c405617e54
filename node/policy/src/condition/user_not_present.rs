//! CND-21: the user is away, the negation of CND-20.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::UserNotPresent,
    quantity: Quantity::UserPresent,
    sources: &[Source::Session],
    missing: WaitReason::UserNotPresent,
    holds: |readings| readings.user_present.value().map(|present| !present),
    needs: "the user has to be away",
};
