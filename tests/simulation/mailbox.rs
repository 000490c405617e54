//! The coordinator's side of one device: its mailbox, delivery and receipts, decided by the coordinator's own policy
//! (`lull-fleet-policy`): accepted durably, delivered at least once, held back by credit.
//!
//! Deliberately absent: other devices, and the network; the world loses and repeats what is sent.

use std::collections::{BTreeMap, BTreeSet};

use lull_fleet_policy as fleet;
use lull_fleet_policy::{Limits, Mailbox, Outbox, Waiting};
use lull_policy::{AppId, Push, PushId, Receipt, ReceiptSeq};

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It waits, or is on its way.
    Waiting,
    /// The device has it.
    Delivered,
    /// It expired here, never sent.
    Expired,
}

/// A push that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    waiting: Waiting,
    /// As the device gets it.
    pub(crate) push: Push,
    /// Where it is.
    pub(crate) place: Place,
}

/// The mailbox of one device and its sessions.
#[derive(Debug)]
pub(crate) struct Coordinator {
    mailbox: Mailbox,
    outbox: Outbox,
    /// All that was accepted, by its place.
    pub(crate) rows: Vec<Row>,
    open: BTreeSet<usize>,
    by_id: BTreeMap<PushId, usize>,
    in_flight: BTreeMap<u64, usize>,
    arrived: BTreeMap<AppId, u64>,
    /// The session; absent = the device is away.
    pub(crate) session: Option<u64>,
    sessions: u64,
    /// The device has answered to the session's beginning: receipts count from here.
    pub(crate) ready: bool,
    /// The last receipt of this session.
    pub(crate) through: Option<ReceiptSeq>,
    /// Refused for want of room.
    pub(crate) refused: u64,
}

fn fleet_app(app: &AppId) -> fleet::AppId {
    fleet::AppId::new(app.as_str()).expect("an app id is one on both sides")
}

impl Coordinator {
    pub(crate) fn new() -> Self {
        Self {
            mailbox: Mailbox::default(),
            outbox: Outbox::new(),
            rows: Vec::new(),
            open: BTreeSet::new(),
            by_id: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            arrived: BTreeMap::new(),
            session: None,
            sessions: 0,
            ready: false,
            through: None,
            refused: 0,
        }
    }

    /// Accepts a push, or refuses it to its sender.
    pub(crate) fn accept(&mut self, push: Push) {
        let device = fleet::DeviceId::from_bytes([1; 16]);
        let bytes = push.payload.len() as u64;
        let Ok(slot) = self.mailbox.reserve(device, bytes, &Limits::default()) else {
            self.refused += 1;
            return;
        };
        let row = self.rows.len();
        let waiting = Waiting {
            sequence: slot.sequence,
            push: fleet::PushId::from_bytes(u128::from(slot.sequence.0).to_be_bytes()),
            app: fleet_app(&push.app),
            expires: fleet::Wall::from_millis(push.expires.as_millis()),
            offered: false,
        };
        self.by_id.insert(push.id.clone(), row);
        self.open.insert(row);
        self.rows.push(Row {
            waiting,
            push,
            place: Place::Waiting,
        });
    }

    /// What was accepted under an id.
    pub(crate) fn row(&self, id: &PushId) -> Option<&Row> {
        self.by_id.get(id).and_then(|row| self.rows.get(*row))
    }

    /// A session begins. The device says which delivery of this mailbox it had last, where it knows.
    pub(crate) fn begin(&mut self, through: Option<u64>) -> u64 {
        let delivered = self.outbox.begin(through);
        self.leave(&delivered, Place::Delivered);
        self.in_flight.clear();
        self.arrived.clear();
        self.sessions += 1;
        self.session = Some(self.sessions);
        self.ready = false;
        self.through = None;
        self.sessions
    }

    /// The device is away.
    pub(crate) fn end(&mut self) {
        self.session = None;
        self.ready = false;
    }

    /// How many pushes of an app the device can take beside those that came in this session.
    pub(crate) fn grant(&mut self, app: &AppId, free: u32) {
        let arrived = self.arrived.get(app).copied().unwrap_or(0);
        let total = arrived + u64::from(free);
        self.outbox
            .grant(fleet_app(app), total)
            .expect("few apps are granted credit");
    }

    /// What is sent now, each with its delivery number.
    pub(crate) fn send(&mut self, wall: u64) -> Vec<(u64, Push)> {
        let now = fleet::Wall::from_millis(wall);
        let mut sent = Vec::new();
        loop {
            let rows: Vec<&Waiting> = self
                .open
                .iter()
                .map(|row| &self.rows[*row].waiting)
                .collect();
            let plan = self.outbox.plan(rows, now);
            self.leave(&plan.expire, Place::Expired);
            for place in &plan.send {
                let Some(row) = self.of(*place) else { continue };
                if let Some(delivery) = self.outbox.sent(&self.rows[row].waiting) {
                    self.in_flight.insert(delivery, row);
                    sent.push((delivery, self.rows[row].push.clone()));
                }
            }
            for place in &plan.offer {
                if let Some(row) = self.of(*place) {
                    self.rows[row].waiting.offered = true;
                }
            }
            if plan.offer.is_empty() {
                return sent;
            }
        }
    }

    fn of(&self, place: fleet::Sequence) -> Option<usize> {
        let mut open = self.open.iter();
        open.find(|row| self.rows[**row].waiting.sequence == place)
            .copied()
    }

    fn leave(&mut self, places: &[fleet::Sequence], to: Place) {
        for place in places {
            if let Some(row) = self.of(*place) {
                self.open.remove(&row);
                self.rows[row].place = to;
                self.mailbox
                    .release(self.rows[row].push.payload.len() as u64);
            }
        }
    }

    /// A delivery came to the device.
    pub(crate) fn arrived(&mut self, app: &AppId) {
        *self.arrived.entry(app.clone()).or_default() += 1;
    }

    /// The device has made this delivery durable, and all before it.
    pub(crate) fn acknowledged(&mut self, delivery: u64) {
        let rows = self.outbox.acknowledged(delivery);
        let rows = rows.expect("a device acknowledges what it was sent");
        self.leave(&rows, Place::Delivered);
    }

    /// A receipt came up the link; says whether it counts.
    pub(crate) fn receive(&mut self, receipt: &Receipt) -> bool {
        if self.session.is_none() || !self.ready {
            return false;
        }
        self.through = self.through.max(Some(receipt.seq));
        true
    }
}
