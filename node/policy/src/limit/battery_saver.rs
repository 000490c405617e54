//! Battery Saver (RES-09 to RES-12, PER-04, PSH-20): while it acts, nothing starts but what the user exempted.

use crate::admission::{Facts, Gate, Obstacle, Words};
use crate::readings::{Quantity, percent};
use crate::{
    AccessStatus, Broken, Device, Policy, Priority, Readings, Source, TriggerKind, WaitReason,
};

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

/// PER-04, AMB-05: what holds periodic agents. Switched on by hand it holds them whatever the power; else as
/// for everybody.
pub(crate) fn acts_on_periodic(readings: &Readings, policy: &Policy) -> bool {
    let by_hand = readings.battery_saver.is(true) && readings.saver_manual.is(true);
    by_hand || acts(readings, policy)
}

/// PSH-20: whether a push is held back.
///
/// Under Battery Saver only exempt apps get theirs, very low ones never. On battery with the screen off high
/// ones are delivered, medium and low ones to exempt apps only, very low ones not at all.
fn holds_push(device: &Device, priority: Priority, exempt: bool) -> bool {
    if device.broken(Broken::PriorityIgnored) {
        return !exempt && acts(&device.readings, &device.policy);
    }
    let readings = &device.readings;
    let unseen = readings.external_power.is(false) && readings.screen_on.is(false);
    if acts(readings, &device.policy) {
        return !exempt || priority == Priority::VeryLow;
    }
    unseen
        && match priority {
            Priority::High => false,
            Priority::Medium | Priority::Low => !exempt,
            Priority::VeryLow => true,
        }
}

pub(crate) const GATE: Gate = Gate {
    obstacle: Obstacle::Wait(WaitReason::BatterySaver),
    applies: |kind| kind != TriggerKind::ResourceIntensive,
    closed,
    words,
    sources: &[Source::Power],
    waived_for_test: true,
};

fn closed(facts: &Facts<'_>) -> bool {
    let device = facts.device;
    let exempt = exempt(facts.access) && !device.broken(Broken::ExemptionIgnored)
        || crate::broken::exempt_by_capability(facts);
    match (facts.kind, facts.push) {
        (TriggerKind::Periodic, _) => {
            device.power_awaited.is_some()
                || if device.broken(Broken::ManualSaverIgnored) {
                    acts(&device.readings, &device.policy)
                } else {
                    acts_on_periodic(&device.readings, &device.policy)
                }
        }
        (TriggerKind::Push, push) => {
            let priority = push.map_or(Priority::default(), |push| push.priority);
            !exempt && device.power_awaited.is_some() || holds_push(device, priority, exempt)
        }
        _ => !exempt && (device.power_awaited.is_some() || acts(&device.readings, &device.policy)),
    }
}

fn words(facts: &Facts<'_>) -> Words {
    let device = facts.device;
    if device.power_awaited.is_some() {
        return Words {
            seen: "the daemon has just started and power has not been read yet".to_owned(),
            needs: "the first reading of power, which comes within seconds".to_owned(),
            ..Words::default()
        };
    }
    let (readings, app) = (facts.readings(), &facts.registration.app);
    let power = Quantity::ExternalPower.words(readings);
    if facts.kind == TriggerKind::Periodic && readings.saver_manual.is(true) {
        return Words {
            since: device.history.since(Quantity::SaverManual),
            seen: "battery saver was switched on by hand".to_owned(),
            needs: "it has to be switched off".to_owned(),
            until: None,
        };
    }
    if !acts(readings, facts.policy()) {
        return Words {
            since: device.history.since(Quantity::ScreenOn),
            seen: format!("{power} and {}", Quantity::ScreenOn.words(readings)),
            needs: format!(
                "external power, the screen on, a push of high priority, or the operator's exemption of {app}"
            ),
            until: None,
        };
    }
    Words {
        since: device.history.saver_since,
        seen: format!(
            "battery saver is on, {power} and {}",
            Quantity::Battery.words(readings),
        ),
        needs: format!(
            "external power, a charge of {} or more, battery saver off, or the operator's exemption of {app}",
            percent(facts.policy().saver_level),
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
