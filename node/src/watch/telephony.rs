//! Calls from ModemManager, of every modem that has a voice.

use std::collections::HashMap;
use std::path::Path;

use lull_policy::{Call, Level, Reading};
use zbus::{OwnedObjectPath, OwnedVariant};

use super::bus::{At, Bus, Properties, Signals, Subject, follow, is_gone};
use super::{Post, Report, WatchError, assumed};
use crate::config::Assumed;

pub(super) const SERVICE: &str = "org.freedesktop.ModemManager1";
const MANAGER: &str = "/org/freedesktop/ModemManager1";
const CALLS_BELOW: &str = "/org/freedesktop/ModemManager1/Call";
const VOICE: &str = "org.freedesktop.ModemManager1.Modem.Voice";
const CALL: &str = "org.freedesktop.ModemManager1.Call";

/// Where the kernel shows its modems.
const MODEMS: &str = "/sys/class/wwan";

/// Calls of one modem that are looked at; a conference has a handful.
const CALLS: usize = 64;

/// Objects of a modem daemon: modems, cards, messages.
type Objects = HashMap<OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>>;

pub(super) async fn watch(post: &Post) -> Result<(), WatchError> {
    follow(post, Modems(post.assume), async |post: &Post| {
        let modems = std::fs::read_dir(Path::new(MODEMS));
        let mut report = Report::default();
        if modems.is_ok_and(|mut found| found.next().is_some()) {
            let (call, source) = assumed::profile(post.assume.call);
            report.add(Reading::Call(call), source);
        } else {
            no_modem(&mut report, post.assume);
        }
        assumed::tell(post, report).await
    })
    .await
}

/// AMB-23: without a modem there is no call.
fn no_modem(report: &mut Report, assume: Assumed) {
    let because = "assumed: no modem with a voice on this device";
    let (call, source) = assumed::lacking(assume.call, Call::None, because);
    report.add(Reading::Call(call), source);
}

struct Modems(Assumed);

impl Subject for Modems {
    const LABEL: &'static str = "ModemManager";
    const SERVICE: &'static str = SERVICE;
    const SIGNALS: &'static [Signals] = &[
        said(At::Below(MANAGER), Some(VOICE)),
        said(At::Below(CALLS_BELOW), None),
        said(
            At::Object(MANAGER),
            Some("org.freedesktop.DBus.ObjectManager"),
        ),
    ];

    async fn read(&mut self, bus: &Bus) -> zbus::Result<Report> {
        let interface = "org.freedesktop.DBus.ObjectManager";
        let objects: Objects = bus
            .call(SERVICE, MANAGER, interface, "GetManagedObjects", &())
            .await?;
        let mut voices = 0;
        let mut call = Call::None;
        for (path, _) in objects.iter().filter(|(_, has)| has.contains_key(VOICE)) {
            voices += 1;
            let voice = match bus.properties(SERVICE, path.as_str(), VOICE).await {
                Ok(voice) => voice,
                Err(error) if is_gone(&error) => continue,
                Err(error) => return Err(error),
            };
            for path in voice.objects("Calls").into_iter().take(CALLS) {
                match bus.properties(SERVICE, path.as_str(), CALL).await {
                    Ok(found) => call = louder(call, state(&found)),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let mut report = Report::default();
        match voices {
            0 => no_modem(&mut report, self.0),
            _ => report.add(Reading::Call(Level::Known(call)), "ModemManager"),
        }
        Ok(report)
    }

    fn unknown() -> Vec<Reading> {
        vec![Reading::Call(Level::Unknown)]
    }
}

/// Signal strength changes all the time; it is said by modems, under another interface.
const fn said(at: At, interface: Option<&'static str>) -> Signals {
    Signals {
        service: SERVICE,
        at,
        interface,
    }
}

/// INT-06, AMB-24: dialling, ringing out, active, held and waiting are a call; ringing in is none yet.
fn state(call: &Properties) -> Call {
    match call.signed("State") {
        Some(1 | 2 | 4 | 5 | 6) => Call::Active,
        Some(3) => Call::Ringing,
        Some(_) | None => Call::None,
    }
}

/// Of several calls the one that matters most.
fn louder(one: Call, other: Call) -> Call {
    match (one, other) {
        (Call::Active, _) | (_, Call::Active) => Call::Active,
        (Call::Ringing, _) | (_, Call::Ringing) => Call::Ringing,
        (Call::None, Call::None) => Call::None,
    }
}
