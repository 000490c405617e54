//! CND-25: the user's session is disconnected, by a remote side that dropped or a fast user switch. Nobody
//! being logged on is not it.

use super::Predicate;
use crate::readings::Quantity;
use crate::{Condition, Session, Source, WaitReason};

pub(super) const PREDICATE: Predicate = Predicate {
    condition: Condition::SessionDisconnected,
    quantity: Quantity::Session,
    sources: &[Source::Session],
    missing: WaitReason::SessionDisconnected,
    holds: |readings| {
        readings
            .session
            .value()
            .map(|session| session == Session::Disconnected)
    },
    needs: "the user's session has to be disconnected",
};
