//! The link against a coordinator that the test plays itself, over real TLS, and a real machine behind an engine that the test
//! can hold up.

pub(crate) mod authority;
pub(crate) mod coordinator;
mod device;
mod pushes;
mod receipts;
mod sessions;

use std::time::Duration;

/// Patience of a test that waits for something to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, with patience.
pub(crate) async fn soon<T>(what: &str, wait: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, wait).await;
    done.unwrap_or_else(|late| panic!("{what}: nothing happened within {PATIENCE:?} ({late})"))
}
