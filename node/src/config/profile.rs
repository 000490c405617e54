//! `[profile]`: what to take for readings that have no source (AMB-23).

use lull_policy::{Level, Network, PerMille, Session};

use super::document::{DocumentError, Refused, Section};
use super::policy::charge;

/// The readings that can be assumed.
pub(super) const KEYS: [&str; 7] = [
    "internet",
    "network",
    "external_power",
    "battery",
    "battery_saver",
    "session",
    "user_present",
];

/// The values, where the profile has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assumed {
    /// The Internet can be reached.
    pub internet: Option<bool>,
    /// What carries the default route.
    pub network: Option<Network>,
    /// External power is connected.
    pub external_power: Option<bool>,
    /// Charge of the system battery.
    pub battery: Option<PerMille>,
    /// Battery Saver is enabled.
    pub battery_saver: Option<bool>,
    /// The user's session.
    pub session: Option<Session>,
    /// The user is present.
    pub user_present: Option<bool>,
}

impl Assumed {
    pub(super) fn read(section: &Section<'_>) -> Result<Self, DocumentError> {
        let expected = "a charge in quotes, from \"0 %\" to \"100 %\"";
        Ok(Self {
            internet: section.flag("internet")?,
            network: section.word(
                "network",
                &[
                    ("none", Network::None),
                    ("wifi", Network::Wifi),
                    ("ethernet", Network::Ethernet),
                    ("cellular", Network::Cellular),
                ],
            )?,
            external_power: section.flag("external_power")?,
            battery: section.value("battery", expected, |value| {
                let text = value.as_str().ok_or(Refused::Type)?;
                charge(text).ok_or(Refused::Value)
            })?,
            battery_saver: section.flag("battery_saver")?,
            session: section.word(
                "session",
                &[
                    ("connected", Session::Connected),
                    ("disconnected", Session::Disconnected),
                    ("none", Session::None),
                ],
            )?,
            user_present: section.flag("user_present")?,
        })
    }

    /// The level of a reading that has no source.
    pub fn level<T>(value: Option<T>) -> Level<T> {
        value.map_or(Level::Unknown, Level::Assumed)
    }
}
