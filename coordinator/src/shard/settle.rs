//! What the store's answers lead to.
//!
//! A failed commit ends the device's session: what it was to record is said again by the device, or read again from the
//! store, when it comes back. Deliberately absent: new decisions.

use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext as _, Context, Handler};
use lull_fleet_policy::DeviceId;
use lull_proto::device::v1::{CoordinatorHello, session_response::Message};
use tonic::Status;

use super::Shard;
use super::device::Line;
use super::messages::{Accepted, Bodies, Loaded, Refusal, Reread, Settle, is_in_doubt};
use super::order::{Accepting, Purpose, Settled};
use super::session::SessionNumber;
use crate::store::{Applied, Conflict, Outcome, PAGE, StoreError};

/// Between two tries to read a mailbox anew: the store opens its file in less.
const REREAD: Duration = Duration::from_millis(500);

impl Shard {
    fn settle(&mut self, settled: Settled, ctx: &mut Context<Self>) {
        if let Ok(outcomes) = &settled.outcomes {
            self.release(outcomes);
        }
        let outcomes = settled.outcomes;
        match settled.purpose {
            Purpose::Seen | Purpose::Barrier(_) => {}
            Purpose::Accept(accepting) => self.accepted(accepting, outcomes, ctx),
            Purpose::Leave(id) => {
                self.applied(id, outcomes, ctx);
            }
            Purpose::Begin(id, session) => {
                if let Some(applied) = self.applied(id, outcomes, ctx)
                    && let Some(first) = applied.first()
                {
                    self.say_hello(id, session, first.receipts_through);
                    self.go_on(id, ctx);
                }
            }
            Purpose::Tend(id, session) => {
                if let Some(applied) = self.applied(id, outcomes, ctx)
                    && let Some(line) = self.line(id, session)
                {
                    let offered: Vec<_> = applied.into_iter().flat_map(|a| a.offered).collect();
                    line.tended(&offered);
                    self.go_on(id, ctx);
                }
            }
            Purpose::Record(id, session) => {
                if let Some(applied) = self.applied(id, outcomes, ctx)
                    && let Some(line) = self.line(id, session)
                {
                    line.recording = line.recording.saturating_sub(1);
                    line.receipts_due = applied.first().map(|first| first.receipts_through);
                    self.go_on(id, ctx);
                }
            }
            Purpose::Inventory(id, apps, labels) => {
                if self.applied(id, outcomes, ctx).is_some()
                    && let Some(device) = self.devices.get_mut(&id)
                {
                    device.set_inventory(&apps, &labels);
                }
            }
        }
    }

    /// Rows that left mailboxes give their room back.
    fn release(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes {
            let Outcome::Applied(applied) = outcome else {
                continue;
            };
            for gone in &applied.gone {
                if let Some(device) = self.devices.get_mut(&gone.device) {
                    device.left(*gone);
                }
            }
        }
    }

    /// An order of a device's session is settled; `None` where it failed, and then the session ends.
    fn applied(
        &mut self,
        id: DeviceId,
        outcomes: Result<Vec<Outcome>, StoreError>,
        ctx: &Context<Self>,
    ) -> Option<Vec<Applied>> {
        let device = self.devices.get_mut(&id)?;
        device.outstanding = device.outstanding.saturating_sub(1);
        let failure = match outcomes {
            Err(error) => {
                let failure = error.to_string();
                self.failed(id, &error, ctx);
                failure
            }
            Ok(outcomes) => match all_applied(outcomes) {
                Ok(applied) => {
                    self.settle_doubt(id, ctx);
                    return Some(applied);
                }
                Err(conflict) => {
                    self.deposed(conflict.as_ref());
                    self.doubt(id, ctx);
                    conflict.map_or_else(String::new, |conflict| conflict.to_string())
                }
            },
        };
        tracing::warn!(device = %id, %failure, "a session ends, for the store did not commit");
        self.hang_up(id, &failure);
        None
    }

    fn hang_up(&mut self, id: DeviceId, why: &str) {
        if let Some(device) = self.devices.get_mut(&id) {
            if let Some(session) = device.session() {
                session.end(Status::unavailable(format!("{why}; connect again")));
            }
            device.hang_up();
        }
    }

    fn failed(&mut self, id: DeviceId, error: &StoreError, ctx: &Context<Self>) {
        if is_in_doubt(error) {
            self.doubt(id, ctx);
        } else {
            self.settle_doubt(id, ctx);
        }
    }

    /// The mailbox may not be as we think: it is read anew once nothing is under way.
    pub(super) fn doubt(&mut self, id: DeviceId, ctx: &Context<Self>) {
        if let Some(device) = self.devices.get_mut(&id) {
            device.stale = true;
        }
        self.hang_up(id, "the mailbox is read anew");
        self.settle_doubt(id, ctx);
    }

    pub(super) fn settle_doubt(&mut self, id: DeviceId, ctx: &Context<Self>) {
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        if !device.stale || device.outstanding > 0 || device.rereading {
            return;
        }
        device.rereading = true;
        let store = Arc::clone(&self.common.store);
        let (shard, fatal) = (ctx.address(), self.common.fatal.clone());
        tokio::spawn(async move {
            loop {
                if let Ok(found) = store.mailboxes(vec![id]).await
                    && let Some(Some(mailbox)) = found.into_iter().next()
                {
                    let device = id;
                    // Fails only where the shard is gone.
                    shard.send(Reread { device, mailbox }).await.unwrap_or(());
                    return;
                }
                tokio::select! {
                    () = fatal.cancelled() => return,
                    () = tokio::time::sleep(REREAD) => {}
                }
            }
        });
    }

