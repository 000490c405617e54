//! What a reading is about, and how its level is said to people.

use crate::{Level, PerMille, Reading, Readings, Source};

/// What a reading is about; one per field of [`Readings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    ExternalPower,
    Battery,
    BatterySaver,
    SaverManual,
    Network,
    Internet,
    Metered,
    Session,
    UserPresent,
    ScreenLocked,
    ScreenOn,
    Standby,
    Call,
    Zone,
    CpuPressure,
}

impl Quantity {
    /// What a reading is about.
    pub(crate) const fn of(reading: Reading) -> Self {
        match reading {
            Reading::ExternalPower(_) => Self::ExternalPower,
            Reading::Battery(_) => Self::Battery,
            Reading::BatterySaver(_) => Self::BatterySaver,
            Reading::SaverManual(_) => Self::SaverManual,
            Reading::Network(_) => Self::Network,
            Reading::Internet(_) => Self::Internet,
            Reading::Metered(_) => Self::Metered,
            Reading::Session(_) => Self::Session,
            Reading::UserPresent(_) => Self::UserPresent,
            Reading::ScreenLocked(_) => Self::ScreenLocked,
            Reading::ScreenOn(_) => Self::ScreenOn,
            Reading::Standby(_) => Self::Standby,
            Reading::Call(_) => Self::Call,
            Reading::Zone(_) => Self::Zone,
            Reading::CpuPressure(_) => Self::CpuPressure,
        }
    }

    /// Who reports it.
    pub(crate) const fn source(self) -> Source {
        match self {
            Self::ExternalPower | Self::Battery | Self::BatterySaver | Self::SaverManual => {
                Source::Power
            }
            Self::Network | Self::Internet | Self::Metered => Source::Network,
            Self::Session | Self::UserPresent => Source::Session,
            Self::ScreenLocked | Self::ScreenOn | Self::Standby => Source::Screen,
            Self::Call => Source::Telephony,
            Self::Zone => Source::Zone,
            Self::CpuPressure => Source::Pressure,
        }
    }

    /// What it reads now, for people.
    pub(crate) fn words(self, readings: &Readings) -> String {
        let r = readings;
        match self {
            Self::ExternalPower => either(
                "external power",
                r.external_power,
                "connected",
                "not connected",
            ),
            Self::Battery => sentence("the battery", r.battery, percent),
            Self::BatterySaver => either("battery saver", r.battery_saver, "on", "off"),
            Self::SaverManual => either("battery saver by hand", r.saver_manual, "on", "off"),
            Self::Network => sentence("the network", r.network, |network| {
                format!("{network:?}").to_lowercase()
            }),
            Self::Internet => either("the Internet", r.internet, "available", "not available"),
            Self::Metered => either("the network", r.metered, "metered", "not metered"),
            Self::Session => sentence("the session", r.session, |session| {
                format!("{session:?}").to_lowercase()
            }),
            Self::UserPresent => either("user presence", r.user_present, "present", "away"),
            Self::ScreenLocked => either("the screen", r.screen_locked, "locked", "not locked"),
            Self::ScreenOn => either("the screen", r.screen_on, "on", "off"),
            Self::Standby => either("standby", r.standby, "on", "off"),
            Self::Call => sentence("the telephone", r.call, |call| {
                format!("{call:?}").to_lowercase()
            }),
            Self::Zone => sentence("the time zone", r.zone, |zone| {
                format!("{} s from UTC", zone.offset)
            }),
            Self::CpuPressure => sentence("CPU pressure", r.cpu_pressure, percent),
        }
    }
}

fn sentence<T>(what: &str, level: Level<T>, word: impl Fn(T) -> String) -> String {
    match level {
        Level::Unknown => format!("{what} reads unknown"),
        Level::Known(value) => format!("{what} reads {}", word(value)),
        Level::Assumed(value) => format!("{what} is assumed to be {}", word(value)),
    }
}

fn either(what: &str, level: Level<bool>, yes: &str, no: &str) -> String {
    sentence(what, level, |holds| if holds { yes } else { no }.to_owned())
}

/// A share as people write it: `20 %`, `19.9 %`.
pub(crate) fn percent(share: PerMille) -> String {
    match share.as_tenths() % 10 {
        0 => format!("{} %", share.as_tenths() / 10),
        tenths => format!("{}.{tenths} %", share.as_tenths() / 10),
    }
}
