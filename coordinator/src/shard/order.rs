//! What a shard orders from the store, and how the orders get there: in the order in which they were decided, many under
//! way at once, answered in batches.
//!
//! The desk is the only way from a shard to [`Store::commit`], so that the places of a mailbox reach the store in their
//! order. Deliberately absent: decisions.

use std::sync::Arc;

use actix::Addr;
use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt as _};
use futures_util::{FutureExt as _, future::BoxFuture};
use lull_fleet_policy::{DeviceId, Labels, Slot, Waiting, Wall};
use tokio::sync::{mpsc, oneshot};

use super::messages::{Accepted, Refusal, Settle};
use super::{SessionNumber, Shard};
use crate::sabotage;
use crate::store::{Change, InstalledApp, Outcome, Store, StoreError};
use crate::watch::Watchers;

/// Orders that a shard has decided and the desk has not taken. With [`UNDER_WAY`], what 64 publishers keep busy many
/// times over; at 5,000 bytes each, 5 MB.
pub(super) const WAITING: usize = 1_024;
/// Of these, kept free of pushes: receipts, acknowledgements and sessions go on when publishers press.
pub(super) const KEPT_FREE: usize = 256;
/// Orders that the store has and has not answered, below the store's own bound.
const UNDER_WAY: usize = 1_024;

/// Changes to be committed as a whole, and what they are for.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) changes: Vec<Change>,
    pub(super) purpose: Purpose,
}

/// What an order is for: what the shard does when it is settled.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A push to one device.
    Accept(Accepting),
    /// A session begins.
    Begin(DeviceId, SessionNumber),
    /// Rows may be sent, or have expired before they were.
    Tend(DeviceId, SessionNumber),
    /// Rows were acknowledged and leave the mailbox.
    Leave(DeviceId),
    /// Receipts of a device.
    Record(DeviceId, SessionNumber),
    /// What is installed there.
    Inventory(DeviceId, Vec<InstalledApp>, Labels),
    /// Devices were heard of.
    Seen,
    /// Nothing: told once all orders before it are with the store.
    Barrier(oneshot::Sender<()>),
}

/// A push to one device, decided and not yet durable.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) slot: Slot,
    pub(super) row: Waiting,
    pub(super) payload: Bytes,
    pub(super) accepted: Wall,
    /// Taken by the desk where the push became durable.
    pub(super) reply: Option<oneshot::Sender<Result<Accepted, Refusal>>>,
}

/// An order with the store's answer.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) purpose: Purpose,
    pub(super) outcomes: Result<Vec<Outcome>, StoreError>,
}

type Commit<'a> = BoxFuture<'a, Settled>;

/// Takes the orders of one shard to the store until the shard is gone.
pub(super) async fn desk(
    store: Arc<dyn Store>,
    watchers: Arc<Watchers>,
    mut orders: mpsc::Receiver<Order>,
    shard: Addr<Shard>,
) {
    let mut under_way: FuturesOrdered<Commit<'_>> = FuturesOrdered::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            biased;
            Some(settled) = under_way.next(), if !under_way.is_empty() => {
                let mut batch = vec![finish(settled, &watchers)];
                while let Some(Some(settled)) = under_way.next().now_or_never() {
                    batch.push(finish(settled, &watchers));
                }
                if shard.send(Settle(batch)).await.is_err() {
                    return;
                }
            }
            order = orders.recv(), if open && under_way.len() < UNDER_WAY => match order {
                Some(Order { purpose: Purpose::Barrier(passed), .. }) => {
                    // Fails where the one who waited is gone.
                    passed.send(()).unwrap_or(());
                }
                Some(order) => under_way.push_back(hand_over(store.as_ref(), order)),
                None => open = false,
            },
        }
    }
}

/// Gives an order to the store at once; the future is its answer.
fn hand_over(store: &dyn Store, order: Order) -> Commit<'_> {
    let Order {
        changes,
        mut purpose,
    } = order;
    if let (Purpose::Accept(accepting), true) = (&mut purpose, sabotage::before_commit()) {
        accepting.answer();
        return async move {
            tokio::time::sleep(sabotage::HELD).await;
            let outcomes = store.commit(changes).await;
            Settled { purpose, outcomes }
        }
        .boxed();
    }
    let commit = store.commit(changes);
    async move {
        let outcomes = commit.await;
        Settled { purpose, outcomes }
    }
    .boxed()
}

/// Tells those who wait for nothing but the commit.
fn finish(mut settled: Settled, watchers: &Watchers) -> Settled {
    let Ok(outcomes) = &settled.outcomes else {
        return settled;
    };
    watchers.tell(outcomes);
    if let (Purpose::Accept(accepting), Some(Outcome::Applied(_))) =
        (&mut settled.purpose, outcomes.first())
    {
        accepting.answer();
    }
    settled
}

impl Accepting {
    fn answer(&mut self) {
        if let Some(reply) = self.reply.take() {
            let accepted = Accepted {
                push: self.row.push,
                devices: 1,
                duplicate: false,
                accepted: self.accepted,
            };
            // Fails where the publisher has left; the push is accepted all the same.
            drop(reply.send(Ok(accepted)));
        }
    }
}
