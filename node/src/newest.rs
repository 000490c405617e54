//! Telling the machine how several things stand, the newest state of each, until the engine ends.
//!
//! What changed twice while the engine had no room is told once. Deliberately absent: what the things are, and who counts them.

use std::collections::BTreeMap;
use std::time::Duration;

use lull_policy::Event;
use tokio::sync::watch;

use crate::ports::{EngineError, EngineRef};
use crate::retry::{Retry, random};

/// When something is told again that the engine had no room for.
pub(crate) const AGAIN: Retry = Retry::new(Duration::from_millis(200), Duration::from_secs(10));

/// Tells every difference between what the machine believes and what the map says, whose entries stand as `state` sees them; what has
/// no entry stands as by default.
pub(crate) async fn tell<K, V, S>(
    engine: EngineRef,
    mut changes: watch::Receiver<BTreeMap<K, V>>,
    mut believed: BTreeMap<K, S>,
    state: impl Fn(&V) -> S,
    event: impl Fn(K, S) -> Event,
) where
    K: Ord + Clone,
    S: Default + PartialEq + Copy,
{
    let mut retry = AGAIN;
    loop {
        let mut now: BTreeMap<K, S> = believed.keys().map(|k| (k.clone(), S::default())).collect();
        now.extend(states(&changes.borrow_and_update(), &state));
        let mut late = false;
        for (key, state) in now {
            if believed.get(&key).copied().unwrap_or_default() == state {
                continue;
            }
            match engine.commit(event(key.clone(), state)).await {
                Ok(()) if state == S::default() => drop(believed.remove(&key)),
                Ok(()) => drop(believed.insert(key, state)),
                Err(EngineError::Ending) => return,
                Err(EngineError::Full(_) | EngineError::Unavailable) => late = true,
            }
        }
        if late {
            tokio::time::sleep(retry.next(random())).await;
            continue;
        }
        retry.reset();
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn states<K: Ord + Clone, V, S>(all: &BTreeMap<K, V>, state: impl Fn(&V) -> S) -> BTreeMap<K, S> {
    let states = all.iter().map(|(key, value)| (key.clone(), state(value)));
    states.collect()
}
