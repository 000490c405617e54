//! Pushes that wait at their registrations: delivered, held back, giving way to newer ones, started in order.

use super::{dropped, fate};
use crate::admission::Obstacle;
use crate::start::Cause;
use crate::trigger::Route;
use crate::turn::Turn;
use crate::{
    AppId, Broken, DropReason, Hop, Observation, Push, PushFate, PushId, QueuedPush,
    RegistrationId, Retention, Verdict, WaitReason,
};

impl Turn<'_> {
    /// Fires one registration with a push: it runs, waits, or is dropped for the reason returned.
    pub(super) fn deliver(&mut self, target: RegistrationId, push: &PushId) -> Option<DropReason> {
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

    pub(super) fn queued(&self, push: &PushId, firing: u64) -> QueuedPush {
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

    pub(super) fn take_from_queue(
        &mut self,
        id: RegistrationId,
        push: &PushId,
        reason: DropReason,
    ) {
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
        self.expire_offers();
        while let Some((expires, push)) = self.device.index.expiries.first().cloned() {
            if expires > self.now.wall {
                return;
            }
            self.device.index.expiries.remove(&(expires, push.clone()));
            if self.device.broken(Broken::NothingExpires) {
                continue;
            }
            let holders = self.device.index.holders(&push);
            for id in holders.queued {
                self.take_from_queue(id, &push, DropReason::Expired);
            }
            self.decide(&push, Hop::Expired);
        }
    }
}
