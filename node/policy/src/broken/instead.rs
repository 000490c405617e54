//! What broken decisions do instead of what they should, where that takes more than a line.
//!
//! Each asks [`Device::broken`] itself: without the feature `sabotage` it answers what the decision would be without it.

use crate::admission::Facts;
use crate::lifecycle::Arrival;
use crate::limit::battery_saver;
use crate::trigger::{Route, arrival};
use crate::turn::Turn;
use crate::{
    App, AppId, Broken, Capability, ChannelActivity, Details, Device, DropReason, Exit, FrontState,
    Level, Now, Occurrence, Outcome, Reading, Registration, RegistrationId, RegistrationRequest,
    Run, Running, ScheduledKind, SocketActivity, Span, Trigger, TriggerKind, condition,
};

impl Device {
    /// Registering asks for the lock screen, or for Battery Saver.
    pub(crate) fn asks_too_much(&self, app: &AppId) -> bool {
        let chosen = self.choices(app).is_some_and(|choices| choices.lock_screen);
        self.broken(Broken::LockScreenNeeded) && !chosen
            || self.broken(Broken::SaverAskedAtRegistration)
                && battery_saver::acts(&self.readings, &self.policy)
    }

    /// The manifest has the entry point in another case.
    pub(crate) fn declares_in_another_case(
        &self,
        app: &App,
        request: &RegistrationRequest,
    ) -> bool {
        let Some(wanted) = request.entry_point.as_ref() else {
            return false;
        };
        let same = |name: &str| name.eq_ignore_ascii_case(wanted.as_str());
        self.broken(Broken::EntryPointCaseIgnored)
            && app.agents.iter().any(|one| same(one.entry_point.as_str()))
    }

    /// What an arrival of a kind carries: something to tell even where it is bare.
    pub(crate) fn carries(&self, kind: TriggerKind) -> Arrival {
        let carried = arrival(kind);
        let bare = carried == Arrival::Bare && !kind.is_scheduled();
        if bare && self.broken(Broken::NeverCoalesces) {
            Arrival::Payload
        } else {
            carried
        }
    }

    /// By whose start conditions a kind is judged.
    pub(crate) fn judged_as(&self, kind: TriggerKind) -> TriggerKind {
        match kind.scheduled() {
            Some(own) if self.broken(Broken::ScheduledKindsSwapped) => other(own).trigger().kind(),
            Some(_) | None => kind,
        }
    }

    /// The app's agent of the other kind is scheduled, which is in the way.
    pub(crate) fn schedules_the_other_kind(&self, app: &AppId, kind: ScheduledKind) -> bool {
        let twin = self.scheduled(app, other(kind));
        self.broken(Broken::OneKindOnly) && twin.is_some_and(Registration::is_scheduled_now)
    }

    /// Resource-intensive agents that hold a place of a periodic one.
    pub(crate) fn intensives_with_a_place(&self) -> impl Iterator<Item = &RegistrationId> {
        let counted = self.broken(Broken::IntensiveCountsAsPeriodic);
        self.index.intensives.iter().filter(move |_| counted)
    }

    /// The agent of the other kind that goes with one that is unscheduled.
    pub(crate) fn twin_to_unschedule(&self, id: RegistrationId) -> Option<RegistrationId> {
        if !self.broken(Broken::UnschedulesBothKinds) {
            return None;
        }
        let registration = self.registrations.get(&id)?;
        let kind = registration.trigger.kind().scheduled()?;
        let twin = self.scheduled(&registration.app, other(kind));
        twin.filter(|twin| twin.is_scheduled_now())
            .map(|twin| twin.id)
    }

    /// A kind whose guarantee lifts its time limit.
    pub(crate) fn unlimited(&self, kind: TriggerKind) -> bool {
        kind.is_critical() && self.broken(Broken::GuaranteeLiftsLimit)
    }

    /// The outcome of a scheduled run that said nothing.
    pub(crate) fn silence(&self, run: &Run, exit: &Exit) -> Option<Outcome> {
        let silent = run.kind.is_scheduled() && run.said.is_none() && *exit == Exit::Status(0);
        let counts = silent && !run.state.is_ending() && self.broken(Broken::SilenceIsCompletion);
        counts.then_some(Outcome::Completed)
    }

    /// The clock that limits are measured by.
    pub(crate) fn time_that_counts(&self, now: Now) -> Running {
        if self.broken(Broken::SuspendCounts) {
            Running::from_millis(now.elapsed.as_millis())
        } else {
            now.running
        }
    }

    /// The present moment, without what the wall clock was stepped by.
    pub(crate) fn as_seen(&self, now: Now) -> Now {
        if !self.broken(Broken::ClockStepsIgnored) || self.last == Now::default() {
            return now;
        }
        let passed = now.elapsed.since(self.last.elapsed);
        Now {
            wall: self.last.wall.after(passed),
            ..now
        }
    }
}

