//! Control groups as the kernel shows them, read by this program itself, so that it need not believe the node.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;

use crate::proc::Process;

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";
/// How deep a cage may lie below a hierarchy's root: a session's own group may be nested.
const DEPTH: usize = 8;

/// Every folder below the mounted hierarchies that has this name.
pub(crate) fn named(name: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    search(Path::new(ROOT), name, DEPTH, &mut found);
    found
}

fn search(folder: &Path, name: &str, depth: usize, found: &mut Vec<PathBuf>) {
    let Some(depth) = depth.checked_sub(1) else {
        return;
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    // A link to a hierarchy (cpu → cpu,cpuacct) is no folder of its own.
    let folders = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for entry in folders {
        if entry.file_name() == name {
            found.push(entry.path());
        } else {
            search(&entry.path(), name, depth, found);
        }
    }
}

/// The folders of a run's cage in all hierarchies: those below `above` whose name is that of `cgroup`.
pub(crate) fn of_run(above: &str, cgroup: &str) -> Vec<PathBuf> {
    let Some(name) = cgroup.rsplit('/').find(|part| !part.is_empty()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for cage in named(above) {
        search(&cage, name, DEPTH, &mut found);
    }
    found
}

/// The processes in a cage and in those below it.
pub(crate) fn processes(cage: &Path) -> Vec<Process> {
    let mut pids: Vec<u32> = fs::read_to_string(cage.join("cgroup.procs"))
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.parse().ok())
        .collect();
    pids.dedup();
    let mut all: Vec<Process> = pids.into_iter().filter_map(Process::of).collect();
    let below = fs::read_dir(cage).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        all.extend(processes(&entry.path()));
    }
    all
}

/// Kills what is left in the cages of this name but `spared`: only what was started below our own node is there.
pub(crate) fn sweep(name: &str, spared: Option<Process>) -> usize {
    let inside: BTreeSet<Process> = named(name)
        .iter()
        .flat_map(|cage| processes(cage))
        .collect();
    let mut killed = 0;
    for process in inside
        .into_iter()
        .filter(|process| Some(*process) != spared)
    {
        let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| process.alive())
            && kill_process(pid, Signal::KILL).is_ok()
        {
            killed += 1;
        }
    }
    killed
}

/// Removes the cages of this name that nobody is in; says which are left.
pub(crate) fn remove(name: &str) -> Vec<PathBuf> {
    let mut left = Vec::new();
    for cage in named(name) {
        if !remove_tree(&cage) {
            left.push(cage);
        }
    }
    left
}

/// From the innermost out: the kernel refuses a group that holds processes or groups.
fn remove_tree(cage: &Path) -> bool {
    let below = fs::read_dir(cage).into_iter().flatten().flatten();
    let folders = below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    for folder in folders {
        // Whatever stays behind makes the removal of the cage itself fail.
        remove_tree(&folder.path());
    }
    fs::remove_dir(cage).is_ok()
}

/// What the kernel's files said of a run's memory, the newest of each.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct MemorySeen {
    /// The files' last content, by path.
    pub(crate) files: BTreeMap<String, String>,
    /// The most memory that was read, in bytes.
    pub(crate) peak: u64,
    /// How often it was looked.
    pub(crate) looks: u64,
}

/// Files that tell of memory: of version 1, then of version 2.
const MEMORY_FILES: [&str; 8] = [
    "memory.limit_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.oom_control",
    "memory.failcnt",
    "memory.max",
    "memory.peak",
    "memory.events",
    "cgroup.events",
];

impl MemorySeen {
    /// Looks once; what cannot be read keeps what was read before.
    pub(crate) fn look(&mut self, cages: &[PathBuf]) {
        self.looks += 1;
        for path in cages
            .iter()
            .flat_map(|cage| MEMORY_FILES.map(|file| cage.join(file)))
        {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            let text = text.trim().to_owned();
            let name = path.file_name().unwrap_or_default();
            if name == "memory.max_usage_in_bytes" || name == "memory.peak" {
                self.peak = self.peak.max(text.parse().unwrap_or(0));
            }
            self.files.insert(path.to_string_lossy().into_owned(), text);
        }
    }

    /// The limit that the kernel was told, where its file was read.
    pub(crate) fn limit(&self) -> Option<u64> {
        let told = |(path, text): (&String, &String)| {
            let file = path.rsplit('/').next()?;
            matches!(file, "memory.limit_in_bytes" | "memory.max").then(|| text.parse().ok())?
        };
        self.files.iter().find_map(told)
    }
}
