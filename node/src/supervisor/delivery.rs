//! Events that must not be lost: handed to the engine until it takes them.

use std::time::Duration;

use lull_policy::Event;

use crate::ports::{EngineError, EngineRef};
use crate::retry::{Retry, random};

/// Hands over an event and waits for its commit, again and again while the engine or its store cannot take it.
///
/// # Errors
/// Only [`EngineError::Ending`]: the daemon ends, and the next one hears of it from the launcher.
pub(super) async fn deliver(engine: EngineRef, event: Event) -> Result<(), EngineError> {
    // A store that cannot commit is reopened within seconds, or the device is full, which lasts.
    let mut retry = Retry::new(Duration::from_millis(50), Duration::from_secs(5));
    loop {
        match engine.commit(event.clone()).await {
            Err(EngineError::Full(_) | EngineError::Unavailable) => {
                tokio::time::sleep(retry.next(random())).await;
            }
            done => return done,
        }
    }
}
