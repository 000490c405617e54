//! Sessions as a shard sees them: who may begin one, and what a device says in it.
//!
//! Deliberately absent: what the store answers to it (`settle.rs`).

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{AsyncContext as _, Context, Handler, MessageResult};
use lull_fleet_policy::session::{Arrival, arrival, probed};
use lull_fleet_policy::{DeviceId, Sequence, bounds};
use tonic::Status;

use super::Shard;
use super::device::{Device, Need};
use super::messages::{Arrived, Attach, Bodies, Detach, FromDevice, Heard, Loaded, Said};
use super::order::Purpose;
use super::session::SessionNumber;
use crate::store::{Change, PAGE};

impl Shard {
    fn attach(&mut self, attach: Attach) -> Arrived {
        let id = attach.record.id;
        if !self.may_order(0) {
            return Arrived::Busy;
        }
        let common = &self.common;
        let device = self.devices.entry(id).or_insert_with(|| {
            common.devices.fetch_add(1, Ordering::Relaxed);
            Device::from_record(&attach.record, attach.mailbox)
        });
        if device.stale {
            return Arrived::Busy;
        }
        let now = common.clock.running();
        let there = device.session();
        let arrival = match (attach.probed, there) {
            (Some((asked, answered)), Some(session)) if session.number == asked => probed(answered),
            (_, there) => {
                let there = there.map(|session| (&session.presence, session.silent(now)));
                Ok(arrival(there, &attach.session.presence, common.ping))
            }
        };
        match arrival {
            Err(refused) => return Arrived::Refused(refused),
            Ok(Arrival::Probe) => {
                if let Some(session) = there {
                    return Arrived::Probe(Arc::clone(session));
                }
            }
            Ok(Arrival::Replace) => {
                if let Some(session) = there {
                    session.end(Status::aborted("another session of this device has begun"));
                }
            }
            Ok(Arrival::Begin) => {}
        }
        self.begin(id, attach);
        Arrived::Begins
    }

    fn begin(&mut self, id: DeviceId, attach: Attach) {
        let (fence, at) = (self.fence, self.now());
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        let number = attach.session.number;
        let mut changes = vec![Change::BeginSession {
            fence,
            device: id,
            store: attach.session.presence.store.clone(),
            version: attach.version.clone(),
            at,
        }];
        let (incarnation, through) = attach.taken;
        let through = (incarnation == self.incarnation).then_some(through);
        let hello = (attach.protocol, self.incarnation.clone());
        let line = device.line.get_or_insert_default();
        let rows = line.begin(attach.session, through, hello);
        line.seen_at = self.common.clock.running();
        if !rows.is_empty() {
            let device = id;
            changes.push(Change::Deliver {
                fence,
                device,
                rows,
            });
        }
        device.outstanding += 1;
        self.order(changes, Purpose::Begin(id, number));
    }

    fn hear(&mut self, from: FromDevice, ctx: &mut Context<Self>) -> Heard {
        let (fence, at, room) = (self.fence, self.now(), self.may_order(0));
        let id = from.device;
        let Some(device) = self.devices.get_mut(&id) else {
            return Heard::Over;
        };
        let Some(line) = device.line.as_mut().filter(|line| {
            let session = line.session.as_ref();
            session.is_some_and(|session| session.number == from.session)
        }) else {
            return Heard::Over;
        };
        match from.word {
            Said::Resume => {}
            Said::Grant(app, total) => {
                if let Err(wrong) = line.outbox.grant(app, total) {
                    return Heard::Wrong(wrong.to_string());
                }
            }
            word @ (Said::Acknowledge(_) | Said::Receipts(_) | Said::Inventory(..)) if !room => {
                return Heard::Busy(word);
            }
            Said::Acknowledge(through) => {
                let was_full = line.outbox.in_flight() >= bounds::IN_FLIGHT;
                match line.outbox.acknowledged(through) {
                    Err(wrong) => return Heard::Wrong(wrong.to_string()),
                    Ok(rows) if rows.is_empty() => {}
                    Ok(rows) => {
                        device.outstanding += 1;
                        let changes = vec![Change::Deliver {
                            fence,
                            device: id,
                            rows,
                        }];
                        self.order(changes, Purpose::Leave(id));
                    }
                }
                // More may be sent by credit, which this is not.
                if !was_full {
                    return Heard::Taken;
                }
            }
            word @ Said::Receipts(_) if !line.may_record() => return Heard::Busy(word),
            Said::Receipts(receipts) => {
                line.recording += 1;
                device.outstanding += 1;
                let store = line
                    .session
                    .as_ref()
                    .map_or_else(String::new, |session| session.presence.store.clone());
                let changes = vec![Change::Record {
                    fence,
                    device: id,
                    store,
                    receipts,
                    at,
                }];
                self.order(changes, Purpose::Record(id, from.session));
            }
            Said::Inventory(apps, labels) => {
                device.outstanding += 1;
                let changes = vec![Change::SetInventory {
                    fence,
                    device: id,
                    apps: apps.clone(),
                    labels: labels.clone(),
                }];
                self.order(changes, Purpose::Inventory(id, apps, labels));
            }
        }
        self.go_on(id, ctx);
        Heard::Taken
    }

