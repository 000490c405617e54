//! How runs go, and the launcher that has their processes: slow, hung, greedy and lying agents among them.
//!
//! A model of the daemon's launcher: it outlives the daemon and keeps how a run ended until that is durable.
//! Deliberately absent: limits; only the machine's orders end a run before its own end.

use std::collections::BTreeMap;

use lull_policy::{AppId, Exit, HostKind, Launch, RunId, TriggerKind};

use crate::plan::SECOND;

/// How the code of a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    /// It says that its work is done.
    Complete,
    /// It says that it cannot do its work.
    Abort,
    /// It crashes.
    Crash,
    /// It exits without a word.
    Silent,
}

/// How a run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "vices are independent of each other"
)]
pub(crate) struct Behaviour {
    /// How long; absent = for ever.
    pub(crate) takes: Option<u64>,
    /// How it ends by itself.
    pub(crate) ends: Ends,
    /// How long after a request it is out; absent = it ignores it.
    pub(crate) on_cancel: Option<u64>,
    /// It wants more memory than its cap, if it has one.
    pub(crate) greedy: bool,
    /// From the launch to its first sign of life.
    pub(crate) starts_after: u64,
    /// It cannot be started at all.
    pub(crate) unlaunchable: bool,
    /// When it reports progress.
    pub(crate) progress: Option<u64>,
    /// When it updates its app's card.
    pub(crate) card: Option<u64>,
    /// When it says that it is done, whatever it goes on to do.
    pub(crate) lies: Option<u64>,
    /// It uses up its app's quota, if that is metered.
    pub(crate) hungry: bool,
    /// It uses neither CPU nor network nor its device.
    pub(crate) idle: bool,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            takes: Some(SECOND),
            ends: Ends::Complete,
            on_cancel: Some(0),
            greedy: false,
            starts_after: 0,
            unlaunchable: false,
            progress: None,
            card: None,
            lies: None,
            hungry: false,
            idle: false,
        }
    }
}

/// What happens to a run at an instant of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It cannot be started.
    Unlaunchable,
    /// Its processes are there.
    Started,
    /// Its code is at its end.
    Ends,
    /// It leaves as it was asked to.
    Leaves,
    /// It was killed.
    Killed,
    /// It reports progress.
    Progress,
    /// It updates its app's card.
    Card,
    /// It says that it is done.
    SaysDone,
    /// The daemon reads what it used.
    Sampled,
    /// It used up a quota.
    Spent,
}

/// The processes of a run.
#[derive(Debug, Clone)]
pub(crate) struct Process {
    /// Whose.
    pub(crate) app: AppId,
    /// What fired it.
    pub(crate) kind: TriggerKind,
    /// Where it runs.
    pub(crate) host: HostKind,
    /// It has a memory cap.
    pub(crate) capped: bool,
    /// How it goes.
    pub(crate) behaviour: Behaviour,
    /// Its processes are there.
    pub(crate) started: bool,
    /// It has been asked to cancel.
    pub(crate) asked: bool,
    /// When its code is at its end, if it ever is.
    pub(crate) ends: Option<u64>,
    /// Since when it is frozen.
    pub(crate) frozen: Option<u64>,
    /// Words of an earlier generation are not said any more.
    pub(crate) generation: u32,
}

/// Who has the processes of all runs.
#[derive(Debug, Default)]
pub(crate) struct Launcher {
    /// Alive.
    pub(crate) live: BTreeMap<RunId, Process>,
    /// Ended; the daemon has not made it durable yet.
    pub(crate) kept: BTreeMap<RunId, Exit>,
}

impl Launcher {
    /// Takes a run in, and says when it gives its first sign of life.
    pub(crate) fn launch(&mut self, launch: &Launch, behaviour: Behaviour) -> (u64, Word) {
        let first = if behaviour.unlaunchable {
            Word::Unlaunchable
        } else {
            Word::Started
        };
        let after = behaviour.starts_after;
        let process = Process {
            app: launch.app.clone(),
            kind: launch.trigger.kind(),
            host: launch.host,
            capped: launch.memory.is_some(),
            behaviour,
            started: false,
            asked: false,
            ends: None,
            frozen: None,
            generation: 0,
        };
        self.live.insert(launch.run, process);
        (after, first)
    }

    /// A run's processes are gone.
    pub(crate) fn end(&mut self, run: RunId, exit: Exit) {
        if self.live.remove(&run).is_some() {
            self.kept.insert(run, exit);
        }
    }

    /// What it tells a daemon that starts: all that it holds.
    pub(crate) fn held(&self) -> Vec<RunId> {
        let mut held: Vec<RunId> = self.live.keys().chain(self.kept.keys()).copied().collect();
        held.sort_unstable();
        held
    }

    /// In-process runs of an app.
    pub(crate) fn in_process(&self, app: &AppId) -> Vec<RunId> {
        let inside = |process: &Process| process.host == HostKind::InProcess && process.app == *app;
        let live = self.live.iter();
        live.filter(|(_, process)| inside(process))
            .map(|(run, _)| *run)
            .collect()
    }

    /// Stops a run where it is.
    pub(crate) fn freeze(&mut self, run: RunId, at: u64) {
        if let Some(process) = self.live.get_mut(&run)
            && process.frozen.is_none()
        {
            process.frozen = Some(at);
            process.generation += 1;
        }
    }

    /// Lets it go on; gives when its end comes now, if it has one.
    pub(crate) fn thaw(&mut self, run: RunId, at: u64) -> Option<u64> {
        let process = self.live.get_mut(&run)?;
        let since = process.frozen.take()?;
        process.generation += 1;
        process.ends = process.ends.map(|ends| ends + (at - since));
        process.ends
    }
}
