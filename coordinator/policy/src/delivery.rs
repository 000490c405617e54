//! What a device is sent, and when: credit, order, acknowledgement, and the expiry of what still waits.
//!
//! A row of the mailbox is *offered* once it may have been sent; that is durable before the first byte leaves. Only a row
//! that was never offered is expired by the coordinator. One that was offered is sent (again) even after its life has
//! ended: the device knows whether it ran, and says so.
//!
//! The numbers a device sees (`Delivery.sequence`) are given here in the order of sending, so that a cumulative
//! acknowledgement is exact although apps without credit are passed over. They belong to a mailbox incarnation: one life
//! of the shard. What was in flight when it ended is sent again; the device knows a push by its id.
//!
//! Deliberately absent: the rows' bodies, the connection, and the store.

use std::collections::{BTreeMap, VecDeque};

use crate::{AppId, PushId, Sequence, Wall, bounds};

/// A row of a mailbox as delivery looks at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its place.
    pub sequence: Sequence,
    /// The push.
    pub push: PushId,
    /// Its app.
    pub app: AppId,
    /// When its life ends.
    pub expires: Wall,
    /// It may have been sent before.
    pub offered: bool,
}

/// What to do with the rows looked at. Rows in none of the lists wait for credit or are in flight.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Send these now, in this order ([`Outbox::sent`] gives each its number).
    pub send: Vec<Sequence>,
    /// Mark these offered, durably, then look at them again.
    pub offer: Vec<Sequence>,
    /// Their life ended before they were offered.
    pub expire: Vec<Sequence>,
}

/// A device claims what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// It acknowledges what it was not sent.
    #[error("the device acknowledges delivery {through}, the last one sent is {sent}")]
    BeyondSent {
        /// What it claims.
        through: u64,
        /// What it was sent.
        sent: u64,
    },
    /// It grants credit for more apps than a device can have.
    #[error("the device grants credit for more than {limit} apps")]
    TooManyApps {
        /// The bound.
        limit: usize,
    },
}

/// What one device was sent and has not acknowledged, and what it may be sent. Outlives its sessions, within
/// one mailbox incarnation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outbox {
    last: u64,
    in_flight: VecDeque<InFlight>,
    credit: BTreeMap<AppId, Credit>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct InFlight {
    delivery: u64,
    row: Sequence,
}

/// Cumulative within a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Credit {
    granted: u64,
    sent: u64,
}

impl Credit {
    fn left(self) -> u64 {
        self.granted.saturating_sub(self.sent)
    }
}

impl Outbox {
    /// An outbox that has sent nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A session begins. `delivered_through` is the device's word, where it names this mailbox incarnation, else `None`.
    ///
    /// Gives the rows that turn out to be delivered; all others that were in flight wait again. Credit starts anew.
    pub fn begin(&mut self, delivered_through: Option<u64>) -> Vec<Sequence> {
        let through = delivered_through.unwrap_or(0);
        let delivered = self.take_through(through);
        // An outbox that was forgotten while nothing was in flight goes on above what the device has seen.
        self.last = self.last.max(through);
        self.in_flight.clear();
        self.credit.clear();
        delivered
    }

    /// The device grants cumulative credit for an app; a lower total than before changes nothing.
    pub fn grant(&mut self, app: AppId, total: u64) -> Result<(), DeliveryError> {
        if !self.credit.contains_key(&app) && self.credit.len() >= bounds::CREDIT_APPS {
            return Err(DeliveryError::TooManyApps {
                limit: bounds::CREDIT_APPS,
            });
        }
        let credit = self.credit.entry(app).or_default();
        credit.granted = credit.granted.max(total);
        Ok(())
    }

    /// Whether a push of the app could be sent at once: the new row may then be stored as offered.
    pub fn ready(&self, app: &AppId) -> bool {
        self.in_flight.len() < bounds::IN_FLIGHT && self.left(app) > 0
    }

    fn left(&self, app: &AppId) -> u64 {
        self.credit.get(app).map_or(0, |credit| credit.left())
    }

    /// Looks at rows in the order of their places and says what to do with each.
    pub fn plan<'a>(&self, rows: impl IntoIterator<Item = &'a Waiting>, now: Wall) -> Plan {
        let mut plan = Plan::default();
        let mut planned: BTreeMap<&AppId, u64> = BTreeMap::new();
        let mut room = bounds::IN_FLIGHT.saturating_sub(self.in_flight.len());
        for row in rows {
            if self.is_in_flight(row.sequence) {
                continue;
            }
            if !row.offered && row.expires <= now {
                plan.expire.push(row.sequence);
                continue;
            }
            let used = planned.entry(&row.app).or_default();
            if room == 0 || *used >= self.left(&row.app) {
                continue;
            }
            *used += 1;
            room -= 1;
            let list = if row.offered {
                &mut plan.send
            } else {
                &mut plan.offer
            };
            list.push(row.sequence);
        }
        plan
    }

    fn is_in_flight(&self, row: Sequence) -> bool {
        self.in_flight.iter().any(|sent| sent.row == row)
    }

    /// The row is being sent: uses one credit of its app and gives its delivery number. `None` where it is in flight
    /// already, was never offered, or has no credit.
    pub fn sent(&mut self, row: &Waiting) -> Option<u64> {
        if !row.offered || !self.ready(&row.app) || self.is_in_flight(row.sequence) {
            return None;
        }
        let delivery = self.last.checked_add(1)?;
        self.credit.get_mut(&row.app)?.sent += 1;
        self.last = delivery;
        self.in_flight.push_back(InFlight {
            delivery,
            row: row.sequence,
        });
        Some(delivery)
    }

    /// The device has made durable all it was sent up to this delivery number. Gives the rows that leave the mailbox.
    pub fn acknowledged(&mut self, through: u64) -> Result<Vec<Sequence>, DeliveryError> {
        if through > self.last {
            return Err(DeliveryError::BeyondSent {
                through,
                sent: self.last,
            });
        }
        Ok(self.take_through(through))
    }

    fn take_through(&mut self, through: u64) -> Vec<Sequence> {
        let ended = self.in_flight.partition_point(|f| f.delivery <= through);
        self.in_flight.drain(..ended).map(|f| f.row).collect()
    }

    /// Pushes sent and not acknowledged.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The last delivery number given.
    pub fn last(&self) -> u64 {
        self.last
    }
}
