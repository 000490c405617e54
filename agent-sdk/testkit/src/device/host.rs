//! The host's part: time steps to the next deadline, effects are performed on the world.

use std::collections::VecDeque;

use lull_policy::{
    BootId, Effect, Event, Exit, Launch, Reading, Readings, Report, RunId, Source, Span, Usage,
};

use super::{EVENTS_PER_INSTANT, Happening, START, VirtualDevice, VirtualRun};
use crate::{Ending, Entry, OnCancel};

impl VirtualDevice {
    pub(super) fn boot(&mut self) {
        #[expect(clippy::expect_used, reason = "a number is a name")]
        let boot = BootId::new(format!("boot-{}", self.boots)).expect("a boot id");
        self.handle(Event::Booted { boot });
        self.handle(Event::RunsHeld {
            runs: self.runs.keys().copied().collect(),
        });
        for source in self.device.interests() {
            self.watch(source);
        }
    }

    pub(super) fn next_step(&self) -> Option<Span> {
        let deadline = self.device.deadline();
        let ends = self
            .runs
            .values()
            .filter_map(|run| run.ends.as_ref().map(|(at, _)| *at));
        let running = ends
            .chain(deadline.running)
            .min()
            .map(|at| at.since(self.now.running));
        let elapsed = deadline.elapsed.map(|at| at.since(self.now.elapsed));
        let wall = deadline.wall.map(|at| at.since(self.now.wall));
        [running, elapsed, wall].into_iter().flatten().min()
    }

    pub(super) fn pass(&mut self, span: Span) {
        self.now.running = self.now.running.after(span);
        self.now.elapsed = self.now.elapsed.after(span);
        self.now.wall = self.now.wall.after(span);
    }

