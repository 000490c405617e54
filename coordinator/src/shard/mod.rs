//! A shard: the actor that decides for the devices that hash to it, on what it keeps of them; the store owns them.
//!
//! Handlers never wait: what takes time is ordered from the store by the `order` desk, or read on the pool, and comes
//! back as a message. What a push, a session or a receipt leads to is decided by the fleet policy. Deliberately absent:
//! connections and wire types (but for what a session is told).

mod device;
mod line;
pub mod messages;
mod order;
mod session;
mod settle;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, MessageResult};
use lull_fleet_policy::mailbox::reserve_all;
use lull_fleet_policy::{DeviceId, Limits, ShardId, Span, Waiting, Wall};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::clock::ClockRef;
use crate::store::{Change, Fence, NewPush, NewSlot, PAGE, Store, StoreError};
use crate::watch::Watchers;
use device::Device;
use messages::{
    Conclude, Conclusion, Connected, Enrolled, Left, Refusal, Reserve, Reserved, Submit,
};
use order::{Accepting, Order, Purpose};

pub use session::{OUTGOING, RESUME, Session, SessionNumber};

/// Shards of a coordinator: one for each core of the machines it is meant for first; more gain nothing while one store
/// thread commits for all.
pub const SHARDS: u16 = 2;
/// Messages that wait for a shard: as many as its desk's orders, so that neither starves the other.
const MAILBOX: usize = 1_024;
/// Pushes that wait until one to many devices is with the store, a few milliseconds; more are told to come again.
const PARKED: usize = 256;
/// How often the store is told which devices are there: the resolution of `last_seen`.
const PRESENCE: Duration = Duration::from_mins(1);
/// Devices told in one list of changes.
const PRESENCE_LIST: usize = 1_000;

/// What all shards have in common.
#[derive(Debug, Clone)]
pub struct Common {
    /// The owner of everything.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: ClockRef,
    /// Bounds of a mailbox.
    pub limits: Limits,
    /// Between two pings.
    pub ping: Span,
    /// Followers of pushes.
    pub watchers: Arc<Watchers>,
    /// Devices enrolled, of all shards.
    pub devices: Arc<AtomicU64>,
    /// Cancelled where a shard dies: the process must end.
    pub fatal: CancellationToken,
}

/// A shard, and its actor.
#[derive(Debug)]
pub struct Shard {
    common: Common,
    fence: Fence,
    /// Of the mailboxes: one life of the shard.
    incarnation: String,
    devices: HashMap<DeviceId, Device>,
    orders: mpsc::Sender<Order>,
    /// Pushes to devices that are frozen.
    parked: VecDeque<Submit>,
    /// The desk's end, until the actor starts.
    desk: Option<mpsc::Receiver<Order>>,
    _guard: Guard,
}

/// A panic closes the mailbox and tells nobody; this does.
#[derive(Debug)]
struct Guard(CancellationToken);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.cancel();
        }
    }
}

