//! The time zone in force and its distance from UTC: from timedate1, or from `/etc/localtime` where there is none.
//!
//! The distance changes with the zone's own rules too: an alarm stands at the next transition, and rings when the clock is
//! stepped across one (TRG-05, AMB-40).

use std::io;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lull_policy::{Deadline, Level, Reading, Wall, Zone};

use super::bell::FolderBell;
use super::bus::{At, Bus, Signals, Subject, follow};
use super::{GAP, Post, Report, Reporter, WatchError};
use crate::clock::ClockRef;

const SERVICE: &str = "org.freedesktop.timedate1";
const PATH: &str = "/org/freedesktop/timedate1";

/// Where the zone's name stands, as the target of a link.
const LOCALTIME: &str = "/etc/localtime";
const FOLDER: &str = "/etc";

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let subject = Timedate {
        clock: post.clock.clone(),
        rules: None,
    };
    follow(post, subject, localtime).await
}

struct Timedate {
    clock: ClockRef,
    rules: Option<TimeZone>,
}

impl Subject for Timedate {
    const LABEL: &'static str = "timedate1";
    const SERVICE: &'static str = SERVICE;
    const SIGNALS: &'static [Signals] = &[Signals {
        service: SERVICE,
        at: At::Object(PATH),
        interface: None,
    }];
    // The bus starts it for a question, and half a minute later it ends.
    const COMES_AND_GOES: bool = true;

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let found = bus.properties(SERVICE, PATH, SERVICE).await?;
        let name = found.text("Timezone").unwrap_or_default();
        self.rules = rules(name);
        let mut report = Report::default();
        add(
            &mut report,
            self.rules.as_ref(),
            &self.clock,
            &format!("timedate1: {name}"),
        );
        Ok(report)
    }

    fn unknown() -> Vec<Reading> {
        vec![Reading::Zone(Level::Unknown)]
    }

    async fn changed(&self) -> io::Result<()> {
        transition(self.rules.as_ref(), &self.clock).await
    }
}

/// Without timedate1: the link, heard by inotify.
async fn localtime(post: &Post) -> Result<(), WatchError> {
    let failed = |source| WatchError::Source {
        what: "following /etc/localtime",
        source,
    };
    let bell = FolderBell::new().map_err(failed)?;
    bell.anything(Path::new(FOLDER)).map_err(failed)?;
    let mut reporter = Reporter::new(post);
    loop {
        bell.drain().map_err(failed)?;
        let name = linked();
        let rules = name.as_deref().and_then(rules);
        let mut report = Report::default();
        let source = match &name {
            Some(name) => format!("{LOCALTIME}: {name}"),
            None => format!("{LOCALTIME} names no zone"),
        };
        add(&mut report, rules.as_ref(), &post.clock, &source);
        let pause = reporter.report(report)?;
        tokio::time::sleep(pause.unwrap_or(GAP)).await;
        if pause.is_none() {
            let heard = tokio::select! {
                heard = bell.ring() => heard.map(drop),
                moved = transition(rules.as_ref(), &post.clock) => moved,
            };
            heard.map_err(failed)?;
        }
    }
}

/// The name that `/etc/localtime` links to; a device without the link counts in UTC.
fn linked() -> Option<String> {
    match std::fs::read_link(LOCALTIME) {
        Ok(target) => {
            let target = target.to_str()?;
            let (_, name) = target.split_once("zoneinfo/")?;
            Some(name.to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some("UTC".to_owned()),
        Err(_) => None,
    }
}

fn rules(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

fn add(report: &mut Report, rules: Option<&TimeZone>, clock: &ClockRef, source: &str) {
    report.add(Reading::Zone(level(rules, clock)), source);
}

/// The zone and its distance from UTC now; unknown without rules.
pub(super) fn level(rules: Option<&TimeZone>, clock: &ClockRef) -> Level<Zone> {
    match rules {
        Some(rules) => {
            let name = rules.iana_name().unwrap_or_default();
            Level::Known(Zone::named(name, rules.to_offset(now(clock)).seconds()))
        }
        None => Level::Unknown,
    }
}

/// Resolves when the zone's distance from UTC is about to differ, or the clock was stepped.
async fn transition(rules: Option<&TimeZone>, clock: &ClockRef) -> io::Result<()> {
    let next = rules.and_then(|rules| rules.following(now(clock)).next());
    let wall = next.and_then(|next| u64::try_from(next.timestamp().as_millisecond()).ok());
    let deadline = Deadline {
        wall: wall.map(Wall::from_millis),
        ..Deadline::default()
    };
    clock.alarm()?.wait(deadline).await.map(drop)
}

fn now(clock: &ClockRef) -> Timestamp {
    let millis = i64::try_from(clock.now().wall.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}
