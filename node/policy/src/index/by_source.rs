//! The sources by which a registration is found: they follow from what it is and whether it runs, and from nothing else.

use super::waits;
use crate::admission::ORDER;
use crate::{Registration, Source, TriggerKind, condition, trigger};

/// A set of sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sources(u8);

impl Sources {
    fn insert(&mut self, sources: &[Source]) {
        for source in sources {
            self.0 |= 1 << *source as u8;
        }
    }

    pub(super) fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = Source> {
        Source::ALL
            .into_iter()
            .filter(move |source| self.0 & (1 << *source as u8) != 0)
    }
}

/// By which sources a registration is found: where it waits, what it is interested in, whose loss cancels its runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct BySource {
    pub(super) waiting: Sources,
    pub(super) interests: Sources,
    pub(super) losses: Sources,
}

impl BySource {
    /// The sources of a registration, whether one of its runs is under way or not.
    pub(super) fn of(registration: &Registration, running: bool) -> Self {
        let guards = running && registration.cancel_on_condition_loss;
        let mut found = Self {
            interests: interests(registration, running),
            ..Self::default()
        };
        if waits(registration) {
            found.waiting = sources(registration);
        }
        if guards {
            found.losses = conditional_on(registration);
        }
        found
    }
}

/// Whose readings could let a firing go: those of every gate that concerns it.
fn sources(registration: &Registration) -> Sources {
    let kind = registration.trigger.kind();
    let mut sources = Sources::default();
    for step in &ORDER {
        if step.concerns(kind, &registration.conditions) {
            sources.insert(step.sources());
        }
    }
    if kind == TriggerKind::Push {
        // PSH-20 looks at the screen too.
        sources.insert(&[Source::Screen]);
    }
    sources
}

fn conditional_on(registration: &Registration) -> Sources {
    let mut sources = Sources::default();
    for condition in &registration.conditions {
        sources.insert(condition::predicate(*condition).sources);
    }
    sources
}

/// CND-04. Sources are watched while a registration stands that could need them, not only while a firing
/// waits: a reading that is there when the trigger fires saves the wait for a watcher, and an event-driven
/// watcher costs nothing while nothing changes. Power is everybody's, because Battery Saver has to be known
/// before a start (RES-09).
fn interests(registration: &Registration, running: bool) -> Sources {
    let mut interests = Sources::default();
    if !registration.spent {
        interests = sources(registration);
        interests.insert(trigger::sources(&registration.trigger));
    }
    if running {
        interests.insert(&[Source::Power]);
        if registration.cancel_on_condition_loss {
            interests.0 |= conditional_on(registration).0;
        }
    }
    interests
}
