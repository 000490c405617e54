//! Wall-clock instants and spans in whole milliseconds. Deliberately absent: any clock.

use serde::{Deserialize, Serialize};

/// A length of time in milliseconds. Never negative.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
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
}

/// Milliseconds since the Unix epoch, by the coordinator's clock unless said otherwise.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Wall(u64);

impl Wall {
    /// The instant `n` milliseconds after the Unix epoch.
    pub const fn from_millis(n: u64) -> Self {
        Self(n)
    }
    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }
    /// The instant `span` later, at most the last one.
    #[must_use]
    pub const fn after(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.as_millis()))
    }
    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span::millis(self.0.saturating_sub(earlier.0))
    }
}