    /// Another coordinator has claimed the shard: this one must not go on.
    fn deposed(&self, conflict: Option<&Conflict>) {
        if let Some(Conflict::Deposed { shard, epoch }) = conflict {
            tracing::error!(
                shard = shard.0,
                epoch = epoch.0,
                "another coordinator has taken over"
            );
            self.common.fatal.cancel();
        }
    }

    fn line(&mut self, id: DeviceId, session: SessionNumber) -> Option<&mut Line> {
        let line = self.devices.get_mut(&id)?.line.as_deref_mut()?;
        let mine = line.session.as_ref()?.number == session;
        mine.then_some(line)
    }

    fn say_hello(&mut self, id: DeviceId, session: SessionNumber, receipts: u64) {
        let (now, ping) = (self.now(), self.common.ping);
        let Some(line) = self.line(id, session) else {
            return;
        };
        line.begun = true;
        let (protocol, incarnation) = std::mem::take(&mut line.hello);
        let hello = CoordinatorHello {
            protocol,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mailbox_incarnation: incarnation,
            ping_seconds: u32::try_from(ping.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX),
            time: Some(lull_proto::time::timestamp(now.as_millis())),
            receipts_acknowledged: receipts,
        };
        if let Some(session) = &line.session {
            session.say(Message::Hello(hello));
        }
    }

    fn accepted(
        &mut self,
        accepting: Accepting,
        outcomes: Result<Vec<Outcome>, StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let Accepting {
            slot,
            row,
            payload,
            reply,
            ..
        } = accepting;
        let id = slot.device;
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        device.outstanding = device.outstanding.saturating_sub(1);
        device.held = device.held.saturating_sub(u32::from(!row.offered));
        let answer = match outcomes.map(|outcomes| outcomes.into_iter().next()) {
            Ok(Some(Outcome::Applied(_))) => {
                device.arrived(row, payload);
                self.settle_doubt(id, ctx);
                self.go_on(id, ctx);
                // The desk has answered.
                return;
            }
            Ok(Some(Outcome::Duplicate(earlier))) => {
                device.mailbox.release(slot.bytes);
                self.settle_doubt(id, ctx);
                Ok(Accepted {
                    push: earlier.push,
                    devices: earlier.devices,
                    duplicate: true,
                    accepted: earlier.accepted,
                })
            }
            Ok(Some(Outcome::Conflict(conflict))) => {
                device.mailbox.release(slot.bytes);
                let unknown = matches!(conflict, Conflict::UnknownDevice { .. });
                self.deposed(Some(&conflict));
                self.doubt(id, ctx);
                Err(if unknown {
                    Refusal::UnknownDevice(id)
                } else {
                    Refusal::Again
                })
            }
            Ok(Some(Outcome::Withheld) | None) => {
                device.mailbox.release(slot.bytes);
                Err(Refusal::Again)
            }
            Err(error) => {
                device.mailbox.release(slot.bytes);
                self.failed(id, &error, ctx);
                Err(Refusal::Store(error))
            }
        };
        if let Some(reply) = reply {
            // Fails where the publisher has left.
            drop(reply.send(answer));
        }
    }
}

/// What was applied, or the first conflict.
fn all_applied(outcomes: Vec<Outcome>) -> Result<Vec<Applied>, Option<Conflict>> {
    let mut all = Vec::with_capacity(outcomes.len());
    let mut failed = None;
    for outcome in outcomes {
        match outcome {
            Outcome::Applied(applied) => all.push(applied),
            Outcome::Conflict(conflict) => return Err(Some(conflict)),
            Outcome::Duplicate(_) | Outcome::Withheld => failed = Some(None),
        }
    }
    failed.map_or(Ok(all), Err)
}

impl Handler<Settle> for Shard {
    type Result = ();
    fn handle(&mut self, settle: Settle, ctx: &mut Self::Context) {
        for settled in settle.0 {
            self.settle(settled, ctx);
        }
    }
}

impl Handler<Loaded> for Shard {
    type Result = ();
    fn handle(&mut self, loaded: Loaded, ctx: &mut Self::Context) {
        let id = loaded.device;
        let Some(line) = self.line(id, loaded.session) else {
            return;
        };
        match loaded.rows {
            Ok(rows) => {
                line.busy = false;
                let whole = rows.len() < PAGE as usize;
                line.read(rows, whole);
                self.go_on(id, ctx);
            }
            Err(error) => self.hang_up(id, &error.to_string()),
        }
    }
}

impl Handler<Bodies> for Shard {
    type Result = ();
    fn handle(&mut self, read: Bodies, ctx: &mut Self::Context) {
        let id = read.device;
        let Some(line) = self.line(id, read.session) else {
            return;
        };
        match read.read {
            Ok(bodies) => {
                line.busy = false;
                line.take_bodies(bodies);
                self.go_on(id, ctx);
            }
            Err(error) => self.hang_up(id, &error.to_string()),
        }
    }
}

impl Handler<Reread> for Shard {
    type Result = ();
    fn handle(&mut self, read: Reread, _: &mut Self::Context) {
        if let Some(device) = self.devices.get_mut(&read.device) {
            device.mailbox = read.mailbox;
            device.stale = false;
            device.rereading = false;
        }
    }
}
