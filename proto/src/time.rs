//! Timestamps and durations of the wire as milliseconds, checked.

use prost_types::{Duration, Timestamp};

/// A wire time that names no moment or span we can hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{seconds} s and {nanos} ns is outside of what is accepted (from 1970 on; nanos 0 to 999,999,999)"
)]
pub struct TimeError {
    /// Whole seconds as received.
    pub seconds: i64,
    /// Nanoseconds as received.
    pub nanos: i32,
}

fn millis(seconds: i64, nanos: i32) -> Result<u64, TimeError> {
    let error = || TimeError { seconds, nanos };
    let whole = u64::try_from(seconds)
        .ok()
        .and_then(|s| s.checked_mul(1_000))
        .ok_or_else(error)?;
    let part = u64::try_from(nanos)
        .ok()
        .filter(|n| *n < 1_000_000_000)
        .ok_or_else(error)?;
    whole.checked_add(part / 1_000_000).ok_or_else(error)
}

/// Milliseconds since the Unix epoch of a timestamp.
pub fn wall_millis(timestamp: &Timestamp) -> Result<u64, TimeError> {
    millis(timestamp.seconds, timestamp.nanos)
}

/// Milliseconds of a duration; negative ones are refused.
pub fn span_millis(duration: &Duration) -> Result<u64, TimeError> {
    millis(duration.seconds, duration.nanos)
}

fn split(millis: u64) -> (i64, i32) {
    let seconds = i64::try_from(millis / 1_000).unwrap_or(i64::MAX);
    let nanos = i32::try_from(millis % 1_000 * 1_000_000).unwrap_or(0);
    (seconds, nanos)
}

/// The timestamp of so many milliseconds since the Unix epoch.
pub fn timestamp(wall_millis: u64) -> Timestamp {
    let (seconds, nanos) = split(wall_millis);
    Timestamp { seconds, nanos }
}

/// The duration of so many milliseconds.
pub fn duration(millis: u64) -> Duration {
    let (seconds, nanos) = split(millis);
    Duration { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_both_ways() {
        for n in [0, 1, 999, 1_000, 1_763_700_000_123] {
            assert_eq!(wall_millis(&timestamp(n)), Ok(n));
            assert_eq!(span_millis(&duration(n)), Ok(n));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for (seconds, nanos) in [(-1, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, 0)] {
            assert_eq!(
                wall_millis(&Timestamp { seconds, nanos }),
                Err(TimeError { seconds, nanos })
            );
        }
    }
}
