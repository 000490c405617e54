//! Readings: keeping the last level of each, and deriving edges from levels.
//!
//! Absent here: what a level means to a registration; that is its conditions' and the limits' business.

use std::collections::BTreeSet;

use crate::turn::Turn;
use crate::{CancelReason, Level, PerMille, Reading, Readings, Source, SystemEvent, Wall};
use crate::{condition, limit};

/// What a reading is about; one per field of [`Readings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quantity {
    ExternalPower,
    Battery,
    BatterySaver,
    Network,
    Internet,
    Session,
    UserPresent,
}

impl Quantity {
    /// Who reports it.
    pub(crate) const fn source(self) -> Source {
        match self {
            Self::ExternalPower | Self::Battery | Self::BatterySaver => Source::Power,
            Self::Network | Self::Internet => Source::Network,
            Self::Session | Self::UserPresent => Source::Session,
        }
    }

    /// What it reads now, for people.
    pub(crate) fn words(self, readings: &Readings) -> String {
        match self {
            Self::ExternalPower => sentence("external power", readings.external_power, yes_or_no),
            Self::Battery => sentence("the battery", readings.battery, percent),
            Self::BatterySaver => sentence("battery saver", readings.battery_saver, on_or_off),
            Self::Network => sentence("the network", readings.network, |network| {
                format!("{network:?}").to_lowercase()
            }),
            Self::Internet => sentence("the Internet", readings.internet, |available| {
                if available {
                    "available".to_owned()
                } else {
                    "not available".to_owned()
                }
            }),
            Self::Session => sentence("the session", readings.session, |session| {
                format!("{session:?}").to_lowercase()
            }),
            Self::UserPresent => sentence("user presence", readings.user_present, |present| {
                if present {
                    "present".to_owned()
                } else {
                    "away".to_owned()
                }
            }),
        }
    }
}

fn sentence<T>(what: &str, level: Level<T>, word: impl Fn(T) -> String) -> String {
    match level {
        Level::Unknown => format!("{what} reads unknown"),
        Level::Known(value) => format!("{what} reads {}", word(value)),
        Level::Assumed(value) => format!("{what} is assumed to be {}", word(value)),
    }
}

fn yes_or_no(connected: bool) -> String {
    if connected {
        "connected".to_owned()
    } else {
        "not connected".to_owned()
    }
}

fn on_or_off(on: bool) -> String {
    if on {
        "on".to_owned()
    } else {
        "off".to_owned()
    }
}

/// A charge as people write it: `20 %`, `19.9 %`.
pub(crate) fn percent(charge: PerMille) -> String {
    match charge.as_tenths() % 10 {
        0 => format!("{} %", charge.as_tenths() / 10),
        tenths => format!("{}.{tenths} %", charge.as_tenths() / 10),
    }
}

/// When each reading took its present level, and the last known value of those with edges. Transient: after a
/// restart the first report is a baseline (TRGC-03).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct History {
    since: std::collections::BTreeMap<Quantity, Wall>,
    /// The last value that was known; *unknown* in between is no change.
    internet: Option<bool>,
    /// Since when Battery Saver acts.
    pub(crate) saver_since: Option<Wall>,
}

impl History {
    /// Whether a source reports this for the first time since it is watched, be it *unknown*.
    fn is_first(&self, quantity: Quantity) -> bool {
        !self.since.contains_key(&quantity)
    }

    /// Since when a reading has its present level, where that is known.
    pub(crate) fn since(&self, quantity: Quantity) -> Option<Wall> {
        self.since.get(&quantity).copied()
    }

    /// Forgets what a source said: it is watched no longer, so what it said grows stale.
    pub(crate) fn forget(&mut self, source: Source) {
        self.since.retain(|quantity, _| quantity.source() != source);
        match source {
            Source::Network => self.internet = None,
            Source::Power => self.saver_since = None,
            Source::Session => {}
        }
    }

    /// Whether the Internet became available: from a known *no*, with any *unknown* in between.
    fn internet_edge(&mut self, level: Level<bool>) -> bool {
        match level.value() {
            None => false,
            Some(available) => self.internet.replace(available) == Some(false) && available,
        }
    }
}

