//! External power and battery from the kernel's power supplies (sysfs), heard by uevents.
//!
//! A folder that is not the kernel's own is heard by inotify instead. Deliberately absent: UPS devices.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lull_policy::{Level, PerMille};
use netlink_sys::protocols::NETLINK_KOBJECT_UEVENT;

use super::{battery_report, external_report};
use crate::watch::attribute::attribute;
use crate::watch::bell::FolderBell;
use crate::watch::netlink::{KERNEL, NetlinkBell};
use crate::watch::{GAP, Post, Report, Reporter, SUPERSEDED, WatchError};

/// Most supplies that are read; a laptop has up to five.
const SUPPLIES: usize = 64;

/// How often a folder is looked at that nothing tells of.
const POLL: Duration = Duration::from_mins(2);

/// `SYSFS_MAGIC`, as statfs(2) has it.
const SYSFS: rustix::fs::FsWord = 0x6265_6572;

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let mut bell = Bell::of(&post.power);
    let mut reporter = Reporter::new(post);
    loop {
        post.board.add(SUPERSEDED, bell.drain().map_err(deaf)?);
        let folder = post.power.clone();
        // A driver may ask its hardware for the answer.
        let found = tokio::task::spawn_blocking(move || Supplies::read(&folder)).await;
        let unread = |source| WatchError::Source {
            what: "reading the power supplies",
            source,
        };
        let found = found.map_err(io::Error::other).and_then(|found| found);
        let pause = reporter.report(report(&found.map_err(unread)?, post))?;
        tokio::time::sleep(pause.unwrap_or(GAP)).await;
        if pause.is_none() {
            bell.ring().await.map_err(deaf)?;
        }
        bell.renew(&post.power);
    }
}

fn deaf(source: io::Error) -> WatchError {
    let what = "listening for power supplies";
    WatchError::Source { what, source }
}

/// How changes are heard.
#[derive(Debug)]
enum Bell {
    Uevents(NetlinkBell),
    Folder(FolderBell),
    Poll,
}

impl Bell {
    fn of(folder: &Path) -> Self {
        let bell = if is_sysfs(folder) {
            NetlinkBell::new(NETLINK_KOBJECT_UEVENT, KERNEL, is_power).map(Self::Uevents)
        } else {
            folder_bell(folder).map(Self::Folder)
        };
        bell.unwrap_or_else(|error| {
            tracing::info!(folder = %folder.display(), %error, every = ?POLL,
                "changes of power cannot be heard; looking from time to time");
            Self::Poll
        })
    }

    async fn ring(&mut self) -> io::Result<()> {
        match self {
            Self::Uevents(bell) => bell.ring().await,
            Self::Folder(bell) => bell.ring().await.map(drop),
            Self::Poll => {
                tokio::time::sleep(POLL).await;
                Ok(())
            }
        }
    }

    fn drain(&mut self) -> io::Result<u64> {
        match self {
            Self::Uevents(bell) => bell.drain(),
            Self::Folder(bell) => Ok(u64::from(bell.drain()?.is_some())),
            Self::Poll => Ok(0),
        }
    }

    /// Supplies may have come: their folders are listened to as well. The one that rang is kept until the new one hears.
    fn renew(&mut self, folder: &Path) {
        if !matches!(self, Self::Uevents(_)) {
            *self = Self::of(folder);
        }
    }
}

fn folder_bell(folder: &Path) -> io::Result<FolderBell> {
    let bell = FolderBell::new()?;
    bell.anything(folder)?;
    for supply in supplies(folder)? {
        bell.anything(&supply)?;
    }
    Ok(bell)
}

fn is_sysfs(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == SYSFS)
}

fn is_power(message: &[u8]) -> bool {
    let mut properties = message.split(|byte| *byte == 0);
    properties.any(|property| property == b"SUBSYSTEM=power_supply")
}

