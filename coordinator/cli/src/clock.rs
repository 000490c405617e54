//! The clocks of this program: the only place that reads them.

use std::time::{Duration, Instant};

/// The wall clock.
pub(crate) fn wall() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads it"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A moment after which something is given up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    whole: Duration,
}

impl Deadline {
    /// So far from now.
    pub(crate) fn after(whole: Duration) -> Self {
        Self {
            at: now() + whole,
            whole,
        }
    }

    /// What is left; nothing once it has passed.
    pub(crate) fn left(&self) -> Duration {
        self.at.saturating_duration_since(now())
    }

    /// It has passed.
    pub(crate) fn passed(&self) -> bool {
        self.left().is_zero()
    }

    /// How long it was when it was set.
    pub(crate) fn whole(&self) -> Duration {
        self.whole
    }

    /// The moment, as tokio's timers take it.
    pub(crate) fn instant(&self) -> tokio::time::Instant {
        self.at.into()
    }
}

/// How long to wait before the attempt of this number (from 0): full jitter below a doubling bound, so that many who
/// failed together do not come back together.
pub(crate) fn backoff(attempt: u32, base: Duration, cap: Duration) -> Duration {
    let bound = base
        .saturating_mul(2_u32.saturating_pow(attempt.min(16)))
        .min(cap);
    // The last eight bytes of a UUIDv7 are random but for two bits.
    let random = uuid::Uuid::now_v7().as_u64_pair().1 & 0xffff_ffff;
    let micros = u64::try_from(bound.as_micros()).unwrap_or(u64::MAX);
    Duration::from_micros(micros.saturating_mul(random) >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_stays_below_its_bound() {
        let (base, cap) = (Duration::from_millis(200), Duration::from_secs(5));
        for attempt in 0..40 {
            assert!(backoff(attempt, base, cap) <= cap);
        }
        assert!(backoff(0, base, cap) <= base);
    }
}
