//! `[profile]`: what the device is, and what to take for readings that have no source (AMB-23).

use lull_document::{DocumentError, Section};
use lull_policy::{
    Bytes, Call, DeviceKind, Level, Network, PerMille, Profile, Readings, RuntimeLevel, Session,
};

use super::put;

/// The keys of the section.
pub(super) const KEYS: [&str; 5] = [
    "kind",
    "memory",
    "runtime_level",
    "developer_mode",
    "assume",
];

/// The readings that can be assumed.
pub(super) const ASSUMED: [&str; 13] = [
    "internet",
    "network",
    "metered",
    "external_power",
    "battery",
    "battery_saver",
    "saver_manual",
    "session",
    "user_present",
    "screen_locked",
    "screen_on",
    "standby",
    "call",
];

/// What firmware and kernel keep for themselves is taken to be less than this: installed memory comes in such steps.
const MEMORY_STEP: u64 = 256 << 20;

/// The least and the most memory that a device is said to have.
const MEMORY: std::ops::RangeInclusive<Bytes> = Bytes::mib(16)..=Bytes(1 << 50);

/// Bytes of a runtime level; "8.0.10492" has nine.
const LEVEL_LIMIT: usize = 32;

/// `[profile]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileConfig {
    /// What kind of device it is.
    pub kind: DeviceKind,
    /// Installed memory; absent = what the kernel shows.
    pub memory: Option<Bytes>,
    /// The runtime level that audio agents are capped by; absent = the newest.
    pub runtime_level: Option<RuntimeLevel>,
    /// Launches for test and firing by hand are accepted.
    pub developer_mode: bool,
    /// Values for readings that have no source.
    pub assume: Assumed,
}

impl ProfileConfig {
    pub(super) fn take(&mut self, section: &Section<'_>) -> Result<(), DocumentError> {
        let kinds = [
            ("pc", DeviceKind::Pc),
            ("phone", DeviceKind::Phone),
            ("headless", DeviceKind::Headless),
        ];
        put(&mut self.kind, section.word("kind", &kinds)?);
        if !is(section, "memory", "installed")? {
            put(&mut self.memory, section.size("memory", MEMORY)?.map(Some));
        }
        if !is(section, "runtime_level", "newest")? {
            let expected = "numbers with dots in quotes, such as \"8.0.10492\"";
            let level = section.parsed("runtime_level", expected, |text| {
                let level = RuntimeLevel::parse(text).filter(|_| text.len() <= LEVEL_LIMIT);
                level.ok_or_else(|| format!("{text:?} is not {expected} or \"newest\""))
            })?;
            put(&mut self.runtime_level, level.map(Some));
        }
        put(&mut self.developer_mode, section.flag("developer_mode")?);
        if let Some(assume) = section.section("assume", &ASSUMED)? {
            self.assume = Assumed::read(&assume)?;
        }
        Ok(())
    }

    /// What the machine is told of this device.
    pub fn device(&self) -> Profile {
        Profile {
            kind: self.kind,
            memory: self.memory.or_else(installed),
            runtime_level: self.runtime_level.clone(),
            developer_mode: self.developer_mode,
        }
    }
}

/// Whether the key has the word that stands for its default.
fn is(section: &Section<'_>, key: &'static str, word: &str) -> Result<bool, DocumentError> {
    let found = section.value(key, "", |value| Ok(value.as_str() == Some(word)))?;
    Ok(found == Some(true))
}

/// The memory that is built in, judged by what the kernel has of it (`MemTotal`).
fn installed() -> Option<Bytes> {
    let system = rustix::system::sysinfo();
    let shown = u128::from(system.totalram) * u128::from(system.mem_unit.max(1));
    let shown = u64::try_from(shown).ok()?;
    shown.checked_next_multiple_of(MEMORY_STEP).map(Bytes)
}

/// The values, where the profile has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Assumed {
    /// The Internet can be reached.
    pub internet: Option<bool>,
    /// What carries the default route.
    pub network: Option<Network>,
    /// What carries the default route is paid for by use.
    pub metered: Option<bool>,
    /// External power is connected.
    pub external_power: Option<bool>,
    /// Charge of the system battery.
    pub battery: Option<PerMille>,
    /// Battery Saver is enabled.
    pub battery_saver: Option<bool>,
    /// Battery Saver was switched on by hand.
    pub saver_manual: Option<bool>,
    /// The user's session.
    pub session: Option<Session>,
    /// The user is present.
    pub user_present: Option<bool>,
    /// The screen is locked.
    pub screen_locked: Option<bool>,
    /// The screen is on.
    pub screen_on: Option<bool>,
    /// The device is in standby.
    pub standby: Option<bool>,
    /// A telephone call.
    pub call: Option<Call>,
}

impl Assumed {
    fn read(section: &Section<'_>) -> Result<Self, DocumentError> {
        let networks = [
            ("none", Network::None),
            ("wifi", Network::Wifi),
            ("ethernet", Network::Ethernet),
            ("cellular", Network::Cellular),
        ];
        let sessions = [
            ("connected", Session::Connected),
            ("disconnected", Session::Disconnected),
            ("none", Session::None),
        ];
        let calls = [
            ("none", Call::None),
            ("ringing", Call::Ringing),
            ("active", Call::Active),
        ];
        Ok(Self {
            internet: section.flag("internet")?,
            network: section.word("network", &networks)?,
            metered: section.flag("metered")?,
            external_power: section.flag("external_power")?,
            battery: section.charge("battery")?,
            battery_saver: section.flag("battery_saver")?,
            saver_manual: section.flag("saver_manual")?,
            session: section.word("session", &sessions)?,
            user_present: section.flag("user_present")?,
            screen_locked: section.flag("screen_locked")?,
            screen_on: section.flag("screen_on")?,
            standby: section.flag("standby")?,
            call: section.word("call", &calls)?,
        })
    }

    /// The level of a reading that has no source.
    pub fn level<T>(value: Option<T>) -> Level<T> {
        value.map_or(Level::Unknown, Level::Assumed)
    }

    /// Every reading as it is without a source.
    pub fn readings(&self) -> Readings {
        Readings {
            external_power: Self::level(self.external_power),
            battery: Self::level(self.battery),
            battery_saver: Self::level(self.battery_saver),
            saver_manual: Self::level(self.saver_manual),
            network: Self::level(self.network),
            internet: Self::level(self.internet),
            metered: Self::level(self.metered),
            session: Self::level(self.session),
            user_present: Self::level(self.user_present),
            screen_locked: Self::level(self.screen_locked),
            screen_on: Self::level(self.screen_on),
            standby: Self::level(self.standby),
            call: Self::level(self.call),
            // Where the device is and how busy it is differ from hour to hour: nothing of that is assumed.
            zone: Level::Unknown,
            cpu_pressure: Level::Unknown,
        }
    }
}
