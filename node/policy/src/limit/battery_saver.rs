//! Battery Saver (RES-09 to RES-12): while it acts, nothing starts but what the user exempted.

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::readings::{Quantity, percent};
use crate::{AccessStatus, Policy, Readings, WaitReason};

/// RES-09, AMB-34: enabled, known to be without external power, and the charge known to be *below* the level.
/// What reads unknown holds nothing back. Only right after a start of the daemon a firing waits for the first
/// reading, at most [`bounds::POWER_AWAITED`](crate::bounds::POWER_AWAITED): a push started then and cancelled a
/// moment later would be lost.
pub(crate) fn acts(readings: &Readings, policy: &Policy) -> bool {
    let low = readings
        .battery
        .value()
        .is_some_and(|charge| charge < policy.saver_level);
    readings.battery_saver.is(true) && readings.external_power.is(false) && low
}

/// RES-11: the exemption is the user's or operator's, per app.
pub(crate) const fn exempt(access: AccessStatus) -> bool {
    match access {
        AccessStatus::AlwaysAllowed => true,
        AccessStatus::Unspecified
        | AccessStatus::AllowedSubjectToSystemPolicy
        | AccessStatus::DeniedBySystemPolicy
        | AccessStatus::DeniedByUser => false,
    }
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::BatterySaver),
    closed: |facts| {
        !exempt(facts.access) && (facts.power_awaited || acts(facts.readings, facts.policy))
    },
    words,
};

fn words(facts: &Facts<'_>) -> Words {
    if facts.power_awaited {
        return Words {
            seen: "the daemon has just started and power has not been read yet".to_owned(),
            needs: "the first reading of power, which comes within seconds".to_owned(),
            ..Words::default()
        };
    }
    Words {
        since: facts.history.saver_since,
        seen: format!(
            "battery saver is on, {} and {}",
            Quantity::ExternalPower.words(facts.readings),
            Quantity::Battery.words(facts.readings),
        ),
        needs: format!(
            "external power, a charge of {} or more, battery saver off, or the operator's exemption of {}",
            percent(facts.policy.saver_level),
            facts.registration.app,
        ),
        until: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, PerMille};

    #[test]
    fn acts_only_on_what_is_known_and_below_the_level() {
        let known = |saver, power, tenths| {
            (
                Level::Known(saver),
                Level::Known(power),
                Level::Known(PerMille::new(tenths)),
            )
        };
        let rows = [
            (known(true, false, 199), true),
            (known(true, false, 200), false),
            (known(true, false, 201), false),
            (known(true, true, 199), false),
            (known(false, false, 199), false),
            (
                (
                    Level::Unknown,
                    Level::Known(false),
                    Level::Known(PerMille::new(10)),
                ),
                false,
            ),
            (
                (
                    Level::Known(true),
                    Level::Unknown,
                    Level::Known(PerMille::new(10)),
                ),
                false,
            ),
            (
                (Level::Known(true), Level::Known(false), Level::Unknown),
                false,
            ),
            (
                (
                    Level::Known(true),
                    Level::Assumed(false),
                    Level::Known(PerMille::new(10)),
                ),
                true,
            ),
        ];
        for ((battery_saver, external_power, battery), expected) in rows {
            let readings = Readings {
                external_power,
                battery,
                battery_saver,
                ..Readings::default()
            };
            assert_eq!(
                acts(&readings, &Policy::default()),
                expected,
                "{readings:?}"
            );
        }
    }
}
