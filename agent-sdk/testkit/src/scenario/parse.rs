//! The text of a scenario file as a [`Scenario`]: every key, every word, every default, and what has to fit together.
//!
//! What a call would be refused for when it is made (a period that is too short, a name that is too long) is no fault of the
//! file: it is kept, and answered at run time. Deliberately absent: reading files from disk.

mod app;
mod behaviour;
mod call;
mod expect;
mod profile;
mod readings;
mod register;
mod step;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::path::Path;

use lull_document::{DocumentError, Origin, Place, Section, policy_figures, unknown_name};
use lull_policy::{AppId, Level, Policy, Reading, Readings, Span, TaskName, Wall};

use super::{Action, Scenario, Step, ZoneName};
use readings::SET_KEYS;

const KEYS: [&str; 11] = [
    "name", "start", "length", "zone", "seed", "profile", "policy", "readings", "app", "step",
    "expect",
];

impl Scenario {
    /// Reads a scenario from the text of a file; `path` is named in errors, nothing is opened.
    pub fn read(path: &Path, text: &str) -> Result<Self, DocumentError> {
        Origin::new(path, text).read(&KEYS, |root| scenario(path, root))
    }
}

/// What the parts of a file have to fit: the apps that it has, and the device.
#[derive(Debug)]
struct Known {
    apps: BTreeMap<AppId, Place>,
    has_modem: bool,
}

fn scenario(path: &Path, root: &Section<'_>) -> Result<Scenario, DocumentError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = root.text("name")?.unwrap_or_else(|| stem.into_owned());
    let start = start(root)?;
    let length = needed_time(root, "length")?;
    let zone = root.parsed("zone", ZONE, zone)?;
    let seed = root.whole("seed", 0..=u64::MAX)?.unwrap_or(1);
    let profile = profile::read(root)?;
    let figures = match root.section("policy", policy_figures::NAMES)? {
        Some(section) => policy_figures::read(&section)?,
        None => Vec::new(),
    };
    let mut policy = Policy::default();
    for figure in &figures {
        figure.apply(&mut policy);
    }
    let readings = readings::at_start(root, profile.has_modem)?;
    let apps = app::read(root)?;
    let known = Known {
        apps: apps
            .iter()
            .map(|app| (app.app.id.clone(), app.place))
            .collect(),
        has_modem: profile.has_modem,
    };
    let sections = root.sections("step", &step::KEYS)?;
    let steps = step::read(&sections, &known)?;
    saver_by_hand(&readings, &sections, &steps)?;
    Ok(Scenario {
        file: path.to_owned(),
        name,
        start,
        length,
        zone: match zone {
            Some(zone) => zone,
            None => self::zone("UTC").map_err(|problem| root.error("zone", problem))?,
        },
        seed,
        profile,
        policy,
        figures,
        readings,
        apps,
        steps,
        expectations: expect::read(root, &known)?,
    })
}

const ZONE: &str = "an IANA time zone in quotes, such as \"Europe/Berlin\"";

fn zone(name: &str) -> Result<ZoneName, String> {
    ZoneName::new(name).ok_or_else(|| format!("{name:?} is not {ZONE}"))
}

/// The wall clock at T+0.
fn start(root: &Section<'_>) -> Result<Wall, DocumentError> {
    let expected = "a time in quotes as RFC 3339 has it, such as \"2026-03-02T08:00:00Z\"";
    let start = root.parsed("start", expected, |text| {
        let time: Option<jiff::Timestamp> = text.parse().ok();
        let millis = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        let problem = || format!("{text:?} is not {expected}, from 1970 on");
        millis.map(Wall::from_millis).ok_or_else(problem)
    })?;
    start.ok_or_else(|| root.missing("start", expected))
}

/// AMB-05: Battery Saver is switched on by hand only where it is enabled, as the readings stand at that time.
fn saver_by_hand(
    start: &Readings,
    sections: &[Section<'_>],
    steps: &[Step],
) -> Result<(), DocumentError> {
    let mut enabled = start.battery_saver;
    let mut order: Vec<(&Step, &Section<'_>)> = steps.iter().zip(sections).collect();
    order.sort_by_key(|(step, _)| step.at);
    for (step, section) in order {
        let Action::Set(set) = &step.action else {
            continue;
        };
        let mut by_hand = false;
        for reading in &set.readings {
            match reading {
                Reading::BatterySaver(level) => enabled = *level,
                Reading::SaverManual(level) => by_hand = level.is(true),
                _ => {}
            }
        }
        if by_hand && enabled == Level::Known(false) {
            let set = section.section("set", &SET_KEYS)?;
            return Err(set
                .as_ref()
                .unwrap_or(section)
                .error("saver_manual", BY_HAND));
        }
    }
    Ok(())
}

const BY_HAND: &str = "true needs battery_saver = true, which does not hold then; set both";

/// The length of time that must be there.
fn needed_time(section: &Section<'_>, key: &'static str) -> Result<Span, DocumentError> {
    let expected = "a time such as \"25s\" or \"1h30m\"";
    section
        .time(key)?
        .ok_or_else(|| section.missing(key, expected))
}

/// A text that must be there and be a name.
fn needed<T, E: std::fmt::Display>(
    section: &Section<'_>,
    key: &'static str,
    expected: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, DocumentError> {
    let value = section.parsed(key, expected, parse)?;
    value.ok_or_else(|| section.missing(key, expected))
}

/// A word that must be there.
fn needed_word<T: Copy>(
    section: &Section<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
) -> Result<T, DocumentError> {
    section.word(key, words)?.ok_or_else(|| {
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        section.missing(key, &format!("one of {}", all.join(", ")))
    })
}

/// A flag that must be there.
fn needed_flag(section: &Section<'_>, key: &'static str) -> Result<bool, DocumentError> {
    section
        .flag(key)?
        .ok_or_else(|| section.missing(key, "true or false"))
}

/// The name of a task.
fn needed_task(section: &Section<'_>, key: &'static str) -> Result<TaskName, DocumentError> {
    needed(section, key, "a task's name, in quotes", |text| {
        TaskName::new(text)
    })
}

impl Known {
    /// An app of this file, where one is named.
    fn app(
        &self,
        section: &Section<'_>,
        key: &'static str,
    ) -> Result<Option<AppId>, DocumentError> {
        section.parsed(key, APP, |text| self.find(text))
    }

    /// An app of this file, which has to be named.
    fn needed_app(&self, section: &Section<'_>, key: &'static str) -> Result<AppId, DocumentError> {
        self.app(section, key)?
            .ok_or_else(|| section.missing(key, APP))
    }

    fn find(&self, text: &str) -> Result<AppId, String> {
        let id = self.apps.keys().find(|id| id.as_str() == text);
        id.cloned().ok_or_else(|| {
            let ids: Vec<&str> = self.apps.keys().map(AppId::as_str).collect();
            unknown_name("app", text, &ids)
        })
    }
}

const APP: &str = "the id of an app of this file, in quotes";