impl Shard {
    /// Claims each shard and reads its devices.
    pub async fn open_all(common: &Common) -> Result<Vec<Self>, StoreError> {
        let mut shards = Vec::with_capacity(usize::from(SHARDS));
        for id in (0..SHARDS).map(ShardId) {
            let epoch = common.store.claim_shard(id).await?;
            let (orders, desk) = mpsc::channel(order::WAITING);
            shards.push(Self {
                common: common.clone(),
                fence: Fence { shard: id, epoch },
                incarnation: format!("{}.{}.{}", common.store.incarnation(), id.0, epoch.0),
                devices: HashMap::new(),
                orders,
                parked: VecDeque::new(),
                desk: Some(desk),
                _guard: Guard(common.fatal.clone()),
            });
        }
        let mut after = None;
        loop {
            let page = common.store.devices(after, PAGE).await?;
            let ids = page.devices.iter().map(|record| record.id).collect();
            let mailboxes = common.store.mailboxes(ids).await?;
            for (record, mailbox) in page.devices.iter().zip(mailboxes) {
                let at = usize::from(ShardId::of(record.id, SHARDS).0);
                if let (Some(mailbox), Some(shard)) = (mailbox, shards.get_mut(at)) {
                    let device = Device::from_record(record, mailbox);
                    shard.devices.insert(record.id, device);
                    common.devices.fetch_add(1, Ordering::Relaxed);
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(shards);
            }
        }
    }

    fn now(&self) -> Wall {
        Wall::from_millis(self.common.clock.wall())
    }

    /// Whether an order may be given; pushes leave some room to the sessions.
    fn may_order(&self, kept_free: usize) -> bool {
        self.orders.capacity() > kept_free
    }

    /// Gives an order; there is room, for [`Self::may_order`] was asked and only this actor gives any.
    fn order(&mut self, changes: Vec<Change>, purpose: Purpose) {
        if self.orders.try_send(Order { changes, purpose }).is_err() {
            tracing::error!(shard = self.fence.shard.0, "the store's desk is gone");
            self.common.fatal.cancel();
        }
    }

    fn submit(&mut self, submit: Submit) {
        let device = self.devices.get(&submit.device);
        if device.is_some_and(|device| device.frozen > 0) && self.parked.len() < PARKED {
            self.parked.push_back(submit);
            return;
        }
        let (kept_free, fence) = (order::KEPT_FREE, self.fence);
        let room = self.may_order(kept_free);
        let Submit {
            device: id,
            draft,
            reply,
        } = submit;
        let admitted = match self.devices.get_mut(&id) {
            None => Err(Refusal::UnknownDevice(id)),
            Some(device) if !device.has(&draft.app) => Err(Refusal::UnknownApp {
                app: draft.app.clone(),
                device: id,
            }),
            Some(_) if !room => Err(Refusal::Busy),
            Some(device) if device.stale || device.frozen > 0 => Err(Refusal::Again),
            Some(device) => {
                let length = draft.payload.len() as u64;
                let slot = device.mailbox.reserve(id, length, &self.common.limits);
                slot.map(|slot| (device, slot)).map_err(Refusal::Full)
            }
        };
        let (device, slot) = match admitted {
            Ok(admitted) => admitted,
            Err(refusal) => {
                // Fails where the publisher has left.
                drop(reply.send(Err(refusal)));
                return;
            }
        };
        let offered = device.sends_at_once(&draft.app);
        device.outstanding += 1;
        device.held += u32::from(!offered);
        let slots = vec![NewSlot { slot, offered }];
        let accepting = Accepting {
            slot,
            row: draft.row(slot.sequence, offered),
            payload: draft.payload.clone(),
            accepted: draft.accepted,
            reply: Some(reply),
        };
        let push = draft.into_push(slots, vec![fence]);
        let changes = vec![Change::AcceptPush(Box::new(push))];
        self.order(changes, Purpose::Accept(accepting));
    }

    fn reserve(&mut self, reserve: &Reserve) -> Result<Reserved, Refusal> {
        if !self.may_order(order::KEPT_FREE) {
            return Err(Refusal::Busy);
        }
        let mut matching: Vec<_> = self
            .devices
            .values_mut()
            .filter(|device| device.labels.have(&reserve.wanted))
            .collect();
        if matching.len() > reserve.limit {
            return Err(Refusal::TooMany {
                matched: matching.len(),
                limit: reserve.limit,
            });
        }
        if matching.iter().any(|device| device.stale) {
            return Err(Refusal::Again);
        }
        matching.sort_by_key(|device| device.id);
        let mailboxes = matching
            .iter_mut()
            .map(|device| (device.id, &mut device.mailbox));
        let slots = reserve_all(mailboxes, reserve.length, &self.common.limits)?;
        let slots = slots.into_iter().zip(matching).map(|(slot, device)| {
            let offered = device.sends_at_once(&reserve.app);
            device.outstanding += 1;
            device.held += u32::from(!offered);
            device.frozen += 1;
            NewSlot { slot, offered }
        });
        let slots = slots.collect();
        let (passed, before) = oneshot::channel();
        self.order(Vec::new(), Purpose::Barrier(passed));
        Ok(Reserved {
            fence: self.fence,
            slots,
            before,
        })
    }

    fn conclude(&mut self, conclude: &Conclude, ctx: &mut Context<Self>) {
        let draft = &conclude.draft;
        for new in &conclude.slots {
            let Some(device) = self.devices.get_mut(&new.slot.device) else {
                continue;
            };
            device.outstanding = device.outstanding.saturating_sub(1);
            device.held = device.held.saturating_sub(u32::from(!new.offered));
            device.frozen = device.frozen.saturating_sub(1);
            match conclude.conclusion {
                Conclusion::Durable => {
                    let row = draft.row(new.slot.sequence, new.offered);
                    device.arrived(row, draft.payload.clone());
                }
                Conclusion::NotStored => device.mailbox.release(new.slot.bytes),
                Conclusion::Unknown => self.doubt(new.slot.device, ctx),
            }
            self.settle_doubt(new.slot.device, ctx);
            self.go_on(new.slot.device, ctx);
        }
        for submit in std::mem::take(&mut self.parked) {
            self.submit(submit);
        }
    }

    /// Tells the store which devices were heard of since it was last told.
    fn tell_presence(&mut self) {
        let (now, fence, wall) = (self.common.clock.running(), self.fence, self.now());
        let mut changes = Vec::new();
        for device in self.devices.values_mut() {
            let Some(line) = device.line.as_mut() else {
                continue;
            };
            let Some(session) = line.session.as_ref().filter(|_| line.begun) else {
                continue;
            };
            let heard = session.heard_at();
            if heard > line.seen_at {
                line.seen_at = heard;
                let at =
                    Wall::from_millis(wall.as_millis().saturating_sub(now.saturating_sub(heard)));
                let device = device.id;
                changes.push(Change::Seen { fence, device, at });
            }
        }
        for list in changes.chunks(PRESENCE_LIST) {
            if self.may_order(0) {
                self.order(list.to_vec(), Purpose::Seen);
            }
        }
    }
}

impl messages::Draft {
    fn row(&self, sequence: lull_fleet_policy::Sequence, offered: bool) -> Waiting {
        Waiting {
            sequence,
            push: self.id,
            app: self.app.clone(),
            expires: self.expires,
            offered,
        }
    }

