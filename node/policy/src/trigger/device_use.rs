//! `DeviceUseTrigger` (TRG-18, TRGD-26 to TRGD-33): a long use of a device that the user let the app use.

use crate::access::operator;
use crate::trigger::raised;
use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Bytes, Caller, CancelReason, Consent, Details, DeviceKind, Key, Raised,
    Refusal, RunId, Subject, TaskName, TriggerKind, bounds,
};

/// A phone with no more memory than this has room for one (TRGD-30).
const SMALL_PHONE: Bytes = Bytes::mib(512);

impl Turn<'_> {
    /// TRGD-30, TRGD-32.
    pub(crate) fn request_device(
        &mut self,
        caller: &Caller,
        app: &AppId,
        name: &TaskName,
        device: Subject,
        consent: bool,
    ) -> Result<Answer, Refusal> {
        raised::foreground(self.device, caller, app)?;
        let id = self.raised_registration(app, name, &[TriggerKind::DeviceUse])?;
        if !self.consents(app, &device, consent) {
            return Ok(Answer::Raised(Raised::DeniedByUser));
        }
        if self.device.clock.unplugged.contains(&device) || !self.room_on_phone() {
            return Ok(Answer::Raised(Raised::DeniedBySystem));
        }
        let details = Details::Device {
            device,
            present: true,
        };
        Ok(Answer::Raised(self.raise(id, Some(details))))
    }

    /// Consent is asked once for an app and device, and remembered.
    fn consents(&mut self, app: &AppId, device: &Subject, answer: bool) -> bool {
        let key = (app.clone(), device.clone());
        if self.device.consents.contains_key(&key) || self.device.broken(Broken::ConsentIgnored) {
            return true;
        }
        if answer && self.device.consents.len() < bounds::CONSENTS {
            self.remember_consent(app, device);
        }
        answer
    }

    fn remember_consent(&mut self, app: &AppId, device: &Subject) {
        let (app, device) = (app.clone(), device.clone());
        let consent = Consent {
            app: app.clone(),
            device: device.clone(),
        };
        self.device
            .consents
            .insert((app.clone(), device.clone()), consent);
        self.touch(Key::Consent(app, device));
    }

    /// TRGD-32: the operator says that the device's user consents, before anybody asks.
    pub(crate) fn give_consent(
        &mut self,
        caller: &Caller,
        app: &AppId,
        device: &Subject,
    ) -> Result<Answer, Refusal> {
        operator(caller)?;
        self.installed(app)?;
        if self
            .device
            .consents
            .contains_key(&(app.clone(), device.clone()))
        {
            return Ok(Answer::Done);
        }
        if self.device.consents.len() >= bounds::CONSENTS {
            return Err(Refusal::LimitReached {
                message: format!(
                    "{} consents are remembered, which is all there is room for; take some back",
                    bounds::CONSENTS
                ),
            });
        }
        self.remember_consent(app, device);
        Ok(Answer::Done)
    }

    /// TRGD-30: on phones only so many at once.
    fn room_on_phone(&self) -> bool {
        let device = &*self.device;
        let limit = match device.profile.kind {
            DeviceKind::Pc | DeviceKind::Headless => return true,
            DeviceKind::Phone => match device.profile.memory {
                Some(memory) if memory <= SMALL_PHONE => 1,
                Some(_) | None => device.policy.device_use_on_phones as usize,
            },
        };
        let runs = device.runs.values();
        runs.filter(|run| run.kind == TriggerKind::DeviceUse)
            .count()
            < limit
    }

    /// TRGD-32: consent can be taken back; a run that uses the device is asked to cancel.
    pub(crate) fn revoke_consent(
        &mut self,
        caller: &Caller,
        app: &AppId,
        device: &Subject,
    ) -> Result<Answer, Refusal> {
        self.operator_or_own(caller, app)?;
        if self
            .device
            .consents
            .remove(&(app.clone(), device.clone()))
            .is_some()
        {
            self.touch(Key::Consent(app.clone(), device.clone()));
            self.cancel_use_of(device, Some(app));
        }
        Ok(Answer::Done)
    }

    /// A device is gone, or no longer the app's: who uses it is asked to cancel. Servicing goes on (TRGD-36).
    pub(crate) fn cancel_use_of(&mut self, device: &Subject, app: Option<&AppId>) {
        let device_servicing_too = self.device.broken(Broken::UnplugEndsServicing);
        let runs = self.device.runs.values();
        let users: Vec<RunId> = runs
            .filter(|run| {
                let servicing = device_servicing_too && run.kind == TriggerKind::DeviceServicing;
                run.kind == TriggerKind::DeviceUse || servicing
            })
            .filter(|run| app.is_none_or(|app| run.app == *app))
            .filter(|run| match &run.details {
                Some(Details::Device { device: used, .. }) => used == device,
                _ => false,
            })
            .map(|run| run.id)
            .collect();
        for run in users {
            self.ask_to_cancel(run, CancelReason::ResourceRevocation);
        }
    }
}
