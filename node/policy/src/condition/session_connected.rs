//! CND-24: the user's session is connected.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Session, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::SessionConnected,
    quantity: Quantity::Session,
    sources: &[Source::Session],
    missing: WaitReason::SessionConnected,
    holds: |readings| {
        readings
            .session
            .value()
            .map(|session| session == Session::Connected)
    },
    needs: "a user has to be logged on, with the session in front",
};
