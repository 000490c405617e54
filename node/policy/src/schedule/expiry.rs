//! The life of scheduled tasks (section 8): two weeks from their Add, renewed by the agent's updates of a card that the
//! user chose to see, and endless for automatic upload.

use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Caller, Device, DropReason, Observation, Refusal, Registration,
    RegistrationId, RunId, ScheduledKind, Scheduling, Wall,
};

impl Device {
    /// EXP-06: whether the expiry of a kind counts for an app.
    pub(crate) fn mortal(&self, app: &AppId, kind: ScheduledKind) -> bool {
        if self.broken(Broken::NothingExpires) {
            return false;
        }
        let uploads = self
            .choices
            .get(app)
            .is_some_and(|choices| choices.auto_upload && !self.broken(Broken::AutoUploadIgnored));
        match kind {
            ScheduledKind::Periodic => true,
            ScheduledKind::ResourceIntensive => !uploads,
        }
    }
}

/// When a scheduled task ends by its expiry; absent = it does not.
pub(crate) fn end_of_life(registration: &Registration) -> Option<Wall> {
    let schedule = registration.schedule.as_ref()?;
    let counts = schedule.mortal && schedule.scheduling == Scheduling::Scheduled;
    counts.then_some(schedule.expires)
}

impl Turn<'_> {
    /// EXP-01: what is past its life runs no more. A run under way goes on.
    pub(crate) fn expire_tasks(&mut self) {
        while let Some((expires, id)) = self.device.index.lives.first().copied() {
            if expires > self.now.wall {
                return;
            }
            self.unschedule(id, Scheduling::Expired, DropReason::Expired);
        }
    }

    /// A scheduled task runs no more until its app schedules it again; its place is free (AMB-19).
    pub(crate) fn unschedule(&mut self, id: RegistrationId, why: Scheduling, drop: DropReason) {
        self.observe_task(id, |task| Observation::Unscheduled {
            task,
            reason: Some(why),
        });
        self.drop_those_waiting(id, drop);
        self.edit(id, |registration| {
            registration.due = None;
            if let Some(schedule) = &mut registration.schedule {
                schedule.scheduling = why;
                schedule.test = None;
            }
        });
        self.warn_of_periodic_agents();
    }

    /// The app's card has new content. Only its scheduled agent renews by it (EXP-07).
    pub(crate) fn update_card(&mut self, caller: &Caller, app: &AppId) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        match caller {
            Caller::Agent { run } => self.card_updated(*run),
            Caller::Front { .. } | Caller::Operator => {}
        }
        Ok(Answer::Done)
    }

    /// EXP-04, EXP-05, AMB-30: both kinds are renewed; never shortened, never revived.
    pub(crate) fn card_updated(&mut self, run: RunId) {
        let device = &*self.device;
        let Some(run) = device.runs.get(&run).filter(|run| run.kind.is_scheduled()) else {
            return;
        };
        let chosen = device
            .choices
            .get(&run.app)
            .is_some_and(|choices| choices.pinned || choices.lock_screen)
            || device.broken(Broken::RenewalNeedsNoChoice);
        if !chosen || device.broken(Broken::NothingRenews) {
            return;
        }
        let app = run.app.clone();
        let expires = self.now.wall.after(device.policy.expiry_limit);
        let ran = run.kind.scheduled();
        for kind in [ScheduledKind::Periodic, ScheduledKind::ResourceIntensive] {
            if self.device.broken(Broken::RenewsOwnKindOnly) && ran != Some(kind) {
                continue;
            }
            let scheduled = self.device.scheduled(&app, kind);
            let shorter = scheduled.filter(|r| r.is_scheduled_now()).filter(|r| {
                r.schedule
                    .as_ref()
                    .is_some_and(|schedule| schedule.expires < expires)
            });
            if let Some(id) = shorter.map(|r| r.id) {
                self.renew(id, expires);
            }
        }
    }

    fn renew(&mut self, id: RegistrationId, expires: Wall) {
        self.edit(id, |registration| {
            if let Some(schedule) = &mut registration.schedule {
                schedule.expires = expires;
            }
        });
        self.observe_task(id, |task| Observation::Renewed { task, expires });
    }

    /// EXP-06, AMB-31: automatic upload was switched; a stored expiry counts again from that moment.
    pub(crate) fn mortality_may_have_changed(&mut self, app: &AppId) {
        for kind in [ScheduledKind::Periodic, ScheduledKind::ResourceIntensive] {
            let mortal =
                self.device.mortal(app, kind) && !self.device.broken(Broken::AutoUploadIsForGood);
            if let Some(id) = self.device.scheduled(app, kind).map(|r| r.id) {
                self.edit(id, |registration| {
                    if let Some(schedule) = &mut registration.schedule {
                        schedule.mortal = mortal;
                    }
                });
            }
        }
        let now = self.now.wall;
        let over = |(expires, _): &(Wall, RegistrationId)| *expires <= now;
        while let Some((_, id)) = self.device.index.lives.first().copied().filter(over) {
            self.unschedule(id, Scheduling::Expired, DropReason::Expired);
        }
    }
}
