//! What fires a task: what an app registers for, and what an agent is told.
//!
//! Deliberately absent: figures. What a device accepts (how many minutes, how many registrations) is its policy,
//! and its answer names the limit.

/// What a task is registered for: exactly one per registration (ACC-22).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A timer (TRGD-01 to 04).
    Timer {
        /// Minutes between runs, or until the only one. The book's policy accepts 15 to 43,199.
        minutes: u32,
        /// Once, then the registration is spent.
        one_shot: bool,
    },
    /// A system event (TRG).
    System {
        /// Which.
        event: SystemEvent,
        /// Once, then the registration is spent.
        one_shot: bool,
    },
    /// As a timer, but only on external power (TRG-09).
    Maintenance {
        /// Minutes between runs, or until the only one.
        minutes: u32,
        /// Once, then the registration is spent.
        one_shot: bool,
    },
    /// Something in a folder changed, or a file did (TRG-48).
    Files {
        /// A path from the root.
        path: String,
    },
    /// A device arrives or leaves (TRG-46).
    Devices {
        /// A device, or the beginning of its name before a final `*`: `usb:046d:*`.
        pattern: String,
    },
    /// A signal of the system bus (TRG-47).
    Bus {
        /// A service and its signal: `com.example.Door com.example.Door1.Opened`.
        event: String,
    },
    /// Something happens on a socket that the node holds for the app (TRG-15), see [`HandOver`](crate::HandOver).
    Socket {
        /// The app's own name for it.
        id: String,
    },
    /// A message or the keep-alive of a connection that the node keeps (TRG-14), see
    /// [`ControlChannel`](crate::front::ControlChannel).
    ControlChannel {
        /// The app's own name for it, at most 64 characters.
        id: String,
        /// Minutes of the server's keep-alive, 15 to 1,439.
        keep_alive_minutes: u32,
        /// A wake-capable network card keeps it; a device has few.
        hardware: bool,
    },
    /// A raw push for the app (PSH-11).
    Push,
    /// The app's own request while it is in the foreground (TRGD-20 to 24), see
    /// [`Front::request_run`](crate::front::Front::request_run).
    Application,
    /// As an application trigger, for the processing of media (TRG-17).
    Media,
    /// A long use of a device, see [`Front::request_device`](crate::front::Front::request_device). It takes no conditions
    /// (TRGD-28).
    DeviceUse,
    /// Critical work on a device, see [`Front::request_servicing`](crate::front::Front::request_servicing). It takes no
    /// conditions (TRGD-28).
    DeviceServicing,
}

impl Trigger {
    /// A run every so many minutes.
    pub const fn every(minutes: u32) -> Self {
        Self::Timer {
            minutes,
            one_shot: false,
        }
    }

    /// One run after so many minutes.
    pub const fn once_after(minutes: u32) -> Self {
        Self::Timer {
            minutes,
            one_shot: true,
        }
    }

    /// A run at each such event.
    pub const fn on(event: SystemEvent) -> Self {
        Self::System {
            event,
            one_shot: false,
        }
    }

    /// One run, at the next such event.
    pub const fn once_on(event: SystemEvent) -> Self {
        Self::System {
            event,
            one_shot: true,
        }
    }
}

/// A system event that tasks can be registered for (rule book, table 2a).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemEvent {
    /// A text message came in.
    SmsReceived,
    /// Somebody came.
    UserPresent,
    /// Everybody left.
    UserAway,
    /// The network or its cost changed.
    NetworkStateChange,
    /// The transport of a control channel of the app is gone (TRG-08).
    ControlChannelReset,
    /// The Internet became available.
    InternetAvailable,
    /// The user's session became connected.
    SessionConnected,
    /// The app was updated.
    ServicingComplete,
    /// The app was chosen for the lock screen.
    LockScreenApplicationAdded,
    /// It was taken off the lock screen.
    LockScreenApplicationRemoved,
    /// The time zone, or its distance from UTC, changed.
    TimeZoneChange,
    /// The identity that the device is enrolled with changed.
    OnlineIdConnectedStateChange,
    /// Background work costs more or less than before.
    BackgroundWorkCostChange,
    /// Power came or went.
    PowerStateChange,
}

