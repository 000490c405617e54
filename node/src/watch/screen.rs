//! Lock, screen and standby: the lock from logind, the screen from the kernel's connectors, standby out of both and of power.
//!
//! No kernel and no service signals that a screen went dark: it is looked at every [`LOOK`], only while somebody is interested
//! and only where a screen is plugged in.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lull_policy::{DeviceKind, Level, Reading, standby};
use netlink_sys::protocols::NETLINK_KOBJECT_UEVENT;

use super::attribute::attribute;
use super::bus::{Bus, Signals, Subject, follow};
use super::netlink::{KERNEL, NetlinkBell};
use super::power::{UPower, sysfs::Supplies};
use super::seat::{self, People};
use super::session::NO_SEAT;
use super::{Post, Report, Reporter, WatchError, assumed};
use crate::config::Assumed;

/// Where the kernel shows its connectors.
pub(super) const CONNECTORS: &str = "/sys/class/drm";

/// Connectors that are looked at; a video wall has some dozens.
const SCREENS: usize = 256;

/// How often a screen is looked at.
const LOOK: Duration = Duration::from_secs(15);

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    let locked = follow(post, Logind::of(post), without_logind);
    tokio::try_join!(locked, lit(post)).map(drop)
}

/// Without logind: where there is no screen either, the device is headless (AMB-23).
async fn without_logind(post: &Post) -> Result<(), WatchError> {
    let assume = post.assume;
    let mut report = Report::default();
    if there(&post.screens) {
        let (locked, source) = assumed::profile(assume.screen_locked);
        report.add(Reading::ScreenLocked(locked), source);
    } else {
        unlockable(&mut report, assume);
    }
    let (standby, source) = assumed::profile(assume.standby);
    report.add(Reading::Standby(standby), source);
    assumed::tell(post, report).await
}

/// AMB-23: without a seat the screen counts as locked.
fn unlockable(report: &mut Report, assume: Assumed) {
    let (locked, source) = assumed::lacking(assume.screen_locked, true, NO_SEAT);
    report.add(Reading::ScreenLocked(locked), source);
}

/// Whether this device has a connector for a screen.
pub(super) fn there(connectors: &Path) -> bool {
    screens(connectors).is_ok_and(|screens| !screens.is_empty())
}

/// Tells whether a screen is on. One that is plugged in is looked at from time to time; that one was, the kernel tells.
async fn lit(post: &Post) -> Result<(), WatchError> {
    let failed = |source| WatchError::Source {
        what: "reading the screens",
        source,
    };
    let mut plugs = NetlinkBell::new(NETLINK_KOBJECT_UEVENT, KERNEL, is_graphics).ok();
    let mut reporter = Reporter::new(post);
    loop {
        let found = screens(&post.screens).map_err(failed)?;
        let mut report = Report::default();
        let mut look = LOOK;
        if let Some((on, place)) = on(&found) {
            report.add(Reading::ScreenOn(Level::Known(on)), place);
        } else {
            let because = "assumed: no screen on this device";
            let (on, source) = assumed::lacking(post.assume.screen_on, false, because);
            report.add(Reading::ScreenOn(on), source);
            look = Duration::MAX;
        }
        let pause = reporter.report(report)?.unwrap_or(look);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            plugged = plugged(plugs.as_mut()) => plugged.map_err(failed)?,
        }
    }
}

/// Resolves when a screen was plugged in or out.
async fn plugged(plugs: Option<&mut NetlinkBell>) -> io::Result<()> {
    match plugs {
        Some(plugs) => plugs.ring().await,
        None => std::future::pending().await,
    }
}

fn is_graphics(message: &[u8]) -> bool {
    let mut properties = message.split(|byte| *byte == 0);
    properties.any(|property| property == b"SUBSYSTEM=drm")
}

/// A connector with something plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Screen {
    folder: PathBuf,
    connected: bool,
    on: bool,
}

