//! When each reading took its level, and the last value that was known: edges are between known values (TRGC-03).

use std::collections::BTreeMap;

use super::Quantity;
use crate::limit::work_cost::cost;
use crate::{Level, Network, Readings, Session, Source, SystemEvent, Wall};

/// Transient: after a restart the first report is a baseline.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct History {
    since: BTreeMap<Quantity, Wall>,
    /// The last known value of each; *unknown* in between is no change.
    known: Readings,
    /// Since when Battery Saver acts.
    pub(crate) saver_since: Option<Wall>,
}

/// A battery as its state changes (TRG-32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Battery {
    NotPresent,
    Discharging,
    Idle,
    Charging,
}

fn battery(readings: &Readings) -> Option<Battery> {
    match (readings.battery, readings.external_power.value()) {
        (Level::Assumed(_), _) => Some(Battery::NotPresent),
        (_, None) | (Level::Unknown, _) => None,
        (Level::Known(_), Some(false)) => Some(Battery::Discharging),
        (Level::Known(charge), Some(true)) if charge.as_tenths() == 1000 => Some(Battery::Idle),
        (Level::Known(_), Some(true)) => Some(Battery::Charging),
    }
}

/// What the network is, as far as TRG-02 is about it.
fn network(readings: &Readings) -> [Option<u8>; 3] {
    let kind = readings.network.value().map(|network| match network {
        Network::None => 0,
        Network::Wifi => 1,
        Network::Ethernet => 2,
        Network::Cellular => 3,
    });
    let flag = |level: Level<bool>| level.value().map(u8::from);
    [kind, flag(readings.internet), flag(readings.metered)]
}

/// Edges of one report.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Edges {
    /// Events that act at once.
    pub(crate) events: Vec<SystemEvent>,
    /// The network changed: its event waits for the dust to settle.
    pub(crate) network: bool,
}

impl History {
    /// Notes that a reading has its level since now.
    pub(crate) fn note(&mut self, quantity: Quantity, now: Wall) {
        self.since.insert(quantity, now);
    }

    /// Whether a source reports this for the first time since it is watched, be it *unknown*.
    pub(crate) fn is_first(&self, quantity: Quantity) -> bool {
        !self.since.contains_key(&quantity)
    }

    /// Since when a reading has its present level, where that is known.
    pub(crate) fn since(&self, quantity: Quantity) -> Option<Wall> {
        self.since.get(&quantity).copied()
    }

    /// Forgets what a source said: it is watched no longer, so what it said grows stale.
    pub(crate) fn forget(&mut self, source: Source) {
        self.since.retain(|quantity, _| quantity.source() != source);
        self.known.forget(source);
        if source == Source::Power {
            self.saver_since = None;
        }
    }

    /// What comes next is a baseline: nobody could follow what happened meanwhile.
    pub(crate) fn forget_values(&mut self) {
        self.known = Readings::default();
    }

    /// Takes the levels in that are known now, and says between which known values something changed.
    pub(crate) fn edges(&mut self, readings: &Readings) -> Edges {
        let before = self.known;
        self.learn(readings);
        let after = self.known;
        let mut edges = Edges {
            events: Vec::new(),
            network: network(&before)
                .into_iter()
                .zip(network(&after))
                .any(|(before, after)| before.is_some() && before != after),
        };
        let mut event = |happened: bool, event| {
            if happened {
                edges.events.push(event);
            }
        };
        let became = |before: Level<bool>, after: Level<bool>, value: bool| {
            before.is(!value) && after.is(value)
        };
        event(
            became(before.internet, after.internet, true),
            SystemEvent::InternetAvailable,
        );
        let connected = after.session.is(Session::Connected);
        let was = before.session.value();
        event(
            connected && was.is_some_and(|was| was != Session::Connected),
            SystemEvent::SessionConnected,
        );
        event(
            became(before.user_present, after.user_present, true),
            SystemEvent::UserPresent,
        );
        event(
            became(before.user_present, after.user_present, false),
            SystemEvent::UserAway,
        );
        event(
            before.zone.value().is_some() && before.zone.value() != after.zone.value(),
            SystemEvent::TimeZoneChange,
        );
        event(
            cost(&before).is_some() && cost(&before) != cost(&after),
            SystemEvent::BackgroundWorkCostChange,
        );
        event(
            battery(&before).is_some() && battery(&before) != battery(&after),
            SystemEvent::PowerStateChange,
        );
        edges
    }

    fn learn(&mut self, readings: &Readings) {
        fn put<T: Copy + PartialEq>(known: &mut Level<T>, level: Level<T>) {
            if level.value().is_some() {
                *known = level;
            }
        }
        let known = &mut self.known;
        put(&mut known.external_power, readings.external_power);
        put(&mut known.battery, readings.battery);
        put(&mut known.network, readings.network);
        put(&mut known.internet, readings.internet);
        put(&mut known.metered, readings.metered);
        put(&mut known.session, readings.session);
        put(&mut known.user_present, readings.user_present);
        put(&mut known.screen_on, readings.screen_on);
        put(&mut known.zone, readings.zone);
    }
}
