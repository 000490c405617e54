//! When to try again: full jitter, doubling from a base to a cap. And the one source of randomness for jitter.
//!
//! For what fails on this device. Reconnecting to the coordinator is paced for a whole fleet and has its own arithmetic
//! ([`crate::link::Backoff`]).

use std::time::Duration;

/// The windows of a series of attempts; pure: the random number comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    base: Duration,
    cap: Duration,
    window: Duration,
}

impl Retry {
    /// A series whose first delay is below `base` and whose delays are never above `cap`.
    pub const fn new(base: Duration, cap: Duration) -> Self {
        Self {
            base,
            cap,
            window: base,
        }
    }

    /// The delay before the next attempt; `random` is uniform over all numbers.
    pub fn next(&mut self, random: u64) -> Duration {
        let delay = share(self.window, random);
        self.window = self.window.saturating_mul(2).min(self.cap);
        delay
    }

    /// It worked: the next series begins at the base.
    pub fn reset(&mut self) {
        self.window = self.base;
    }
}

/// The part of a window that a random number stands for, in whole microseconds.
pub fn share(window: Duration, random: u64) -> Duration {
    let micros = u128::from(random) * window.as_micros() / u128::from(u64::MAX);
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// A random number for jitter.
pub fn random() -> u64 {
    let mut bytes = [0; 8];
    // Without randomness every delay is the whole window: late, and never a storm.
    match aws_lc_rs::rand::fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_unspecified) => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_double_up_to_the_cap_and_begin_anew() {
        let mut retry = Retry::new(Duration::from_millis(500), Duration::from_secs(3));
        let longest: Vec<u128> = (0..5).map(|_| retry.next(u64::MAX).as_millis()).collect();
        assert_eq!(longest, [500, 1_000, 2_000, 3_000, 3_000]);
        retry.reset();
        assert_eq!(retry.next(u64::MAX / 2).as_millis(), 249);
        assert_eq!(retry.next(0), Duration::ZERO);
        assert_ne!(random(), random());
    }
}
