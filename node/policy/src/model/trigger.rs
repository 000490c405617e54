//! Triggers: what fires a registration (rule book, 2).

use serde::{Deserialize, Serialize};

use crate::Subject;

/// System events that fire a task, with the rule book's numbers (TRG-01 to TRG-11, TRG-30 to TRG-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemEvent {
    /// 1: a text message came in (TRG-04).
    SmsReceived,
    /// 2: the user becomes present (TRG-06).
    UserPresent,
    /// 3: the user becomes absent (TRG-07).
    UserAway,
    /// 4: the network, its cost or its reach changes (TRG-02).
    NetworkStateChange,
    /// 5: a control channel was reset (TRG-08).
    ControlChannelReset,
    /// 6: the Internet becomes available: an edge (TRG-01).
    InternetAvailable,
    /// 7: the user's session is connected (TRG-09).
    SessionConnected,
    /// 8: the system has finished updating the app (TRG-30).
    ServicingComplete,
    /// 9: the app was chosen for the lock screen (TRG-10).
    LockScreenApplicationAdded,
    /// 10: it no longer is (TRG-11).
    LockScreenApplicationRemoved,
    /// 11: the zone or its distance from UTC changes (TRG-05).
    TimeZoneChange,
    /// 12: the online identity changes (TRG-03).
    OnlineIdConnectedStateChange,
    /// 13: the cost of background work changes (TRG-31).
    BackgroundWorkCostChange,
    /// 14: the battery's state changes (TRG-32).
    PowerStateChange,
}

impl SystemEvent {
    /// Every event.
    pub const ALL: [Self; 14] = [
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

    /// The rule book's number.
    pub const fn number(self) -> u8 {
        match self {
            Self::SmsReceived => 1,
            Self::UserPresent => 2,
            Self::UserAway => 3,
            Self::NetworkStateChange => 4,
            Self::ControlChannelReset => 5,
            Self::InternetAvailable => 6,
            Self::SessionConnected => 7,
            Self::ServicingComplete => 8,
            Self::LockScreenApplicationAdded => 9,
            Self::LockScreenApplicationRemoved => 10,
            Self::TimeZoneChange => 11,
            Self::OnlineIdConnectedStateChange => 12,
            Self::BackgroundWorkCostChange => 13,
            Self::PowerStateChange => 14,
        }
    }

    /// Its name in files and timelines.
    pub const fn word(self) -> &'static str {
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

/// Where a control channel is kept (TRGD-12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// 0: works while the device is awake.
    #[default]
    Software,
    /// 1: a wake-capable network card keeps it; counted per device.
    Hardware,
}

/// The two kinds of scheduled tasks (ACC-41).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduledKind {
    /// Every half an hour or so (section 6).
    Periodic,
    /// While the device is powered, idle and on a free network (section 7).
    ResourceIntensive,
}

impl ScheduledKind {
    /// Its name as a task.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Periodic => "periodic",
            Self::ResourceIntensive => "resource-intensive",
        }
    }

    /// The trigger that stands for its schedule.
    pub const fn trigger(self) -> Trigger {
        match self {
            Self::Periodic => Trigger::Periodic,
            Self::ResourceIntensive => Trigger::ResourceIntensive,
        }
    }
}