    /// The push as the store takes it.
    pub fn into_push(self, slots: Vec<NewSlot>, fences: Vec<Fence>) -> NewPush {
        NewPush {
            id: self.id,
            app: self.app,
            sender: self.sender,
            payload: self.payload,
            accepted: self.accepted,
            expires: self.expires,
            deduplicate: self.deduplicate,
            slots,
            fences,
        }
    }
}

impl Actor for Shard {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        if let Some(orders) = self.desk.take() {
            let store = Arc::clone(&self.common.store);
            let watchers = Arc::clone(&self.common.watchers);
            tokio::spawn(order::desk(store, watchers, orders, ctx.address()));
        }
        // The one timer of this context, which looks at all of them at every message.
        ctx.run_interval(PRESENCE, |shard, _ctx| shard.tell_presence());
    }
}

impl Handler<Submit> for Shard {
    type Result = ();
    fn handle(&mut self, submit: Submit, _: &mut Self::Context) {
        self.submit(submit);
    }
}

impl Handler<Reserve> for Shard {
    type Result = Result<Reserved, Refusal>;
    fn handle(&mut self, reserve: Reserve, _: &mut Self::Context) -> Self::Result {
        self.reserve(&reserve)
    }
}

impl Handler<Conclude> for Shard {
    type Result = ();
    fn handle(&mut self, conclude: Conclude, ctx: &mut Self::Context) {
        self.conclude(&conclude, ctx);
    }
}

impl Handler<Connected> for Shard {
    type Result = MessageResult<Connected>;
    fn handle(&mut self, asked: Connected, _: &mut Self::Context) -> Self::Result {
        let connected = |id| {
            let device: Option<&Device> = self.devices.get(id);
            device.is_some_and(|device| device.session().is_some())
        };
        MessageResult(asked.0.iter().map(connected).collect())
    }
}

impl Handler<Enrolled> for Shard {
    type Result = ();
    fn handle(&mut self, enrolled: Enrolled, _: &mut Self::Context) {
        let new = enrolled.0;
        self.devices.entry(new.id).or_insert_with(|| {
            self.common.devices.fetch_add(1, Ordering::Relaxed);
            Device::enrolled(&new)
        });
    }
}

impl Handler<Left> for Shard {
    type Result = ();
    fn handle(&mut self, left: Left, _: &mut Self::Context) {
        for gone in left.0 {
            if let Some(device) = self.devices.get_mut(&gone.device) {
                device.left(gone);
            }
        }
    }
}

#[cfg(test)]
mod tests;
