//! Cages: what confines a run. One folder `run-<id>` in each cgroup hierarchy that enforces something, below one folder of
//! cages, whose name is configured.
//!
//! Each feature (memory cap, bound on processes, small share of the CPU, kill of the whole tree) finds its own hierarchy, v2 where
//! it can and v1 beside an empty v2 tree where not; what cannot be had is said in words, and agents run all the same.
//! Deliberately absent: the figures of the limits, and when one is changed.

mod family;
mod hierarchy;
mod holding;
mod memory;
mod probe;
mod tree;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::process::Pid;

use crate::bpf::{Attached, Counter};
use crate::clock;
use crate::wire::Class;

pub(crate) use family::start_time;
pub use hierarchy::{Hierarchies, Hierarchy, Version};
pub(crate) use holding::Process;
use memory::{MemoryCap, counter, number, write};
pub use probe::CannotEnforce;
pub use tree::Tree;
use tree::TreeKill;

/// What is enforced on a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes; absent = no cap.
    pub memory: Option<u64>,
    /// Writable memory of each process in bytes, which its processes bound themselves by; absent = no bound.
    pub data: Option<u64>,
    /// Processes and threads at one time.
    pub pids: u32,
    /// Whose share of the processor.
    pub class: Class,
}

/// Why cages cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The configured name is no folder name.
    #[error(
        "the name of the folder of cages is {name:?}; use 1 to 64 letters, digits, '-', '_', '.', and begin with a letter, digit or '_'"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Somebody else keeps cages there.
    #[error(
        "the cages below {} belong to another launcher that is running; give this node another name in [cgroup] name", folder.display()
    )]
    InUse {
        /// The folder of cages.
        folder: PathBuf,
    },
    /// The folder was made and cannot be opened.
    #[error("opening the folder of cages {}", folder.display())]
    Folder {
        /// The folder of cages.
        folder: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

/// Why a cage could not be made or removed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct CageError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Where the CPU time of a cage stands.
#[derive(Debug, Clone, Copy)]
enum CpuAccount {
    /// `cpu.stat` of the v2 tree, which has it without the controller too.
    Stat,
    /// `cpuacct.usage` of v1.
    Accounting,
}

/// The folders of cages of one launcher, and the way chosen for each feature.
#[derive(Debug)]
pub struct Cages {
    /// Below each of these a run has a folder.
    folders: Vec<PathBuf>,
    /// In these all runs are together.
    shared: Vec<PathBuf>,
    memory: Option<(usize, Box<dyn MemoryCap>)>,
    pids: Option<usize>,
    /// `tasks` of the v1 groups that agents share for the CPU.
    cpu: Option<SharedCpu>,
    /// Where the v2 tree weighs the CPU: the folder beside the unified one in which the cages of critical runs stand.
    critical: Option<PathBuf>,
    /// Network programs attach to cages here.
    network: bool,
    kill_folder: Option<usize>,
    kill: Box<dyn TreeKill>,
    unified: Option<usize>,
    account: Option<(usize, CpuAccount)>,
    /// The v2 folder in which this process was found.
    home: Option<PathBuf>,
    #[expect(dead_code, reason = "held for as long as these cages are in use")]
    lock: Option<OwnedFd>,
}

/// The cage of one run.
#[derive(Debug)]
pub struct Cage {
    run: u64,
    /// In the order of [`Cages`]' own.
    folders: Vec<PathBuf>,
    cap: Option<u64>,
    /// Beyond it asking for memory fails.
    data: Option<u64>,
    oom: Option<(OwnedFd, PollFlags)>,
    changes: Option<OwnedFd>,
    cut: Option<Attached>,
    closed: Option<Attached>,
    /// Its bytes were to be counted: tried once, so that what fails is told once.
    counted: bool,
    counter: Option<Counter>,
}

/// `tasks` of the v1 groups that agents share for the CPU, by class.
#[derive(Debug)]
struct SharedCpu {
    background: OwnedFd,
    critical: OwnedFd,
}

/// How a child gets into its cage.
#[derive(Debug)]
pub(crate) struct Doors {
    /// The v2 folder to be born in.
    pub(crate) born_in: Option<OwnedFd>,
    /// `tasks` of v1 folders. One thread that moves itself by `tasks` needs no wait for all CPUs, other than by `cgroup.procs`.
    pub(crate) enter: Vec<OwnedFd>,
}

/// How long what an earlier launcher left behind may take to die.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(5);

/// Between two looks at something that gives no notice.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

impl Cages {
    /// Finds out what this machine lets us enforce below `name`, and what not.
    pub fn probe(name: &str) -> Result<(Self, Vec<CannotEnforce>), ProbeError> {
        Self::probe_in(name, &Hierarchies::read())
    }

    /// As [`Cages::probe`], in these hierarchies only.
    pub fn probe_in(
        name: &str,
        hierarchies: &Hierarchies,
    ) -> Result<(Self, Vec<CannotEnforce>), ProbeError> {
        probe::probe(name, hierarchies)
    }

    /// Makes the cage of a run, empty, with its limits set.
    pub fn create(&self, run: u64, limits: Limits) -> Result<Cage, CageError> {
        let mut cage = Cage::of(run, Vec::new());
        cage.data = limits.data;
        match self.furnish(&mut cage, limits) {
            Ok(()) => Ok(cage),
            Err(error) => {
                // The first error is the one to tell; what is left is met again at the next start.
                drop(self.remove(&cage));
                Err(error)
            }
        }
    }

    fn furnish(&self, cage: &mut Cage, limits: Limits) -> Result<(), CageError> {
        for parent in self.parents(limits.class) {
            let folder = parent.join(format!("run-{}", cage.run));
            make_anew(&folder).map_err(failed("make the cage", &folder))?;
            cage.folders.push(folder);
        }
        if let (Some(index), Some(folder)) = (self.pids, cage.folder(self.pids)) {
            debug_assert!(index < cage.folders.len(), "every folder was made");
            write(&folder.join("pids.max"), &limits.pids.to_string())
                .map_err(failed("set pids.max in", folder))?;
        }
        if let (Some(_weighed), Some(folder)) = (&self.critical, cage.folder(self.unified)) {
            probe::weigh(folder, limits.class).map_err(failed("set cpu.weight in", folder))?;
        }
        if let (Some((index, memory)), Some(bytes)) = (&self.memory, limits.memory) {
            let folder = cage
                .folder(Some(*index))
                .unwrap_or(Path::new(""))
                .to_path_buf();
            memory
                .set(&folder, Some(bytes))
                .map_err(failed("set the memory cap in", &folder))?;
            cage.cap = Some(bytes);
        }
        Ok(())
    }

    /// The folders below which the cage of a run of this class stands, in the order of [`Cages::folders`].
    fn parents(&self, class: Class) -> impl Iterator<Item = &Path> {
        let folders = self.folders.iter().enumerate();
        folders
            .map(move |(index, folder)| match &self.critical {
                Some(critical) if class == Class::Critical && Some(index) == self.unified => {
                    critical
                }
                _ => folder,
            })
            .map(PathBuf::as_path)
    }

    /// From now on it is wanted to know when the cage is out of memory. Its cap holds without that.
    pub(crate) fn watch_memory(&self, cage: &mut Cage) -> Result<(), CageError> {
        let Some((index, memory)) = &self.memory else {
            return Ok(());
        };
        if let (Some(_cap), Some(folder)) = (cage.cap, cage.folder(Some(*index))) {
            let watch = memory.watch(folder);
            cage.oom = Some(watch.map_err(failed("watch the memory of", folder))?);
        }
        Ok(())
    }

    /// From now on it is wanted to know when the cage becomes empty.
    pub(crate) fn watch_changes(&self, cage: &mut Cage) -> io::Result<()> {
        if let (None, Some(folder)) = (&cage.changes, cage.folder(self.kill_folder)) {
            cage.changes = self.kill.watch(folder)?;
        }
        Ok(())
    }

    /// Opens the ways into a cage.
    pub(crate) fn doors(&self, cage: &Cage) -> Result<Doors, CageError> {
        let mut doors = Doors {
            born_in: None,
            enter: Vec::new(),
        };
        for (index, folder) in cage.folders.iter().enumerate() {
            if Some(index) == self.unified {
                let born_in = File::open(folder).map_err(failed("open", folder))?;
                doors.born_in = Some(born_in.into());
            } else {
                let tasks = folder.join("tasks");
                let file = File::options().write(true).open(&tasks);
                doors
                    .enter
                    .push(file.map_err(failed("open", &tasks))?.into());
            }
        }
        Ok(doors)
    }

    /// `tasks` of the v1 group in which agents of a class share the CPU.
    pub(crate) fn shared_cpu(&self, class: Class) -> Option<BorrowedFd<'_>> {
        let shared = self.cpu.as_ref()?;
        Some(match class {
            Class::Background | Class::Intensive => shared.background.as_fd(),
            Class::Critical => shared.critical.as_fd(),
        })
    }

    /// Kills what lives in the cage now. To be called again until it is empty.
    pub fn kill(&self, cage: &Cage, main: Option<Pid>, others: &[Pid]) -> io::Result<()> {
        self.kill.kill(self.tree(cage, main, others))
    }

    /// Nobody lives in the cage. A cage that is gone is empty.
    pub fn is_empty(&self, cage: &Cage, main: Option<Pid>, others: &[Pid]) -> io::Result<bool> {
        match self.kill.is_empty(self.tree(cage, main, others)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            other => other,
        }
    }

    fn tree<'a>(&self, cage: &'a Cage, main: Option<Pid>, others: &'a [Pid]) -> Tree<'a> {
        Tree {
            folder: cage.folder(self.kill_folder).unwrap_or(Path::new("")),
            run: cage.run,
            main,
            others,
        }
    }

    /// The kernel killed in the cage because its own memory cap was reached.
    pub fn memory_exceeded(&self, cage: &Cage) -> bool {
        let Some((index, memory)) = &self.memory else {
            return false;
        };
        cage.cap.is_some() && cage.folder(Some(*index)).is_some_and(|f| memory.killed(f))
    }

    /// Bytes in use now.
    pub fn memory_usage(&self, cage: &Cage) -> Option<u64> {
        let (index, memory) = self.memory.as_ref()?;
        memory.usage(cage.folder(Some(*index))?)
    }

    /// Most bytes ever in use.
    pub fn memory_peak(&self, cage: &Cage) -> Option<u64> {
        let (index, memory) = self.memory.as_ref()?;
        memory.peak(cage.folder(Some(*index))?)
    }

    /// CPU time of all who ever were in the cage, in microseconds.
    pub fn cpu_micros(&self, cage: &Cage) -> Option<u64> {
        let (index, account) = self.account?;
        let folder = cage.folder(Some(index))?;
        match account {
            CpuAccount::Stat => Some(counter(&folder.join("cpu.stat"), "usage_usec ")),
            CpuAccount::Accounting => Some(number(&folder.join("cpuacct.usage"))? / 1_000),
        }
    }

    /// The folder by which the tree of a run is killed; empty where there is none.
    pub fn name(&self, cage: &Cage) -> String {
        let folder = cage
            .folder(self.kill_folder)
            .or_else(|| cage.folders.first().map(PathBuf::as_path));
        folder.map(|f| f.display().to_string()).unwrap_or_default()
    }

    /// Removes an empty cage.
    pub fn remove(&self, cage: &Cage) -> Result<(), CageError> {
        remove_all(&cage.folders)
    }

    /// Kills and removes the cages that an earlier launcher left behind; says of each what was found. For a launcher that holds no run.
    pub fn clear_leftovers(&self) -> Vec<String> {
        let mut runs = BTreeSet::new();
        for parent in self.folders.iter().chain(&self.critical) {
            let entries = fs::read_dir(parent).into_iter().flatten().flatten();
            runs.extend(entries.filter_map(|entry| run_of(&entry.file_name())));
        }
        runs.into_iter().map(|run| self.clear(run)).collect()
    }

    fn clear(&self, run: u64) -> String {
        let of_run = |parent: &Path| parent.join(format!("run-{run}"));
        let critical = self.critical.as_deref().map(of_run);
        let class = if critical.is_some_and(|folder| folder.exists()) {
            Class::Critical
        } else {
            Class::Background
        };
        let cage = Cage::of(run, self.parents(class).map(of_run).collect());
        let count = cage
            .folder(self.kill_folder)
            .and_then(|folder| tree::processes(folder).ok())
            .map_or(0, |all| all.len());
        let deadline = clock::now() + LEFTOVER_PATIENCE;
        while !self.is_empty(&cage, None, &[]).unwrap_or(true) && clock::now() < deadline {
            drop(self.kill(&cage, None, &[]));
            crate::run::pause(LOOK_AGAIN);
        }
        match self.remove(&cage) {
            Ok(()) => format!("run {run}: its cage was left behind; {count} processes were killed"),
            Err(error) => format!(
                "run {run}: its cage was left behind and cannot be removed: {}: {}",
                error, error.source
            ),
        }
    }

    /// Moves this process out of the daemon's own v2 folder, so that a service manager that ends that folder does not end the launcher.
    pub(crate) fn move_in(&self) {
        let Some(folder) = self.unified.and_then(|index| self.folders.get(index)) else {
            return;
        };
        let own = folder.join("launcher");
        // Where it cannot be done the launcher stays where it is; the documentation of deployment says what that asks for.
        if fs::create_dir(&own).is_ok() || own.is_dir() {
            drop(write(&own.join("cgroup.procs"), "0"));
        }
    }

    /// Removes the folders of cages, where no cage is left.
    pub fn dismantle(&self) {
        if let (Some(home), Some(folder)) = (
            &self.home,
            self.unified.and_then(|index| self.folders.get(index)),
        ) {
            drop(write(&home.join("cgroup.procs"), "0"));
            drop(fs::remove_dir(folder.join("launcher")));
        }
        for folder in self
            .folders
            .iter()
            .chain(&self.critical)
            .chain(&self.shared)
        {
            drop(fs::remove_dir(folder));
        }
    }
}

