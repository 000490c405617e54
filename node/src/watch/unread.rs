//! Sources that this release does not read (session, screen, telephony, zone, pressure): only what the profile assumes.

use lull_policy::{Reading, Readings, Source};

use super::{Post, Report, Reporter, WatchError};

pub(super) async fn watch(post: &Post, source: Source) -> Result<(), WatchError> {
    let report = report(post.assume.readings().of(source), source);
    let mut reporter = Reporter::new(post);
    while let Some(pause) = reporter.report(report.clone())? {
        tokio::time::sleep(pause).await;
    }
    // Nothing can change; the keeper ends this with the last interest.
    std::future::pending().await
}

/// Readings without a source, each with where it is from.
pub(super) fn report(readings: Vec<Reading>, source: Source) -> Report {
    let unknown = Readings::default().of(source);
    let mut report = Report::default();
    for reading in readings {
        let from = if unknown.contains(&reading) {
            "no source on this device"
        } else {
            "assumed by the profile"
        };
        report.add(reading, from);
    }
    report
}
