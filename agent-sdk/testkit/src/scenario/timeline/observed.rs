//! What happened in the world, as lines of the timeline; and the facts that expectations are checked against.

use lull_policy::{News, Observation, Outcome, PushFate, RunId, Span, Task, Wall};

use super::{Line, Value, words};
use crate::scenario::facts::Facts;
use crate::world::{Happening, Numbers, World};

/// Writes the timeline.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    /// So far.
    pub(crate) lines: Vec<Line>,
    /// What expectations ask for.
    pub(in crate::scenario) facts: Facts,
}

pub(crate) type Fields = Vec<(&'static str, Value)>;

impl Recorder {
    /// Writes what happened in the world since this was last called.
    pub(in crate::scenario) fn record(&mut self, world: &mut World) {
        for entry in world.drain() {
            self.facts.take(&entry);
            let said = match &entry.what {
                Happening::Observed(observation) => said(world.numbers(), observation),
                Happening::Bound { .. } => Some(("bind", bound(world.numbers(), &entry.what))),
                Happening::TriedToSchedule { app, kind, answer } => {
                    Some(("call", tried(app, *kind, answer.as_deref())))
                }
                // Said by what the machine observes, or no line of the contract.
                Happening::Started(_)
                | Happening::AskedToCancel(..)
                | Happening::Killed(_)
                | Happening::Told(..)
                | Happening::Receipt(_) => None,
            };
            if let Some((event, fields)) = said {
                self.line(entry.at, entry.wall, event, fields);
            }
        }
    }

    /// Writes what a machine observed, where the contract has a line for it.
    pub(crate) fn observed(
        &mut self,
        t: Span,
        at: Wall,
        numbers: &Numbers,
        observation: &Observation,
    ) {
        if let Some((event, fields)) = said(numbers, observation) {
            self.line(t, at, event, fields);
        }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, t: Span, at: Wall, event: &'static str, fields: Fields) {
        self.lines.push(Line {
            t,
            at,
            event,
            fields,
        });
    }

    /// Writes a line of the scenario's own.
    pub(in crate::scenario) fn write(
        &mut self,
        world: &World,
        event: &'static str,
        fields: Fields,
    ) {
        self.line(world.t(), world.now().wall, event, fields);
    }
}

fn tried(
    app: &lull_policy::AppId,
    kind: lull_policy::ScheduledKind,
    answer: Option<&lull_policy::Answer>,
) -> Fields {
    let answered = crate::scenario::run::Answered::of(answer);
    let mut fields = vec![
        ("app", Value::App(app.clone())),
        ("call", Value::Word("add-scheduled")),
        ("from", Value::Word("agent")),
        ("kind", Value::Word(kind.word())),
    ];
    answered.write(&mut fields);
    fields
}

fn bound(numbers: &Numbers, what: &Happening) -> Fields {
    let Happening::Bound {
        app,
        task,
        run,
        interface,
        allowed,
    } = what
    else {
        return Vec::new();
    };
    let result = if *allowed { "ok" } else { "permission-denied" };
    vec![
        ("app", Value::App(app.clone())),
        ("task", Value::Task(task.clone())),
        ("run", Value::Number(numbers.known(*run))),
        ("interface", Value::Word(interface.word())),
        ("result", Value::Word(result)),
    ]
}

fn named(task: &Task) -> Fields {
    vec![
        ("app", Value::App(task.app.clone())),
        ("task", Value::Task(task.task.clone())),
    ]
}

fn identified(task: &Task) -> Fields {
    let mut fields = named(task);
    fields.push(("id", Value::Number(task.id.0)));
    fields
}

fn with(mut fields: Fields, more: impl IntoIterator<Item = (&'static str, Value)>) -> Fields {
    fields.extend(more);
    fields
}

/// The event and the fields of what the machine decided; absent where the contract has no line for it.
fn said(numbers: &Numbers, observation: &Observation) -> Option<(&'static str, Fields)> {
    let said = match observation {
        Observation::Triggered(_)
        | Observation::Waiting { .. }
        | Observation::Started { .. }
        | Observation::CancelRequested { .. }
        | Observation::Ended { .. }
        | Observation::Dropped { .. }
        | Observation::Network { .. }
        | Observation::Suspended { .. }
        | Observation::Resumed { .. } => firing_or_run(numbers, observation)?,
        Observation::Told { app, news } => told(numbers, app, news),
        Observation::Front { app, state, reason } => {
            let fields = vec![
                ("app", Value::App(app.clone())),
                ("front", Value::Word(words::front(*state))),
                ("reason", Value::Word(words::front_reason(*reason))),
            ];
            ("front", fields)
        }
        Observation::Unscheduled { task, reason } => {
            let (event, reason) = words::unscheduled(*reason);
            (event, with(named(task), [("reason", Value::Word(reason))]))
        }
        Observation::Renewed { task, expires } => {
            let expires = ("expires_at", Value::Moment(*expires));
            ("renewed", with(named(task), [expires]))
        }
        Observation::PeriodicAgents { count, limit } => {
            let fields = vec![
                ("kind", Value::Word("periodic-agents")),
                ("count", Value::Number(u64::from(*count))),
                ("limit", Value::Number(u64::from(*limit))),
            ];
            ("warning", fields)
        }
        Observation::Push { app, id, fate } => {
            let fields = vec![
                ("app", Value::App(app.clone())),
                ("id", Value::Text(id.to_string())),
                ("outcome", Value::Word(words::push(fate))),
            ];
            ("push", with(fields, fated(numbers, fate)))
        }
        Observation::PassedOver { .. } => return None,
    };
    Some(said)
}

/// The lines of a firing and of the run that comes of it.
fn firing_or_run(numbers: &Numbers, observation: &Observation) -> Option<(&'static str, Fields)> {
    let number = |run: &RunId| ("run", Value::Number(numbers.known(*run)));
    let said = match observation {
        Observation::Triggered(task) => {
            let trigger = ("trigger", Value::Word(task.trigger.word()));
            ("triggered", with(identified(task), [trigger]))
        }
        Observation::Waiting { task, reasons } => {
            let mut held: Vec<_> = reasons.iter().map(words::wait).collect();
            held.sort_unstable();
            let held = held.into_iter().map(Value::Word).collect();
            let reasons = ("reasons", Value::List(held));
            ("waiting", with(identified(task), [reasons]))
        }
        Observation::Started { task, run, .. } => {
            let fields = with(identified(task), [number(run)]);
            ("started", with(fields, started(observation)))
        }
        Observation::CancelRequested { task, run, reason } => {
            let reason = ("reason", Value::Word(words::cancel(*reason)));
            ("cancel-requested", with(named(task), [number(run), reason]))
        }
        Observation::Ended { task, run, .. } => {
            let fields = with(identified(task), [number(run)]);
            ("ended", with(fields, ended(observation)))
        }
        Observation::Dropped { task, reason } => {
            let trigger = ("trigger", Value::Word(task.trigger.word()));
            let reason = ("reason", Value::Word(words::drop_reason(*reason)));
            ("dropped", with(named(task), [trigger, reason]))
        }
        Observation::Network { task, run, allowed } => {
            let allowed = ("allowed", Value::Flag(*allowed));
            ("network", with(named(task), [number(run), allowed]))
        }
        Observation::Suspended { task, run, .. } => {
            ("suspended", with(named(task), [number(run), quota()]))
        }
        Observation::Resumed { task, run } => {
            ("resumed", with(named(task), [number(run), quota()]))
        }
        Observation::Told { .. }
        | Observation::Front { .. }
        | Observation::Unscheduled { .. }
        | Observation::Renewed { .. }
        | Observation::PeriodicAgents { .. }
        | Observation::Push { .. }
        | Observation::PassedOver { .. } => return None,
    };
    Some(said)
}

const fn quota() -> (&'static str, Value) {
    ("reason", Value::Word("quota"))
}

fn started(observation: &Observation) -> Fields {
    let Observation::Started {
        host,
        deadline,
        network,
        push,
        ..
    } = observation
    else {
        return Vec::new();
    };
    let mut fields = vec![
        ("host", Value::Word(words::host(*host))),
        ("deadline", Value::or_null(*deadline, Value::Seconds)),
        ("network", Value::Flag(*network)),
    ];
    if let Some(push) = push {
        fields.push(("push", Value::Text(push.to_string())));
    }
    fields
}

fn ended(observation: &Observation) -> Fields {
    let Observation::Ended {
        outcome,
        cancelled,
        terminated,
        ran,
        ..
    } = observation
    else {
        return Vec::new();
    };
    let asked = cancelled.map(words::cancel);
    let gate = terminated.and_then(words::termination);
    // A run that was ended says by what, whatever it had been asked before.
    let reason = match outcome {
        Outcome::Terminated => gate.or(asked),
        _ => asked.or(gate),
    };
    let mut fields = vec![("outcome", Value::Word(words::outcome(*outcome)))];
    fields.extend(reason.map(|reason| ("reason", Value::Word(reason))));
    fields.push(("ran", Value::Seconds(*ran)));
    fields
}

fn told(numbers: &Numbers, app: &lull_policy::AppId, news: &News) -> (&'static str, Fields) {
    let (event, what) = match news.what {
        lull_policy::Happening::Progress(value) => {
            ("progress", ("value", Value::Number(u64::from(value))))
        }
        lull_policy::Happening::Completion(outcome) => (
            "completion",
            ("outcome", Value::Word(words::outcome(outcome))),
        ),
    };
    let fields = vec![
        ("app", Value::App(app.clone())),
        ("task", Value::Task(news.task.clone())),
        ("run", Value::Number(numbers.known(news.run))),
        what,
    ];
    (event, fields)
}

fn fated(numbers: &Numbers, fate: &PushFate) -> Fields {
    match fate {
        PushFate::Started { task, run } => vec![
            ("task", Value::Task(task.clone())),
            ("run", Value::Number(numbers.known(*run))),
        ],
        PushFate::Dropped(reason) => vec![("reason", Value::Word(words::drop_reason(*reason)))],
        PushFate::Queued | PushFate::Collapsed | PushFate::Expired | PushFate::ShownToApp => {
            Vec::new()
        }
    }
}
