//! How the runs of a recording went, so that virtual runs can go the same way.
//!
//! The n-th run of a task goes as its n-th run did; where that was lost or never started, and beyond the last, as the
//! task's typical run: the one of median length. What a run that was asked to cancel, was killed or is not over would have
//! needed nobody knows: it has no end of its own.

use std::collections::BTreeMap;

use lull_policy::{
    AppId, Bytes, Effect, Event, Exit, Launch, Now, Report, Request, Run, RunId, Running, Span,
    TaskName, Usage,
};

use crate::scenario::{Behaviour, Ends, OnCancel};
use crate::world::Behaviours;

/// The exit status of a plain command that could not do its work.
const ABORT_STATUS: u8 = 75;

/// The runs of a recording.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    runs: BTreeMap<RunId, Told>,
    /// In the order in which they were started.
    order: Vec<RunId>,
}

/// What is known of a run.
#[derive(Debug, Clone)]
struct Told {
    app: AppId,
    task: TaskName,
    cap: Option<Bytes>,
    started: Running,
    asked: Option<Running>,
    killed: bool,
    ends: Option<Ends>,
    card: Option<Span>,
    ended: Option<(Running, Exit, Usage)>,
}

impl Told {
    fn new(app: &AppId, task: &TaskName, cap: Option<Bytes>, started: Running) -> Self {
        Self {
            app: app.clone(),
            task: task.clone(),
            cap,
            started,
            asked: None,
            killed: false,
            ends: None,
            card: None,
            ended: None,
        }
    }
}

impl History {
    /// A run that was under way when the recording began.
    pub(super) fn under_way(&mut self, run: &Run) {
        let told = Told::new(&run.app, &run.task, run.memory, run.started_running);
        self.add(run.id, told);
    }

    fn launched(&mut self, now: Now, launch: &Launch) {
        let told = Told::new(&launch.app, &launch.task, launch.memory, now.running);
        self.add(launch.run, told);
    }

    fn add(&mut self, run: RunId, told: Told) {
        if self.runs.insert(run, told).is_none() {
            self.order.push(run);
        }
    }

    /// Whose a run is.
    pub(super) fn app_of(&self, run: RunId) -> Option<&AppId> {
        self.runs.get(&run).map(|told| &told.app)
    }

    /// What was said of runs from outside.
    pub(super) fn event(&mut self, now: Now, event: &Event) {
        match event {
            Event::RunReported { run, report } => self.report(now, *run, report),
            Event::RunEnded {
                run, exit, usage, ..
            } => {
                if let Some(told) = self.runs.get_mut(run) {
                    told.ended = Some((now.running, exit.clone(), *usage));
                }
            }
            Event::Call {
                caller: lull_policy::Caller::Agent { run },
                request: Request::UpdateCard { .. },
                ..
            } => self.report(now, *run, &Report::CardUpdated),
            _ => {}
        }
    }

    fn report(&mut self, now: Now, run: RunId, report: &Report) {
        let Some(told) = self.runs.get_mut(&run) else {
            return;
        };
        match report {
            Report::Completed => told.ends = Some(Ends::Complete),
            Report::Aborted { .. } => told.ends = Some(Ends::Abort),
            Report::CardUpdated => {
                told.card.get_or_insert(now.running.since(told.started));
            }
            Report::Progress(_) | Report::DeferralTaken | Report::DeferralCompleted => {}
        }
    }

    /// What the machine decided on runs.
    pub(super) fn effect(&mut self, now: Now, effect: &Effect) {
        match effect {
            Effect::Launch(launch) => self.launched(now, launch),
            Effect::AskToCancel { run, .. } => {
                if let Some(told) = self.runs.get_mut(run) {
                    told.asked.get_or_insert(now.running);
                }
            }
            Effect::Kill { run } => {
                if let Some(told) = self.runs.get_mut(run) {
                    told.killed = true;
                }
            }
            _ => {}
        }
    }

    /// How virtual runs go.
    pub(super) fn behaviours(&self) -> Behaviours {
        let mut tasks: BTreeMap<(&AppId, &TaskName), Vec<Option<Behaviour>>> = BTreeMap::new();
        for told in self.order.iter().filter_map(|run| self.runs.get(run)) {
            let runs = tasks.entry((&told.app, &told.task)).or_default();
            runs.push(behaviour(told));
        }
        let mut behaviours = Behaviours::default();
        for ((app, task), runs) in tasks {
            let typical = typical(&runs);
            let runs = runs.into_iter().chain([None]);
            let runs = runs.map(|run| run.unwrap_or_else(|| typical.clone()));
            behaviours.of_task(app.clone(), task.clone(), runs.collect());
        }
        behaviours
    }
}

/// The run of median length among those that ended by themselves; else the last of which anything is known.
fn typical(runs: &[Option<Behaviour>]) -> Behaviour {
    let known = || runs.iter().flatten();
    let mut ended: Vec<&Behaviour> = known().filter(|run| run.takes.is_some()).collect();
    ended.sort_by_key(|run| run.takes);
    let median = ended.get(ended.len() / 2).copied();
    median.or(known().last()).cloned().unwrap_or_default()
}

/// How a run went; absent where it was lost or never started.
fn behaviour(told: &Told) -> Option<Behaviour> {
    let usual = Behaviour::default();
    let Some((ended, exit, usage)) = &told.ended else {
        return Some(Behaviour {
            takes: None,
            updates_card: told.card,
            ..usual
        });
    };
    let took = ended.since(told.started);
    let peak = usage.memory_peak.unwrap_or(usual.memory);
    let behaviour = Behaviour {
        takes: Some(took),
        ends: ends(told, exit),
        // What it was let have was enough.
        memory: told.cap.map_or(peak, |cap| peak.min(cap)),
        updates_card: told.card,
        cpu: Span::millis(usage.cpu_micros.unwrap_or_default() / 1_000),
        ..usual
    };
    match exit {
        Exit::LaunchFailed { .. } | Exit::Lost | Exit::Vanished | Exit::SystemMemory => {
            return None;
        }
        Exit::MemoryExceeded => {
            let cap = told.cap?;
            let more = Bytes(cap.0.saturating_add(1));
            return Some(Behaviour {
                memory: more,
                ..behaviour
            });
        }
        Exit::Status(_) | Exit::Signal(_) => {}
    }
    match (told.asked, told.killed) {
        (None, false) => Some(behaviour),
        (Some(asked), false) => Some(Behaviour {
            takes: None,
            on_cancel: OnCancel::LeavesAfter(ended.since(asked)),
            ..behaviour
        }),
        (_, true) => Some(Behaviour {
            takes: None,
            on_cancel: OnCancel::Ignores,
            ..behaviour
        }),
    }
}

fn ends(told: &Told, exit: &Exit) -> Ends {
    match (told.ends, exit) {
        (Some(said), _) => said,
        (None, Exit::Status(0)) => Ends::ExitWithoutCompleting,
        (None, Exit::Status(ABORT_STATUS)) => Ends::Abort,
        (None, _) => Ends::Crash,
    }
}
