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

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
    /// The rows of `in_flight`.
    rows: BTreeSet<Sequence>,
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
        self.rows.clear();
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
        self.rows.contains(&row)
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
        self.rows.insert(row.sequence);
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
        let ended: Vec<Sequence> = self.in_flight.drain(..ended).map(|f| f.row).collect();
        for row in &ended {
            self.rows.remove(row);
        }
        ended
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_millis(1_000);

    fn app(name: &str) -> AppId {
        AppId::new(name).unwrap()
    }

    fn row(sequence: u64, name: &str, expires: u64, offered: bool) -> Waiting {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&sequence.to_be_bytes());
        Waiting {
            sequence: Sequence(sequence),
            push: PushId::from_bytes(id),
            app: app(name),
            expires: Wall::from_millis(expires),
            offered,
        }
    }

    fn places(rows: &[Sequence]) -> Vec<u64> {
        rows.iter().map(|row| row.0).collect()
    }

    #[test]
    fn an_app_without_credit_does_not_hold_up_another() {
        let mut outbox = Outbox::new();
        outbox.grant(app("b"), 1).unwrap();
        let rows = [
            row(1, "a", 9_999, true),
            row(2, "b", 9_999, true),
            row(3, "b", 9_999, true),
        ];
        let plan = outbox.plan(&rows, NOW);
        assert_eq!(places(&plan.send), [2]);
        assert_eq!(outbox.sent(&rows[1]), Some(1));
        assert_eq!(outbox.sent(&rows[2]), None, "beyond credit");
        assert_eq!(outbox.plan(&rows, NOW), Plan::default());
        outbox.grant(app("a"), 1).unwrap();
        outbox.grant(app("b"), 2).unwrap();
        let plan = outbox.plan(&rows, NOW);
        assert_eq!(places(&plan.send), [1, 3]);
        // The one passed over goes later, with the higher number: an acknowledgement of 1 is of row 2 alone.
        assert_eq!(outbox.sent(&rows[0]), Some(2));
        assert_eq!(places(&outbox.acknowledged(1).unwrap()), [2]);
        assert_eq!(places(&outbox.acknowledged(2).unwrap()), [1]);
    }

    #[test]
    fn a_row_is_offered_before_it_is_sent() {
        let mut outbox = Outbox::new();
        outbox.grant(app("a"), 5).unwrap();
        let new = row(1, "a", 9_999, false);
        let plan = outbox.plan([&new], NOW);
        assert_eq!((places(&plan.offer), plan.send.len()), (vec![1], 0));
        assert_eq!(outbox.sent(&new), None);
        let offered = row(1, "a", 9_999, true);
        assert_eq!(outbox.sent(&offered), Some(1));
        assert_eq!(outbox.sent(&offered), None, "in flight already");
    }

    #[test]
    fn only_what_was_never_offered_expires_here() {
        let mut outbox = Outbox::new();
        let rows = [
            row(1, "a", 1_000, false),
            row(2, "a", 1_001, false),
            row(3, "a", 1_000, true),
        ];
        assert_eq!(places(&outbox.plan(&rows, NOW).expire), [1]);
        outbox.grant(app("a"), 9).unwrap();
        let plan = outbox.plan(&rows, NOW);
        assert_eq!(places(&plan.expire), [1]);
        assert_eq!(places(&plan.offer), [2]);
        assert_eq!(places(&plan.send), [3], "the device knows whether it ran");
    }

    #[test]
    fn a_session_goes_on_where_the_device_is() {
        let mut outbox = Outbox::new();
        outbox.grant(app("a"), 9).unwrap();
        let rows: Vec<_> = (1..=4).map(|n| row(n, "a", 9_999, true)).collect();
        for row in &rows {
            outbox.sent(row).unwrap();
        }
        // The connection broke; the device has two of the four.
        assert_eq!(places(&outbox.begin(Some(2))), [1, 2]);
        assert_eq!(outbox.in_flight(), 0);
        let left = &rows[2..];
        assert_eq!(outbox.plan(left, NOW).send, [], "credit starts anew");
        outbox.grant(app("a"), 9).unwrap();
        assert_eq!(places(&outbox.plan(left, NOW).send), [3, 4]);
        assert_eq!(
            outbox.sent(&left[0]),
            Some(5),
            "numbers are never used again"
        );
    }

    #[test]
    fn a_device_of_another_incarnation_gets_all_again() {
        let mut outbox = Outbox::new();
        outbox.grant(app("a"), 9).unwrap();
        let one = row(1, "a", 9_999, true);
        outbox.sent(&one).unwrap();
        assert_eq!(outbox.begin(None), []);
        outbox.grant(app("a"), 9).unwrap();
        assert_eq!(outbox.sent(&one), Some(2));
    }

    #[test]
    fn a_forgotten_outbox_counts_on_above_what_the_device_has_seen() {
        let mut outbox = Outbox::new();
        assert_eq!(outbox.begin(Some(70)), []);
        outbox.grant(app("a"), 9).unwrap();
        assert_eq!(outbox.sent(&row(1, "a", 9_999, true)), Some(71));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let mut outbox = Outbox::new();
        assert_eq!(
            outbox.acknowledged(1).unwrap_err().to_string(),
            "the device acknowledges delivery 1, the last one sent is 0"
        );
        for n in 0..bounds::CREDIT_APPS {
            outbox.grant(app(&format!("app{n}")), 1).unwrap();
        }
        assert!(outbox.grant(app("one-more"), 1).is_err());
        outbox.grant(app("app0"), 7).unwrap();
        outbox.grant(app("app0"), 3).unwrap();
        assert_eq!(outbox.left(&app("app0")), 7, "credit is cumulative");
        // A device may say anything about what it has seen; it then gets nothing more under that number.
        outbox.begin(Some(u64::MAX));
        outbox.grant(app("a"), 1).unwrap();
        assert_eq!(outbox.sent(&row(1, "a", 9_999, true)), None);
    }

    #[test]
    fn no_more_is_in_flight_than_its_bound() {
        let mut outbox = Outbox::new();
        outbox.grant(app("a"), u64::MAX).unwrap();
        let bound = u64::try_from(bounds::IN_FLIGHT).unwrap();
        let rows: Vec<_> = (1..=bound + 1).map(|n| row(n, "a", 9_999, true)).collect();
        assert_eq!(outbox.plan(&rows, NOW).send.len(), bounds::IN_FLIGHT);
        for row in &rows[..bounds::IN_FLIGHT] {
            assert!(outbox.sent(row).is_some());
        }
        assert_eq!(outbox.sent(&rows[bounds::IN_FLIGHT]), None);
        assert!(!outbox.ready(&app("a")));
    }
}
