//! TRGC-03: a system event fires on the edge of a level, once for each registration of it, and never on a level that was
//! only read.

use std::collections::BTreeSet;

use lull_policy::{
    Effect, Event, Level, Observation, Readings, RegistrationId, Session, Source, SystemEvent,
    Trigger,
};

use super::{Checker, Found, Turn, View};

/// Events that are edges of readings and act at once.
const EDGES: [SystemEvent; 6] = [
    SystemEvent::InternetAvailable,
    SystemEvent::SessionConnected,
    SystemEvent::UserPresent,
    SystemEvent::UserAway,
    SystemEvent::TimeZoneChange,
    SystemEvent::BackgroundWorkCostChange,
];

/// The last known values: what is unknown in between is no change.
#[derive(Debug, Default)]
pub(super) struct Edges {
    known: Readings,
}

impl Checker for Edges {
    fn rule(&self) -> &'static str {
        "TRGC-03 edges"
    }

    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found {
        if matches!(view.event, Some(Event::Booted { .. })) {
            self.known = Readings::default();
        }
        let mut expected = Vec::new();
        if let Some(Event::Readings(_)) = view.event {
            if view.anew {
                self.known = Readings::default();
            }
            let before = self.known;
            self.learn(&view.told);
            expected = edges(&before, &self.known);
        }
        let fired = fired(view, turn);
        for (id, registration) in &view.registrations {
            let Trigger::System { event, .. } = registration.trigger else {
                continue;
            };
            if !EDGES.contains(&event) || view.earlier(*id).is_none_or(|earlier| earlier.spent) {
                continue;
            }
            let (found, edge) = (fired.contains(id), expected.contains(&event));
            if found != edge {
                return Err(format!(
                    "registration {} of {event:?}: it fired: {found}, there was an edge: {edge}",
                    id.0
                ));
            }
        }
        for effect in turn.effects {
            if let Effect::Unwatch(source) = effect {
                self.known.forget(*source);
            }
        }
        Ok(())
    }

    fn restored(&mut self, _view: &View) {
        self.known = Readings::default();
    }
}

fn fired(view: &View, turn: Turn<'_>) -> BTreeSet<RegistrationId> {
    let told = turn.effects.iter().filter_map(|effect| match effect {
        Effect::Observe(observation) => match &**observation {
            Observation::Triggered(task) => Some(task.id),
            _ => None,
        },
        _ => None,
    });
    told.filter(|id| view.registrations.contains_key(id))
        .collect()
}

impl Edges {
    fn learn(&mut self, told: &Readings) {
        for source in Source::ALL {
            for reading in told.of(source) {
                let mut probe = Readings::default();
                probe.put(reading);
                if probe != Readings::default() {
                    self.known.put(reading);
                }
            }
        }
    }
}

fn edges(before: &Readings, after: &Readings) -> Vec<SystemEvent> {
    let turned = |before: Level<bool>, after: Level<bool>, to: bool| {
        before.value() == Some(!to) && after.value() == Some(to)
    };
    let connected = |readings: &Readings| readings.session.value().map(|s| s == Session::Connected);
    // RES-20: low on external power, else by the screen.
    let cost = |readings: &Readings| match readings.external_power.value() {
        Some(true) => Some(0),
        Some(false) => readings.screen_on.value().map(|on| if on { 1 } else { 2 }),
        None => None,
    };
    let (zone, cost_before) = (before.zone.value(), cost(before));
    let happened = [
        turned(before.internet, after.internet, true),
        connected(before) == Some(false) && connected(after) == Some(true),
        turned(before.user_present, after.user_present, true),
        turned(before.user_present, after.user_present, false),
        zone.is_some() && after.zone.value() != zone,
        cost_before.is_some() && cost(after) != cost_before,
    ];
    let events = EDGES.into_iter().zip(happened);
    events
        .filter(|(_, happened)| *happened)
        .map(|(event, _)| event)
        .collect()
}
