//! `PushNotificationTrigger` (TRG-13, PSH-05 to PSH-16; rule book 0a, *Pushes on the device*).
//!
//! A push fires each push registration of its app, in the order in which pushes came, one run at a time for
//! the app (PSH-12). It is decided when its last registration is: then exactly one terminal receipt is written.
//! A collapse key replaces what waits, for whatever reason; retention applies to what is held back undelivered (PSH-20):
//! what waits for anything else was delivered and keeps its place.

mod queue;
mod receipts;

use std::collections::BTreeSet;

use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Caller, Device, DropReason, FrontState, Hop, Key, Observation, Push,
    PushFate, PushId, Refusal, RegistrationId, RunId, TaskName, bounds,
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

impl Device {
    /// Pushes offered to an app that runs.
    pub(crate) fn offered(&self) -> impl Iterator<Item = &Push> {
        self.offers.keys().filter_map(|push| self.pushes.get(push))
    }
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
        let targets = self.push_targets(&push.app);
        if let Some(reason) = self.unfit(&push, &targets) {
            self.refuse_push(&push, &targets, reason);
            return;
        }
        let (id, app) = (push.id.clone(), push.app.clone());
        self.device.pushes.insert(id.clone(), push.clone());
        self.touch(Key::Push(id.clone()));
        if self.comes_first(&app, &targets) {
            let until = self.now.elapsed.after(self.device.policy.push_offer_time);
            self.device.offers.insert(id, until);
            self.effect(crate::Effect::OfferPush(Box::new(push)));
        } else {
            self.deliver_to_all(&id);
        }
    }

    /// Whether the app itself is asked before its tasks: in the foreground always (PSH-10), else where it runs and has none
    /// (PSH-09).
    fn comes_first(&self, app: &AppId, targets: &[RegistrationId]) -> bool {
        match self.device.front(app) {
            FrontState::Foreground => true,
            FrontState::Background => targets.is_empty(),
            FrontState::None | FrontState::Suspended => false,
        }
    }

    fn refuse_push(&mut self, push: &Push, targets: &[RegistrationId], reason: DropReason) {
        let (app, id) = (&push.app, &push.id);
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

    /// A client of the app answers (PSH-10). An answer that comes too late is told so.
    pub(crate) fn answer_push(
        &mut self,
        caller: &Caller,
        app: &AppId,
        push: &PushId,
        handled: bool,
    ) -> Result<Answer, Refusal> {
        self.operator_or_own(caller, app)?;
        if !self
            .device
            .offered()
            .any(|one| one.id == *push && one.app == *app)
        {
            return Err(Refusal::NotFound {
                message: format!(
                    "no push {push} is offered to {app} now: it was answered before, its time to answer is over, or it \
                     expired; this answer changes nothing"
                ),
            });
        }
        self.push_answered(push, handled);
        Ok(Answer::Done)
    }

    /// The app was asked, or nobody of it could be (PSH-10).
    pub(crate) fn push_answered(&mut self, push: &PushId, handled: bool) {
        if self.device.offers.remove(push).is_none() {
            return;
        }
        if !handled && !self.device.broken(Broken::FrontSwallowsPushes) {
            self.deliver_to_all(push);
        } else if let Some(app) = self.device.pushes.get(push).map(|push| push.app.clone()) {
            self.tell_fate(&app, push, PushFate::ShownToApp);
            self.decide(push, Hop::ShownToApp);
        }
    }

    /// What is past its life is offered no longer, and no task gets it (PSH-16).
    pub(crate) fn expire_offers(&mut self) {
        if self.device.broken(Broken::NothingExpires) {
            return;
        }
        let late: Vec<(PushId, AppId)> = self
            .device
            .offered()
            .filter(|push| push.expires <= self.now.wall)
            .map(|push| (push.id.clone(), push.app.clone()))
            .collect();
        for (push, app) in late {
            self.device.offers.remove(&push);
            self.unrouted(&app, DropReason::Expired);
            self.tell_fate(&app, &push, PushFate::Expired);
            self.decide(&push, Hop::Expired);
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

    /// Fires every push registration of the app.
    pub(super) fn deliver_to_all(&mut self, id: &PushId) {
        let Some(app) = self.device.pushes.get(id).map(|push| push.app.clone()) else {
            return;
        };
        let targets = self.push_targets(&app);
        if targets.is_empty() && self.device.broken(Broken::PushesWaitForHandler) {
            return;
        }
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
        let orphan = targets.is_empty() && !self.comes_first(&push.app, targets);
        if orphan && !self.device.broken(Broken::PushesWaitForHandler) {
            return Some(DropReason::NoHandler);
        }
        // The coordinator refuses these (PSH-08); here they only must not grow the store.
        let size = push.payload.len();
        (size == 0 || size > bounds::PUSH_PAYLOAD).then_some(DropReason::Invalid)
    }

    /// Tells what became of a push.
    pub(super) fn tell_fate(&mut self, app: &AppId, id: &PushId, fate: PushFate) {
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
}

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
