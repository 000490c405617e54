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

/// What carries the default route (AMB-29).
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

/// A telephone call (INT-06, AMB-24).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// No call.
    None,
    /// One comes in and is not answered yet.
    Ringing,
    /// Dialling, under way, held or waiting.
    Active,
}

/// The time zone in force: its name and its present distance from UTC (TRG-05, AMB-40).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// A number that the host gives each zone name: equal for equal names.
    pub name: u64,
    /// Seconds east of UTC, daylight saving included.
    pub offset: i32,
}

impl Zone {
    /// The zone of a name, so many seconds east of UTC now. Equal names are equal numbers, on every device and in every recording
    /// (FNV-1a, 64 bits).
    pub fn named(name: &str, offset: i32) -> Self {
        let number = name.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
        });
        Self {
            name: number,
            offset,
        }
    }
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
    /// The user switched Battery Saver on by hand (AMB-05).
    SaverManual(Level<bool>),
    /// What carries the default route.
    Network(Level<Network>),
    /// The Internet can be reached (CND-22).
    Internet(Level<bool>),
    /// What carries the default route is paid for by use (CND-26).
    Metered(Level<bool>),
    /// The user's session (CND-24, CND-25).
    Session(Level<Session>),
    /// The user is present (CND-20, CND-21).
    UserPresent(Level<bool>),
    /// The screen is locked (INT-05).
    ScreenLocked(Level<bool>),
    /// The screen is on (RES-20, PSH-20).
    ScreenOn(Level<bool>),
    /// The device is in standby: awake, but nobody sees it (RUN-31, AMB-42).
    Standby(Level<bool>),
    /// A telephone call (INT-06).
    Call(Level<Call>),
    /// The time zone in force (TRG-05).
    Zone(Level<Zone>),
    /// Share of time in which something waited for a CPU (INT-14).
    CpuPressure(Level<PerMille>),
}

/// The last level of every reading. All `Unknown` before the first report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Readings {
    /// See [`Reading::ExternalPower`].
    pub external_power: Level<bool>,
    /// See [`Reading::Battery`].
    pub battery: Level<PerMille>,
    /// See [`Reading::BatterySaver`].
    pub battery_saver: Level<bool>,
    /// See [`Reading::SaverManual`].
    pub saver_manual: Level<bool>,
    /// See [`Reading::Network`].
    pub network: Level<Network>,
    /// See [`Reading::Internet`].
    pub internet: Level<bool>,
    /// See [`Reading::Metered`].
    pub metered: Level<bool>,
    /// See [`Reading::Session`].
    pub session: Level<Session>,
    /// See [`Reading::UserPresent`].
    pub user_present: Level<bool>,
    /// See [`Reading::ScreenLocked`].
    pub screen_locked: Level<bool>,
    /// See [`Reading::ScreenOn`].
    pub screen_on: Level<bool>,
    /// See [`Reading::Standby`].
    pub standby: Level<bool>,
    /// See [`Reading::Call`].
    pub call: Level<Call>,
    /// See [`Reading::Zone`].
    pub zone: Level<Zone>,
    /// See [`Reading::CpuPressure`].
    pub cpu_pressure: Level<PerMille>,
}

impl Readings {
    /// Puts one reading in its place.
    pub fn put(&mut self, reading: Reading) {
        match reading {
            Reading::ExternalPower(level) => self.external_power = level,
            Reading::Battery(level) => self.battery = level,
            Reading::BatterySaver(level) => self.battery_saver = level,
            Reading::SaverManual(level) => self.saver_manual = level,
            Reading::Network(level) => self.network = level,
            Reading::Internet(level) => self.internet = level,
            Reading::Metered(level) => self.metered = level,
            Reading::Session(level) => self.session = level,
            Reading::UserPresent(level) => self.user_present = level,
            Reading::ScreenLocked(level) => self.screen_locked = level,
            Reading::ScreenOn(level) => self.screen_on = level,
            Reading::Standby(level) => self.standby = level,
            Reading::Call(level) => self.call = level,
            Reading::Zone(level) => self.zone = level,
            Reading::CpuPressure(level) => self.cpu_pressure = level,
        }
    }

    /// The readings of one source, as its watcher reports them.
    pub fn of(&self, source: Source) -> Vec<Reading> {
        match source {
            Source::Power => vec![
                Reading::ExternalPower(self.external_power),
                Reading::Battery(self.battery),
                Reading::BatterySaver(self.battery_saver),
                Reading::SaverManual(self.saver_manual),
            ],
            Source::Network => vec![
                Reading::Network(self.network),
                Reading::Internet(self.internet),
                Reading::Metered(self.metered),
            ],
            Source::Session => vec![
                Reading::Session(self.session),
                Reading::UserPresent(self.user_present),
            ],
            Source::Screen => vec![
                Reading::ScreenLocked(self.screen_locked),
                Reading::ScreenOn(self.screen_on),
                Reading::Standby(self.standby),
            ],
            Source::Telephony => vec![Reading::Call(self.call)],
            Source::Zone => vec![Reading::Zone(self.zone)],
            Source::Pressure => vec![Reading::CpuPressure(self.cpu_pressure)],
        }
    }

    /// Every reading of a source becomes unknown.
    pub fn forget(&mut self, source: Source) {
        for reading in Self::default().of(source) {
            self.put(reading);
        }
    }
}

impl Reading {
    /// Who reports it.
    pub const fn source(self) -> Source {
        match self {
            Self::ExternalPower(_)
            | Self::Battery(_)
            | Self::BatterySaver(_)
            | Self::SaverManual(_) => Source::Power,
            Self::Network(_) | Self::Internet(_) | Self::Metered(_) => Source::Network,
            Self::Session(_) | Self::UserPresent(_) => Source::Session,
            Self::ScreenLocked(_) | Self::ScreenOn(_) | Self::Standby(_) => Source::Screen,
            Self::Call(_) => Source::Telephony,
            Self::Zone(_) => Source::Zone,
            Self::CpuPressure(_) => Source::Pressure,
        }
    }
}

/// A source of readings that the host starts with the first interest and stops with the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// External power, battery, Battery Saver.
    Power,
    /// Network, Internet, cost.
    Network,
    /// Session and user presence.
    Session,
    /// Lock, screen and standby.
    Screen,
    /// Calls.
    Telephony,
    /// The time zone.
    Zone,
    /// CPU pressure.
    Pressure,
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 7] = [
        Self::Power,
        Self::Network,
        Self::Session,
        Self::Screen,
        Self::Telephony,
        Self::Zone,
        Self::Pressure,
    ];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_names_are_equal_numbers() {
        assert_eq!(Zone::named("", 0).name, 0xCBF2_9CE4_8422_2325);
        assert_eq!(Zone::named("a", 0).name, 0xAF63_DC4C_8601_EC8C);
        let (berlin, paris) = (
            Zone::named("Europe/Berlin", 0),
            Zone::named("Europe/Paris", 0),
        );
        assert_ne!(berlin, paris);
    }
}
