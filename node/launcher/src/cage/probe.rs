//! Finding out what this machine lets us enforce, feature by feature.
//!
//! Deliberately absent: systemd. Where a v2 tree is managed, the nearest folder that already hands out memory and pids is
//! used, which for a delegated service is its own and for a login session the user's slice.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::hierarchy::{Hierarchies, Hierarchy, words};
use super::memory::{self, MemoryCap, write};
use super::tree::{Family, Freezer, TreeKill, Unified};
use super::{Cages, CpuAccount, ProbeError, SharedCpu};
use crate::bpf;
use crate::wire::Class;

/// A limit that this machine does not let us enforce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotEnforce {
    /// What.
    pub limit: &'static str,
    /// Why, and what follows from it.
    pub reason: String,
}

impl Display for CannotEnforce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.limit, self.reason)
    }
}

/// v2 controllers that a cage wants, as the kernel names them.
const WANTED: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// Share of the CPU that agents together have beside one ordinary group: a tenth. Critical ones have what everybody has.
const SHARES_V1: &str = "102";
const CRITICAL_SHARES_V1: &str = "1024";

const WEIGHT_V2: &str = "10";

/// The weights of a run, of 1 to 10,000, beside the others of its folder: of the CPU, and of the disks (INT-15).
pub(super) fn weigh(folder: &Path, class: Class) -> io::Result<()> {
    let (cpu, disks) = match class {
        Class::Background => ("1", "1"),
        Class::Intensive => ("1", "10"),
        Class::Critical => ("100", "100"),
    };
    write(&folder.join("cpu.weight"), cpu)?;
    // Not every kernel weighs disks, nor every disk.
    write(&folder.join("io.weight"), disks).or(Ok(()))
}

/// Chooses a way for each feature and makes the folders of cages.
pub(super) fn probe(
    name: &str,
    hierarchies: &Hierarchies,
) -> Result<(Cages, Vec<CannotEnforce>), ProbeError> {
    check_name(name)?;
    let mut probe = Probe {
        name,
        hierarchies,
        folders: Vec::new(),
        shared: Vec::new(),
        cannot: Vec::new(),
    };
    let (unified, handed_out) = probe.unified();
    let memory = probe.memory(unified, &handed_out);
    let pids = probe.pids(unified, &handed_out);
    let (cpu, critical) = probe.cpu(unified, &handed_out);
    let network = probe.network(unified);
    let (kill_folder, kill) = probe.kill(unified);
    let account = probe.cpu_account(unified);
    if !rustix::process::geteuid().is_root() {
        probe.cannot.push(CannotEnforce {
            limit: "a user of its own for each app",
            reason: format!(
                "the launcher is not root, so agents run as its own user {}, and one that wants to can leave its cage; start the node as root",
                rustix::process::geteuid().as_raw()
            ),
        });
    }
    // Where both are one hierarchy, a run's own folder stands below the shared one and has its share.
    let apart = probe
        .shared
        .iter()
        .all(|folder| !probe.folders.contains(folder));
    let lock = lock(&probe.folders)?;
    let cages = Cages {
        folders: probe.folders,
        shared: probe.shared,
        memory,
        pids,
        cpu: cpu.filter(|_| apart),
        critical,
        network,
        kill_folder,
        kill,
        unified,
        account,
        home: hierarchies.unified().map(|h| h.own.clone()),
        lock,
    };
    Ok((cages, probe.cannot))
}

/// Most bytes of the name of the folder of cages.
const NAME: usize = 64;

fn check_name(name: &str) -> Result<(), ProbeError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let valid = (1..=NAME).contains(&name.len())
        && name.chars().all(allowed)
        && !name.starts_with(['.', '-']);
    if valid {
        return Ok(());
    }
    Err(ProbeError::Name {
        name: name.to_owned(),
    })
}

/// Two launchers over the same cages would kill each other's agents.
fn lock(folders: &[PathBuf]) -> Result<Option<OwnedFd>, ProbeError> {
    let Some(folder) = folders.first() else {
        return Ok(None);
    };
    let failed = |source| ProbeError::Folder {
        folder: folder.clone(),
        source,
    };
    let open: OwnedFd = File::open(folder).map_err(failed)?.into();
    match rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(open)),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ProbeError::InUse {
            folder: folder.clone(),
        }),
        Err(error) => Err(failed(error.into())),
    }
}

