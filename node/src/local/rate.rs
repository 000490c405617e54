//! How often one user may call: a token bucket a user, in front of everything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lull_proto::problem;
use tonic::service::Interceptor;
use tonic::{Code, Request, Status};

use super::peer::peer;
use crate::clock::ClockRef;
use crate::status::StatusBoard;

/// Calls a second that one user may make for long: far above what front clients and an operator's scripts need, and less than
/// 1 % of what the engine decides in that time.
const PER_SECOND: u64 = 200;

/// Calls that may come at once.
const BURST: u64 = 500;

/// Users with a bucket of their own; there are fewer apps. Those beyond share one.
const USERS: usize = 1_024;

/// The bucket of those beyond.
const OTHERS: u32 = u32::MAX;

/// A thousandth of a call, so that a millisecond's share is a whole number.
const CALL: u64 = 1_000;

/// Lets calls through as long as their user's bucket is not empty.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    clock: ClockRef,
    board: Arc<StatusBoard>,
    buckets: Arc<Mutex<BTreeMap<u32, Bucket>>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: u64,
    filled: u64,
}

impl Rate {
    pub(super) fn new(clock: ClockRef, board: Arc<StatusBoard>) -> Self {
        Self {
            clock,
            board,
            buckets: Arc::default(),
        }
    }

    /// Whether this call of a user is within its rate.
    pub(super) fn take(&self, uid: u32) -> bool {
        let now = self.clock.now().running.as_millis();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let own = buckets.len() < USERS || buckets.contains_key(&uid);
        let bucket = buckets
            .entry(if own { uid } else { OTHERS })
            .or_insert(Bucket {
                left: BURST * CALL,
                filled: now,
            });
        let earned = now.saturating_sub(bucket.filled).saturating_mul(PER_SECOND);
        bucket.left = bucket.left.saturating_add(earned).min(BURST * CALL);
        bucket.filled = now;
        let enough = bucket.left >= CALL;
        if enough {
            bucket.left -= CALL;
        }
        enough
    }
}

impl Interceptor for Rate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let uid = peer(&request)?.uid;
        if self.take(uid) {
            return Ok(request);
        }
        self.board.count("local-calls-refused");
        Err(problem::retry_later(
            Code::ResourceExhausted,
            format!("uid {uid} calls more than {PER_SECOND} times a second; call less often"),
            Duration::from_secs(1),
        ))
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::{BootId, Now, Span};

    use super::*;
    use crate::clock::Manual;

    #[test]
    fn a_burst_then_the_rate_and_each_user_for_itself() {
        let clock = Arc::new(Manual::new(BootId::new("boot").unwrap(), Now::default()));
        let rate = Rate::new(Arc::<Manual>::clone(&clock), Arc::default());
        let through = |uid| (0..2 * BURST).filter(|_| rate.take(uid)).count() as u64;
        assert_eq!(through(1), BURST);
        assert_eq!(through(2), BURST);
        clock.advance(Span::millis(100));
        assert_eq!(through(1), PER_SECOND / 10);
        clock.advance(Span::hours(1));
        assert_eq!(through(1), BURST);
    }
}
