//! `SystemTrigger` (TRG-01 to TRG-11, TRG-30 to TRG-32, TRGC-02, TRGC-03): edges of the device's own state.
//!
//! Edges come from [`readings`](crate::readings), which takes the first level of each kind as a baseline; what is no
//! level comes from [`occurrence`](crate::trigger::occurrence).

use crate::trigger::Route;
use crate::turn::Turn;
use crate::{AppId, Broken, Refusal, Source, SystemEvent};

/// Who reports the levels whose edge it is.
pub(crate) const fn sources(event: SystemEvent) -> &'static [Source] {
    match event {
        SystemEvent::InternetAvailable | SystemEvent::NetworkStateChange => &[Source::Network],
        SystemEvent::UserPresent | SystemEvent::UserAway | SystemEvent::SessionConnected => {
            &[Source::Session]
        }
        SystemEvent::TimeZoneChange => &[Source::Zone],
        SystemEvent::BackgroundWorkCostChange => &[Source::Power, Source::Screen],
        SystemEvent::PowerStateChange => &[Source::Power],
        SystemEvent::SmsReceived
        | SystemEvent::ControlChannelReset
        | SystemEvent::ServicingComplete
        | SystemEvent::LockScreenApplicationAdded
        | SystemEvent::LockScreenApplicationRemoved
        | SystemEvent::OnlineIdConnectedStateChange => &[],
    }
}

/// TRG-08: a reset may come again, so it cannot be waited for once.
pub(crate) fn validate(event: SystemEvent, one_shot: bool) -> Result<(), Refusal> {
    if one_shot && event == SystemEvent::ControlChannelReset {
        return Err(Refusal::InvalidArgument {
            field: "trigger.system.one_shot".to_owned(),
            message: "control-channel-reset cannot be one-shot; set it to false".to_owned(),
        });
    }
    Ok(())
}

/// Whether a boot drops a firing of it that waits: it was about somebody who was there then (AMB-36).
pub(crate) const fn about_somebody(event: SystemEvent) -> bool {
    match event {
        SystemEvent::UserPresent | SystemEvent::UserAway | SystemEvent::SessionConnected => true,
        SystemEvent::SmsReceived
        | SystemEvent::NetworkStateChange
        | SystemEvent::ControlChannelReset
        | SystemEvent::InternetAvailable
        | SystemEvent::ServicingComplete
        | SystemEvent::LockScreenApplicationAdded
        | SystemEvent::LockScreenApplicationRemoved
        | SystemEvent::TimeZoneChange
        | SystemEvent::OnlineIdConnectedStateChange
        | SystemEvent::BackgroundWorkCostChange
        | SystemEvent::PowerStateChange => false,
    }
}

/// What fires it, for people.
pub(crate) fn words(event: SystemEvent, one_shot: bool) -> String {
    let event = match event {
        SystemEvent::SmsReceived => "a text message coming in",
        SystemEvent::UserPresent => "the user becoming present",
        SystemEvent::UserAway => "the user becoming absent",
        SystemEvent::NetworkStateChange => "a change of the network, its cost or its reach",
        SystemEvent::ControlChannelReset => "a control channel being reset",
        SystemEvent::InternetAvailable => "the Internet becoming available, after it was not",
        SystemEvent::SessionConnected => "the user's session being connected",
        SystemEvent::ServicingComplete => "an update of the app being finished",
        SystemEvent::LockScreenApplicationAdded => "the app being chosen for the lock screen",
        SystemEvent::LockScreenApplicationRemoved => "the app leaving the lock screen",
        SystemEvent::TimeZoneChange => "the time zone or its distance from UTC changing",
        SystemEvent::OnlineIdConnectedStateChange => "the online identity changing",
        SystemEvent::BackgroundWorkCostChange => "the cost of background work changing",
        SystemEvent::PowerStateChange => "the battery's state changing",
    };
    if one_shot {
        format!("once, {event}")
    } else {
        event.to_owned()
    }
}

impl Turn<'_> {
    /// Fires every registration that listens to this event; of one app only, where it concerns one.
    pub(crate) fn system_event(&mut self, event: SystemEvent, app: Option<&AppId>) {
        if self.device.broken(Broken::SystemEventsIgnored) {
            return;
        }
        let mut listening = self.device.index.routed(&Route::System(event));
        if self.device.broken(Broken::EveryEventFiresAll) {
            listening = self.device.registrations.keys().copied().collect();
        }
        for id in listening {
            if self.hears(id, app) {
                self.fire(id);
            }
        }
    }
}
