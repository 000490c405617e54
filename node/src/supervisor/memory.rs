//! What a run is told of its own memory while it follows it (RES-08): the level when that changes, and the cap before that does.

use lull_policy::{Bytes, MemoryLevel};
use lull_proto::agent::ToAgent;
use tokio::sync::watch;

use super::order::line;

/// What a cage holds, and may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Bytes in use.
    pub(super) usage: u64,
    /// The cap in bytes; absent = none.
    pub(super) limit: Option<u64>,
}

/// The desk's end: the newest reading counts.
pub(super) type MemorySender = watch::Sender<Option<Held>>;

/// A conversation's end.
#[derive(Debug)]
pub(super) struct MemoryNews {
    read: watch::Receiver<Option<Held>>,
    /// Level and cap that the agent knows.
    told: Option<(MemoryLevel, Option<u64>)>,
}

/// Both ends.
pub(super) fn channel() -> (MemorySender, MemoryNews) {
    let (sender, read) = watch::channel(None);
    let told = None;
    (sender, MemoryNews { read, told })
}

impl MemoryNews {
    /// Resolves when the cage was read anew.
    pub(super) async fn changed(&mut self) {
        if self.read.changed().await.is_err() {
            // The desk is gone, which is heard elsewhere.
            std::future::pending::<()>().await;
        }
    }

    /// The line to say, if there is news in what was read.
    pub(super) fn line(&mut self) -> Option<Vec<u8>> {
        let Held { usage, limit } = (*self.read.borrow_and_update())?;
        let level = MemoryLevel::of(Bytes(usage), limit.map(Bytes));
        if self.told == Some((level, limit)) {
            return None;
        }
        self.told = Some((level, limit));
        Some(line(&ToAgent::MemoryLevel {
            level: level.word().to_owned(),
            number: level.number(),
            usage,
            limit,
        }))
    }
}
