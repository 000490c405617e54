//! Readiness and its explanation, from one ordered list of gates (rule book, 14).
//!
//! A firing stops at the first closed gate; `why` walks on and names every closed one. Absent here: what a gate
//! looks at, which stands in the file of its condition, limit or grant.

use crate::condition::{self, Predicate};
use crate::readings::History;
use crate::{
    AccessStatus, App, Device, DropReason, Elapsed, Now, Policy, Readings, Registration,
    RegistrationId, Run, WaitReason, Wall,
};
use crate::{access, apps, limit};

/// What a closed gate means to a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// It will never run.
    Drop(DropReason),
    /// It waits.
    Wait(WaitReason),
}

/// Everything a gate may look at.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) now: Now,
    pub(crate) registration: &'a Registration,
    /// Its app, where it is installed.
    pub(crate) app: Option<&'a App>,
    pub(crate) access: AccessStatus,
    pub(crate) readings: &'a Readings,
    pub(crate) history: &'a History,
    pub(crate) policy: &'a Policy,
    /// The run that holds its place.
    pub(crate) holder: Option<&'a Run>,
    /// There is a firing; else the gates say what one would meet.
    pub(crate) fired: bool,
    /// When its timer falls due next.
    pub(crate) next_tick: Option<Elapsed>,
    /// The power sources have not reported yet after a start of the daemon.
    pub(crate) power_awaited: bool,
}

/// What a closed gate says to people.
#[derive(Debug, Default)]
pub(crate) struct Words {
    pub(crate) since: Option<Wall>,
    pub(crate) seen: String,
    pub(crate) needs: String,
    pub(crate) until: Option<Wall>,
}

/// One gate.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) obstacle: Obstacle,
    pub(crate) closed: fn(&Facts<'_>) -> bool,
    pub(crate) words: fn(&Facts<'_>) -> Words,
}

/// A place in the order of gates.
#[derive(Debug)]
pub(crate) enum Step {
    Gate(&'static Gate),
    Condition(&'static Predicate),
}

/// The order of gates (rule book, 14): what drops comes before what waits.
static ORDER: [Step; 11] = [
    Step::Gate(&apps::GATE),
    Step::Gate(&access::GATE),
    Step::Gate(&limit::battery_saver::GATE),
    Step::Condition(&condition::ALL[0]),
    Step::Condition(&condition::ALL[1]),
    Step::Condition(&condition::ALL[2]),
    Step::Condition(&condition::ALL[3]),
    Step::Condition(&condition::ALL[4]),
    Step::Condition(&condition::ALL[5]),
    Step::Gate(&limit::interval::GATE),
    Step::Gate(&limit::slot::GATE),
];

impl Step {
    fn closed(&self, facts: &Facts<'_>) -> bool {
        match self {
            Self::Gate(gate) => (gate.closed)(facts),
            Self::Condition(predicate) => {
                facts.registration.conditions.contains(&predicate.condition)
                    && (predicate.holds)(facts.readings) != Some(true)
            }
        }
    }

    /// What it means that it is closed.
    pub(crate) fn obstacle(&self) -> Obstacle {
        match self {
            Self::Gate(gate) => gate.obstacle,
            Self::Condition(predicate) => Obstacle::Wait(predicate.missing),
        }
    }

    /// What it says to people while it is closed.
    pub(crate) fn words(&self, facts: &Facts<'_>) -> Words {
        match self {
            Self::Gate(gate) => (gate.words)(facts),
            Self::Condition(predicate) => Words {
                since: facts.history.since(predicate.quantity),
                seen: predicate.quantity.words(facts.readings),
                needs: predicate.needs.to_owned(),
                until: None,
            },
        }
    }
}

/// The closed gates, in order and one at a time.
pub(crate) fn closed(facts: &Facts<'_>) -> impl Iterator<Item = &'static Step> {
    ORDER.iter().filter(move |step| step.closed(facts))
}

impl Device {
    /// What stops a firing of this registration now; absent = it can run.
    pub(crate) fn obstacle(&self, now: Now, id: RegistrationId) -> Option<Obstacle> {
        let registration = self.registrations.get(&id)?;
        closed(&self.facts(now, registration, true))
            .next()
            .map(Step::obstacle)
    }

    /// What the gates look at.
    pub(crate) fn facts<'a>(
        &'a self,
        now: Now,
        registration: &'a Registration,
        fired: bool,
    ) -> Facts<'a> {
        Facts {
            now,
            registration,
            app: self.apps.get(&registration.app),
            access: self.access(&registration.app),
            readings: &self.readings,
            history: &self.history,
            policy: &self.policy,
            holder: self.holder(registration),
            fired,
            next_tick: registration
                .due
                .map(|due| self.ticks().next(due, now.elapsed)),
            power_awaited: self.power_awaited.is_some(),
        }
    }
}