/// All connectors; none where the kernel has no graphics.
fn screens(connectors: &Path) -> io::Result<Vec<Screen>> {
    let entries = match std::fs::read_dir(connectors) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries.take(SCREENS) {
        let folder = entry?.path();
        // A connector is called `card0-HDMI-A-1`; a card has no status.
        let Some(status) = attribute(&folder, "status")? else {
            continue;
        };
        let dpms = attribute(&folder, "dpms")?;
        let enabled = attribute(&folder, "enabled")?;
        found.push(Screen {
            connected: status == "connected",
            on: dpms.as_deref() == Some("On") && enabled.as_deref() != Some("disabled"),
            folder,
        });
    }
    found.sort_by(|one, other| one.folder.cmp(&other.folder));
    Ok(found)
}

/// Whether any connected screen is on, and which; absent where none is connected.
fn on(screens: &[Screen]) -> Option<(bool, String)> {
    let mut connected = screens.iter().filter(|screen| screen.connected);
    let lit = connected.clone().find(|screen| screen.on);
    let shown = lit.or_else(|| connected.next())?;
    Some((lit.is_some(), shown.folder.display().to_string()))
}

struct Logind {
    assume: Assumed,
    kind: DeviceKind,
    supplies: PathBuf,
    screens: PathBuf,
}

impl Logind {
    fn of(post: &Post) -> Self {
        Self {
            assume: post.assume,
            kind: post.kind,
            supplies: post.power.clone(),
            screens: post.screens.clone(),
        }
    }

    /// AMB-42, or what the profile says instead.
    async fn standby(
        &self,
        bus: &Bus,
        people: &People,
    ) -> zbus::Result<(Level<bool>, &'static str)> {
        if self.assume.standby.is_some() {
            return Ok(assumed::profile(self.assume.standby));
        }
        let external = match UPower::external(bus).await {
            Ok(external) => external,
            Err(error) if super::bus::is_of_service(&error) => self.external_from_kernel(),
            Err(error) => return Err(error),
        };
        let lit = screens(&self.screens).ok().map(|screens| on(&screens));
        let lit = lit.map(|found| found.is_some_and(|(on, _)| on));
        let level = standby(self.kind, external, lit, people.idle());
        Ok((level, "power, screen and logind"))
    }

    fn external_from_kernel(&self) -> Option<bool> {
        let supplies = Supplies::read(&self.supplies).ok()?;
        match supplies.external() {
            Some((level, _)) => level.value(),
            // AMB-23.
            None => Some(true),
        }
    }
}

impl Subject for Logind {
    const LABEL: &'static str = "logind";
    const SERVICE: &'static str = seat::SERVICE;
    const SIGNALS: &'static [Signals] = &[
        seat::SIGNALS,
        // Standby follows power too.
        UPower::MANAGER_SIGNALS,
    ];

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let people = People::read(bus).await?;
        let mut report = Report::default();
        match people.locked() {
            Some(locked) => report.add(Reading::ScreenLocked(locked), "logind"),
            None => unlockable(&mut report, self.assume),
        }
        let (level, source) = self.standby(bus, &people).await?;
        report.add(Reading::Standby(level), source);
        Ok(report)
    }

    fn unknown() -> Vec<Reading> {
        vec![
            Reading::ScreenLocked(Level::Unknown),
            Reading::Standby(Level::Unknown),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector(folder: &Path, name: &str, status: &str, dpms: &str) {
        let folder = folder.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, value) in [("status", status), ("dpms", dpms), ("enabled", "enabled")] {
            std::fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
    }

    #[test]
    fn a_screen_is_on_that_is_connected_and_lit() {
        let folder = tempfile::tempdir().unwrap();
        let lit = || on(&screens(folder.path()).unwrap()).map(|(on, _)| on);
        assert_eq!(lit(), None, "no connector");
        assert!(!there(folder.path()));
        std::fs::create_dir(folder.path().join("card0")).unwrap();
        std::fs::write(folder.path().join("version"), "drm 1.1.0").unwrap();
        assert!(!there(folder.path()), "a card is no connector");
        connector(folder.path(), "card0-eDP-1", "connected", "Off");
        connector(folder.path(), "card0-HDMI-A-1", "disconnected", "On");
        assert_eq!(lit(), Some(false));
        connector(folder.path(), "card0-DP-2", "connected", "On");
        assert_eq!(lit(), Some(true));
        let (_, place) = on(&screens(folder.path()).unwrap()).unwrap();
        assert!(place.ends_with("card0-DP-2"), "{place}");
    }
}
