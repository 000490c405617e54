//! Readiness and its explanation, from one ordered list of gates (rule book, 14).
//!
//! A firing stops at the first closed gate; `why` walks on and names every closed one. Absent here: what a gate
//! looks at, which stands in the file of its condition, limit or grant.

use crate::condition::{self, Predicate};
use crate::{
    AccessStatus, App, Condition, Device, DropReason, Now, Policy, Push, Readings, Reasons,
    Registration, RegistrationId, Source, TriggerKind, WaitReason, Wall,
};
use crate::{access, apps, limit, schedule};

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
    pub(crate) device: &'a Device,
    pub(crate) registration: &'a Registration,
    pub(crate) kind: TriggerKind,
    /// Its app, where it is installed.
    pub(crate) app: Option<&'a App>,
    pub(crate) access: AccessStatus,
    /// There is a firing; else the gates say what one would meet.
    pub(crate) fired: bool,
    /// The push that is the firing.
    pub(crate) push: Option<&'a Push>,
}

impl<'a> Facts<'a> {
    pub(crate) const fn readings(&self) -> &'a Readings {
        &self.device.readings
    }
    pub(crate) const fn policy(&self) -> &'a Policy {
        &self.device.policy
    }
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
    /// Whose firings it concerns.
    pub(crate) applies: fn(TriggerKind) -> bool,
    pub(crate) closed: fn(&Facts<'_>) -> bool,
    pub(crate) words: fn(&Facts<'_>) -> Words,
    /// Whose readings could open it.
    pub(crate) sources: &'static [Source],
    /// It is part of a schedule or of its start conditions, which a launch for test passes over (AMB-38).
    pub(crate) waived_for_test: bool,
}

/// A place in the order of gates.
#[derive(Debug)]
pub(crate) enum Step {
    Gate(&'static Gate),
    Condition(&'static Predicate),
}

/// The order of gates (rule book, 14), both models in one: what drops comes before what waits.
pub(crate) static ORDER: [Step; 25] = [
    Step::Gate(&apps::GATE),
    Step::Gate(&schedule::GATE),
    Step::Gate(&access::GATE),
    Step::Gate(&access::POLICY_GATE),
    Step::Gate(&limit::operator::GATE),
    Step::Gate(&limit::battery_saver::GATE),
    Step::Gate(&limit::external_power::GATE),
    Step::Condition(&condition::ALL[0]),
    Step::Condition(&condition::ALL[1]),
    Step::Condition(&condition::ALL[2]),
    Step::Condition(&condition::ALL[3]),
    Step::Condition(&condition::ALL[4]),
    Step::Condition(&condition::ALL[5]),
    Step::Condition(&condition::ALL[6]),
    Step::Condition(&condition::ALL[7]),
    Step::Gate(&limit::battery_level::GATE),
    Step::Gate(&limit::network_type::GATE),
    Step::Gate(&limit::screen_locked::GATE),
    Step::Gate(&limit::call::GATE),
    Step::Gate(&limit::settling::GATE),
    Step::Gate(&limit::cpu_pressure::GATE),
    Step::Gate(&limit::debugger::GATE),
    Step::Gate(&limit::interval::GATE),
    Step::Gate(&limit::slot::GATE),
    Step::Gate(&limit::quota::GATE),
];

impl Step {
    /// Whether it concerns a registration at all.
    pub(crate) fn concerns(&self, kind: TriggerKind, conditions: &[Condition]) -> bool {
        match self {
            Self::Gate(gate) => (gate.applies)(kind),
            Self::Condition(predicate) => conditions.contains(&predicate.condition),
        }
    }

    /// Whose readings could open it.
    pub(crate) const fn sources(&self) -> &'static [Source] {
        match self {
            Self::Gate(gate) => gate.sources,
            Self::Condition(predicate) => predicate.sources,
        }
    }

    /// What it means that it is closed.
    pub(crate) const fn obstacle(&self) -> Obstacle {
        match self {
            Self::Gate(gate) => gate.obstacle,
            Self::Condition(predicate) => Obstacle::Wait(predicate.missing),
        }
    }

    fn closed(&self, facts: &Facts<'_>) -> bool {
        if !self.concerns(facts.kind, &facts.registration.conditions) {
            return false;
        }
        let closed = match self {
            Self::Gate(gate) => !(gate.waived_for_test && tests(facts)) && (gate.closed)(facts),
            Self::Condition(predicate) => {
                (predicate.holds)(facts.readings()) != Some(true)
                    && !crate::broken::another_suffices(facts)
            }
        };
        crate::broken::gate(facts.device, self.obstacle(), closed)
    }

    /// What it says to people while it is closed.
    pub(crate) fn words(&self, facts: &Facts<'_>) -> Words {
        match self {
            Self::Gate(gate) => (gate.words)(facts),
            Self::Condition(predicate) => Words {
                since: facts.device.history.since(predicate.quantity),
                seen: predicate.quantity.words(facts.readings()),
                needs: predicate.needs.to_owned(),
                until: None,
            },
        }
    }
}

/// Whether the firing is a launch for test.
fn tests(facts: &Facts<'_>) -> bool {
    facts.registration.latch.as_ref().is_some_and(|l| l.test)
}

/// The closed gates, in order and one at a time.
pub(crate) fn closed(facts: &Facts<'_>) -> impl Iterator<Item = &'static Step> {
    ORDER.iter().filter(move |step| step.closed(facts))
}

/// What the gates say of a firing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The first closed gate; absent = it can run.
    pub(crate) obstacle: Option<Obstacle>,
    /// Everything that makes it wait.
    pub(crate) reasons: Reasons,
}

impl Device {
    /// What stops a firing of this registration now. A push is judged by its own priority.
    pub(crate) fn judge(&self, now: Now, id: RegistrationId, push: Option<&Push>) -> Judgement {
        let mut judgement = Judgement {
            obstacle: None,
            reasons: Reasons::default(),
        };
        let Some(registration) = self.registrations.get(&id) else {
            return judgement;
        };
        for step in closed(&self.facts(now, registration, true, push)) {
            judgement.obstacle = judgement.obstacle.or(Some(step.obstacle()));
            if let Obstacle::Wait(reason) = step.obstacle() {
                judgement.reasons.insert(reason);
            }
        }
        judgement
    }

    /// The first obstacle alone.
    pub(crate) fn obstacle(&self, now: Now, id: RegistrationId) -> Option<Obstacle> {
        let registration = self.registrations.get(&id)?;
        closed(&self.facts(now, registration, true, None))
            .next()
            .map(Step::obstacle)
    }

    /// What the gates look at.
    pub(crate) fn facts<'a>(
        &'a self,
        now: Now,
        registration: &'a Registration,
        fired: bool,
        push: Option<&'a Push>,
    ) -> Facts<'a> {
        Facts {
            now,
            device: self,
            registration,
            kind: self.judged_as(registration.trigger.kind()),
            app: self.apps.get(&registration.app),
            access: self.access(&registration.app),
            fired,
            push,
        }
    }
}
