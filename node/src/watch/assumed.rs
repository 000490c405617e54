//! Readings without a source on this device: what the profile assumes, or what the device is taken to be (AMB-23).

use lull_policy::{Level, Reading, Readings};

use super::{Post, Report, Reporter, WatchError};
use crate::config::Assumed;

/// Where what the profile says comes from.
const PROFILE: &str = "assumed by the profile";

/// Tells the readings once; nothing can change.
pub(super) async fn watch(post: &Post, readings: Vec<Reading>) -> Result<(), WatchError> {
    let mut report = Report::default();
    for reading in readings {
        let unknown = Readings::default().of(reading.source()).contains(&reading);
        let from = if unknown {
            "no source on this device"
        } else {
            PROFILE
        };
        report.add(reading, from);
    }
    tell(post, report).await
}

/// Tells a report once; nothing can change.
pub(super) async fn tell(post: &Post, report: Report) -> Result<(), WatchError> {
    let mut reporter = Reporter::new(post);
    while let Some(pause) = reporter.report(report.clone())? {
        tokio::time::sleep(pause).await;
    }
    std::future::pending().await
}

/// What the profile says of something that this device lacks, or else what lacking it means; and where that comes from.
pub(super) fn lacking<T>(
    profile: Option<T>,
    otherwise: T,
    because: &'static str,
) -> (Level<T>, &'static str) {
    match profile {
        Some(value) => (Level::Assumed(value), PROFILE),
        None => (Level::Assumed(otherwise), because),
    }
}

/// A level that only the profile can give, and where it comes from.
pub(super) fn profile<T: Copy>(value: Option<T>) -> (Level<T>, &'static str) {
    let level = Assumed::level(value);
    (level, super::without_source(level))
}