#[derive(Debug)]
struct Probe<'a> {
    name: &'a str,
    hierarchies: &'a Hierarchies,
    folders: Vec<PathBuf>,
    /// Groups that all agents share.
    shared: Vec<PathBuf>,
    cannot: Vec<CannotEnforce>,
}

impl Probe<'_> {
    /// Makes the folder of cages in the v2 tree: its number, and the controllers its cages have.
    fn unified(&mut self) -> (Option<usize>, BTreeSet<String>) {
        let Some(tree) = self.hierarchies.unified() else {
            return (None, BTreeSet::new());
        };
        for base in bases(tree) {
            let folder = base.join(self.name);
            if make(&folder).is_ok() {
                enable(&folder);
                let handed_out = words(&folder.join("cgroup.subtree_control"));
                return (Some(self.add(folder)), handed_out);
            }
        }
        (None, BTreeSet::new())
    }

    fn memory(
        &mut self,
        unified: Option<usize>,
        handed_out: &BTreeSet<String>,
    ) -> Option<(usize, Box<dyn MemoryCap>)> {
        if let (Some(index), true) = (unified, handed_out.contains("memory")) {
            return Some((index, Box::new(memory::V2)));
        }
        match self.v1("memory") {
            Ok(index) => Some((index, Box::new(memory::V1))),
            Err(reason) => {
                self.cannot("memory caps", &reason, "an agent can use all memory");
                None
            }
        }
    }

    fn pids(&mut self, unified: Option<usize>, handed_out: &BTreeSet<String>) -> Option<usize> {
        if handed_out.contains("pids") {
            return unified;
        }
        match self.v1("pids") {
            Ok(index) => Some(index),
            Err(reason) => {
                self.cannot(
                    "the bound on an agent's processes",
                    &reason,
                    "a fork bomb is only stopped by the run's time limit",
                );
                None
            }
        }
    }

    /// The CPU is shared by classes of agents: of v1 the files by which a process joins a share; of v2 the folder of critical runs,
    /// which stands beside that of all others and has the weight of an ordinary group.
    fn cpu(
        &mut self,
        unified: Option<usize>,
        handed_out: &BTreeSet<String>,
    ) -> (Option<SharedCpu>, Option<PathBuf>) {
        let result = if let (Some(index), true) = (unified, handed_out.contains("cpu")) {
            let folder = self.folders.get(index).cloned().unwrap_or_default();
            let critical = folder.with_file_name(format!("{}-critical", self.name));
            let weighed = write(&folder.join("cpu.weight"), WEIGHT_V2);
            let made = weighed.and_then(|()| make(&critical));
            enable(&critical);
            made.map(|()| (None, Some(critical)))
                .map_err(|e| format!("cannot write below {}: {e}", folder.display()))
        } else {
            self.v1_shares().map(|shared| (Some(shared), None))
        };
        result.unwrap_or_else(|reason| {
            let effect = "agents compete for the CPU like everybody else";
            self.cannot("a small share of the CPU", &reason, effect);
            (None, None)
        })
    }

    fn v1_shares(&mut self) -> Result<SharedCpu, String> {
        let background = self.make_v1("cpu")?;
        let critical = background.with_file_name(format!("{}-critical", self.name));
        let open = |folder: &Path, shares: &str| -> io::Result<OwnedFd> {
            make(folder)?;
            write(&folder.join("cpu.shares"), shares)?;
            let tasks = File::options().write(true).open(folder.join("tasks"))?;
            Ok(tasks.into())
        };
        let opened = open(&background, SHARES_V1).and_then(|background_tasks| {
            Ok(SharedCpu {
                background: background_tasks,
                critical: open(&critical, CRITICAL_SHARES_V1)?,
            })
        });
        let opened =
            opened.map_err(|e| format!("cannot write below {}: {e}", background.display()));
        self.shared.extend([background, critical]);
        opened
    }

    /// Whether a network can be cut for one cage: programs attach to folders of the v2 tree, with or without controllers.
    fn network(&mut self, unified: Option<usize>) -> bool {
        let folder = unified.and_then(|index| self.folders.get(index));
        let tried = match folder {
            Some(folder) => File::open(folder)
                .and_then(|open| bpf::cut(open.as_fd()))
                .map_err(|e| format!("no program attaches to {}: {e}", folder.display())),
            None => Err("there is no v2 cgroup tree".to_owned()),
        };
        match tried {
            Ok(_attached) => true,
            Err(reason) => {
                self.cannot.push(CannotEnforce {
                    limit: "the cut of an agent's network",
                    reason: format!(
                        "{reason}; agents have the network in standby too, may bind to a mobile one, and what they send is not counted; start the node as root, with a cgroup2 file system mounted"
                    ),
                });
                false
            }
        }
    }

    fn kill(&mut self, unified: Option<usize>) -> (Option<usize>, Box<dyn TreeKill>) {
        if let Some(index) = unified {
            return (Some(index), Box::new(Unified));
        }
        match self.v1("freezer") {
            Ok(index) => (Some(index), Box::new(Freezer)),
            Err(reason) => {
                self.cannot(
                    "the kill of everything an agent has started",
                    &reason,
                    "what it starts is found by session and descent, which a program can evade on purpose",
                );
                (None, Box::new(Family))
            }
        }
    }

    fn cpu_account(&mut self, unified: Option<usize>) -> Option<(usize, CpuAccount)> {
        if let Some(index) = unified {
            return Some((index, CpuAccount::Stat));
        }
        match self.v1("cpuacct") {
            Ok(index) => Some((index, CpuAccount::Accounting)),
            Err(reason) => {
                let effect = "nobody's quota is used up, and who does nothing is not found out";
                self.cannot("the count of an agent's CPU time", &reason, effect);
                None
            }
        }
    }

    /// Makes the folder of cages in the v1 hierarchy of a controller, once for hierarchies that have several.
    fn v1(&mut self, controller: &str) -> Result<usize, String> {
        self.make_v1(controller).map(|folder| self.add(folder))
    }

    fn make_v1(&self, controller: &str) -> Result<PathBuf, String> {
        let Some(hierarchy) = self.hierarchies.of(controller) else {
            return Err(format!("no cgroup has the {controller} controller"));
        };
        let folder = hierarchy.own.join(self.name);
        match make(&folder) {
            Ok(()) => Ok(folder),
            Err(error) => Err(format!("cannot make {}: {error}", folder.display())),
        }
    }

    fn add(&mut self, folder: PathBuf) -> usize {
        if let Some(index) = self.folders.iter().position(|f| *f == folder) {
            return index;
        }
        self.folders.push(folder);
        self.folders.len() - 1
    }

    fn cannot(&mut self, limit: &'static str, reason: &str, effect: &str) {
        self.cannot.push(CannotEnforce {
            limit,
            reason: format!(
                "{reason}; {effect}; start the node as root or delegate a cgroup to it"
            ),
        });
    }
}