    fn detach(&mut self, id: DeviceId, number: SessionNumber) {
        let (fence, at) = (self.fence, self.now());
        let Some(device) = self.devices.get_mut(&id) else {
            return;
        };
        if device.session().is_none_or(|there| there.number != number) {
            return;
        }
        device.hang_up();
        if self.may_order(0) {
            let seen = Change::Seen {
                fence,
                device: id,
                at,
            };
            self.order(vec![seen], Purpose::Seen);
        }
    }

    /// Sends a device what can be sent, and gets what is needed for more.
    pub(super) fn go_on(&mut self, id: DeviceId, ctx: &mut Context<Self>) {
        let (fence, at, room) = (self.fence, self.now(), self.may_order(0));
        let Some(device) = self.devices.get_mut(&id).filter(|device| !device.stale) else {
            return;
        };
        let Some(line) = device.line.as_mut() else {
            return;
        };
        let Some(session) = line.session.as_ref().map(|session| session.number) else {
            return;
        };
        let need = line.step(at);
        line.busy |= need != Need::Nothing;
        match need {
            Need::Nothing => {}
            Need::Rows(after) => self.read_rows(id, session, after, ctx),
            Need::Bodies(pushes) => self.read_bodies(id, session, pushes, ctx),
            Need::Tend(..) if !room => line.busy = false,
            Need::Tend(offer, expire) => {
                device.outstanding += 1;
                let mut changes = Vec::with_capacity(2);
                if !offer.is_empty() {
                    changes.push(Change::Offer {
                        fence,
                        device: id,
                        rows: offer,
                    });
                }
                if !expire.is_empty() {
                    changes.push(Change::Expire {
                        fence,
                        device: id,
                        rows: expire,
                        at,
                    });
                }
                self.order(changes, Purpose::Tend(id, session));
            }
        }
    }

    fn read_rows(
        &self,
        device: DeviceId,
        session: SessionNumber,
        after: Sequence,
        ctx: &Context<Self>,
    ) {
        let (store, shard) = (Arc::clone(&self.common.store), ctx.address());
        tokio::spawn(async move {
            let rows = store.mail(device, after, PAGE).await;
            let loaded = Loaded {
                device,
                session,
                rows,
            };
            // Fails only where the shard is gone, and with it the question.
            shard.send(loaded).await.unwrap_or(());
        });
    }

    fn read_bodies(
        &self,
        device: DeviceId,
        session: SessionNumber,
        pushes: Vec<lull_fleet_policy::PushId>,
        ctx: &Context<Self>,
    ) {
        let (store, shard) = (Arc::clone(&self.common.store), ctx.address());
        tokio::spawn(async move {
            let bodies = store.payloads(pushes.clone()).await;
            let read = bodies.map(|bodies| pushes.into_iter().zip(bodies).collect());
            let read = Bodies {
                device,
                session,
                read,
            };
            // Fails only where the shard is gone, and with it the question.
            shard.send(read).await.unwrap_or(());
        });
    }
}

impl Handler<Attach> for Shard {
    type Result = MessageResult<Attach>;
    fn handle(&mut self, attach: Attach, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.attach(attach))
    }
}

impl Handler<FromDevice> for Shard {
    type Result = MessageResult<FromDevice>;
    fn handle(&mut self, from: FromDevice, ctx: &mut Self::Context) -> Self::Result {
        MessageResult(self.hear(from, ctx))
    }
}

impl Handler<Detach> for Shard {
    type Result = ();
    fn handle(&mut self, detach: Detach, _: &mut Self::Context) {
        self.detach(detach.device, detach.session);
    }
}
