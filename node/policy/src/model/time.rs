//! Instants and spans, in whole milliseconds. The host stamps them; the machine only compares and adds.

use serde::{Deserialize, Serialize};

/// A length of time in milliseconds. Never negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);
    /// Longer than anything decided here; stands for "no limit" in sums, which saturate.
    pub const MAX: Self = Self(u64::MAX);

    /// A span of `n` milliseconds.
    pub const fn millis(n: u64) -> Self {
        Self(n)
    }
    /// A span of `n` seconds.
    pub const fn seconds(n: u64) -> Self {
        Self(n.saturating_mul(1_000))
    }
    /// A span of `n` minutes.
    pub const fn minutes(n: u64) -> Self {
        Self::seconds(n.saturating_mul(60))
    }
    /// A span of `n` hours.
    pub const fn hours(n: u64) -> Self {
        Self::minutes(n.saturating_mul(60))
    }
    /// A span of `n` days of 24 hours.
    pub const fn days(n: u64) -> Self {
        Self::hours(n.saturating_mul(24))
    }
    /// The span in milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
    /// The sum, at most [`Span::MAX`].
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    /// The difference, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

macro_rules! instant {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// The instant `n` milliseconds after this clock's zero.
            pub const fn from_millis(n: u64) -> Self {
                Self(n)
            }
            /// Milliseconds since this clock's zero.
            pub const fn as_millis(self) -> u64 {
                self.0
            }
            /// The instant `span` later, at most the last one.
            #[must_use]
            pub const fn after(self, span: Span) -> Self {
                Self(self.0.saturating_add(span.as_millis()))
            }
            /// The instant `span` earlier, at least the first one.
            #[must_use]
            pub const fn before(self, span: Span) -> Self {
                Self(self.0.saturating_sub(span.as_millis()))
            }
            /// How long ago `earlier` was; zero if it lies ahead.
            #[must_use]
            pub const fn since(self, earlier: Self) -> Span {
                Span::millis(self.0.saturating_sub(earlier.0))
            }
        }
    };
}

instant! {
    /// `CLOCK_MONOTONIC`: stands still in suspend. Run limits and grace (AMB-02).
    Running
}
instant! {
    /// `CLOCK_BOOTTIME`: counts suspend, starts anew at each boot. Timers, periods, drift, settling, back-off.
    Elapsed
}
instant! {
    /// Milliseconds since the Unix epoch; may step. Expiry, time to live, calendar (AMB-32).
    Wall
}

/// The three instants of one event, read by the host at the same moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// For run limits and grace.
    pub running: Running,
    /// For timers, periods and settling.
    pub elapsed: Elapsed,
    /// For expiry and time to live.
    pub wall: Wall,
}

/// When the host must call `handle` with [`Event::DeadlineReached`](crate::Event::DeadlineReached), per clock.
///
/// The host arms one timer a clock and may come back early: an early call decides nothing wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Deadline {
    /// The earliest on the monotonic clock.
    pub running: Option<Running>,
    /// The earliest on the boot clock.
    pub elapsed: Option<Elapsed>,
    /// The earliest on the wall clock.
    pub wall: Option<Wall>,
}
