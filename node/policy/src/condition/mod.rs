//! The conditions of a registration (CND-20 to CND-27), one file each. All are joined by AND (CND-04).
//!
//! A condition says whether it holds, does not hold, or cannot be told. *Cannot be told* neither lets a run
//! start nor ends one (rule book, 0a).

mod background_work_cost_not_high;
mod free_network_available;
mod internet_available;
mod internet_not_available;
mod session_connected;
mod session_disconnected;
mod user_not_present;
mod user_present;

use crate::readings::Quantity;
use crate::{Condition, Readings, Source, WaitReason};

/// One condition.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// Which.
    pub(crate) condition: Condition,
    /// What it looks at.
    pub(crate) quantity: Quantity,
    /// Who reports what it looks at.
    pub(crate) sources: &'static [Source],
    /// What a firing waits for while it does not hold.
    pub(crate) missing: WaitReason,
    /// Whether it holds; absent = nobody can tell.
    pub(crate) holds: fn(&Readings) -> Option<bool>,
    /// What has to happen, for people.
    pub(crate) needs: &'static str,
}

/// Every condition, by the rule book's numbers.
pub(crate) static ALL: [Predicate; 8] = [
    user_present::PREDICATE,
    user_not_present::PREDICATE,
    internet_available::PREDICATE,
    internet_not_available::PREDICATE,
    session_connected::PREDICATE,
    session_disconnected::PREDICATE,
    free_network_available::PREDICATE,
    background_work_cost_not_high::PREDICATE,
];

/// The predicate of a condition.
pub(crate) fn predicate(condition: Condition) -> &'static Predicate {
    match condition {
        Condition::UserPresent => &ALL[0],
        Condition::UserNotPresent => &ALL[1],
        Condition::InternetAvailable => &ALL[2],
        Condition::InternetNotAvailable => &ALL[3],
        Condition::SessionConnected => &ALL[4],
        Condition::SessionDisconnected => &ALL[5],
        Condition::FreeNetworkAvailable => &ALL[6],
        Condition::BackgroundWorkCostNotHigh => &ALL[7],
    }
}

/// Whether a condition that a run started under is lost: known not to hold (CND-05).
pub(crate) fn lost(condition: Condition, readings: &Readings) -> bool {
    (predicate(condition).holds)(readings) == Some(false)
}

/// What is odd about conditions that stand together, for the reply (ACC-29).
pub(crate) fn contradictions(conditions: &[Condition]) -> Vec<String> {
    const OPPOSITES: [(Condition, Condition, &str); 4] = [
        (
            Condition::UserPresent,
            Condition::UserNotPresent,
            "user-present and user-not-present never hold together: this registration will never run",
        ),
        (
            Condition::InternetAvailable,
            Condition::InternetNotAvailable,
            "internet and no-internet never hold together: this registration will never run",
        ),
        (
            Condition::SessionConnected,
            Condition::SessionDisconnected,
            "session-connected and session-disconnected never hold together: this registration will never run",
        ),
        (
            Condition::InternetNotAvailable,
            Condition::FreeNetworkAvailable,
            "no-internet and unmetered-network never hold together: this registration will never run",
        ),
    ];
    OPPOSITES
        .iter()
        .filter(|(one, other, _)| conditions.contains(one) && conditions.contains(other))
        .map(|(_, _, words)| (*words).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, Session};

    #[test]
    fn each_predicate_stands_at_its_condition() {
        for found in &ALL {
            assert!(std::ptr::eq(found, predicate(found.condition)), "{found:?}");
        }
    }

    fn check(condition: Condition, readings: &Readings, expected: Option<bool>) {
        let found = (predicate(condition).holds)(readings);
        assert_eq!(found, expected, "{condition:?} {readings:?}");
        assert_eq!(
            lost(condition, readings),
            expected == Some(false),
            "{condition:?}"
        );
    }

    #[test]
    fn what_holds_of_presence() {
        let rows = [
            (Level::Known(true), Some(true)),
            (Level::Assumed(true), Some(true)),
            (Level::Known(false), Some(false)),
            (Level::Unknown, None),
        ];
        for (user_present, expected) in rows {
            let readings = Readings {
                user_present,
                ..Readings::default()
            };
            check(Condition::UserPresent, &readings, expected);
            check(
                Condition::UserNotPresent,
                &readings,
                expected.map(|present| !present),
            );
        }
    }

    #[test]
    fn what_holds_of_the_internet() {
        let rows = [
            (Level::Known(true), Some(true)),
            (Level::Known(false), Some(false)),
            (Level::Assumed(false), Some(false)),
            (Level::Unknown, None),
        ];
        for (internet, expected) in rows {
            let readings = Readings {
                internet,
                ..Readings::default()
            };
            check(Condition::InternetAvailable, &readings, expected);
            check(
                Condition::InternetNotAvailable,
                &readings,
                expected.map(|there| !there),
            );
        }
    }

    #[test]
    fn what_holds_of_the_session() {
        let rows = [
            (Level::Known(Session::Connected), Some(true), Some(false)),
            (Level::Known(Session::Disconnected), Some(false), Some(true)),
            (Level::Known(Session::None), Some(false), Some(false)),
            (Level::Unknown, None, None),
        ];
        for (session, connected, disconnected) in rows {
            let readings = Readings {
                session,
                ..Readings::default()
            };
            check(Condition::SessionConnected, &readings, connected);
            check(Condition::SessionDisconnected, &readings, disconnected);
        }
    }
}
