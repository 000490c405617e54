//! What runs do and say, and how their ends reach the daemon.

use lull_policy::{
    AppId, Event, Exit, HostKind, Report, Resource, RunId, Sample, TriggerKind, Usage,
};

use super::World;
use crate::agents::{Ends, Process, Word};
use crate::plan::{MINUTE, SECOND};
use crate::store::Held;

impl World<'_> {
    pub(super) fn word(&mut self, run: RunId, generation: u32, word: Word) {
        let Some(process) = self.launcher.live.get(&run) else {
            return;
        };
        let always = matches!(word, Word::Killed | Word::Unlaunchable | Word::Started);
        if !always && (process.generation != generation || process.frozen.is_some()) {
            return;
        }
        match word {
            Word::Unlaunchable => {
                let message = "no such file".to_owned();
                self.ended(run, Exit::LaunchFailed { message });
            }
            Word::Started => self.started(run),
            Word::Ends => self.code_ends(run, process.behaviour.ends),
            Word::Leaves => self.ended(run, Exit::Status(0)),
            Word::Killed => self.ended(run, Exit::Signal(9)),
            Word::Progress => self.report_of(run, Report::Progress(50)),
            Word::Card => self.report_of(run, Report::CardUpdated),
            Word::SaysDone => self.report_of(run, Report::Completed),
            Word::Sampled => self.sampled(run),
            Word::Spent => self.spent(run),
        }
    }

    fn report_of(&mut self, run: RunId, report: Report) {
        if self.decides() {
            self.decide(Event::RunReported { run, report });
        }
    }

    fn started(&mut self, run: RunId) {
        let at = self.at;
        let Some(process) = self.launcher.live.get_mut(&run) else {
            return;
        };
        process.started = true;
        let behaviour = process.behaviour.clone();
        let greedy = behaviour.greedy && process.capped;
        process.ends = behaviour.takes.map(|takes| at + takes);
        let metered = (process.app.clone(), Resource::Cpu);
        let hungry = behaviour.hungry && Self::rationed(process.kind);
        let sampling = sampling(process);
        let words = [
            (behaviour.takes, Word::Ends),
            (behaviour.progress, Word::Progress),
            (behaviour.card, Word::Card),
            (behaviour.lies, Word::SaysDone),
            (sampling, Word::Sampled),
            (
                Some(SECOND).filter(|_| hungry && self.meters.contains(&metered)),
                Word::Spent,
            ),
        ];
        if self.decides() {
            self.decide(Event::RunStarted { run });
        }
        if greedy {
            self.ended(run, Exit::MemoryExceeded);
            return;
        }
        for (after, word) in words {
            if let Some(after) = after {
                self.say(run, after, word);
            }
        }
    }

    fn code_ends(&mut self, run: RunId, ends: Ends) {
        match ends {
            Ends::Complete => {
                self.report_of(run, Report::Completed);
                self.ended(run, Exit::Status(0));
            }
            Ends::Abort => {
                let message = "no server".to_owned();
                self.report_of(run, Report::Aborted { message });
                self.ended(run, Exit::Status(75));
            }
            Ends::Crash => self.ended(run, Exit::Status(1)),
            Ends::Silent => self.ended(run, Exit::Status(0)),
        }
    }

    fn sampled(&mut self, run: RunId) {
        let Some(process) = self.launcher.live.get(&run) else {
            return;
        };
        let idle = process.behaviour.idle;
        let sample = Sample {
            cpu_micros: if idle { 10 } else { 200_000 },
            network_bytes: 0,
            device_ios: u64::from(!idle),
        };
        let again = sampling(process);
        if self.decides() {
            self.decide(Event::RunSampled { run, sample });
        }
        if let Some(after) = again {
            self.say(run, after, Word::Sampled);
        }
    }

    fn spent(&mut self, run: RunId) {
        let Some(process) = self.launcher.live.get(&run) else {
            return;
        };
        let app = process.app.clone();
        if self.decides() && self.meters.contains(&(app.clone(), Resource::Cpu)) {
            let resource = Resource::Cpu;
            self.decide(Event::QuotaSpent { app, resource });
        }
    }

    /// The processes of a run are gone.
    pub(super) fn ended(&mut self, run: RunId, exit: Exit) {
        let Some(process) = self.launcher.live.get(&run) else {
            return;
        };
        let crashed = !matches!(exit, Exit::Status(0 | 75) | Exit::LaunchFailed { .. });
        let dies = (process.host == HostKind::InProcess && crashed).then(|| process.app.clone());
        self.launcher.end(run, exit.clone());
        if self.decides() {
            self.tell_end(run, exit);
        }
        if let Some(app) = dies {
            self.goes_down_with_it(&app);
        }
    }

    /// RUN-02: the process that it shared is gone too.
    fn goes_down_with_it(&mut self, app: &AppId) {
        self.front_dies(app);
    }

    /// Tells the daemon how a run ended; the launcher keeps it until that is durable.
    pub(super) fn tell_end(&mut self, run: RunId, exit: Exit) {
        let event = Event::RunEnded {
            run,
            exit,
            usage: Usage::default(),
            output: String::new(),
        };
        let held = Held {
            ended: Some(run),
            ..Held::default()
        };
        self.decide_and(event, held);
    }
}

/// How often the daemon reads what a run uses; absent where the run is short.
fn sampling(process: &Process) -> Option<u64> {
    let behaviour = &process.behaviour;
    if behaviour.takes.is_some_and(|takes| takes < 2 * MINUTE) {
        return None;
    }
    let idle_use = process.kind == TriggerKind::DeviceUse && behaviour.idle;
    Some(if idle_use { 5 * SECOND } else { MINUTE })
        .filter(|_| process.kind != TriggerKind::DeviceUse || idle_use)
}