/// Takes one reading in; says what it is about and whether the level changed.
fn take(readings: &mut Readings, reading: Reading) -> (Quantity, bool) {
    fn put<T: PartialEq>(level: &mut Level<T>, new: Level<T>) -> bool {
        let changed = *level != new;
        *level = new;
        changed
    }
    match reading {
        Reading::ExternalPower(new) => (
            Quantity::ExternalPower,
            put(&mut readings.external_power, new),
        ),
        Reading::Battery(new) => (Quantity::Battery, put(&mut readings.battery, new)),
        Reading::BatterySaver(new) => (
            Quantity::BatterySaver,
            put(&mut readings.battery_saver, new),
        ),
        Reading::Network(new) => (Quantity::Network, put(&mut readings.network, new)),
        Reading::Internet(new) => (Quantity::Internet, put(&mut readings.internet, new)),
        Reading::Session(new) => (Quantity::Session, put(&mut readings.session, new)),
        Reading::UserPresent(new) => (Quantity::UserPresent, put(&mut readings.user_present, new)),
    }
}

/// Every reading of a source becomes unknown.
pub(crate) fn forget(readings: &mut Readings, source: Source) {
    let unknown = Readings::default();
    match source {
        Source::Power => {
            readings.external_power = unknown.external_power;
            readings.battery = unknown.battery;
            readings.battery_saver = unknown.battery_saver;
        }
        Source::Network => {
            readings.network = unknown.network;
            readings.internet = unknown.internet;
        }
        Source::Session => {
            readings.session = unknown.session;
            readings.user_present = unknown.user_present;
        }
    }
}

impl Turn<'_> {
    /// Levels that changed together: all are taken in before anything is decided. Runs that lose something are
    /// asked to cancel first, then edges fire (so that they join what waits), then what waits is looked at.
    pub(crate) fn readings(&mut self, reported: &[Reading]) {
        let saver_acted = self.saver_holds();
        let device = &mut *self.device;
        let mut sources = BTreeSet::new();
        for &reading in reported {
            let (quantity, changed) = take(&mut device.readings, reading);
            if changed || device.history.is_first(quantity) {
                device.history.since.insert(quantity, self.now.wall);
                sources.insert(quantity.source());
            }
        }
        let internet_available = device.history.internet_edge(device.readings.internet);
        if sources.contains(&Source::Power) {
            device.power_awaited = None;
            self.saver_may_have_changed();
        }
        self.cancel_on_condition_loss(&sources);
        if internet_available {
            self.system_event(SystemEvent::InternetAvailable);
        }
        // A charge that creeps concerns nobody until Battery Saver turns on or off by it.
        if self.saver_holds() == saver_acted {
            sources.remove(&Source::Power);
        }
        for source in sources {
            self.look_at_those_waiting_on(source);
        }
    }

    /// Whether power as it reads now, or as it is not read yet, holds back what is not exempt.
    fn saver_holds(&self) -> bool {
        let device = &*self.device;
        device.power_awaited.is_some()
            || limit::battery_saver::acts(&device.readings, &device.policy)
    }

    /// RES-12: trigger tasks under way are asked to cancel while Battery Saver acts, unless exempt.
    pub(crate) fn saver_may_have_changed(&mut self) {
        let device = &mut *self.device;
        if !limit::battery_saver::acts(&device.readings, &device.policy) {
            device.history.saver_since = None;
            return;
        }
        device.history.saver_since.get_or_insert(self.now.wall);
        let held: Vec<_> = device
            .runs
            .values()
            .filter(|run| !limit::battery_saver::exempt(device.access(&run.app)))
            .map(|run| run.id)
            .collect();
        for run in held {
            self.ask_to_cancel(run, CancelReason::EnergySaver);
        }
    }

    /// CND-05, for runs whose registration still stands and asked for it.
    fn cancel_on_condition_loss(&mut self, sources: &BTreeSet<Source>) {
        let device = &*self.device;
        let lost: Vec<_> = sources
            .iter()
            .flat_map(|source| device.index.runs_watching(*source))
            .filter(|run| {
                let registration = device
                    .runs
                    .get(run)
                    .and_then(|run| device.registrations.get(&run.registration));
                registration.is_some_and(|registration| {
                    registration
                        .conditions
                        .iter()
                        .any(|c| condition::lost(*c, &device.readings))
                })
            })
            .collect();
        for run in lost {
            self.ask_to_cancel(run, CancelReason::ConditionLoss);
        }
    }
}
