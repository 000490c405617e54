//! `PushNotificationTrigger` (TRG-13, PSH-05 to PSH-16; rule book 0a, *Pushes on the device*).
//!
//! A push fires each push registration of its app, in the order in which pushes came, one run at a time for
//! the app (PSH-12). It is decided when its last registration is: then exactly one terminal receipt is written.
//! A collapse key replaces what waits, for whatever reason; retention applies to what is held back undelivered (PSH-20):
//! what waits for anything else was delivered and keeps its place.

use std::collections::BTreeSet;

use crate::admission::Obstacle;
use crate::start::Cause;
use crate::trigger::Route;
use crate::turn::Turn;
use crate::{
    AppId, Broken, DropReason, FinishedRun, FrontState, Hop, Key, Observation, Outcome, Push,
    PushFate, PushId, QueuedPush, Receipt, ReceiptSeq, RegistrationId, Retention, Run, RunId,
    SeenPush, TaskName, Verdict, WaitReason, bounds,
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
        let seen = self.device.seen.contains_key(&push.id);
        if seen && !self.device.broken(Broken::DuplicateRuns) {
            self.unrouted(&push.app, DropReason::Duplicate);
            self.tell_fate(
                &push.app,
                &push.id,
                PushFate::Dropped(DropReason::Duplicate),
            );
            return;
        }
        self.remember(&push);
        self.receipt(&push.id, Hop::Delivered);
        let targets = self.device.index.routed(&Route::Push(push.app.clone()));
        if let Some(reason) = self.unfit(&push, &targets) {
            self.refuse_push(&push, &targets, reason);
            return;
        }
        let (id, app) = (push.id.clone(), push.app.clone());
        self.device.pushes.insert(id.clone(), push.clone());
        self.touch(Key::Push(id.clone()));
        if self.device.front(&app) == FrontState::Foreground {
            // PSH-10: the app itself comes first.
            let until = self.now.elapsed.after(self.device.policy.push_offer_time);
            self.device.offers.insert(id, until);
            self.effect(crate::Effect::OfferPush(Box::new(push)));
        } else {
            self.deliver_to_all(&id);
        }
    }

    fn refuse_push(&mut self, push: &Push, targets: &[RegistrationId], reason: DropReason) {
        let (app, id) = (&push.app, &push.id);
        let runs = match self.device.front(app) {
            FrontState::Foreground | FrontState::Background => true,
            FrontState::None | FrontState::Suspended => false,
        };
        if reason == DropReason::NoHandler && runs {
            // PSH-09: given to the running app.
            self.unrouted(app, reason);
            self.tell_fate(app, id, PushFate::ShownToApp);
            self.receipt(id, Hop::ShownToApp);
            return;
        }
        if targets.is_empty() {
            self.unrouted(app, reason);
        }
        for target in targets {
            self.observe_task(*target, Observation::Triggered);
            self.refuse_firing(*target, reason);
        }
        self.tell_fate(app, id, fate(reason));
        self.receipt(id, dropped(reason));
    }

    /// The app in the foreground has answered (PSH-10).
    pub(crate) fn push_answered(&mut self, push: &PushId, handled: bool) {
        if self.device.offers.remove(push).is_none() {
            return;
        }
        if !handled {
            self.deliver_to_all(push);
        } else if let Some(app) = self.device.pushes.get(push).map(|push| push.app.clone()) {
            self.tell_fate(&app, push, PushFate::ShownToApp);
            self.decide(push, Hop::ShownToApp);
        }
    }

    /// The app did not answer in time: its tasks get the push.
    pub(crate) fn withdraw_offers(&mut self) {
        let now = self.horizon.elapsed;
        let offers = self.device.offers.iter();
        let late: Vec<PushId> = offers
            .filter(|(_, until)| **until <= now)
            .map(|(push, _)| push.clone())
            .collect();
        for push in late {
            self.push_answered(&push, false);
        }
    }

    /// Pushes that a restart of the daemon found offered: the app's answer is lost, so its tasks get them.
    pub(crate) fn deliver_what_nobody_holds(&mut self) {
        let lost: Vec<PushId> = self
            .device
            .pushes
            .keys()
            .filter(|push| {
                let holders = self.device.index.holders(push);
                holders.queued.is_empty() && holders.running.is_empty()
            })
            .cloned()
            .collect();
        for push in lost {
            self.deliver_to_all(&push);
        }
    }

    /// Fires every push registration of the app.
    fn deliver_to_all(&mut self, id: &PushId) {
        let Some(app) = self.device.pushes.get(id).map(|push| push.app.clone()) else {
            return;
        };
        let targets = self.device.index.routed(&Route::Push(app.clone()));
        if targets.is_empty() {
            self.unrouted(&app, DropReason::NoHandler);
            self.tell_fate(&app, id, PushFate::Dropped(DropReason::NoHandler));
            self.decide(id, dropped(DropReason::NoHandler));
            return;
        }
        let mut last = None;
        for target in targets {
            last = self.deliver(target, id).or(last);
        }
        if let Some(reason) = last {
            self.decide(id, dropped(reason));
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
        let app = self.device.registrations.get(&target)?.app.clone();
        self.observe_task(target, Observation::Triggered);
        let body = self.device.pushes.get(push)?;
        let (retention, judgement) = (
            body.retention,
            self.device.judge(self.now, target, Some(body)),
        );
        let held = judgement.obstacle == Some(Obstacle::Wait(WaitReason::BatterySaver));
        if !self.device.broken(Broken::RetentionIgnored) {
            self.make_way(target, push, held);
            if held && retention == Retention::None {
                self.refuse_firing(target, DropReason::Policy);
                self.tell_fate(&app, push, PushFate::Dropped(DropReason::Policy));
                return Some(DropReason::Policy);
            }
        }
        let room = self.device.policy.push_queue as usize;
        let queue = &self.device.registrations.get(&target)?.queue;
        let (waiting, behind) = (queue.len(), self.first_ready(target).is_some());
        let reason = match self.as_decided(judgement.obstacle) {
            None if !behind && !self.device.closing => {
                let run = self.start(target, Cause::Push(&self.queued(push, 0)));
                self.record(target, Verdict::Ran, run);
                return None;
            }
            Some(Obstacle::Drop(reason)) => {
                self.refuse_firing(target, reason);
                self.tell_fate(&app, push, fate(reason));
                return Some(reason);
            }
            _ if waiting >= room => {
                self.refuse_firing(target, DropReason::QueueFull);
                self.tell_fate(&app, push, PushFate::Dropped(DropReason::QueueFull));
                return Some(DropReason::QueueFull);
            }
            None => WaitReason::Slot,
            Some(Obstacle::Wait(reason)) => reason,
        };
        let firing = self.record(target, Verdict::Waiting(reason), None);
        let queued = self.queued(push, firing);
        self.edit(target, |registration| registration.queue.push(queued));
        self.tell_waiting(target, judgement.reasons, true);
        self.tell_fate(&app, push, PushFate::Queued);
        None
    }

    /// An older push gives way (rule book 0a): to one with its collapse key wherever it waits; to one that is to be the
    /// latest while both are held back undelivered (PSH-20).
    fn make_way(&mut self, target: RegistrationId, push: &PushId, held: bool) {
        let Some(newer) = self.device.pushes.get(push).cloned() else {
            return;
        };
        let Some(registration) = self.device.registrations.get(&target) else {
            return;
        };
        let same_key =
            |older: &Push| newer.collapse_key.is_some() && older.collapse_key == newer.collapse_key;
        let latest = |older: &Push| {
            let both = older.retention == Retention::Latest && newer.retention == Retention::Latest;
            let held_too = || {
                let judgement = self.device.judge(self.now, target, Some(older));
                judgement.reasons.contains(WaitReason::BatterySaver)
            };
            held && both && held_too()
        };
        let older: Vec<PushId> = registration
            .queue
            .iter()
            .filter(|queued| queued.firing != 0)
            .filter_map(|queued| self.device.pushes.get(&queued.id))
            .filter(|older| same_key(older) || latest(older))
            .map(|older| older.id.clone())
            .collect();
        for id in older {
            self.take_from_queue(target, &id, DropReason::Collapsed);
            self.decide(&id, dropped(DropReason::Collapsed));
        }
    }

    fn queued(&self, push: &PushId, firing: u64) -> QueuedPush {
        QueuedPush {
            id: push.clone(),
            since: self.now.wall,
            attempt: 1,
            firing,
        }
    }

    /// The oldest push of a registration that nothing holds back. One that PSH-20 holds lets later ones pass: it is
    /// not delivered yet.
    fn first_ready(&self, id: RegistrationId) -> Option<QueuedPush> {
        let registration = self.device.registrations.get(&id)?;
        let ready = |queued: &&QueuedPush| {
            let body = self.device.pushes.get(&queued.id);
            self.device.judge(self.now, id, body).obstacle.is_none()
        };
        registration.queue.iter().find(ready).cloned()
    }

    /// Starts what can start of an app's pushes, the oldest first, and says why the others wait.
    pub(crate) fn look_at_pushes(&mut self, app: &AppId) {
        loop {
            let mut ready: Option<(u64, RegistrationId)> = None;
            for id in self.device.index.routed(&Route::Push(app.clone())) {
                if let Some(queued) = self.look_at_queue(id) {
                    let place = (queued.firing, id);
                    ready = Some(ready.map_or(place, |first| first.min(place)));
                }
            }
            let Some((_, id)) = ready.filter(|_| !self.device.closing) else {
                return;
            };
            let Some(queued) = self.first_ready(id) else {
                return;
            };
            let run = self.start(id, Cause::Push(&queued));
            self.settle(queued.firing, Verdict::Ran, run);
        }
    }

    /// Judges what waits at one registration: what can start is returned, what never will is dropped.
    fn look_at_queue(&mut self, id: RegistrationId) -> Option<QueuedPush> {
        let head = self
            .device
            .registrations
            .get(&id)?
            .queue
            .first()?
            .id
            .clone();
        let body = self.device.pushes.get(&head);
        let judgement = self.device.judge(self.now, id, body);
        match judgement.obstacle {
            Some(Obstacle::Drop(reason)) => {
                self.drop_queue(id, reason.while_waiting());
                None
            }
            None => self.first_ready(id),
            Some(Obstacle::Wait(reason)) => {
                let ready = self.first_ready(id);
                if ready.is_none() {
                    self.queue_waits(id, reason);
                    self.tell_waiting(id, judgement.reasons, false);
                }
                ready
            }
        }
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

    /// Tells what became of a push.
    fn tell_fate(&mut self, app: &AppId, id: &PushId, fate: PushFate) {
        self.observe(Observation::Push {
            app: app.clone(),
            id: id.clone(),
            fate,
        });
    }

    /// A run of a push began.
    pub(crate) fn push_started(&mut self, app: &AppId, id: &PushId, task: TaskName, run: RunId) {
        self.tell_fate(app, id, PushFate::Started { task, run });
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
            if !crate::index::waits(registration) {
                registration.held_by = crate::Reasons::default();
            }
        });
        if let Some(queued) = taken {
            self.drop_waiting(id, queued.firing, reason);
            if let Some(app) = self.device.registrations.get(&id).map(|r| r.app.clone()) {
                self.tell_fate(&app, push, fate(reason));
            }
        }
    }

    /// PSH-16: what is past its time to live never runs. A run of it under way goes on.
    pub(crate) fn expire_pushes(&mut self) {
        while let Some((expires, push)) = self.device.index.expiries.first().cloned() {
            if expires > self.now.wall || self.device.broken(Broken::NothingExpires) {
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

fn dropped(reason: DropReason) -> Hop {
    if reason == DropReason::Expired {
        Hop::Expired
    } else {
        Hop::Dropped { reason }
    }
}

/// How a drop is told of its push.
fn fate(reason: DropReason) -> PushFate {
    if reason == DropReason::Expired {
        PushFate::Expired
    } else if reason == DropReason::Collapsed {
        PushFate::Collapsed
    } else {
        PushFate::Dropped(reason)
    }
}
