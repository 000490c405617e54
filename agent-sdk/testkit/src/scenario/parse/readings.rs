//! `[readings]`, `set` and `profile.assume`: levels by their names.

use lull_document::{DocumentError, Refused, Section, percent_of, word};
use lull_policy::{Call, Level, Network, PerMille, Reading, Readings, Session};

use super::words::{CALLS, NETWORKS, SESSIONS};
use super::{BY_HAND, ZONE, zone};
use crate::scenario::{SetStep, ZoneReading};

pub(super) const READING_KEYS: [&str; 14] = [
    "external_power",
    "battery",
    "battery_saver",
    "saver_manual",
    "network",
    "internet",
    "metered",
    "session",
    "user_present",
    "screen_locked",
    "screen_on",
    "call",
    "standby",
    "cpu_pressure",
];

pub(super) const SET_KEYS: [&str; 15] = [
    "external_power",
    "battery",
    "battery_saver",
    "saver_manual",
    "network",
    "internet",
    "metered",
    "session",
    "user_present",
    "screen_locked",
    "screen_on",
    "call",
    "standby",
    "cpu_pressure",
    "zone",
];

/// Who says a level: that decides whether it may be unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    /// A watcher.
    Reported,
    /// The operator, for want of a watcher (AMB-23).
    Assumed,
}

/// What the watchers report at T+0.
pub(super) fn at_start(root: &Section<'_>, has_modem: bool) -> Result<Readings, DocumentError> {
    let mut readings = defaults();
    let Some(section) = root.section("readings", &READING_KEYS)? else {
        return Ok(readings);
    };
    let said = levels(&section, Said::Reported)?;
    modem(&section, &said, has_modem)?;
    for reading in said {
        readings.put(reading);
    }
    if readings.saver_manual.is(true) && readings.battery_saver == Level::Known(false) {
        return Err(section.error("saver_manual", BY_HAND));
    }
    Ok(readings)
}

/// A healthy device on the mains that somebody sits at.
fn defaults() -> Readings {
    Readings {
        external_power: Level::Known(true),
        battery: Level::Known(PerMille::percent(100)),
        battery_saver: Level::Known(false),
        saver_manual: Level::Known(false),
        network: Level::Known(Network::Wifi),
        internet: Level::Known(true),
        metered: Level::Known(false),
        session: Level::Known(Session::Connected),
        user_present: Level::Known(true),
        screen_locked: Level::Known(false),
        screen_on: Level::Known(true),
        standby: Level::Known(false),
        call: Level::Known(Call::None),
        zone: Level::Unknown,
        cpu_pressure: Level::Known(PerMille::new(0)),
    }
}

/// A step's `set`.
pub(super) fn set(step: &Section<'_>, has_modem: bool) -> Result<SetStep, DocumentError> {
    let Some(section) = step.section("set", &SET_KEYS)? else {
        return Err(step.missing("set", "a table of readings"));
    };
    let readings = levels(&section, Said::Reported)?;
    modem(&section, &readings, has_modem)?;
    let zone = section.parsed("zone", &format!("{ZONE}, or \"unknown\""), |text| {
        if text == "unknown" {
            return Ok(ZoneReading::Unknown);
        }
        zone(text).map(ZoneReading::Known)
    })?;
    Ok(SetStep { readings, zone })
}

/// What the operator assumes.
pub(super) fn assumed(section: &Section<'_>) -> Result<Vec<Reading>, DocumentError> {
    levels(section, Said::Assumed)
}

/// A device without a modem has no calls and no mobile network.
fn modem(
    section: &Section<'_>,
    readings: &[Reading],
    has_modem: bool,
) -> Result<(), DocumentError> {
    if has_modem {
        return Ok(());
    }
    for reading in readings {
        let (key, valid) = match reading {
            Reading::Call(Level::Known(Call::Ringing | Call::Active)) => ("call", "\"none\""),
            Reading::Network(Level::Known(Network::Cellular)) => {
                ("network", "\"none\", \"wifi\" or \"ethernet\"")
            }
            _ => continue,
        };
        let problem = format!("needs a modem, and profile.has_modem is false; write {valid}");
        return Err(section.error(key, problem));
    }
    Ok(())
}

/// The levels of a table, in the order of its keys here.
fn levels(section: &Section<'_>, said: Said) -> Result<Vec<Reading>, DocumentError> {
    let flag = |key| flag(section, key, said);
    let share = |key| share(section, key, said);
    let all = [
        flag("external_power")?.map(Reading::ExternalPower),
        share("battery")?.map(Reading::Battery),
        flag("battery_saver")?.map(Reading::BatterySaver),
        flag("saver_manual")?.map(Reading::SaverManual),
        choice(section, "network", &NETWORKS, said)?.map(Reading::Network),
        flag("internet")?.map(Reading::Internet),
        flag("metered")?.map(Reading::Metered),
        choice(section, "session", &SESSIONS, said)?.map(Reading::Session),
        flag("user_present")?.map(Reading::UserPresent),
        flag("screen_locked")?.map(Reading::ScreenLocked),
        flag("screen_on")?.map(Reading::ScreenOn),
        flag("standby")?.map(Reading::Standby),
        choice(section, "call", &CALLS, said)?.map(Reading::Call),
        share("cpu_pressure")?.map(Reading::CpuPressure),
    ];
    Ok(all.into_iter().flatten().collect())
}

impl Said {
    /// The level of a value, where it is one; "unknown" is the watcher's word alone.
    fn level<T>(self, value: Level<T>) -> Result<Level<T>, Refused> {
        match (self, value) {
            (Self::Assumed, Level::Unknown) => Err(Refused::Because(
                "\"unknown\" cannot be assumed; leave the reading out".to_owned(),
            )),
            (Self::Assumed, Level::Known(value) | Level::Assumed(value)) => {
                Ok(Level::Assumed(value))
            }
            (Self::Reported, level) => Ok(level),
        }
    }
}

fn flag(
    section: &Section<'_>,
    key: &'static str,
    said: Said,
) -> Result<Option<Level<bool>>, DocumentError> {
    section.value(key, "true, false or \"unknown\"", |value| {
        match (value.as_bool(), value.as_str()) {
            (Some(flag), _) => said.level(Level::Known(flag)),
            (None, Some("unknown")) => said.level(Level::Unknown),
            (None, _) => Err(Refused::Type),
        }
    })
}

fn share(
    section: &Section<'_>,
    key: &'static str,
    said: Said,
) -> Result<Option<Level<PerMille>>, DocumentError> {
    let expected = "a number of percent from 0 to 100, or \"unknown\"";
    section.value(key, expected, |value| match value.as_str() {
        Some("unknown") => said.level(Level::Unknown),
        _ => said.level(Level::Known(percent_of(value)?)),
    })
}

fn choice<T: Copy>(
    section: &Section<'_>,
    key: &'static str,
    words: &[(&'static str, Level<T>)],
    said: Said,
) -> Result<Option<Level<T>>, DocumentError> {
    let known: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
    section.value(key, &format!("one of {}", known.join(", ")), |value| {
        said.level(word(value.as_str().ok_or(Refused::Type)?, words)?)
    })
}
