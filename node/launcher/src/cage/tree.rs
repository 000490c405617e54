//! Killing or stopping everything a run has started, and knowing that nobody of it lives: three ways behind one trait.

use std::fmt::Debug;
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::family;
use super::memory::{line, read, write};

/// Who belongs to a run, for the ways that have no cage to ask.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    /// The run's cage in the hierarchy used here; not looked at where there is none.
    pub folder: &'a Path,
    /// The run.
    pub run: u64,
    /// Its main process; absent = never started.
    pub main: Option<Pid>,
    /// Main processes of the other runs.
    pub others: &'a [Pid],
}

/// A way to kill a tree.
pub(crate) trait TreeKill: Debug {
    /// Kills what lives of the tree now. What escapes by forking is met by the next call: call it again until [`Self::is_empty`].
    fn kill(&self, tree: Tree<'_>) -> io::Result<()>;
    /// Stops everybody of the tree where he is, or lets them go on. Idempotent.
    fn freeze(&self, tree: Tree<'_>, frozen: bool) -> io::Result<()>;
    /// Who is in the tree now.
    fn members(&self, tree: Tree<'_>) -> io::Result<Vec<Pid>>;
    /// Nobody of the tree lives. A process that has ended and was not waited for does not live.
    fn is_empty(&self, tree: Tree<'_>) -> io::Result<bool>;
    /// A descriptor that becomes ready (`PRI`) when the answer of [`Self::is_empty`] may have changed, where there is one.
    fn watch(&self, folder: &Path) -> io::Result<Option<OwnedFd>>;
}

/// The v2 tree: the kernel kills all at once, no fork escapes.
#[derive(Debug)]
pub(crate) struct Unified;

impl TreeKill for Unified {
    fn kill(&self, tree: Tree<'_>) -> io::Result<()> {
        match write(&tree.folder.join("cgroup.kill"), "1") {
            // Kernels before 5.14: nobody forks while frozen, and the signal takes effect all the same.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                write(&tree.folder.join("cgroup.freeze"), "1")?;
                let killed = processes(tree.folder).map(|all| all.into_iter().for_each(kill_one));
                write(&tree.folder.join("cgroup.freeze"), "0")?;
                killed
            }
            other => other,
        }
    }

    fn freeze(&self, tree: Tree<'_>, frozen: bool) -> io::Result<()> {
        write(
            &tree.folder.join("cgroup.freeze"),
            if frozen { "1" } else { "0" },
        )
    }

    fn members(&self, tree: Tree<'_>) -> io::Result<Vec<Pid>> {
        processes(tree.folder)
    }

    fn is_empty(&self, tree: Tree<'_>) -> io::Result<bool> {
        let events = read(&tree.folder.join("cgroup.events"))?;
        Ok(line(&events, "populated ") == 0)
    }

    fn watch(&self, folder: &Path) -> io::Result<Option<OwnedFd>> {
        let events = File::open(folder.join("cgroup.events"))?;
        // A first reading arms the notice: it comes for changes after it.
        let mut text = [0; 64];
        rustix::io::read(&events, &mut text)?;
        Ok(Some(events.into()))
    }
}

/// The v1 freezer: nobody forks while frozen, so one pass meets everybody who was there.
#[derive(Debug)]
pub(crate) struct Freezer;

/// Readings of the state while a tree freezes: a process in the middle of a system call takes a moment. The next pass goes on.
const FREEZING: usize = 100;

impl TreeKill for Freezer {
    fn kill(&self, tree: Tree<'_>) -> io::Result<()> {
        let state = tree.folder.join("freezer.state");
        write(&state, "FROZEN")?;
        for _reading in 0..FREEZING {
            if fs::read_to_string(&state)?.trim() == "FROZEN" {
                break;
            }
        }
        let killed = processes(tree.folder).map(|all| all.into_iter().for_each(kill_one));
        // The signal takes effect when they thaw.
        write(&state, "THAWED")?;
        killed
    }

    fn freeze(&self, tree: Tree<'_>, frozen: bool) -> io::Result<()> {
        let state = if frozen { "FROZEN" } else { "THAWED" };
        write(&tree.folder.join("freezer.state"), state)
    }

    fn members(&self, tree: Tree<'_>) -> io::Result<Vec<Pid>> {
        processes(tree.folder)
    }

    fn is_empty(&self, tree: Tree<'_>) -> io::Result<bool> {
        Ok(processes(tree.folder)?.into_iter().all(family::has_ended))
    }

    fn watch(&self, _folder: &Path) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }
}

/// No cage at all: the main process's session and its descendants, wherever they went. The launcher is the reaper of those
/// whose parents ended, so that they stay in sight.
#[derive(Debug)]
pub(crate) struct Family;

/// Rounds of stopping before the kill: each stops those that the last one's members had forked meanwhile.
const STOPPING: usize = 16;

impl TreeKill for Family {
    fn kill(&self, tree: Tree<'_>) -> io::Result<()> {
        let mut members = Vec::new();
        for _round in 0..STOPPING {
            let found = family::members(tree)?;
            if found == members {
                break;
            }
            members = found;
            for pid in &members {
                // One that ended meanwhile is what is wanted.
                kill_process(*pid, Signal::STOP).ok();
            }
        }
        members.into_iter().for_each(kill_one);
        Ok(())
    }

    fn freeze(&self, tree: Tree<'_>, frozen: bool) -> io::Result<()> {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        for pid in family::members(tree)? {
            // One that ended meanwhile needs no stopping.
            kill_process(pid, signal).ok();
        }
        Ok(())
    }

    fn members(&self, tree: Tree<'_>) -> io::Result<Vec<Pid>> {
        family::members(tree)
    }

    fn is_empty(&self, tree: Tree<'_>) -> io::Result<bool> {
        Ok(family::members(tree)?.is_empty())
    }

    fn watch(&self, _folder: &Path) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }
}

/// The processes of a cage.
pub(crate) fn processes(folder: &Path) -> io::Result<Vec<Pid>> {
    let text = fs::read_to_string(folder.join("cgroup.procs"))?;
    let pid = |line: &str| line.trim().parse().ok().and_then(Pid::from_raw);
    Ok(text.lines().filter_map(pid).collect())
}

/// One that ended meanwhile is what is wanted.
fn kill_one(pid: Pid) {
    kill_process(pid, Signal::KILL).ok();
}