impl Turn<'_> {
    /// Pushes that came before there was a handler go to the one that was just made.
    pub(crate) fn deliver_what_waited_for_a_handler(&mut self) {
        if !self.device.broken(Broken::PushesWaitForHandler) {
            return;
        }
        let waiting: Vec<_> = self.device.index.unheld(&self.device.pushes).collect();
        for push in waiting {
            self.device.offers.insert(push.clone(), self.now.elapsed);
            self.push_answered(&push, false);
        }
    }

    /// A firing goes another way than through the gates, or none.
    pub(crate) fn fires_otherwise(&mut self, id: RegistrationId) -> bool {
        let Some(registration) = self.device.registrations.get(&id) else {
            return false;
        };
        let device = &*self.device;
        if device.broken(Broken::NeverCoalesces)
            && device.carries(registration.trigger.kind()) == Arrival::Payload
        {
            self.arrive(id, Details::Sms);
            return true;
        }
        let in_process = registration.entry_point.is_none();
        device.front(&registration.app) == FrontState::None
            && (device.broken(Broken::FrontNeededToFire)
                || device.broken(Broken::InProcessNeedsApp) && in_process)
    }

    /// Fires what has conditions once all of them hold.
    pub(crate) fn start_by_condition(&mut self) {
        let device = &*self.device;
        let holds = |one: &crate::Condition| {
            (condition::predicate(*one).holds)(&device.readings) == Some(true)
        };
        let registrations = device.registrations.values();
        let ready: Vec<RegistrationId> = registrations
            .filter(|one| !one.conditions.is_empty() && one.conditions.iter().all(holds))
            .filter(|one| !crate::index::waits(one) && device.index.run_of(one.id).is_none())
            .map(|one| one.id)
            .collect();
        for id in ready {
            self.fire(id);
        }
    }

    /// Forgets the registrations of an app, or of all.
    pub(crate) fn forget_registrations(&mut self, app: Option<&AppId>) {
        let registrations = self.device.registrations.values();
        let own: Vec<RegistrationId> = registrations
            .filter(|one| app.is_none_or(|app| one.app == *app))
            .map(|one| one.id)
            .collect();
        for id in own {
            self.remove_registration(id, DropReason::Reboot);
        }
    }

    /// The registrations that a push is for.
    pub(crate) fn push_targets(&self, app: &AppId) -> Vec<RegistrationId> {
        let device = &*self.device;
        let mut targets = device.index.routed(&Route::Push(app.clone()));
        if device.broken(Broken::EverybodyHears) {
            let pushes = device.registrations.values();
            targets = pushes
                .filter(|one| one.trigger == Trigger::Push)
                .map(|one| one.id)
                .collect();
        }
        let lasts = |id: &RegistrationId| {
            let made = device.registrations.get(id).map(|one| one.registered_at);
            made.is_some_and(|made| self.now.wall.since(made) < Span::days(30))
        };
        if device.broken(Broken::ChannelsExpire) {
            targets.retain(lasts);
        }
        if device.broken(Broken::PushesIgnored) {
            targets.clear();
        }
        targets
    }
}

/// One other condition of the registration holds, and is taken for all.
pub(crate) fn another_suffices(facts: &Facts<'_>) -> bool {
    let holds =
        |one: &crate::Condition| (condition::predicate(*one).holds)(facts.readings()) == Some(true);
    facts.device.broken(Broken::AnyConditionSuffices)
        && facts.registration.conditions.iter().any(holds)
}

/// A capability stands in for the exemption.
pub(crate) fn exempt_by_capability(facts: &Facts<'_>) -> bool {
    let unlimited = |app: &App| app.can(Capability::ExtendedBackgroundTaskTime);
    facts.device.broken(Broken::CapabilityExempts) && facts.app.is_some_and(unlimited)
}

/// Whether nobody read this.
pub(crate) const fn assumed(reading: Reading) -> bool {
    match reading {
        Reading::ExternalPower(level)
        | Reading::BatterySaver(level)
        | Reading::SaverManual(level)
        | Reading::Internet(level)
        | Reading::Metered(level)
        | Reading::UserPresent(level)
        | Reading::ScreenLocked(level)
        | Reading::ScreenOn(level)
        | Reading::Standby(level) => matches!(level, Level::Assumed(_)),
        Reading::Battery(level) | Reading::CpuPressure(level) => matches!(level, Level::Assumed(_)),
        Reading::Network(level) => matches!(level, Level::Assumed(_)),
        Reading::Session(level) => matches!(level, Level::Assumed(_)),
        Reading::Call(level) => matches!(level, Level::Assumed(_)),
        Reading::Zone(level) => matches!(level, Level::Assumed(_)),
    }
}

/// Whether an occurrence is more than the upkeep of a connection.
pub(crate) fn traffic(occurrence: &Occurrence) -> bool {
    match occurrence {
        Occurrence::Socket { activity, .. } => *activity == SocketActivity::Activity,
        Occurrence::Channel { activity, .. } => *activity != ChannelActivity::KeepAlive,
        Occurrence::SmsReceived { .. }
        | Occurrence::ControlChannelReset { .. }
        | Occurrence::OnlineIdChanged
        | Occurrence::LogOff { .. }
        | Occurrence::Device { .. }
        | Occurrence::FilesChanged { .. }
        | Occurrence::Bus { .. }
        | Occurrence::Debugger { .. } => true,
    }
}

const fn other(kind: ScheduledKind) -> ScheduledKind {
    match kind {
        ScheduledKind::Periodic => ScheduledKind::ResourceIntensive,
        ScheduledKind::ResourceIntensive => ScheduledKind::Periodic,
    }
}