/// What fires a registration. Exactly one each (ACC-22).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trigger {
    /// After so many minutes, once or again and again (TRG-12).
    Timer {
        /// Minutes, 15 to 43,199.
        minutes: u32,
        /// Spent at its first start (AMB-35).
        one_shot: bool,
    },
    /// As a timer, but only on external power (TRG-20).
    Maintenance {
        /// Minutes, 15 to 43,199.
        minutes: u32,
        /// Spent at its first start (AMB-35).
        one_shot: bool,
    },
    /// A system event (TRGC-02).
    System {
        /// Which.
        event: SystemEvent,
        /// Spent at its first start (AMB-35).
        one_shot: bool,
    },
    /// A raw push for the app (TRG-13).
    Push,
    /// A message or keep-alive of a connection that the node keeps (TRG-14).
    ControlChannel {
        /// The channel, at most 64 characters (TRGD-12).
        id: Subject,
        /// Server keep-alive in minutes, 15 to 1,439 (TRGD-12).
        keep_alive_minutes: u32,
        /// Where it is kept.
        #[serde(default)]
        slot: Slot,
    },
    /// Traffic on a socket handed to the broker (TRG-15).
    Socket {
        /// The socket.
        id: Subject,
    },
    /// The app asks for it from the foreground (TRG-16).
    Application,
    /// The app asks for a media job (TRG-17).
    Media,
    /// The app asks for a long use of a device (TRG-18).
    DeviceUse,
    /// The app asks for critical work on a device (TRG-19).
    DeviceServicing,
    /// A device that matches arrives or leaves (TRG-46).
    DeviceWatcher {
        /// The device, or the beginning of its name before a final `*`.
        pattern: Subject,
    },
    /// Something below a path changes (TRG-48).
    Files {
        /// The path.
        path: Subject,
    },
    /// A maker-defined event of the bus, named in policy (TRG-47).
    Bus {
        /// Its name.
        event: Subject,
    },
    /// A trigger whose name the rule book reserves: refused, never accepted in silence (rule book 0a).
    Reserved {
        /// Its name; see [`RESERVED_TRIGGERS`].
        name: Subject,
    },
    /// The schedule of a periodic agent (TRG-21); made by [`Request::AddScheduled`](crate::Request::AddScheduled).
    Periodic,
    /// The schedule of a resource-intensive agent (TRG-22); made likewise.
    ResourceIntensive,
    /// The update of the app (TRG-35); declared, never registered.
    UpdateTask,
}

/// Triggers that are known by name and left out (rule book 0a: TRG-36 to 45, 49 to 57).
pub const RESERVED_TRIGGERS: [&str; 43] = [
    "location",
    "geovisit",
    "activity-sensor",
    "sensor-data-threshold",
    "toast-notification-action",
    "toast-notification-history-changed",
    "user-notification-changed",
    "content-prefetch",
    "cached-file-updater",
    "device-connection-change",
    "smart-card",
    "sms-message-received",
    "phone",
    "network-operator-notification",
    "network-operator-data-usage",
    "network-operator-hotspot-authentication",
    "data-usage",
    "hotspot-authentication",
    "mobile-broadband-registration-state-change",
    "mobile-broadband-radio-state-change",
    "mobile-broadband-pin-lock-state-change",
    "mobile-broadband-device-service-notification",
    "mobile-broadband-pco-data-change",
    "mobile-broadband",
    "bluetooth-le-advertisement-watcher",
    "bluetooth-le-advertisement-publisher",
    "bluetooth-le",
    "rfcomm-connection",
    "gatt-characteristic-notification",
    "gatt-service-provider",
    "appointment-store",
    "contact-store",
    "email-store",
    "chat-message",
    "tethering-entitlement-check",
    "wifi-on-demand-hotspot-connect",
    "wifi-on-demand-hotspot-update-metadata",
    "payment-app-can-make-payment",
    "conversational-agent",
    "app-broadcast",
    "secondary-authentication-factor",
    "iot-startup",
    "voip-call",
];

/// System events that are known by name and left out (rule book 0a: TRG-33).
pub const RESERVED_EVENTS: [&str; 1] = ["default-sign-in-account-change"];

/// A trigger without its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TriggerKind {
    /// See [`Trigger::Timer`].
    Timer,
    /// See [`Trigger::Maintenance`].
    Maintenance,
    /// See [`Trigger::System`].
    System(SystemEvent),
    /// See [`Trigger::Push`].
    Push,
    /// See [`Trigger::ControlChannel`].
    ControlChannel,
    /// See [`Trigger::Socket`].
    Socket,
    /// See [`Trigger::Application`].
    Application,
    /// See [`Trigger::Media`].
    Media,
    /// See [`Trigger::DeviceUse`].
    DeviceUse,
    /// See [`Trigger::DeviceServicing`].
    DeviceServicing,
    /// See [`Trigger::DeviceWatcher`].
    DeviceWatcher,
    /// See [`Trigger::Files`].
    Files,
    /// See [`Trigger::Bus`].
    Bus,
    /// See [`Trigger::Reserved`].
    Reserved,
    /// See [`Trigger::Periodic`].
    Periodic,
    /// See [`Trigger::ResourceIntensive`].
    ResourceIntensive,
    /// See [`Trigger::UpdateTask`].
    UpdateTask,
}

