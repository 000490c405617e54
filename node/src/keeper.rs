//! The keeper: a part of the daemon that panicked or ended is built anew, with back-off, within a budget.
//!
//! actix and tokio both let a panicked actor or task disappear in silence, and a part that is gone in silence is a limit that
//! nobody enforces. Deliberately absent: parts that cannot be built anew (the engine, what owns a queue of orders); their end is
//! the daemon's end.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{Running, Span};
use tokio_util::sync::CancellationToken;

use crate::clock::ClockRef;
use crate::retry::{Retry, random};
use crate::status::StatusBoard;

/// Counts parts that were built anew.
pub const REBUILT: &str = "parts-rebuilt";

/// How often a part may be built anew within [`WINDOW`]. One that fails more often does so for a reason that a rebuilding does
/// not cure.
const BUDGET: usize = 10;

/// See [`BUDGET`].
const WINDOW: Span = Span::minutes(10);

/// Pauses between two buildings: all ten of them fit into the window.
pub const RETRY: Retry = Retry::new(Duration::from_millis(200), Duration::from_secs(30));

/// A part failed too often.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the part {part:?} failed {BUDGET} times within ten minutes")]
pub struct WornOut {
    /// Which.
    pub part: &'static str,
}

/// Keeps parts alive until the daemon ends.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// For the budget.
    pub clock: ClockRef,
    /// For the counter.
    pub board: Arc<StatusBoard>,
    /// The daemon is ending: parts may end.
    pub ending: CancellationToken,
    /// [`RETRY`]; tests are faster.
    pub retry: Retry,
}

impl Keeper {
    /// Builds the part, and builds it anew whenever it ends, until the daemon ends.
    ///
    /// # Errors
    /// It failed too often; the daemon should end itself to be restarted.
    pub async fn keep<F>(
        &self,
        part: &'static str,
        mut build: impl FnMut() -> F,
    ) -> Result<(), WornOut>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut retry = self.retry;
        let mut failures = VecDeque::new();
        loop {
            let ended = tokio::spawn(build()).await;
            if self.ending.is_cancelled() {
                return Ok(());
            }
            self.board.count(REBUILT);
            if self.worn_out(&mut failures) {
                return Err(WornOut { part });
            }
            let pause = retry.next(random());
            tracing::error!(
                part,
                panicked = ended.is_err(),
                ?pause,
                "a part of the daemon ended; it is built anew"
            );
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.ending.cancelled() => return Ok(()),
            }
        }
    }

    fn worn_out(&self, failures: &mut VecDeque<Running>) -> bool {
        let now = self.clock.now().running;
        failures.retain(|at| now.since(*at) < WINDOW);
        failures.push_back(now);
        failures.len() >= BUDGET
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use lull_policy::{BootId, Now};

    use super::*;
    use crate::clock::Manual;

    fn keeper() -> (Keeper, Arc<Manual>) {
        let clock = Arc::new(Manual::new(BootId::new("boot").unwrap(), Now::default()));
        let keeper = Keeper {
            clock: Arc::<Manual>::clone(&clock),
            board: Arc::default(),
            ending: CancellationToken::new(),
            retry: Retry::new(Duration::ZERO, Duration::ZERO),
        };
        (keeper, clock)
    }

    #[tokio::test]
    async fn a_part_that_panics_is_built_anew_until_the_daemon_ends() {
        let (keeper, _clock) = keeper();
        let built = Arc::new(AtomicUsize::new(0));
        let ending = keeper.ending.clone();
        let count = Arc::clone(&built);
        let part = move || {
            let nth = count.fetch_add(1, Ordering::Relaxed);
            let ending = ending.clone();
            async move {
                assert!(nth >= 2, "wanted: the first two panic");
                ending.cancel();
            }
        };
        assert_eq!(keeper.keep("part", part).await, Ok(()));
        assert_eq!(built.load(Ordering::Relaxed), 3);
        assert_eq!(keeper.board.counter(REBUILT), 2);
    }

    #[tokio::test]
    async fn a_part_that_always_fails_wears_out() {
        let (keeper, _clock) = keeper();
        let worn_out = keeper.keep("part", || async {}).await;
        assert_eq!(worn_out, Err(WornOut { part: "part" }));
        assert_eq!(keeper.board.counter(REBUILT), 10);
    }

    #[tokio::test]
    async fn failures_far_apart_do_not_wear_a_part_out() {
        let (keeper, clock) = keeper();
        let built = AtomicUsize::new(0);
        let ending = keeper.ending.clone();
        let part = || {
            clock.advance(Span::minutes(2));
            if built.fetch_add(1, Ordering::Relaxed) == 30 {
                ending.cancel();
            }
            async {}
        };
        assert_eq!(keeper.keep("part", part).await, Ok(()));
    }
}