    pub(super) fn end_due_runs(&mut self) {
        let due = |run: &VirtualRun| {
            run.ends
                .as_ref()
                .is_some_and(|(at, _)| *at <= self.now.running)
        };
        let due: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, run)| due(run))
            .map(|(id, _)| *id)
            .collect();
        for run in due {
            let Some(exit) = self
                .runs
                .remove(&run)
                .and_then(|gone| gone.ends)
                .map(|(_, exit)| exit)
            else {
                continue;
            };
            match exit {
                Exit::Status(0) => self.handle(Event::RunReported {
                    run,
                    report: Report::Completed,
                }),
                Exit::Status(75) => {
                    let report = Report::Aborted {
                        message: "could not do its work".to_owned(),
                    };
                    self.handle(Event::RunReported { run, report });
                }
                Exit::Status(_)
                | Exit::Signal(_)
                | Exit::MemoryExceeded
                | Exit::LaunchFailed { .. }
                | Exit::Lost => {}
            }
            self.ended(run, exit);
        }
    }

    pub(super) fn ended(&mut self, run: RunId, exit: Exit) {
        self.handle(Event::RunEnded {
            run,
            exit,
            usage: Usage::default(),
            output: String::new(),
        });
    }

    /// Hands an event to the machine and performs what it asks for, and what follows from that.
    ///
    /// # Panics
    /// If machine and world never come to rest, which is a fault of the machine.
    pub fn handle(&mut self, event: Event) {
        let mut waiting = VecDeque::from([event]);
        let mut handled = 0;
        while let Some(event) = waiting.pop_front() {
            handled += 1;
            assert!(
                handled < EVENTS_PER_INSTANT,
                "machine and world do not come to rest at {:?}",
                self.now
            );
            let mut effects = Vec::new();
            self.device.handle(self.now, event, &mut effects);
            for effect in effects {
                waiting.extend(self.perform(effect));
            }
        }
    }

    pub(super) fn perform(&mut self, effect: Effect) -> Vec<Event> {
        match effect {
            Effect::Put(record) => {
                self.store.insert(record.key(), record);
            }
            Effect::Remove(key) => {
                self.store.remove(&key);
            }
            Effect::Watch(source) => return self.watch_events(source),
            Effect::Unwatch(source) => {
                self.watched.remove(&source);
            }
            Effect::Launch(launch) => return self.launch(*launch),
            Effect::AskToCancel { run, reason, .. } => {
                self.note(Happening::AskedToCancel(run, reason));
                self.ask_to_cancel(run);
            }
            Effect::Kill { run } => {
                self.note(Happening::Killed(run));
                if self.runs.remove(&run).is_some() {
                    let exit = Exit::Signal(9);
                    return vec![Event::RunEnded {
                        run,
                        exit,
                        usage: Usage::default(),
                        output: String::new(),
                    }];
                }
            }
            Effect::Reply { call, answer } => {
                self.answers.insert(call, answer);
            }
            Effect::SendReceipt(receipt) => self.note(Happening::Receipt(receipt)),
            Effect::Notify { app, notice } => self.note(Happening::Told(app, notice)),
        }
        Vec::new()
    }

    pub(super) fn note(&mut self, what: Happening) {
        let at = self.now.wall.since(START);
        self.timeline.push(Entry { at, what });
    }

    pub(super) fn watch(&mut self, source: Source) {
        for event in self.watch_events(source) {
            self.handle(event);
        }
    }

    pub(super) fn watch_events(&mut self, source: Source) -> Vec<Event> {
        self.watched.insert(source);
        let world = self.world;
        let readings = match source {
            Source::Power => vec![
                Reading::ExternalPower(world.external_power),
                Reading::Battery(world.battery),
                Reading::BatterySaver(world.battery_saver),
            ],
            Source::Network => vec![
                Reading::Network(world.network),
                Reading::Internet(world.internet),
            ],
            Source::Session => vec![
                Reading::Session(world.session),
                Reading::UserPresent(world.user_present),
            ],
        };
        vec![Event::Readings(readings)]
    }

    pub(super) fn launch(&mut self, launch: Launch) -> Vec<Event> {
        let behaviour = self
            .behaviours
            .get(&launch.entry_point)
            .copied()
            .unwrap_or_default();
        let run = launch.run;
        let over = launch.memory.is_some_and(|cap| behaviour.memory > cap);
        let exit = match behaviour.ending {
            Ending::Complete => Exit::Status(0),
            Ending::Abort => Exit::Status(75),
            Ending::Crash => Exit::Status(1),
        };
        let ends = behaviour
            .takes
            .map(|takes| (self.now.running.after(takes), exit));
        self.note(Happening::Started(Box::new(launch)));
        if over {
            let usage = Usage {
                memory_peak: Some(behaviour.memory),
                cpu_micros: None,
            };
            let ended = Event::RunEnded {
                run,
                exit: Exit::MemoryExceeded,
                usage,
                output: String::new(),
            };
            return vec![Event::RunStarted { run }, ended];
        }
        self.runs.insert(run, VirtualRun { behaviour, ends });
        vec![Event::RunStarted { run }]
    }

    pub(super) fn ask_to_cancel(&mut self, run: RunId) {
        let now = self.now.running;
        let Some(run) = self.runs.get_mut(&run) else {
            return;
        };
        match run.behaviour.on_cancel {
            OnCancel::Ignores => {}
            OnCancel::LeavesAfter(span) => {
                let out = now.after(span);
                if run.ends.as_ref().is_none_or(|(at, _)| *at > out) {
                    run.ends = Some((out, Exit::Status(0)));
                }
            }
        }
    }
}

pub(super) fn apply(world: &mut Readings, reading: Reading) {
    match reading {
        Reading::ExternalPower(level) => world.external_power = level,
        Reading::Battery(level) => world.battery = level,
        Reading::BatterySaver(level) => world.battery_saver = level,
        Reading::Network(level) => world.network = level,
        Reading::Internet(level) => world.internet = level,
        Reading::Session(level) => world.session = level,
        Reading::UserPresent(level) => world.user_present = level,
    }
}

pub(super) fn source(reading: Reading) -> Source {
    match reading {
        Reading::ExternalPower(_) | Reading::Battery(_) | Reading::BatterySaver(_) => Source::Power,
        Reading::Network(_) | Reading::Internet(_) => Source::Network,
        Reading::Session(_) | Reading::UserPresent(_) => Source::Session,
    }
}