impl TriggerKind {
    /// Its name in timelines; a system event's own.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Maintenance => "maintenance",
            Self::System(event) => event.word(),
            Self::Push => "push",
            Self::ControlChannel => "control-channel",
            Self::Socket => "socket",
            Self::Application => "application",
            Self::Media => "media",
            Self::DeviceUse => "device-use",
            Self::DeviceServicing => "device-servicing",
            Self::DeviceWatcher => "device-watcher",
            Self::Files => "files",
            Self::Bus => "bus",
            Self::Reserved => "reserved",
            Self::Periodic => "periodic",
            Self::ResourceIntensive => "resource-intensive",
            Self::UpdateTask => "update-task",
        }
    }

    /// The kind of scheduled task it stands for, if it does.
    pub const fn scheduled(self) -> Option<ScheduledKind> {
        match self {
            Self::Periodic => Some(ScheduledKind::Periodic),
            Self::ResourceIntensive => Some(ScheduledKind::ResourceIntensive),
            Self::Timer
            | Self::Maintenance
            | Self::System(_)
            | Self::Push
            | Self::ControlChannel
            | Self::Socket
            | Self::Application
            | Self::Media
            | Self::DeviceUse
            | Self::DeviceServicing
            | Self::DeviceWatcher
            | Self::Files
            | Self::Bus
            | Self::Reserved
            | Self::UpdateTask => None,
        }
    }

    /// Whether it follows the rules of scheduled agents rather than those of trigger tasks.
    pub const fn is_scheduled(self) -> bool {
        self.scheduled().is_some()
    }

    /// Whether what its runs use counts against their app's quotas (RES-13, RES-14), where there are any.
    pub const fn is_rationed(self) -> bool {
        !self.is_critical() && !self.is_scheduled()
    }

    /// RES-16, RES-17: control-channel and push tasks are critical, by their trigger alone.
    pub const fn is_critical(self) -> bool {
        match self {
            Self::Push | Self::ControlChannel => true,
            Self::Timer
            | Self::Maintenance
            | Self::System(_)
            | Self::Socket
            | Self::Application
            | Self::Media
            | Self::DeviceUse
            | Self::DeviceServicing
            | Self::DeviceWatcher
            | Self::Files
            | Self::Bus
            | Self::Reserved
            | Self::Periodic
            | Self::ResourceIntensive
            | Self::UpdateTask => false,
        }
    }
}

impl Trigger {
    /// The trigger without its arguments.
    pub const fn kind(&self) -> TriggerKind {
        match self {
            Self::Timer { .. } => TriggerKind::Timer,
            Self::Maintenance { .. } => TriggerKind::Maintenance,
            Self::System { event, .. } => TriggerKind::System(*event),
            Self::Push => TriggerKind::Push,
            Self::ControlChannel { .. } => TriggerKind::ControlChannel,
            Self::Socket { .. } => TriggerKind::Socket,
            Self::Application => TriggerKind::Application,
            Self::Media => TriggerKind::Media,
            Self::DeviceUse => TriggerKind::DeviceUse,
            Self::DeviceServicing => TriggerKind::DeviceServicing,
            Self::DeviceWatcher { .. } => TriggerKind::DeviceWatcher,
            Self::Files { .. } => TriggerKind::Files,
            Self::Bus { .. } => TriggerKind::Bus,
            Self::Reserved { .. } => TriggerKind::Reserved,
            Self::Periodic => TriggerKind::Periodic,
            Self::ResourceIntensive => TriggerKind::ResourceIntensive,
            Self::UpdateTask => TriggerKind::UpdateTask,
        }
    }
}
