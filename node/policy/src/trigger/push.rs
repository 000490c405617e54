//! `PushNotificationTrigger` (TRG-13, PSH-05 to PSH-16; rule book 0a, *Pushes on the device*).
//!
//! A push fires each push registration of its app, in the order in which pushes came, one run at a time for
//! the app (PSH-12). It is decided when its last registration is: then exactly one terminal receipt is written.
//! Absent here: retention and replacement, which the mailbox decides.

use std::collections::BTreeSet;

use crate::admission::Obstacle;
use crate::trigger::Route;
use crate::turn::Turn;
use crate::{
    AppId, DropReason, FinishedRun, Hop, Key, Outcome, Push, PushId, QueuedPush, Receipt,
    ReceiptSeq, RegistrationId, Run, RunId, SeenPush, Verdict, WaitReason, bounds,
};

/// What fires it, for people.
pub(crate) fn words(app: &AppId) -> String {
    format!("a push for {app}")
}

/// Who still has something to do with a push.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Holders {
    /// Registrations in whose queue it waits.
    pub(crate) queued: BTreeSet<RegistrationId>,
    /// Runs of it under way.
    pub(crate) running: BTreeSet<RunId>,
}

impl Turn<'_> {
    /// A push came down the link. A double changes nothing but a count (rule book 0a, *Delivery*).
    pub(crate) fn push_arrived(&mut self, push: Push) {
        if self.device.seen.contains_key(&push.id) {
            self.unrouted(&push.app, DropReason::Duplicate);
            return;
        }
        self.remember(&push);
        self.receipt(&push.id, Hop::Delivered);
        let targets = self.device.index.routed(&Route::Push(push.app.clone()));
        if let Some(reason) = self.unfit(&push, &targets) {
            if targets.is_empty() {
                self.unrouted(&push.app, reason);
            }
            for target in targets {
                self.refuse_firing(target, reason);
            }
            self.receipt(&push.id, dropped(reason));
            return;
        }
        let id = push.id.clone();
        self.device.pushes.insert(id.clone(), push);
        self.touch(Key::Push(id.clone()));
        let mut last = None;
        for target in targets {
            last = self.deliver(target, &id).or(last);
        }
        if let Some(reason) = last {
            self.decide(&id, dropped(reason));
        }
    }

    /// Why a push can reach none of its registrations.
    fn unfit(&self, push: &Push, targets: &[RegistrationId]) -> Option<DropReason> {
        if push.expires <= self.now.wall {
            return Some(DropReason::Expired);
        }
        if targets.is_empty() {
            return Some(DropReason::NoHandler);
        }
        // The coordinator refuses these (PSH-08); here they only must not grow the store.
        let size = push.payload.len();
        (size == 0 || size > bounds::PUSH_PAYLOAD).then_some(DropReason::Invalid)
    }

    /// Fires one registration with a push: it runs, waits, or is dropped for the reason returned.
    fn deliver(&mut self, target: RegistrationId, push: &PushId) -> Option<DropReason> {
        let room = self.device.policy.push_queue as usize;
        let waiting = self.device.registrations.get(&target)?.queue.len();
        let reason = match self.device.obstacle(self.now, target) {
            None if waiting == 0 => {
                let run = self.start(target, Some(&self.queued(push, 0)));
                self.record(target, Verdict::Ran, run);
                return None;
            }
            Some(Obstacle::Drop(reason)) => {
                self.refuse_firing(target, reason);
                return Some(reason);
            }
            _ if waiting >= room => {
                self.refuse_firing(target, DropReason::QueueFull);
                return Some(DropReason::QueueFull);
            }
            None => WaitReason::Slot,
            Some(Obstacle::Wait(reason)) => reason,
        };
        let firing = self.record(target, Verdict::Waiting(reason), None);
        let queued = self.queued(push, firing);
        self.edit(target, |registration| registration.queue.push(queued));
        None
    }

    fn queued(&self, push: &PushId, firing: u64) -> QueuedPush {
        QueuedPush {
            id: push.clone(),
            since: self.now.wall,
            attempt: 1,
            firing,
        }
    }

    /// Starts what can start of an app's pushes, the oldest first, and says why the others wait.
    pub(crate) fn look_at_pushes(&mut self, app: &AppId) {
        loop {
            let mut ready: Option<(u64, RegistrationId)> = None;
            for id in self.device.index.routed(&Route::Push(app.clone())) {
                let Some(head) = self
                    .device
                    .registrations
                    .get(&id)
                    .and_then(|r| r.queue.first())
                else {
                    continue;
                };
                let place = (head.firing, id);
                match self.device.obstacle(self.now, id) {
                    None => ready = Some(ready.map_or(place, |first| first.min(place))),
                    Some(Obstacle::Drop(reason)) => self.drop_queue(id, reason.while_waiting()),
                    Some(Obstacle::Wait(reason)) => self.queue_waits(id, reason),
                }
            }
            let Some((_, id)) = ready else {
                return;
            };
            self.start_head(id);
        }
    }

    fn start_head(&mut self, id: RegistrationId) {
        let head = self
            .device
            .registrations
            .get(&id)
            .and_then(|r| r.queue.first())
            .cloned();
        let Some(head) = head else {
            return;
        };
        let run = self.start(id, Some(&head));
        self.settle(head.firing, Verdict::Ran, run);
    }

    fn queue_waits(&mut self, id: RegistrationId, reason: WaitReason) {
        let Some(registration) = self.device.registrations.get(&id) else {
            return;
        };
        let firings: Vec<_> = registration
            .queue
            .iter()
            .map(|queued| queued.firing)
            .collect();
        for firing in firings {
            self.settle(firing, Verdict::Waiting(reason), None);
        }
    }

    /// Drops every push that waits at a registration.
    pub(crate) fn drop_queue(&mut self, id: RegistrationId, reason: DropReason) {
        let Some(registration) = self.device.registrations.get(&id) else {
            return;
        };
        let ids: Vec<_> = registration
            .queue
            .iter()
            .map(|queued| queued.id.clone())
            .collect();
        for push in ids {
            self.take_from_queue(id, &push, reason);
            self.decide(&push, dropped(reason));
        }
    }

    fn take_from_queue(&mut self, id: RegistrationId, push: &PushId, reason: DropReason) {
        let mut taken = None;
        self.edit(id, |registration| {
            let place = registration
                .queue
                .iter()
                .position(|queued| queued.id == *push);
            taken = place.map(|place| registration.queue.remove(place));
        });
        if let Some(queued) = taken {
            self.drop_waiting(id, queued.firing, reason);
        }
    }

    /// PSH-16: what is past its time to live never runs. A run of it under way goes on.
    pub(crate) fn expire_pushes(&mut self) {
        while let Some((expires, push)) = self.device.index.expiries.first().cloned() {
            if expires > self.now.wall {
                return;
            }
            self.device.index.expiries.remove(&(expires, push.clone()));
            let holders = self.device.index.holders(&push);
            for id in holders.queued {
                self.take_from_queue(id, &push, DropReason::Expired);
            }
            self.decide(&push, Hop::Expired);
        }
    }

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

    fn remember(&mut self, push: &Push) {
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
        let terminal = match &hop {
            Hop::Delivered | Hop::Started { .. } => false,
            Hop::Finished { .. } | Hop::Expired | Hop::Dropped { .. } => true,
        };
        if !terminal && self.device.receipts.len() >= bounds::RECEIPTS {
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

fn dropped(reason: DropReason) -> Hop {
    match reason {
        DropReason::Expired => Hop::Expired,
        DropReason::Access
        | DropReason::AccessRemoved
        | DropReason::Unregistered
        | DropReason::Coalesced
        | DropReason::QueueFull
        | DropReason::Reboot
        | DropReason::NoHandler
        | DropReason::Invalid
        | DropReason::Uninstalled
        | DropReason::Duplicate
        | DropReason::AttemptsExhausted => Hop::Dropped { reason },
    }
}
