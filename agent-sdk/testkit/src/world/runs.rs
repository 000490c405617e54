//! The virtual runs of a device: their starts, their acts and their ends, handed to the machine.

use lull_policy::{
    AppId, Caller, Event, Exit, HostKind, Launch, Report, Request, RunId, ScheduledKind, Usage,
};

use super::run::{Act, VirtualRun};
use super::{Happening, World};
use crate::scenario::Interface;

/// What a run says when it tries to schedule itself.
const DESCRIPTION: &str = "scheduled by its own run";

impl World {
    /// Starts a run; what the machine is told of it.
    pub(super) fn launch(&mut self, launch: Box<Launch>) -> Vec<Event> {
        let run = launch.run;
        let number = self.numbers.of(&launch.app, &launch.task, run);
        let behaviour = self.behaviours.of(&launch, number);
        self.note(Happening::Started(launch.clone()));
        let virtual_run = VirtualRun::new(launch, behaviour, self.clock.now.running);
        let mut events = vec![Event::RunStarted { run }];
        if virtual_run.runs_out_of_memory() {
            let usage = virtual_run.usage(self.clock.now.running);
            events.push(ended(run, Exit::MemoryExceeded, usage));
        } else {
            self.runs.insert(run, virtual_run);
        }
        events
    }

    /// A run's processes are gone; its usage.
    pub(super) fn remove_run(&mut self, run: RunId) -> Option<(VirtualRun, Usage)> {
        let gone = self.runs.remove(&run)?;
        let usage = gone.usage(self.clock.now.running);
        if gone.is_rationed() {
            self.meters
                .used_by_ended(&gone.launch.app, usage.cpu_micros.unwrap_or_default());
        }
        Some((gone, usage))
    }

    /// Kills a run; what the machine is told of it.
    pub(super) fn kill(&mut self, run: RunId) -> Vec<Event> {
        self.note(Happening::Killed(run));
        let gone = self.remove_run(run);
        gone.map(|(_, usage)| ended(run, Exit::Signal(9), usage))
            .into_iter()
            .collect()
    }

    /// Kills an app's own process and the runs in it.
    pub(super) fn kill_front(&mut self, app: &AppId) -> Vec<Event> {
        let in_it: Vec<RunId> = self
            .runs
            .iter()
            .filter(|(_, run)| run.launch.host == HostKind::InProcess && run.launch.app == *app)
            .map(|(id, _)| *id)
            .collect();
        in_it.into_iter().flat_map(|run| self.kill(run)).collect()
    }

    /// Everything that is due now of the runs' acts; whether there was any.
    pub(super) fn perform_acts(&mut self) -> bool {
        let now = self.clock.now.running;
        let mut any = false;
        let due: Vec<RunId> = self.due_runs();
        for id in due {
            while let Some(act) = self.runs.get_mut(&id).and_then(|run| run.act(now)) {
                any = true;
                self.perform_act(id, act);
            }
        }
        any
    }

    fn due_runs(&self) -> Vec<RunId> {
        let now = self.clock.now.running;
        let due = |run: &VirtualRun| run.due().is_some_and(|at| at <= now);
        let runs = self.runs.iter().filter(|(_, run)| due(run));
        runs.map(|(id, _)| *id).collect()
    }

    fn perform_act(&mut self, run: RunId, act: Act) {
        match act {
            Act::Progress(value) => self.tell(Event::RunReported {
                run,
                report: Report::Progress(value),
            }),
            Act::Card => self.tell(Event::RunReported {
                run,
                report: Report::CardUpdated,
            }),
            Act::Bind(interface) => self.bind(run, interface),
            Act::Schedule => self.try_to_schedule(run),
        }
    }

    fn bind(&mut self, run: RunId, interface: Interface) {
        let Some(virtual_run) = self.runs.get(&run) else {
            return;
        };
        let launch = &virtual_run.launch;
        let what = Happening::Bound {
            app: launch.app.clone(),
            task: launch.task.clone(),
            run,
            interface,
            allowed: launch.cellular || interface != Interface::Cellular,
        };
        self.note(what);
    }

    fn try_to_schedule(&mut self, run: RunId) {
        let Some(virtual_run) = self.runs.get(&run) else {
            return;
        };
        let app = virtual_run.launch.app.clone();
        let own = virtual_run.launch.trigger.kind().scheduled();
        let kind = own.unwrap_or(ScheduledKind::Periodic);
        let request = Request::AddScheduled {
            app: app.clone(),
            kind,
            description: DESCRIPTION.to_owned(),
            expires: None,
        };
        let place = self.log.len();
        let answer = self.call(Caller::Agent { run }, request);
        let what = Happening::TriedToSchedule {
            app,
            kind,
            answer: answer.map(Box::new),
        };
        self.note_at(place, what);
    }

    /// Everything that is due now of the runs' ends, in the order of run ids; whether there was any.
    pub(super) fn end_runs(&mut self) -> bool {
        let now = self.clock.now.running;
        let mut any = false;
        for id in self.due_runs() {
            // One end can be the end of another run, in the same process.
            if !self.runs.get(&id).is_some_and(|run| run.is_over(now)) {
                continue;
            }
            let Some((gone, usage)) = self.remove_run(id) else {
                continue;
            };
            let Some(end) = gone.into_end() else {
                continue;
            };
            any = true;
            if let Some(report) = end.report {
                self.tell(Event::RunReported { run: id, report });
            }
            self.tell(ended(id, end.exit, usage));
        }
        any
    }
}

fn ended(run: RunId, exit: Exit, usage: Usage) -> Event {
    Event::RunEnded {
        run,
        exit,
        usage,
        output: String::new(),
    }
}