/// Folders below which cages could stand, best first: the nearest that hands out memory and pids, then the nearest at all.
fn bases(tree: &Hierarchy) -> Vec<PathBuf> {
    let inside = |folder: &&Path| folder.starts_with(&tree.mount);
    let mut bases: Vec<(usize, PathBuf)> = tree
        .own
        .ancestors()
        .take_while(inside)
        .map(|folder| {
            if folder == tree.own || delegated(folder) {
                enable(folder);
            }
            let handed_out = words(&folder.join("cgroup.subtree_control"));
            let missing = ["memory", "pids"]
                .into_iter()
                .filter(|c| !handed_out.contains(*c))
                .count();
            (missing, folder.to_path_buf())
        })
        .collect();
    bases.sort_by_key(|(missing, _folder)| *missing);
    bases.into_iter().map(|(_missing, folder)| folder).collect()
}

/// Hands out what can be; a folder that has processes of its own hands out nothing (v2), which shows in what is handed out after.
fn enable(folder: &Path) {
    let available = words(&folder.join("cgroup.controllers"));
    let control = folder.join("cgroup.subtree_control");
    for controller in WANTED.into_iter().filter(|c| available.contains(*c)) {
        drop(write(&control, &format!("+{controller}")));
    }
}

/// The service manager gave this folder to somebody below it.
fn delegated(folder: &Path) -> bool {
    ["trusted.delegate", "user.delegate"]
        .into_iter()
        .any(|name| {
            let mut value = [0_u8; 8];
            matches!(rustix::fs::getxattr(folder, name, &mut value), Ok(1))
                && value.starts_with(b"1")
        })
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}
