//! When to connect again: paced so that a whole fleet that lost its coordinator at once does not come back at once (R10).
//!
//! Doubling windows with full jitter put 29 % of a fleet into the fifth second after an outage (their rate falls as 1.44/t) and
//! 2.3 % around the cap. So: two quick attempts for a coordinator that only restarted, both within 4 × `base`, then one attempt anywhere
//! within `spread`, and from then on one anywhere between `spread` and `cap`. A second after the first five has 1/`spread` of the fleet (1.3 %, and
//! below 2 % with the scatter of 10,000); no node tries twice within `base`, nor for long more than about once a minute. Every window is jittered in full.

use std::time::Duration;

use crate::retry::share;

/// The coordinator cannot hold a node off for longer than this at a time, whatever it says.
const LONGEST_ORDER: Duration = Duration::from_hours(1);

/// The series of delays of one node. Pure: time and randomness come from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    spread: Duration,
    cap: Duration,
    healthy: Duration,
    failures: u32,
}

impl Backoff {
    /// A new series: quick attempts within `base`, then over `spread`, then at most `cap` apart; begun anew after a session that
    /// lived for `healthy`.
    pub const fn new(base: Duration, spread: Duration, cap: Duration, healthy: Duration) -> Self {
        Self {
            base,
            spread,
            cap,
            healthy,
            failures: 0,
        }
    }

    /// A session ended that lived so long; an attempt that failed lived for no time.
    pub fn ended(&mut self, lived: Duration) {
        if lived >= self.healthy {
            self.failures = 0;
        }
    }

    /// The delay before the next attempt. `random` is uniform over all numbers; `order` is what the coordinator asked for,
    /// which is never undercut.
    pub fn next(&mut self, random: u64, order: Option<Duration>) -> Duration {
        let (least, window) = match self.failures {
            0 => (Duration::ZERO, self.base),
            1 => (self.base, self.base * 2),
            2 => (self.base, self.spread),
            _ => (self.spread, self.cap.saturating_sub(self.spread)),
        };
        self.failures = self.failures.saturating_add(1);
        match order {
            None => least + share(window, random),
            // All whom it told the same do not come in the same moment either.
            Some(order) => {
                let order = order.min(LONGEST_ORDER);
                order.max(least) + share(window.max(order / 4).max(self.base), random)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Times;

    fn backoff() -> Backoff {
        let times = Times::default();
        Backoff::new(times.base, times.spread, times.cap, times.healthy)
    }

    /// `SplitMix64`: the same numbers at every run.
    struct Numbers(u64);

    impl Numbers {
        fn next(&mut self) -> u64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }
    }

    #[test]
    fn a_fleet_of_10_000_never_puts_2_percent_into_one_second() {
        const NODES: usize = 10_000;
        const SECONDS: usize = 900;
        for seed in 0..20 {
            let mut numbers = Numbers(seed);
            let mut attempts = vec![0_usize; SECONDS];
            for _ in 0..NODES {
                let mut backoff = backoff();
                let mut at = Duration::ZERO;
                loop {
                    // Every attempt fails at once: the worst case.
                    at += backoff.next(numbers.next(), None);
                    let second = usize::try_from(at.as_secs()).unwrap();
                    let Some(count) = attempts.get_mut(second) else {
                        break;
                    };
                    *count += 1;
                }
            }
            let later = attempts.iter().enumerate().skip(5);
            let (second, most) = later.max_by_key(|(_, count)| **count).unwrap();
            assert!(
                *most <= NODES / 50,
                "{most} in second {second}, seed {seed}"
            );
            // And none is forgotten: in 15 minutes each comes about 12 times.
            assert!(attempts.iter().sum::<usize>() > 11 * NODES);
        }
    }

    #[test]
    fn no_node_exceeds_10_attempts_a_minute_or_waits_above_the_cap() {
        let cap = Times::default().cap;
        for seed in 0..1_000 {
            let mut numbers = Numbers(seed);
            let mut backoff = backoff();
            let mut times = vec![];
            let mut at = Duration::ZERO;
            for _ in 0..50 {
                let delay = backoff.next(numbers.next(), None);
                assert!(delay <= cap, "{delay:?}");
                assert!(
                    times.is_empty() || delay >= Times::default().base,
                    "{delay:?}"
                );
                at += delay;
                times.push(at);
            }
            for window in times.windows(11) {
                assert!(
                    window[0] + Duration::from_mins(1) < window[10],
                    "seed {seed}"
                );
            }
        }
    }

    #[test]
    fn only_a_healthy_session_begins_the_series_anew() {
        let times = Times::default();
        let mut backoff = backoff();
        let longest = |backoff: &mut Backoff| backoff.next(u64::MAX, None);
        assert_eq!(longest(&mut backoff), times.base);
        assert_eq!(longest(&mut backoff), times.base * 3);
        backoff.ended(times.healthy / 2);
        assert_eq!(longest(&mut backoff), times.base + times.spread);
        assert_eq!(longest(&mut backoff), times.cap);
        assert_eq!(backoff.next(0, None), times.spread);
        backoff.ended(times.healthy);
        assert_eq!(longest(&mut backoff), times.base);
    }

    #[test]
    fn the_coordinators_order_is_never_undercut_and_has_an_end() {
        let mut backoff = backoff();
        let order = Duration::from_secs(40);
        assert_eq!(backoff.next(0, Some(order)), order);
        assert_eq!(backoff.next(u64::MAX, Some(order)), order + order / 4);
        let year = Duration::from_hours(24 * 365);
        assert_eq!(backoff.next(0, Some(year)), LONGEST_ORDER);
    }
}
