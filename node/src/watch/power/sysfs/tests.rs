use std::sync::Arc;

use lull_policy::Reading;

use super::*;
use crate::config::Assumed;
use crate::watch::tests::{Recorder, next, post};

struct Sysfs(tempfile::TempDir);

impl Sysfs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, supply: &str, attributes: &[(&str, &str)]) {
        let folder = self.0.path().join(supply);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, value) in attributes {
            std::fs::write(folder.join(name), format!("{value}\n")).unwrap();
        }
    }

    fn levels(&self, assume: Assumed) -> Vec<Reading> {
        let mut post = post(Recorder::engine(0).0);
        post.assume = assume;
        report(&Supplies::read(self.0.path()).unwrap(), &post).readings
    }
}

const AC_OFF: &[(&str, &str)] = &[("type", "Mains"), ("online", "0")];
const AC_ON: &[(&str, &str)] = &[("type", "Mains"), ("online", "1")];

fn levels(external: Level<bool>, battery: Level<PerMille>) -> Vec<Reading> {
    vec![Reading::ExternalPower(external), Reading::Battery(battery)]
}

fn percent(percent: u16) -> Level<PerMille> {
    Level::Known(PerMille::percent(percent))
}

#[test]
fn without_battery_power_is_assumed_unless_the_profile_says_otherwise() {
    let sysfs = Sysfs::new();
    let none = Assumed::default();
    assert_eq!(
        sysfs.levels(none),
        levels(Level::Assumed(true), Level::Unknown)
    );
    sysfs.put("AC", AC_OFF);
    sysfs.put(
        "mouse",
        &[("type", "Battery"), ("scope", "Device"), ("capacity", "3")],
    );
    sysfs.put(
        "ups",
        &[("type", "UPS"), ("capacity", "3"), ("online", "1")],
    );
    sysfs.put("BAT9", &[("type", "Battery"), ("present", "0")]);
    assert_eq!(
        sysfs.levels(none),
        levels(Level::Assumed(true), Level::Unknown)
    );
    let profile = Assumed {
        external_power: Some(false),
        battery: Some(PerMille::percent(80)),
        ..none
    };
    let assumed = levels(Level::Assumed(false), Level::Assumed(PerMille::percent(80)));
    assert_eq!(sysfs.levels(profile), assumed);
    let nowhere = Supplies::read(Path::new("/nowhere/at/all")).unwrap();
    assert_eq!(nowhere, Supplies::default());
}

#[test]
fn chargers_and_batteries_of_the_system_are_read() {
    let sysfs = Sysfs::new();
    let none = Assumed::default();
    sysfs.put(
        "BAT0",
        &[
            ("type", "Battery"),
            ("capacity", "90"),
            ("status", "Discharging"),
        ],
    );
    assert_eq!(sysfs.levels(none), levels(Level::Known(false), percent(90)));
    sysfs.put("BAT0", &[("status", "Charging"), ("scope", "System")]);
    assert_eq!(sysfs.levels(none), levels(Level::Known(true), percent(90)));
    sysfs.put("BAT0", &[("status", "Unknown")]);
    assert_eq!(sysfs.levels(none), levels(Level::Unknown, percent(90)));
    sysfs.put("AC", AC_OFF);
    assert_eq!(sysfs.levels(none), levels(Level::Known(false), percent(90)));
    sysfs.put("usb", &[("type", "USB"), ("online", "1")]);
    assert_eq!(sysfs.levels(none), levels(Level::Known(true), percent(90)));
    sysfs.put("BAT1", &[("type", "Battery"), ("capacity", "10")]);
    assert_eq!(sysfs.levels(none), levels(Level::Known(true), percent(50)));
    sysfs.put("BAT0", &[("energy_full", "30000000")]);
    sysfs.put("BAT1", &[("charge_full", "10000000")]);
    assert_eq!(sysfs.levels(none), levels(Level::Known(true), percent(70)));
    sysfs.put("BAT1", &[("capacity", "garbage")]);
    assert_eq!(
        sysfs.levels(none),
        levels(Level::Known(true), Level::Unknown)
    );
}

#[tokio::test]
async fn a_change_is_heard_and_told_once() {
    let sysfs = Sysfs::new();
    sysfs.put("AC", AC_OFF);
    sysfs.put("BAT0", &[("type", "Battery"), ("capacity", "15")]);
    let (engine, mut heard) = Recorder::engine(0);
    let mut post = post(engine);
    post.power = sysfs.0.path().into();
    let test = async {
        assert_eq!(
            next(&mut heard).await,
            levels(Level::Known(false), percent(15))
        );
        sysfs.put("BAT0", &[("capacity", "15")]);
        sysfs.put("AC", AC_ON);
        assert_eq!(
            next(&mut heard).await,
            levels(Level::Known(true), percent(15))
        );
        sysfs.put("BAT1", &[("type", "Battery"), ("capacity", "85")]);
        // A supply comes file by file; at last it is read whole.
        while next(&mut heard).await != levels(Level::Known(true), percent(50)) {}
        std::fs::remove_dir_all(sysfs.0.path().join("BAT1")).unwrap();
        while next(&mut heard).await != levels(Level::Known(true), percent(15)) {}
    };
    tokio::select! {
        ended = watch(&post) => panic!("{ended:?}"),
        () = test => {}
    }
    let source = &post.board.read().sources[crate::status::reading::EXTERNAL_POWER];
    assert!(source.ends_with("/AC"), "{source}");
    assert_eq!(Arc::strong_count(&post.board), 1);
}

#[test]
fn uevents_of_other_subsystems_do_not_matter() {
    let event = b"change@/devices/x\0ACTION=change\0SUBSYSTEM=power_supply\0SEQNUM=7\0";
    assert!(is_power(event));
    assert!(!is_power(
        b"change@/x\0SUBSYSTEM=net\0SUBSYSTEM=power_supply2\0"
    ));
    assert!(!is_power(b""));
    assert!(is_sysfs(Path::new("/sys")));
    assert!(!is_sysfs(&std::env::temp_dir()));
}

#[tokio::test]
async fn the_kernels_own_folder_is_heard_by_uevents() {
    assert!(matches!(
        Bell::of(Path::new("/sys/class")),
        Bell::Uevents(_)
    ));
    assert!(matches!(Bell::of(Path::new("/nowhere/at/all")), Bell::Poll));
}
