//! CND-27: background work does not cost much: the screen is on, or there is external power.

use super::Predicate;
use crate::limit::work_cost::{WorkCost, cost};
use crate::readings::Quantity;
use crate::{Condition, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::BackgroundWorkCostNotHigh,
    quantity: Quantity::ExternalPower,
    sources: &[Source::Power, Source::Screen],
    missing: WaitReason::WorkCost,
    holds: |readings| cost(readings).map(|cost| cost != WorkCost::High),
    needs: "the screen has to be on, or external power connected",
};
