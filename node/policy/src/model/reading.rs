//! What watchers report: levels, never edges. `Unknown` when a source is down or absent.

use serde::{Deserialize, Serialize};

use crate::PerMille;

/// A level, or the fact that nobody can tell it now.
///
/// `Unknown` satisfies no condition and ends no run by itself (rule book, 0a).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level<T> {
    /// The source is down, absent, or has not reported yet.
    #[default]
    Unknown,
    /// The source says so.
    Known(T),
    /// No source exists; the device profile declares this value (AMB-23) and it is shown as assumed.
    Assumed(T),
}

impl<T: Copy + PartialEq> Level<T> {
    /// The value, whether read or assumed.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Unknown => None,
            Self::Known(value) | Self::Assumed(value) => Some(value),
        }
    }
    /// Whether the level is known and equals `value`.
    pub fn is(self, value: T) -> bool {
        self.value() == Some(value)
    }
}

/// What carries the default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// No default route.
    None,
    /// Wi-Fi.
    Wifi,
    /// A cable, or a connection through a PC.
    Ethernet,
    /// A mobile network.
    Cellular,
}

/// The user's session on this device's seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Session {
    /// Logged on and active.
    Connected,
    /// Logged on, but switched away or its remote side dropped.
    Disconnected,
    /// Nobody is logged on.
    None,
}

/// One reading. A watcher sends all that changed together as one [`Event::Readings`](crate::Event::Readings).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reading {
    /// External power is connected; a device without battery counts as powered (AMB-23).
    ExternalPower(Level<bool>),
    /// Charge of the system battery.
    Battery(Level<PerMille>),
    /// Battery Saver is enabled (RES-09).
    BatterySaver(Level<bool>),
    /// What carries the default route.
    Network(Level<Network>),
    /// The Internet can be reached (CND-22).
    Internet(Level<bool>),
    /// The user's session (CND-24, CND-25).
    Session(Level<Session>),
    /// The user is present (CND-20, CND-21).
    UserPresent(Level<bool>),
}

/// The last level of every reading. All `Unknown` before the first report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Readings {
    /// See [`Reading::ExternalPower`].
    pub external_power: Level<bool>,
    /// See [`Reading::Battery`].
    pub battery: Level<PerMille>,
    /// See [`Reading::BatterySaver`].
    pub battery_saver: Level<bool>,
    /// See [`Reading::Network`].
    pub network: Level<Network>,
    /// See [`Reading::Internet`].
    pub internet: Level<bool>,
    /// See [`Reading::Session`].
    pub session: Level<Session>,
    /// See [`Reading::UserPresent`].
    pub user_present: Level<bool>,
}

/// A source of readings that the host starts with the first interest and stops with the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// External power, battery, Battery Saver.
    Power,
    /// Network and Internet.
    Network,
    /// Session and user presence.
    Session,
}
