//! `[profile]`: what the device is.

use lull_document::{DocumentError, Section};
use lull_policy::{Bytes, Profile};

use super::readings::{READING_KEYS, assumed};
use super::words::KINDS;
use crate::scenario::Hardware;

const KEYS: [&str; 6] = [
    "kind",
    "memory",
    "has_battery",
    "has_screen",
    "has_modem",
    "assume",
];

/// A device of today, well above the low-memory class.
const MEMORY: Bytes = Bytes::mib(2 << 10);

pub(super) fn read(root: &Section<'_>) -> Result<Hardware, DocumentError> {
    let mut hardware = Hardware {
        profile: Profile {
            memory: Some(MEMORY),
            developer_mode: true,
            ..Profile::default()
        },
        has_battery: true,
        has_screen: true,
        has_modem: true,
        assume: Vec::new(),
    };
    let Some(section) = root.section("profile", &KEYS)? else {
        return Ok(hardware);
    };
    hardware.profile.kind = section.word("kind", &KINDS)?.unwrap_or_default();
    hardware.profile.memory = Some(section.bytes("memory")?.unwrap_or(MEMORY));
    hardware.has_battery = section.flag("has_battery")?.unwrap_or(true);
    hardware.has_screen = section.flag("has_screen")?.unwrap_or(true);
    hardware.has_modem = section.flag("has_modem")?.unwrap_or(true);
    if let Some(assume) = section.section("assume", &READING_KEYS)? {
        hardware.assume = assumed(&assume)?;
    }
    Ok(hardware)
}
