//! Power: external power and battery from UPower, or from the kernel where there is none; Battery Saver from
//! power-profiles-daemon, or as the profile assumes.

mod saver;
pub(super) mod sysfs;
mod upower;

use lull_policy::{Level, PerMille, Reading};

pub(super) use upower::UPower;

use super::bus::follow;
use super::{Post, Report, WatchError, assumed};
use crate::config::Assumed;

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let supplies = follow(post, UPower::of(post), sysfs::watch);
    tokio::try_join!(supplies, saver::watch(post)).map(drop)
}

/// AMB-23: without a battery (`None`) whatever runs is powered.
fn external_report(report: &mut Report, assume: Assumed, found: Option<(Level<bool>, String)>) {
    let (level, source) = found.unwrap_or_else(|| {
        let because = "assumed: no battery on this device";
        let (level, source) = assumed::lacking(assume.external_power, true, because);
        (level, source.to_owned())
    });
    report.add(Reading::ExternalPower(level), source);
}

fn battery_report(report: &mut Report, assume: Assumed, found: Option<(Level<PerMille>, String)>) {
    let (level, source) = found.unwrap_or_else(|| {
        let (level, source) = assumed::profile(assume.battery);
        (level, source.to_owned())
    });
    report.add(Reading::Battery(level), source);
}
