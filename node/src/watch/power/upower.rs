//! External power and battery as UPower has them: `OnBattery`, and the display device that stands for all batteries.

use lull_policy::{Level, PerMille, Reading};

use super::{battery_report, external_report};
use crate::config::Assumed;
use crate::watch::bus::{At, Bus, Properties, Signals, Subject};
use crate::watch::{Post, Report};

const SERVICE: &str = "org.freedesktop.UPower";
const MANAGER: &str = "/org/freedesktop/UPower";
const DISPLAY: &str = "/org/freedesktop/UPower/devices/DisplayDevice";

/// What the display device stands for: nothing, or batteries, or the battery of a UPS.
const BATTERIES: [u32; 2] = [2, 3];

pub(in crate::watch) struct UPower {
    assume: Assumed,
}

impl UPower {
    /// What the manager itself says; what single devices say shows in the display device too.
    pub(in crate::watch) const MANAGER_SIGNALS: Signals = Signals {
        service: SERVICE,
        at: At::Below(MANAGER),
        interface: Some("org.freedesktop.DBus.Properties"),
    };

    pub(super) fn of(post: &Post) -> Self {
        Self {
            assume: post.assume,
        }
    }

    /// Whether power comes from outside: of UPower's manager alone.
    pub(in crate::watch) async fn external(bus: &Bus) -> zbus::Result<Option<bool>> {
        let manager = bus.properties(SERVICE, MANAGER, SERVICE).await?;
        Ok(manager.flag("OnBattery").map(|on_battery| !on_battery))
    }
}

impl Subject for UPower {
    const LABEL: &'static str = "UPower";
    const SERVICE: &'static str = SERVICE;
    const SIGNALS: &'static [Signals] = &[Self::MANAGER_SIGNALS];

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let external = Self::external(bus).await?;
        let device = "org.freedesktop.UPower.Device";
        let display = bus.properties(SERVICE, DISPLAY, device).await?;
        Ok(report(self.assume, external, &display))
    }

    fn unknown() -> Vec<Reading> {
        vec![
            Reading::ExternalPower(Level::Unknown),
            Reading::Battery(Level::Unknown),
        ]
    }
}

fn report(assume: Assumed, external: Option<bool>, display: &Properties) -> Report {
    let source = || "UPower".to_owned();
    let kind = display.number("Type").unwrap_or(0);
    let present = display.flag("IsPresent") == Some(true) && BATTERIES.contains(&kind);
    let charge = present.then(|| {
        let level = match display.fraction("Percentage").and_then(tenths) {
            Some(charge) => Level::Known(charge),
            None => Level::Unknown,
        };
        (level, source())
    });
    let external = match external {
        Some(true) if !present => None,
        Some(external) => Some((Level::Known(external), source())),
        None => Some((Level::Unknown, source())),
    };
    let mut report = Report::default();
    external_report(&mut report, assume, external);
    battery_report(&mut report, assume, charge);
    report
}

/// Percent with a fraction, cut to tenths: at 90.04 % the charge is not above 90 % (INT-04).
fn tenths(percent: f64) -> Option<PerMille> {
    if !(0.0..=100.0).contains(&percent) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1,000, and cut on purpose"
    )]
    let tenths = (percent * 10.0) as u16;
    Some(PerMille::new(tenths))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_is_cut_to_tenths_and_nonsense_is_none() {
        let rows = [
            (0.0, Some(0)),
            (90.04, Some(900)),
            (90.1, Some(901)),
            (100.0, Some(1_000)),
            (-0.1, None),
            (100.1, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ];
        for (percent, expected) in rows {
            assert_eq!(tenths(percent), expected.map(PerMille::new), "{percent}");
        }
    }

    #[test]
    fn a_device_without_battery_is_powered_by_assumption() {
        let report = report(Assumed::default(), Some(true), &Properties::default());
        let external = Reading::ExternalPower(Level::Assumed(true));
        let battery = Reading::Battery(Level::Unknown);
        assert_eq!(report.readings, [external, battery]);
    }
}
