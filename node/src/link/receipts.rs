//! Receipts on their way up: in order, without a gap, acknowledged cumulatively. Pure.
//!
//! The engine hands each receipt over once it is durable, and all that are not acknowledged when it is told that the link is
//! up. An acknowledgement covers all before it, so a receipt is only ever sent when the one before it was: what comes out of order
//! is left for the next asking.

use std::collections::VecDeque;

use lull_policy::{Receipt, ReceiptSeq};

/// Receipts that wait to be sent: all that the device can hold.
const WAITING: usize = lull_policy::bounds::RECEIPTS;

/// Receipts of one message, as the wire has it.
pub(super) const BATCH: usize = 256;

/// The receipts of one session.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    waiting: VecDeque<Receipt>,
    /// The next one to come; absent = any, for the device has none.
    next: Option<u64>,
    /// The last one sent in this session.
    sent: u64,
    /// The last one that the coordinator has.
    acknowledged: u64,
    /// The last one known to exist that did not come in its order.
    beyond: u64,
    /// What was next when the device was last seen to have more.
    suspected: Option<u64>,
}

impl Receipts {
    /// A session in which the device's first receipt is `first`.
    pub(super) fn begin(first: Option<ReceiptSeq>) -> Self {
        Self {
            next: first.map(|first| first.0),
            ..Self::default()
        }
    }

    /// The engine hands one over.
    pub(super) fn take(&mut self, receipt: Receipt) {
        let seq = receipt.seq.0;
        match self.next {
            Some(next) if seq < next => {}
            Some(next) if seq > next => self.beyond = self.beyond.max(seq),
            Some(_) | None if self.waiting.len() >= WAITING => self.beyond = self.beyond.max(seq),
            Some(_) | None => {
                self.next = Some(seq.saturating_add(1));
                self.waiting.push_back(receipt);
            }
        }
    }

    /// The next ones to send, at most [`BATCH`].
    pub(super) fn batch(&mut self) -> Vec<Receipt> {
        let count = self.waiting.len().min(BATCH);
        let batch: Vec<Receipt> = self.waiting.drain(..count).collect();
        if let Some(last) = batch.last() {
            self.sent = last.seq.0;
        }
        batch
    }

    /// Whether some wait to be sent.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The coordinator has all up to here. What it can have of this session is answered: never more than was sent.
    pub(super) fn acknowledge(&mut self, through: u64) -> Option<ReceiptSeq> {
        let through = through.min(self.sent);
        let news = through > self.acknowledged;
        self.acknowledged = self.acknowledged.max(through);
        news.then_some(ReceiptSeq(through))
    }

    /// One is missing: the engine has to be asked for all again.
    pub(super) fn is_missing(&self) -> bool {
        self.next.is_some_and(|next| self.beyond >= next)
    }

    /// Nothing is waiting, and all that was sent is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.waiting.is_empty() && self.acknowledged >= self.sent
    }

    /// At rest, the device's last receipt is known here; if it has more, one was lost on its way from the engine, or is still
    /// on it. Seen twice in the same place, it is missing.
    pub(super) fn compare(&mut self, last: Option<ReceiptSeq>) {
        let next = self.next.unwrap_or(0);
        let more = last.filter(|last| last.0 >= next);
        match more {
            Some(last) if self.suspected == Some(next) => {
                self.next = Some(next);
                self.beyond = self.beyond.max(last.0);
            }
            Some(_) => self.suspected = Some(next),
            None => self.suspected = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use lull_policy::{Hop, PushId, Wall};

    use super::*;

    fn receipt(seq: u64) -> Receipt {
        Receipt {
            seq: ReceiptSeq(seq),
            push: PushId::new("push").unwrap(),
            hop: Hop::Delivered,
            at: Wall::from_millis(seq),
        }
    }

    fn sent(receipts: &mut Receipts) -> Vec<u64> {
        receipts
            .batch()
            .iter()
            .map(|receipt| receipt.seq.0)
            .collect()
    }

    #[test]
    fn they_go_in_order_and_repetitions_do_not() {
        let mut receipts = Receipts::begin(Some(ReceiptSeq(7)));
        // A new one before the old ones that the link asked for: they come first.
        receipts.take(receipt(9));
        assert!(receipts.is_missing());
        for seq in [7, 8, 9, 8, 10] {
            receipts.take(receipt(seq));
        }
        assert!(!receipts.is_missing());
        assert_eq!(sent(&mut receipts), [7, 8, 9, 10]);
        assert!(!receipts.is_waiting() && !receipts.is_settled());
        assert_eq!(receipts.acknowledge(8), Some(ReceiptSeq(8)));
        assert_eq!(receipts.acknowledge(8), None);
        assert_eq!(receipts.acknowledge(99), Some(ReceiptSeq(10)));
        assert!(receipts.is_settled());
    }

    #[test]
    fn a_gap_is_never_sent_over() {
        let mut receipts = Receipts::begin(None);
        receipts.take(receipt(1));
        receipts.take(receipt(3));
        assert_eq!(sent(&mut receipts), [1]);
        assert!(receipts.is_missing());
        for seq in 1..=3 {
            receipts.take(receipt(seq));
        }
        assert_eq!(sent(&mut receipts), [2, 3]);
    }

    #[test]
    fn what_was_lost_at_the_end_is_found_at_rest() {
        let mut receipts = Receipts::begin(None);
        receipts.compare(None);
        receipts.take(receipt(1));
        receipts.compare(Some(ReceiptSeq(1)));
        assert!(!receipts.is_missing());
        // Once it may still be on its way.
        receipts.compare(Some(ReceiptSeq(2)));
        assert!(!receipts.is_missing());
        receipts.compare(Some(ReceiptSeq(2)));
        assert!(receipts.is_missing());
        receipts.take(receipt(2));
        assert!(!receipts.is_missing());
        // The first of all.
        let mut receipts = Receipts::begin(None);
        receipts.compare(Some(ReceiptSeq(1)));
        receipts.compare(Some(ReceiptSeq(1)));
        assert!(receipts.is_missing());
    }

    #[test]
    fn messages_and_memory_are_bounded() {
        let mut receipts = Receipts::begin(None);
        for seq in 1..=u64::try_from(WAITING).unwrap() + 1 {
            receipts.take(receipt(seq));
        }
        assert!(receipts.is_missing());
        assert_eq!(receipts.batch().len(), BATCH);
        assert_eq!(receipts.waiting.len(), WAITING - BATCH);
    }
}
