//! The sweep: pushes whose time to live has ended, whose device stays silent, or that may be forgotten; expired tokens.
//!
//! Sleeps until the policy's next instant. Deliberately absent: what is due (`Life::due` of the fleet policy).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::Addr;
use lull_fleet_policy::life::{Due, given_up};
use lull_fleet_policy::{ShardId, Span, Wall, bounds};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::ClockRef;
use crate::shard::Shard;
use crate::shard::messages::Left;
use crate::store::{Change, DuePush, Gone, Outcome, Store, StoreError};
use crate::watch::Watchers;

/// How far the sweep looks ahead, and how long it sleeps at most: also what a step of the wall clock can delay it by.
const HORIZON: Span = Span::seconds(60);
/// After a step that failed.
const AGAIN: Span = Span::seconds(1);
/// How often expired tokens and certificates are removed: they do no harm, only take room.
const TIDY: Span = Span::minutes(10);

/// The next expiry, as far as it is known. Cheap to tell: nothing is woken unless it is earlier than the one before.
#[derive(Debug, Clone)]
pub struct Expiries(Arc<Next>);

#[derive(Debug)]
struct Next {
    at: AtomicU64,
    earlier: Notify,
}

impl Default for Expiries {
    fn default() -> Self {
        Self(Arc::new(Next {
            at: AtomicU64::new(u64::MAX),
            earlier: Notify::new(),
        }))
    }
}

impl Expiries {
    /// A push expires then.
    pub fn expect(&self, at: Wall) {
        let before = self.0.at.fetch_min(at.as_millis(), Ordering::Relaxed);
        if at.as_millis() < before {
            self.0.earlier.notify_one();
        }
    }
}

/// What the sweep needs.
#[derive(Debug)]
pub struct Sweep {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The shards, told of what left their mailboxes.
    pub shards: Arc<[Addr<Shard>]>,
    /// Told of receipts.
    pub watchers: Arc<Watchers>,
    /// The clock.
    pub clock: ClockRef,
    /// What is expected.
    pub expiries: Expiries,
}

impl Sweep {
    /// Runs until told to end.
    pub async fn run(self, ending: CancellationToken) {
        let mut tidied = None;
        loop {
            let now = self.now();
            if tidied.is_none_or(|at: Wall| now.since(at) >= TIDY || now < at) {
                tidied = Some(now);
                self.tidy(now).await;
            }
            self.expiries.0.at.store(u64::MAX, Ordering::Relaxed);
            let next = match self.pass(now).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(%error, "a step of the sweep failed, it is taken again");
                    self.now().after(AGAIN)
                }
            };
            if !self.wait(next, &ending).await {
                return;
            }
        }
    }

    fn now(&self) -> Wall {
        Wall::from_millis(self.clock.wall())
    }

    /// Waits for the next instant, also one that is told meanwhile; false where it is to end.
    async fn wait(&self, next: Wall, ending: &CancellationToken) -> bool {
        loop {
            let told = Wall::from_millis(self.expiries.0.at.load(Ordering::Relaxed));
            let pause = next.min(told).since(self.now()).as_millis();
            let pause = Duration::from_millis(pause.min(HORIZON.as_millis()));
            tokio::select! {
                () = ending.cancelled() => return false,
                () = tokio::time::sleep(pause) => return true,
                () = self.expiries.0.earlier.notified() => {}
            }
        }
    }

    /// Does what is due, and says when to look again.
    async fn pass(&self, now: Wall) -> Result<Wall, StoreError> {
        let ahead = now.after(HORIZON);
        let due = self.store.due(ahead, bounds::SWEEP_PUSHES).await?;
        let whole = due.len() < bounds::SWEEP_PUSHES as usize;
        let mut next = ahead;
        let mut changes = Vec::new();
        for push in due {
            match change(push, now, ahead) {
                Ok(Some(change)) => changes.push(change),
                Ok(None) => {}
                Err(at) => next = next.min(at),
            }
        }
        let more = !changes.is_empty() && !whole;
        self.repeat(changes).await?;
        Ok(if more { now } else { next })
    }

    async fn tidy(&self, before: Wall) {
        let limit = bounds::SWEEP_DEVICES;
        let change = Change::RemoveExpired { before, limit };
        if let Err(error) = self.repeat(vec![change]).await {
            tracing::warn!(%error, "expired tokens and certificates stay until the next time");
        }
    }

    /// Commits changes step by step until there is no more to do.
    async fn repeat(&self, mut changes: Vec<Change>) -> Result<(), StoreError> {
        while !changes.is_empty() {
            let outcomes = self.store.commit(changes.clone()).await?;
            self.watchers.tell(&outcomes);
            let mut gone = Vec::new();
            let mut again = Vec::new();
            for (change, outcome) in changes.into_iter().zip(outcomes) {
                if let Outcome::Applied(applied) = outcome {
                    gone.extend(applied.gone);
                    again.extend(applied.more.then_some(change));
                }
            }
            self.tell(gone).await;
            changes = again;
        }
        Ok(())
    }

    async fn tell(&self, gone: Vec<Gone>) {
        let count = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        let mut lists: Vec<Vec<Gone>> = vec![Vec::new(); self.shards.len()];
        for gone in gone {
            let at = usize::from(ShardId::of(gone.device, count).0);
            if let Some(list) = lists.get_mut(at) {
                list.push(gone);
            }
        }
        for (shard, list) in self.shards.iter().zip(lists) {
            if !list.is_empty() {
                // Fails only where the coordinator is ending.
                shard.send(Left(list)).await.unwrap_or(());
            }
        }
    }
}

/// What is due with one push; or when it is.
fn change(due: DuePush, now: Wall, ahead: Wall) -> Result<Option<Change>, Wall> {
    let (push, at, limit) = (due.push, now, bounds::SWEEP_DEVICES);
    Ok(match due.life.due(now) {
        Due::Wait(until) if until <= ahead => return Err(until),
        Due::Wait(until) => Some(Change::Postpone { push, until }),
        Due::Expire { next } => Some(Change::ExpirePush {
            push,
            at,
            next,
            limit,
        }),
        Due::GiveUp => given_up().map(|hop| Change::ClosePush {
            push,
            hop,
            at,
            limit,
        }),
        Due::Remove => Some(Change::RemovePush { push, limit }),
    })
}
