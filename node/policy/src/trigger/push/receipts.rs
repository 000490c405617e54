//! What became of pushes, told to their sender hop by hop: exactly one terminal receipt each. And which were seen before.

use super::dropped;
use crate::turn::Turn;
use crate::{
    DropReason, FinishedRun, Hop, Key, Observation, Outcome, Push, PushId, QueuedPush, Receipt,
    ReceiptSeq, Run, SeenPush, bounds,
};

impl Turn<'_> {
    /// A run of a push ended. One that the node itself lost is tried again (rule book 0a, *Delivery*), ahead of
    /// later pushes, while attempts last.
    pub(crate) fn push_run_ended(&mut self, run: &Run, outcome: Outcome) {
        let Some(push) = run
            .push
            .clone()
            .filter(|push| self.device.pushes.contains_key(push))
        else {
            return;
        };
        if outcome != Outcome::Lost || !self.device.registrations.contains_key(&run.registration) {
            self.decide(
                &push,
                Hop::Finished {
                    run: run.id,
                    attempt: run.attempt,
                    outcome,
                },
            );
        } else if run.attempt >= self.device.policy.push_attempts {
            self.decide(&push, dropped(DropReason::AttemptsExhausted));
        } else if self
            .device
            .pushes
            .get(&push)
            .is_some_and(|push| push.expires <= self.now.wall)
        {
            self.decide(&push, Hop::Expired);
        } else {
            let attempt = run.attempt.saturating_add(1);
            let again = QueuedPush {
                id: push,
                since: self.now.wall,
                attempt,
                firing: 0,
            };
            self.edit(run.registration, |registration| {
                registration.queue.insert(0, again);
            });
            self.observe_task(run.registration, Observation::Triggered);
        }
    }

    /// A registration is done with a push. The last one writes the terminal receipt: the end of the last run
    /// if any registration ran it, else why the last one did not.
    pub(crate) fn decide(&mut self, push: &PushId, hop: Hop) {
        let holders = self.device.index.holders(push);
        if !holders.queued.is_empty() || !holders.running.is_empty() {
            return;
        }
        if self.device.pushes.remove(push).is_none() {
            return;
        }
        self.touch(Key::Push(push.clone()));
        let last = if matches!(hop, Hop::Finished { .. }) {
            None
        } else {
            self.last_run_of(push)
        };
        self.receipt(push, last.unwrap_or(hop));
    }

    fn last_run_of(&self, push: &PushId) -> Option<Hop> {
        let decided =
            |run: &&FinishedRun| run.push.as_ref() == Some(push) && run.outcome != Outcome::Lost;
        self.device
            .finished()
            .filter(decided)
            .last()
            .map(|run| Hop::Finished {
                run: run.id,
                attempt: run.attempt,
                outcome: run.outcome,
            })
    }

    pub(super) fn remember(&mut self, push: &Push) {
        let forget = push
            .expires
            .after(bounds::SEEN_AFTER_EXPIRY)
            .max(self.now.wall.after(bounds::SEEN_AT_LEAST));
        let seen = SeenPush {
            id: push.id.clone(),
            forget,
        };
        self.device.index.forgets.insert((forget, push.id.clone()));
        self.device.seen.insert(push.id.clone(), seen);
        self.touch(Key::SeenPush(push.id.clone()));
    }

    /// Forgets pushes of which no copy can come any more. It wakes nobody: it rides on other events, a few at
    /// a time.
    pub(crate) fn forget_pushes(&mut self) {
        for _ in 0..FORGOTTEN_AT_ONCE {
            let Some((forget, push)) = self.device.index.forgets.first().cloned() else {
                return;
            };
            if forget > self.now.wall {
                return;
            }
            self.device.index.forgets.remove(&(forget, push.clone()));
            self.device.seen.remove(&push);
            self.touch(Key::SeenPush(push));
        }
    }

    /// Writes a receipt and sends it. At its bound only terminal ones are written.
    pub(crate) fn receipt(&mut self, push: &PushId, hop: Hop) {
        if !hop.is_terminal() && self.device.receipts.len() >= bounds::RECEIPTS {
            return;
        }
        let seq = ReceiptSeq(self.device.clock.next_receipt);
        self.device.clock.next_receipt += 1;
        let receipt = Receipt {
            seq,
            push: push.clone(),
            hop,
            at: self.now.wall,
        };
        self.device.receipts.insert(seq, receipt.clone());
        self.touch(Key::Receipt(seq));
        self.effect(crate::Effect::SendReceipt(receipt));
    }

    /// The coordinator has these; it will not ask for them again.
    pub(crate) fn receipts_acknowledged(&mut self, through: ReceiptSeq) {
        while let Some((&seq, _)) = self.device.receipts.first_key_value() {
            if seq > through {
                return;
            }
            self.device.receipts.remove(&seq);
            self.touch(Key::Receipt(seq));
        }
    }

    /// The link is up: what it may not have taken is sent again, in order.
    pub(crate) fn link_up(&mut self) {
        let receipts: Vec<_> = self.device.receipts.values().cloned().collect();
        for receipt in receipts {
            self.effect(crate::Effect::SendReceipt(receipt));
        }
    }
}

/// Seen pushes forgotten within one event: keeps a decision short after a long time off.
const FORGOTTEN_AT_ONCE: usize = 64;