impl Cage {
    fn of(run: u64, folders: Vec<PathBuf>) -> Self {
        Self {
            run,
            folders,
            cap: None,
            data: None,
            oom: None,
            changes: None,
            cut: None,
            closed: None,
            counted: false,
            counter: None,
        }
    }

    fn folder(&self, index: Option<usize>) -> Option<&Path> {
        self.folders.get(index?).map(PathBuf::as_path)
    }

    /// The memory cap that is enforced, in bytes: the lower of the one that fails and the one that kills.
    pub fn cap(&self) -> Option<u64> {
        self.data.or(self.cap)
    }

    /// Ready when the cage is out of memory.
    pub(crate) fn oom(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        self.oom.as_ref().map(|(fd, flags)| (fd.as_fd(), *flags))
    }

    /// Ready (`PRI`) when the cage may have become empty.
    pub(crate) fn changes(&self) -> Option<BorrowedFd<'_>> {
        self.changes.as_ref().map(AsFd::as_fd)
    }

    /// No notice is wanted any more.
    pub(crate) fn close_notices(&mut self) {
        self.oom = None;
        self.changes = None;
    }
}

/// The run whose cage has this name.
fn run_of(name: &OsStr) -> Option<u64> {
    name.to_str()?.strip_prefix("run-")?.parse().ok()
}

/// A folder of that name that is empty was left by an earlier run of the same id, in a store that began anew.
fn make_anew(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_dir(folder)?;
            fs::create_dir(folder)
        }
        other => other,
    }
}

fn remove_all(folders: &[PathBuf]) -> Result<(), CageError> {
    let mut result = Ok(());
    for folder in folders {
        match fs::remove_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                result = Err(failed("remove the cage", folder)(error));
            }
            _ => {}
        }
    }
    result
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CageError {
    let path = path.to_path_buf();
    move |source| CageError { what, path, source }
}
