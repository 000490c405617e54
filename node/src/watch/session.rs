//! Session and presence: no source in this release, so only what the profile assumes.

use lull_policy::Reading;

use super::{Post, Report, Reporter, WatchError, without_source};
use crate::config::Assumed;

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let session = Assumed::level(post.assume.session);
    let present = Assumed::level(post.assume.user_present);
    let mut report = Report::default();
    report.add(Reading::Session(session), without_source(session));
    report.add(Reading::UserPresent(present), without_source(present));
    let mut reporter = Reporter::new(post);
    while let Some(pause) = reporter.report(report.clone())? {
        tokio::time::sleep(pause).await;
    }
    // Nothing can change; the keeper ends this with the last interest.
    std::future::pending().await
}