impl SystemEvent {
    /// Every one.
    pub(crate) const ALL: [Self; 14] = [
        Self::SmsReceived,
        Self::UserPresent,
        Self::UserAway,
        Self::NetworkStateChange,
        Self::ControlChannelReset,
        Self::InternetAvailable,
        Self::SessionConnected,
        Self::ServicingComplete,
        Self::LockScreenApplicationAdded,
        Self::LockScreenApplicationRemoved,
        Self::TimeZoneChange,
        Self::OnlineIdConnectedStateChange,
        Self::BackgroundWorkCostChange,
        Self::PowerStateChange,
    ];

    /// Its name on a device, as in what an agent is told: `user-away`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SmsReceived => "sms-received",
            Self::UserPresent => "user-present",
            Self::UserAway => "user-away",
            Self::NetworkStateChange => "network-state-change",
            Self::ControlChannelReset => "control-channel-reset",
            Self::InternetAvailable => "internet-available",
            Self::SessionConnected => "session-connected",
            Self::ServicingComplete => "servicing-complete",
            Self::LockScreenApplicationAdded => "lock-screen-application-added",
            Self::LockScreenApplicationRemoved => "lock-screen-application-removed",
            Self::TimeZoneChange => "time-zone-change",
            Self::OnlineIdConnectedStateChange => "online-id-connected-state-change",
            Self::BackgroundWorkCostChange => "background-work-cost-change",
            Self::PowerStateChange => "power-state-change",
        }
    }
}

/// What fired a run, as its agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FiredBy {
    /// A timer.
    Timer,
    /// A system event.
    System(SystemEvent),
    /// A raw push.
    Push,
    /// The app itself.
    Application,
    /// The app itself, to process media.
    Media,
    /// The app itself, to use a device.
    DeviceUse,
    /// The app itself, to service a device.
    DeviceServicing,
    /// A timer that runs on external power only.
    Maintenance,
    /// Files changed.
    Files,
    /// A device arrived or left.
    Devices,
    /// A signal of the system bus.
    Bus,
    /// A socket that the node held.
    Socket,
    /// A control channel.
    ControlChannel,
    /// The app's schedule: every half hour or so.
    Periodic,
    /// The app's schedule: long work while nobody is there.
    ResourceIntensive,
    /// A trigger of a newer node, by its name there.
    Unrecognised(String),
}

impl FiredBy {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "timer" => Self::Timer,
            "push" => Self::Push,
            "application" => Self::Application,
            "media" => Self::Media,
            "device-use" => Self::DeviceUse,
            "device-servicing" => Self::DeviceServicing,
            "maintenance" => Self::Maintenance,
            "files" => Self::Files,
            "device-watcher" => Self::Devices,
            "bus" => Self::Bus,
            "socket" => Self::Socket,
            "control-channel" => Self::ControlChannel,
            "periodic" => Self::Periodic,
            "resource-intensive" => Self::ResourceIntensive,
            other => Self::system(other).unwrap_or_else(|| Self::Unrecognised(other.to_owned())),
        }
    }

    fn system(name: &str) -> Option<Self> {
        let name = name.strip_prefix("system:")?;
        let mut all = SystemEvent::ALL.into_iter();
        all.find(|event| event.name() == name).map(Self::System)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_known_by_the_name_its_agent_gets() {
        let internet = FiredBy::System(SystemEvent::InternetAvailable);
        assert_eq!(FiredBy::named("system:internet-available"), internet);
        assert_eq!(FiredBy::named("push"), FiredBy::Push);
        for event in SystemEvent::ALL {
            let name = format!("system:{}", event.name());
            assert_eq!(FiredBy::named(&name), FiredBy::System(event));
        }
        let later = FiredBy::Unrecognised("system:tides".to_owned());
        assert_eq!(FiredBy::named("system:tides"), later);
        let newer = FiredBy::Unrecognised("tides".to_owned());
        assert_eq!(FiredBy::named("tides"), newer);
    }
}
