//! How near a run is to its memory cap (RES-08).

use std::sync::Arc;
use std::time::Duration;

use super::shared::Shared;

/// A level, with the rule book's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MemoryLevel {
    /// 0: less than half of the cap is used, or there is none.
    Low = 0,
    /// 1: half of it, or more.
    Medium = 1,
    /// 2: four fifths of it, or more: let go of what can be had again.
    High = 2,
    /// 3: more than it; the run may be killed at any moment.
    OverLimit = 3,
}

impl MemoryLevel {
    pub(super) fn named(word: &str) -> Option<Self> {
        match word {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            "over-limit" => Some(Self::OverLimit),
            _ => None,
        }
    }
}

/// A level, and what it is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryNow {
    /// The level.
    pub level: MemoryLevel,
    /// Bytes in use by the run's whole cage.
    pub usage: u64,
    /// The cap in bytes, as it is or is about to be; absent = none.
    pub limit: Option<u64>,
}

/// Hears when the run's memory level rises or falls, and when its cap is about to change.
#[derive(Debug)]
pub struct MemoryLevels {
    pub(super) shared: Arc<Shared>,
    pub(super) seen: u64,
}

impl MemoryLevels {
    /// The newest level that this has not given out yet; waits so long for one. The first comes at once, what changes is known a second
    /// later at most. Absent: there was none in that time, or the node is away or cannot read the cage.
    pub fn wait(&mut self, timeout: Duration) -> Option<MemoryNow> {
        let (seen, news) = self.shared.wait_for_level(self.seen, timeout);
        self.seen = seen;
        news
    }
}
