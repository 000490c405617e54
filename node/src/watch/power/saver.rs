//! Battery Saver as power-profiles-daemon has it: the profile `power-saver`, under either of its names on the bus.
//!
//! A person's choice and a program's hold look alike in the active profile; a profile that some program holds counts as
//! automatic, any other as switched on by hand (AMB-05).

use lull_policy::{Level, Reading};

use crate::config::Assumed;
use crate::watch::bus::{At, Bus, Properties, Signals, Subject, follow};
use crate::watch::{Post, Report, WatchError, assumed};

/// The profile that is Battery Saver.
const SAVER: &str = "power-saver";

/// Since version 0.20.
const NEW: &str = "org.freedesktop.UPower.PowerProfiles";
const NEW_PATH: &str = "/org/freedesktop/UPower/PowerProfiles";
/// Before; newer versions answer to both.
const OLD: &str = "net.hadess.PowerProfiles";
const OLD_PATH: &str = "/net/hadess/PowerProfiles";

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    follow(post, Profiles::<true>, async |post: &Post| {
        follow(post, Profiles::<false>, async |post: &Post| {
            let assume = post.assume;
            let saver = Reading::BatterySaver(Assumed::level(assume.battery_saver));
            let manual = Reading::SaverManual(Assumed::level(assume.saver_manual));
            assumed::watch(post, vec![saver, manual]).await
        })
        .await
    })
    .await
}

/// The daemon under its newer name, or its older one.
struct Profiles<const NEWER: bool>;

impl<const NEWER: bool> Profiles<NEWER> {
    const PATH: &'static str = if NEWER { NEW_PATH } else { OLD_PATH };
}

impl<const NEWER: bool> Subject for Profiles<NEWER> {
    const LABEL: &'static str = if NEWER {
        "power-profiles-daemon"
    } else {
        "power-profiles-daemon (net.hadess)"
    };
    const SERVICE: &'static str = if NEWER { NEW } else { OLD };
    const SIGNALS: &'static [Signals] = &[Signals {
        service: Self::SERVICE,
        at: At::Object(Self::PATH),
        interface: None,
    }];

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let profiles = bus
            .properties(Self::SERVICE, Self::PATH, Self::SERVICE)
            .await?;
        Ok(report(&profiles, Self::LABEL))
    }

    fn unknown() -> Vec<Reading> {
        vec![
            Reading::BatterySaver(Level::Unknown),
            Reading::SaverManual(Level::Unknown),
        ]
    }
}

fn report(profiles: &Properties, source: &str) -> Report {
    let saver = match profiles.text("ActiveProfile") {
        Some(profile) => Level::Known(profile == SAVER),
        None => Level::Unknown,
    };
    let holds = profiles.maps("ActiveProfileHolds");
    let held = holds.iter().any(|hold| {
        let profile = hold.get("Profile");
        profile.is_some_and(|profile| <&str>::try_from(&**profile) == Ok(SAVER))
    });
    let manual = match saver {
        Level::Known(on) => Level::Known(on && !held),
        Level::Assumed(_) | Level::Unknown => Level::Unknown,
    };
    let mut report = Report::default();
    report.add(Reading::BatterySaver(saver), source);
    report.add(Reading::SaverManual(manual), source);
    report
}
