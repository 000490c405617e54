//! What of a recording is the outside world's, in order; and what came of it at the time.

use std::collections::BTreeMap;

use lull_policy::{
    Answer, AppId, BootId, Caller, Effect, Event, Now, Observation, Readings, RegistrationId,
    Request, Source, TaskName,
};
use lull_recording::{Entry, Snapshot, Taken};

use super::Recording;
use super::history::History;
use super::tape::{Departure, Tape};

/// A task of an app.
pub(super) type TaskKey = (AppId, TaskName);

/// A recording, studied.
#[derive(Debug, Clone)]
pub(super) struct Study {
    pub(super) steps: Vec<Step>,
    pub(super) history: History,
    /// Starts at the time.
    pub(super) starts: BTreeMap<TaskKey, u64>,
    pub(super) departures: Vec<Departure>,
    pub(super) length: lull_policy::Span,
}

/// Something at an instant of the recording.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) now: Now,
    pub(super) what: What,
    /// What the watchers knew afterwards.
    pub(super) readings: Readings,
}

/// What happened at an instant.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// A process of the daemon started.
    Boot {
        /// In this boot.
        boot: BootId,
        /// It is the one before.
        same: bool,
    },
    /// The launcher said what it held.
    Held,
    /// A policy came.
    Policy(Event),
    /// A call.
    Call {
        /// Who called; a run by its app.
        caller: Asker,
        /// What was asked.
        request: Request,
        /// The id that the new registration was given.
        registered: Option<RegistrationId>,
    },
    /// Anything else from outside.
    Outside(Event),
    /// Nothing from outside: time passes.
    Tick,
}

/// Who called.
#[derive(Debug, Clone)]
pub(super) enum Asker {
    /// A front client, or the operator.
    Outside(Caller),
    /// A run of this app.
    RunOf(AppId),
}

impl Recording {
    /// Replays it and keeps what was the outside's.
    pub(super) fn study(&self) -> Study {
        let mut tape = Tape::of(self);
        let mut study = Study {
            steps: Vec::new(),
            history: History::default(),
            starts: BTreeMap::new(),
            departures: Vec::new(),
            length: lull_policy::Span::ZERO,
        };
        for run in tape.device.runs() {
            study.history.under_way(run);
        }
        let mut boot = self.start.boot.clone();
        for numbered in &self.entries {
            let effects = tape.take(numbered);
            study.watch(tape.now, &numbered.entry, &effects);
            let what = study.sort(&numbered.entry, &effects, &mut boot);
            study.steps.push(Step {
                now: tape.now,
                what,
                readings: *tape.device.readings(),
            });
        }
        study.departures = tape.departures;
        study.length = tape.t;
        study
    }
}

impl Study {
    fn watch(&mut self, now: Now, entry: &Entry, effects: &[Effect]) {
        if let Entry::Event(_, event) = entry {
            self.history.event(now, event);
        }
        for effect in effects {
            self.history.effect(now, effect);
            if let Effect::Observe(observation) = effect
                && let Observation::Started { task, .. } = observation.as_ref()
            {
                let key = (task.app.clone(), task.task.clone());
                *self.starts.entry(key).or_default() += 1;
            }
        }
    }

    fn sort(&self, entry: &Entry, effects: &[Effect], boot: &mut BootId) -> What {
        match entry {
            Entry::Snapshot(snapshot) => after_a_gap(snapshot),
            Entry::Event(_, event) => match event.as_ref() {
                Event::Booted { boot: next } => {
                    let same = next == boot;
                    boot.clone_from(next);
                    What::Boot {
                        boot: next.clone(),
                        same,
                    }
                }
                Event::RunsHeld { .. } => What::Held,
                policy @ (Event::PolicyChanged(_) | Event::PolicyDocument { .. }) => {
                    What::Policy(policy.clone())
                }
                Event::Call {
                    caller, request, ..
                } => self.call(caller, request, effects),
                outside @ (Event::Readings(_)
                | Event::ReadingsAnew(_)
                | Event::Apps(_)
                | Event::ProfileChanged(_)
                | Event::FrontChanged { .. }
                | Event::Occurred(_)
                | Event::PushArrived(_)
                | Event::MemoryShort
                | Event::ShuttingDown
                | Event::ClockStepped) => What::Outside(outside.clone()),
                // Runs are virtual, and so is what follows from them and from the link.
                Event::RunStarted { .. }
                | Event::RunReported { .. }
                | Event::RunEnded { .. }
                | Event::RunSampled { .. }
                | Event::QuotaSpent { .. }
                | Event::PushAnswered { .. }
                | Event::ReceiptsAcknowledged { .. }
                | Event::LinkUp
                | Event::DeadlineReached => What::Tick,
            },
        }
    }

    fn call(&self, caller: &Caller, request: &Request, effects: &[Effect]) -> What {
        let registered = effects.iter().find_map(|effect| match effect {
            Effect::Reply {
                answer: Answer::Registered { id, .. },
                ..
            } => Some(*id),
            _ => None,
        });
        let caller = match caller {
            // A virtual run does that by itself.
            Caller::Agent { .. } if matches!(request, Request::UpdateCard { .. }) => {
                return What::Tick;
            }
            Caller::Agent { run } => match self.history.app_of(*run) {
                Some(app) => Asker::RunOf(app.clone()),
                None => return What::Tick,
            },
            outside => Asker::Outside(outside.clone()),
        };
        What::Call {
            caller,
            request: request.clone(),
            registered,
        }
    }
}

/// What the watchers knew when the recording went on; nobody could follow how it came to be.
fn after_a_gap(snapshot: &Snapshot) -> What {
    if snapshot.gap && snapshot.taken == Taken::UnderWay {
        let readings = Source::ALL
            .into_iter()
            .flat_map(|source| snapshot.readings.of(source));
        What::Outside(Event::ReadingsAnew(readings.collect()))
    } else {
        What::Tick
    }
}
