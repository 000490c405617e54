//! A scenario as it is run: everything a file says, typed and with its defaults filled in.
//!
//! Deliberately absent: text (that is `parse`), and time passing (that is the runner).

mod behaviour;
mod expectation;
mod result;
mod step;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use lull_document::Place;
use lull_document::policy_figures::FigureChange;
use lull_policy::{
    AccessStatus, App, Choices, FrontState, Policy, Profile, Reading, Readings, Span, TaskName,
    Wall,
};

pub use behaviour::{Behaviour, Bind, Ends, Interface, OnCancel, Progress};
pub use expectation::{Between, Expectation, ExpectedOutcomes};
pub use result::ResultWord;
pub use step::{
    Action, AskedName, Call, CallStep, ClockStep, DeviceStep, OperatorStep, PushStep, RegisterCall,
    SetStep, Step, Unacceptable, ZoneReading,
};

/// One device, its apps, what happens to them, and what is expected of it.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file it was read from, for messages.
    pub file: PathBuf,
    /// What it is called; the file's name without its ending where the file gives none.
    pub name: String,
    /// The wall clock at T+0.
    pub start: Wall,
    /// How long it runs; what falls exactly on it is still handled.
    pub length: Span,
    /// The device's time zone at T+0.
    pub zone: ZoneName,
    /// Stands for the device id in the hash of every jitter.
    pub seed: u64,
    /// What the device is.
    pub profile: Hardware,
    /// The device policy at T+0: the defaults with [`Scenario::figures`] over them.
    pub policy: Policy,
    /// The figures that the file sets itself, in the order of their names.
    pub figures: Vec<FigureChange>,
    /// What the watchers report at T+0, each `Known` or `Unknown`; the zone is [`Scenario::zone`]. Nothing is taken out
    /// for hardware that is not there, or because there is no network.
    pub readings: Readings,
    /// The apps, in file order; ids are unique.
    pub apps: Vec<InstalledApp>,
    /// What happens, in file order: not sorted by time.
    pub steps: Vec<Step>,
    /// What is checked at the end, in file order.
    pub expectations: Vec<Expectation>,
}

/// An IANA time zone that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneName {
    name: String,
    zone: TimeZone,
}

impl ZoneName {
    /// Looks the zone up; absent where there is none of that name.
    pub fn new(name: &str) -> Option<Self> {
        let zone = TimeZone::get(name).ok()?;
        // A zone is found whatever the case of its name; equal zones shall have equal names (TRG-05).
        let name = zone.iana_name().unwrap_or(name).to_owned();
        Some(Self { name, zone })
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Its rules.
    pub fn rules(&self) -> &TimeZone {
        &self.zone
    }
}

/// What the device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hardware {
    /// As the machine is told. Developer mode is on, so that `launch-for-test` answers.
    pub profile: Profile,
    /// It has a battery.
    pub has_battery: bool,
    /// It has a screen.
    pub has_screen: bool,
    /// It has a modem.
    pub has_modem: bool,
    /// What the operator assumes for readings without a source (AMB-23); each level is `Assumed`.
    pub assume: Vec<Reading>,
}

/// An app that is installed at T+0.
#[derive(Debug, Clone)]
pub struct InstalledApp {
    /// Where its table stands.
    pub place: Place,
    /// Its manifest.
    pub app: App,
    /// Its grant; `Unspecified` = none was ever asked for.
    pub access: AccessStatus,
    /// Its front client.
    pub front: FrontState,
    /// What the operator chose for it; `lock_screen` is no event at T+0.
    pub choices: Choices,
    /// How the runs of a task go, by run number from 1; never an empty list.
    pub behaviours: BTreeMap<TaskName, Vec<Behaviour>>,
}

impl InstalledApp {
    /// How run `number` (1, 2, …) of a task goes: the last behaviour repeats, and a task without one completes after 1 s
    /// using 1 MiB.
    pub fn behaviour(&self, task: &TaskName, number: u64) -> Behaviour {
        let runs = self.behaviours.get(task).map_or(&[][..], Vec::as_slice);
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let behaviour = runs.get(index).or(runs.last());
        behaviour.cloned().unwrap_or_default()
    }
}
