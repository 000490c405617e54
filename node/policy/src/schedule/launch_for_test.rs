//! `LaunchForTest` (MNG-14, AMB-38): runs a scheduled agent after a delay, whatever its schedule and start conditions
//! say. For developer mode only.

use crate::turn::Turn;
use crate::{Answer, AppId, Broken, Caller, Refusal, RegistrationId, ScheduledKind, Span};

impl Turn<'_> {
    /// Refused for what is unknown, has expired or is unscheduled (EXP-08). The app or its agent may call.
    pub(crate) fn launch_for_test(
        &mut self,
        caller: &Caller,
        app: &AppId,
        kind: ScheduledKind,
        delay: Span,
    ) -> Result<Answer, Refusal> {
        self.own_app(caller, app)?;
        self.developer_mode()?;
        let scheduled = self.device.scheduled(app, kind);
        let expired = self.device.broken(Broken::ExpiredMayBeTested);
        let id = scheduled
            .filter(|r| r.is_scheduled_now() || expired)
            .map(|r| r.id);
        let id = id.ok_or_else(|| Refusal::FailedPrecondition {
            message: format!(
                "the {} agent of {app} is not scheduled; schedule it first",
                kind.word()
            ),
        })?;
        let at = self.now.elapsed.after(delay);
        self.edit(id, |registration| {
            if let Some(schedule) = &mut registration.schedule {
                schedule.test = Some(at);
            }
        });
        if delay == Span::ZERO {
            self.test_now(id);
        }
        Ok(Answer::Done)
    }

    /// Only developers fire by hand.
    pub(crate) fn developer_mode(&self) -> Result<(), Refusal> {
        if self.device.profile.developer_mode {
            return Ok(());
        }
        Err(Refusal::FailedPrecondition {
            message: "this device is not in developer mode; its profile has to say so".to_owned(),
        })
    }

    /// Launches for test that fell due.
    pub(crate) fn launch_tests(&mut self) {
        while let Some((at, id)) = self.device.index.tests.first().copied() {
            if at > self.horizon.elapsed {
                return;
            }
            self.test_now(id);
        }
    }

    /// A firing that waits becomes the test; else there is a new one.
    fn test_now(&mut self, id: RegistrationId) {
        self.edit(id, |registration| {
            if let Some(schedule) = &mut registration.schedule {
                schedule.test = None;
            }
        });
        let waits = self
            .device
            .registrations
            .get(&id)
            .is_some_and(|registration| registration.latch.is_some());
        if !waits {
            self.latch_for_test(id);
        }
        let test = !self.device.broken(Broken::TestWaits);
        self.edit(id, |registration| {
            if let Some(latch) = &mut registration.latch {
                latch.test = test;
            }
        });
        self.look_at(id);
    }
}
