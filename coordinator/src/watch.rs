//! Who follows which push: a bounded list, told that there is something new and where to look is the store.
//!
//! A follower reads the store from its cursor whenever it is told, so nothing is lost between reading and listening, and
//! a slow one costs nothing but its place. Deliberately absent: the receipts themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lull_fleet_policy::PushId;
use tokio::sync::Notify;

use crate::store::Outcome;

/// All followers.
#[derive(Debug)]
pub struct Watchers {
    limit: usize,
    list: Mutex<List>,
}

#[derive(Debug, Default)]
struct List {
    count: usize,
    by_push: HashMap<PushId, Vec<Arc<Notify>>>,
}

/// One follower's place; given back when dropped.
#[derive(Debug)]
pub struct Watcher {
    watchers: Arc<Watchers>,
    push: PushId,
    told: Arc<Notify>,
}

/// Too many follow already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{limit} followers of pushes are served, which is the bound (limits.watchers); ask with Get, or follow later"
)]
pub struct TooMany {
    limit: usize,
}

impl Watchers {
    /// At most so many.
    pub fn new(limit: usize) -> Arc<Self> {
        let list = Mutex::default();
        Arc::new(Self { limit, list })
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows a push from now on.
    pub fn follow(self: &Arc<Self>, push: PushId) -> Result<Watcher, TooMany> {
        let told = Arc::new(Notify::new());
        let mut list = self.list();
        if list.count >= self.limit {
            let limit = self.limit;
            return Err(TooMany { limit });
        }
        list.count += 1;
        list.by_push
            .entry(push)
            .or_default()
            .push(Arc::clone(&told));
        let watchers = Arc::clone(self);
        Ok(Watcher {
            watchers,
            push,
            told,
        })
    }

    /// Tells the followers of pushes that got receipts by these outcomes.
    pub fn tell(&self, outcomes: &[Outcome]) {
        let list = self.list();
        if list.by_push.is_empty() {
            return;
        }
        for outcome in outcomes {
            let Outcome::Applied(applied) = outcome else {
                continue;
            };
            for recorded in &applied.recorded {
                for told in list.by_push.get(&recorded.push).into_iter().flatten() {
                    told.notify_one();
                }
            }
        }
    }
}

impl Watcher {
    /// Resolves when there may be something new since the last time.
    pub async fn told(&self) {
        self.told.notified().await;
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut list = self.watchers.list();
        list.count = list.count.saturating_sub(1);
        if let Some(followers) = list.by_push.get_mut(&self.push) {
            followers.retain(|told| !Arc::ptr_eq(told, &self.told));
            if followers.is_empty() {
                list.by_push.remove(&self.push);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use lull_fleet_policy::{DeviceId, Hop, Receipt, Wall};

    use super::*;
    use crate::store::{Applied, ReceiptCursor, Recorded};

    fn recorded(push: PushId) -> Outcome {
        let receipt = Receipt {
            hop: Hop::Delivered,
            at: Wall::from_millis(1),
        };
        Outcome::Applied(Applied {
            recorded: vec![Recorded {
                push,
                device: DeviceId::from_bytes([1; 16]),
                cursor: ReceiptCursor::START,
                receipt,
            }],
            ..Applied::default()
        })
    }

    #[test]
    fn a_follower_hears_of_its_push_alone_and_never_misses_it() {
        let watchers = Watchers::new(2);
        let (one, two) = (PushId::from_bytes([1; 16]), PushId::from_bytes([2; 16]));
        let follower = watchers.follow(one).unwrap();
        watchers.tell(&[recorded(two)]);
        assert!(follower.told().now_or_never().is_none());
        watchers.tell(&[recorded(one)]);
        watchers.tell(&[recorded(one)]);
        assert!(follower.told().now_or_never().is_some());
        assert!(follower.told().now_or_never().is_none());
    }

    #[test]
    fn the_list_is_bounded_and_places_come_back() {
        let watchers = Watchers::new(1);
        let push = PushId::from_bytes([1; 16]);
        let first = watchers.follow(push).unwrap();
        assert!(
            watchers
                .follow(push)
                .unwrap_err()
                .to_string()
                .contains("limits.watchers")
        );
        drop(first);
        let again = watchers.follow(push).unwrap();
        assert_eq!(watchers.list().by_push.len(), 1);
        drop(again);
        assert!(watchers.list().by_push.is_empty());
    }
}
