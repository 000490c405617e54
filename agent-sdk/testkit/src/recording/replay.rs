//! The timeline of a recording, in the lines of scenario files.

use lull_policy::{AppId, Device, Effect, Event, Record, Span, TaskName};
use lull_recording::{Entry, Snapshot};

use super::Recording;
use super::calls;
use super::tape::{Departure, Tape};
use crate::scenario::{Line, Recorder, Value};
use crate::world::Numbers;

/// What a recording came to.
#[derive(Debug, Clone)]
pub struct Replay {
    /// What was decided, in the order in which it was. `t` counts from the recording's start; runs are
    /// counted on from what the device had counted before.
    pub timeline: Vec<Line>,
    /// Where the replay does not agree with the recording.
    pub departures: Vec<Departure>,
    /// How long the recording is.
    pub length: Span,
    /// The machine at its end.
    pub device: Device,
}

impl Recording {
    /// Runs it through the machine.
    pub fn replay(&self) -> Replay {
        let mut tape = Tape::of(self);
        let mut recorder = Recorder::default();
        let mut numbers = numbers(&self.start);
        for numbered in &self.entries {
            let effects = tape.take(numbered);
            for effect in &effects {
                if let Effect::Launch(launch) = effect {
                    numbers.of(&launch.app, &launch.task, launch.run);
                }
            }
            write(&mut recorder, &tape, &numbers, &numbered.entry, &effects);
        }
        Replay {
            timeline: recorder.lines,
            departures: tape.departures,
            length: tape.t,
            device: tape.device,
        }
    }
}

/// Runs are counted on from what the device had counted, over all registrations of a name.
fn numbers(start: &Snapshot) -> Numbers {
    let mut numbers = Numbers::default();
    for record in &start.records {
        match record {
            Record::Run(run) => numbers.note(run.id, run.number),
            Record::Finished(run) => numbers.note(run.id, run.number),
            Record::Registration(task) => numbers.go_on(&task.app, &task.name, task.runs),
            _ => {}
        }
    }
    numbers
}

/// The lines of one entry: a call before what follows from it.
fn write(
    recorder: &mut Recorder,
    tape: &Tape,
    numbers: &Numbers,
    entry: &Entry,
    effects: &[Effect],
) {
    let (t, at) = (tape.t, tape.now.wall);
    if let Entry::Event(_, event) = entry
        && let Event::Call {
            caller, request, ..
        } = event.as_ref()
    {
        let answer = effects.iter().find_map(|effect| match effect {
            Effect::Reply { answer, .. } => Some(answer),
            _ => None,
        });
        recorder.line(t, at, "call", calls::fields(caller, request, answer));
    }
    for effect in effects {
        if let Effect::Observe(observation) = effect {
            recorder.observed(t, at, numbers, observation);
        }
    }
}

/// Whether a line is about a task, or a call about it.
pub fn concerns(line: &Line, app: &AppId, task: &TaskName) -> bool {
    let named = |key: &str| match line.field(key) {
        Some(Value::Task(name)) => name == task,
        Some(Value::Text(text)) => text == task.as_str(),
        Some(Value::Word(word)) => *word == task.as_str(),
        _ => false,
    };
    line.field("app") == Some(&Value::App(app.clone()))
        && (named("task") || named("name") || named("kind"))
}
