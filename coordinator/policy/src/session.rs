//! Which of two sessions of one device stays.
//!
//! | the session there | newcomer: same boot, same store | same boot, other store | other boot |
//! | --- | --- | --- | --- |
//! | none, or silent for three pings | begin / replace | begin / replace | begin / replace |
//! | heard of lately | replace | probe | probe |
//!
//! A device that lost its network comes back with the same boot and store while its old connection has not been noticed
//! dead: it replaces it at once. One that was restarted or lost its store cannot also be alive elsewhere: the old session
//! is asked for a sign of life ([`bounds::PROBE`]). A dead connection never answers; if it does answer, two machines hold
//! one identity, the newcomer is refused with `ALREADY_EXISTS`, and the old one stays.
//!
//! Not seen here: a copy of the whole disk within the same boot (two daemons on one machine with one state folder's copy);
//! the identity's generation will tell.
//!
//! Deliberately absent: the connections and the clock; `silent` is measured by the host on its monotonic clock.

use crate::{Span, bounds};

/// Who a session says it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presence {
    /// The kernel's boot id.
    pub boot: String,
    /// The device's store incarnation.
    pub store: String,
}

/// What to do with a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// No other session: begin.
    Begin,
    /// End the one there, then begin.
    Replace,
    /// Ping the one there; if nothing is heard within [`bounds::PROBE`], end it and begin, else refuse the newcomer.
    Probe,
}

/// The second session of a device was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "another node holds a session with this device's identity and is alive; if this machine is a copy of it, enrol this one anew"
)]
pub struct AlreadyThere;

/// What to do with a newcomer, given the session there and for how long nothing was heard from it.
pub fn arrival(there: Option<(&Presence, Span)>, newcomer: &Presence, ping: Span) -> Arrival {
    let Some((there, silent)) = there else {
        return Arrival::Begin;
    };
    if is_dead(silent, ping) || there == newcomer {
        return Arrival::Replace;
    }
    Arrival::Probe
}

/// The probe of the session there has ended.
pub fn probed(answered: bool) -> Result<Arrival, AlreadyThere> {
    if answered {
        Err(AlreadyThere)
    } else {
        Ok(Arrival::Replace)
    }
}

/// Whether a session from which nothing was heard for so long counts as dead.
pub fn is_dead(silent: Span, ping: Span) -> bool {
    silent.as_millis() >= ping.as_millis().saturating_mul(bounds::SILENT_PINGS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_session_stays() {
        let presence = |boot: &str, store: &str| Presence {
            boot: boot.to_owned(),
            store: store.to_owned(),
        };
        let there = presence("boot-1", "store-1");
        let ping = Span::seconds(15);
        let lately = Span::millis(44_999);
        let dead = Span::seconds(45);
        let table = [
            ("boot-1", "store-1", lately, Arrival::Replace),
            ("boot-1", "store-2", lately, Arrival::Probe),
            ("boot-2", "store-1", lately, Arrival::Probe),
            ("boot-2", "store-2", lately, Arrival::Probe),
            ("boot-1", "store-1", dead, Arrival::Replace),
            ("boot-1", "store-2", dead, Arrival::Replace),
            ("boot-2", "store-2", dead, Arrival::Replace),
        ];
        for (boot, store, silent, expected) in table {
            let newcomer = presence(boot, store);
            assert_eq!(
                arrival(Some((&there, silent)), &newcomer, ping),
                expected,
                "{boot} {store} {silent:?}"
            );
        }
        assert_eq!(arrival(None, &there, ping), Arrival::Begin);
        assert_eq!(probed(false), Ok(Arrival::Replace));
        assert_eq!(probed(true), Err(AlreadyThere));
    }
}
