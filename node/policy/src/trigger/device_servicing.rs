//! `DeviceServicingTrigger` (TRG-19, TRGD-34 to TRGD-38): critical work on a device, by the app that its maker names.

use crate::trigger::raised;
use crate::turn::Turn;
use crate::{
    Answer, AppId, Broken, Caller, Capability, Details, Raised, Refusal, Span, Subject, TaskName,
    TriggerKind,
};

impl Turn<'_> {
    /// First that applies: caller, name, duration, privilege, device, consent, charge, place.
    pub(crate) fn request_servicing(
        &mut self,
        caller: &Caller,
        app: &AppId,
        name: &TaskName,
        device: Subject,
        expected: Option<Span>,
        consent: bool,
    ) -> Result<Answer, Refusal> {
        raised::foreground(self.device, caller, app)?;
        let id = self.raised_registration(app, name, &[TriggerKind::DeviceServicing])?;
        self.valid_duration(expected)?;
        let privileged = self.installed(app)?.can(Capability::DeviceServicing)
            || self.device.broken(Broken::PrivilegeNotNeeded);
        if !privileged || self.device.clock.unplugged.contains(&device) {
            return Ok(Answer::Raised(Raised::DeniedBySystem));
        }
        let careless = self.device.broken(Broken::ConsentIgnored);
        if !consent && !careless {
            return Ok(Answer::Raised(Raised::DeniedByUser));
        }
        if !self.charged() && !careless {
            return Ok(Answer::Raised(Raised::LowBattery));
        }
        let details = Details::Device {
            device,
            present: true,
        };
        Ok(Answer::Raised(self.raise(id, Some(details))))
    }

    /// TRGD-37: under the limit; zero and absent mean unknown.
    fn valid_duration(&self, expected: Option<Span>) -> Result<(), Refusal> {
        let limit = self.device.policy.servicing_time;
        match expected {
            Some(expected) if expected >= limit => Err(Refusal::InvalidArgument {
                field: "expected".to_owned(),
                message: format!(
                    "{} s are not below the {} s that servicing may take; expect less",
                    expected.as_millis() / 1_000,
                    limit.as_millis() / 1_000
                ),
            }),
            Some(_) | None => Ok(()),
        }
    }

    /// TRGD-37: external power, or a charge above the level.
    fn charged(&self) -> bool {
        let (readings, policy) = (&self.device.readings, &self.device.policy);
        let enough = |charge| charge > policy.servicing_battery_above;
        readings.external_power.is(true) || readings.battery.value().is_some_and(enough)
    }
}
