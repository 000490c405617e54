//! CND-20: the user is present.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::UserPresent,
    quantity: Quantity::UserPresent,
    missing: WaitReason::UserPresent,
    holds: |readings| readings.user_present.value(),
    needs: "the user has to be present",
};