/// What the power supplies of the system say; those of mice and phones (scope `Device`) are not among them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(in crate::watch) struct Supplies {
    chargers: Vec<Charger>,
    batteries: Vec<Battery>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Charger {
    folder: PathBuf,
    online: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Battery {
    folder: PathBuf,
    percent: Option<u64>,
    /// What it holds when full, in its driver's unit.
    full: Option<u64>,
    status: String,
}

impl Supplies {
    pub(in crate::watch) fn read(folder: &Path) -> io::Result<Self> {
        let mut found = Self::default();
        for supply in supplies(folder)? {
            // A supply that went away in between is as if it had never been there.
            found.add(supply)?;
        }
        Ok(found)
    }

    fn add(&mut self, folder: PathBuf) -> io::Result<()> {
        let kind = attribute(&folder, "type")?.unwrap_or_default();
        let scope = attribute(&folder, "scope")?;
        if scope.as_deref() == Some("Device") || kind == "UPS" {
            return Ok(());
        }
        if kind == "Battery" {
            if number(&folder, "present")? != Some(0) {
                self.batteries.push(Battery {
                    percent: number(&folder, "capacity")?.map(|percent| percent.min(100)),
                    full: match number(&folder, "energy_full")? {
                        Some(energy) => Some(energy),
                        None => number(&folder, "charge_full")?,
                    },
                    status: attribute(&folder, "status")?.unwrap_or_default(),
                    folder,
                });
            }
        } else if let Some(online) = number(&folder, "online")? {
            let online = online != 0;
            self.chargers.push(Charger { folder, online });
        }
        Ok(())
    }

    /// Whether power comes from outside, and who says so; absent without battery.
    pub(in crate::watch) fn external(&self) -> Option<(Level<bool>, String)> {
        let battery = self.batteries.first()?;
        if let Some(charger) = self.chargers.iter().find(|charger| charger.online) {
            return Some((Level::Known(true), place(&charger.folder)));
        }
        if let Some(charger) = self.chargers.first() {
            return Some((Level::Known(false), place(&charger.folder)));
        }
        // No charger is shown: the battery knows which way the current flows.
        let level = match battery.status.as_str() {
            "Discharging" => Level::Known(false),
            "Charging" | "Full" | "Not charging" => Level::Known(true),
            _ => Level::Unknown,
        };
        Some((level, place(&battery.folder)))
    }

    /// The charge of all batteries together, weighted by what they hold where all of them say so.
    fn charge(&self) -> Option<(Level<PerMille>, String)> {
        let first = self.batteries.first()?;
        let mut held = 0_u64;
        let mut tenths = 0_u64;
        let weighted = self.batteries.iter().all(|battery| battery.full > Some(0));
        for battery in &self.batteries {
            let Some(percent) = battery.percent else {
                return Some((Level::Unknown, place(&battery.folder)));
            };
            // Micro-units of any battery are far below 2^40.
            let weight = battery.full.filter(|_| weighted).unwrap_or(1).min(1 << 40);
            held += weight;
            tenths += weight.saturating_mul(percent * 10);
        }
        let mean = u16::try_from(tenths.checked_div(held).unwrap_or(0)).unwrap_or(u16::MAX);
        let others = self.batteries.len() - 1;
        let source = match others {
            0 => place(&first.folder),
            others => format!("{} and {others} more", place(&first.folder)),
        };
        Some((Level::Known(PerMille::new(mean)), source))
    }
}

fn report(found: &Supplies, post: &Post) -> Report {
    let mut report = Report::default();
    external_report(&mut report, post.assume, found.external());
    battery_report(&mut report, post.assume, found.charge());
    report
}

fn place(folder: &Path) -> String {
    folder.display().to_string()
}

/// The folders of all supplies, in the order of their names; none where there is no such folder.
fn supplies(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries.take(SUPPLIES) {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn number(folder: &Path, name: &str) -> io::Result<Option<u64>> {
    Ok(attribute(folder, name)?.and_then(|text| text.parse().ok()))
}

#[cfg(test)]
mod tests;
