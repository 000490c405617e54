//! Numbered properties that hold after every turn, checked by onlookers who know events, effects and records, and
//! nothing of the machine that made them.

mod bounded;
mod calls;
mod changes;
mod edges;
mod gates;
mod limits;
mod losses;
mod outcomes;
mod pushes;
mod reasons;
mod schedules;
mod stretches;
mod timers;
mod verdicts;
mod view;
mod waiting;

use lull_policy::{Deadline, Effect, Event, Now, Readings};

pub(crate) use view::View;

use crate::mailbox::Coordinator;
use crate::store::Store;

/// What a checker says of a breach.
pub(crate) type Found = Result<(), String>;

/// What a device did with an event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    /// What it asked for, in order.
    pub(crate) effects: &'a [Effect],
    /// When it wants to be asked again.
    pub(crate) deadline: Deadline,
}

/// One property, or a few of one subject.
pub(crate) trait Checker: std::fmt::Debug {
    /// Its number and name.
    fn rule(&self) -> &'static str;

    /// An event was decided.
    fn turn(&mut self, view: &View, turn: Turn<'_>) -> Found;

    /// An effect that waited for its commit was performed.
    fn performed(&mut self, _view: &View, _effect: &Effect) -> Found {
        Ok(())
    }

    /// The daemon was away and has only what was durable; the view says what.
    fn restored(&mut self, _view: &View) {}

    /// The life is over.
    fn over(&mut self, _view: &View, _coordinator: &Coordinator) -> Found {
        Ok(())
    }
}

/// A property that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Which.
    pub(crate) rule: &'static str,
    /// When, in milliseconds since the beginning.
    pub(crate) at: u64,
    /// What was found.
    pub(crate) found: String,
}

/// All checkers, with what they see.
#[derive(Debug)]
pub(crate) struct Onlookers {
    view: View,
    checkers: Vec<Box<dyn Checker>>,
    /// The first breach.
    pub(crate) breach: Option<Breach>,
}

impl Onlookers {
    pub(crate) fn new() -> Self {
        Self {
            view: View::default(),
            checkers: vec![
                Box::<gates::Gates>::default(),
                Box::<losses::Losses>::default(),
                Box::<limits::Limits>::default(),
                Box::<outcomes::Outcomes>::default(),
                Box::<verdicts::Verdicts>::default(),
                Box::<pushes::Pushes>::default(),
                Box::<timers::Timers>::default(),
                Box::<schedules::Schedules>::default(),
                Box::<stretches::Stretches>::default(),
                Box::<waiting::Waiting>::default(),
                Box::<bounded::Bounded>::default(),
                Box::<calls::Calls>::default(),
                Box::<edges::Edges>::default(),
                Box::<changes::Changes>::default(),
            ],
            breach: None,
        }
    }

    /// An event is about to be decided.
    pub(crate) fn input(&mut self, now: Now, event: &Event) {
        self.view.input(now, event);
    }

    /// It was decided. `stable` is what has been so for a while.
    pub(crate) fn output(
        &mut self,
        at: u64,
        effects: &[Effect],
        deadline: Deadline,
        stable: Option<Readings>,
    ) {
        self.view.output(effects, deadline);
        self.view.stable = stable.unwrap_or_default();
        let turn = Turn { effects, deadline };
        for checker in &mut self.checkers {
            if let Err(found) = checker.turn(&self.view, turn) {
                note(&mut self.breach, checker.rule(), at, found);
                return;
            }
        }
    }

    /// An effect that waited for its commit was performed.
    pub(crate) fn performed(&mut self, at: u64, effect: &Effect) {
        for checker in &mut self.checkers {
            if let Err(found) = checker.performed(&self.view, effect) {
                note(&mut self.breach, checker.rule(), at, found);
            }
        }
    }

    /// The daemon starts with what is durable.
    pub(crate) fn restored(&mut self, store: &Store) {
        self.view.restored(store.records());
        for checker in &mut self.checkers {
            checker.restored(&self.view);
        }
    }

    /// The life is over.
    pub(crate) fn over(&mut self, at: u64, coordinator: &Coordinator) {
        for checker in &mut self.checkers {
            if let Err(found) = checker.over(&self.view, coordinator) {
                note(&mut self.breach, checker.rule(), at, found);
            }
        }
    }
}

fn note(breach: &mut Option<Breach>, rule: &'static str, at: u64, found: String) {
    if breach.is_none() {
        *breach = Some(Breach { rule, at, found });
    }
}
