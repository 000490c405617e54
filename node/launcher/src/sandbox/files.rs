//! Which files an agent may reach: a Landlock ruleset, best effort by what the kernel knows.
//!
//! Read and execute: the system's programs and the app's own. Read: the system's settings, `/proc`, and what is declared. Read and write: the
//! app's own folder, what is declared, and five device nodes that hold nothing. All else is refused, `/tmp`, `/dev/shm` and `/run` among
//! it: what stands there outlives the run, is shared with others, and speaks to displays and sessions.
//!
//! The app's own folder holds data, not programs: nothing in it can be executed, since programs arrive by the device's packages. An interpreter
//! can still read a script there.
//!
//! Deliberately absent: decisions about which user may read what; file modes hold as before, under the ruleset.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope, path_beneath_rules,
};

use rustix::fs::{Mode, OFlags};

use super::Sandbox;
use crate::cage::CannotEnforce;
use crate::wire::Launch;

/// What is asked of the kernel; an older one enforces what it knows of it. Later versions of Landlock (connecting to sockets by path,
/// datagrams) are not asked for before they were tested.
const WANTED: ABI = ABI::V7;

/// Programs, libraries and shared data of the system.
pub const SYSTEM_RUN: [&str; 11] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    // Scripts of the system, and links to programs (`alternatives`).
    "/etc",
    // Where certificates stand that `/etc/ssl` links to.
    "/var/lib/ca-certificates",
];

/// What runtimes read to find out where they are: of `/sys` the processors and the limits, no sensors and no hardware.
pub const SYSTEM_READ: [&str; 5] = [
    "/proc",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
    "/sys/kernel/mm/transparent_hugepage",
];

/// Where `/etc/resolv.conf` may lead.
pub const NAME_SERVICE: [&str; 4] = [
    "/run/systemd/resolve",
    "/run/resolvconf",
    "/run/NetworkManager/resolv.conf",
    "/run/connman/resolv.conf",
];

/// Device nodes that hold nothing.
pub const DEVICES: [&str; 5] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
];

/// Beside a folder of programs named so stand what these need: `bin/python` reads `../lib` and `../pyvenv.cfg`.
const BIN: [&str; 2] = ["bin", "sbin"];
/// These.
pub const PROGRAMS: [&str; 5] = ["lib", "lib64", "libexec", "share", "pyvenv.cfg"];

/// Bytes of a script's first line, as the kernel has it (`BINPRM_BUF_SIZE`).
const FIRST_LINE: u64 = 256;

/// A ruleset, ready to be applied.
#[derive(Debug)]
pub(super) struct Rules(RulesetCreated);

/// The system's folders of programs, each once: on most systems five of them are links into one.
#[derive(Debug)]
pub(super) struct System(Vec<PathBuf>);

impl System {
    pub(super) fn find() -> Self {
        let real = SYSTEM_RUN
            .iter()
            .filter_map(|path| Path::new(path).canonicalize().ok());
        let mut all: Vec<PathBuf> = Vec::new();
        for path in real {
            if !all.iter().any(|known| path.starts_with(known)) {
                all.push(path);
            }
        }
        Self(all)
    }

    /// The rules of a launch. Paths that are not there are left out.
    pub(super) fn rules(&self, order: &Launch, sandbox: &Sandbox) -> Result<Rules, RulesetError> {
        let execute = AccessFs::from_read(WANTED);
        let read = AccessFs::ReadFile | AccessFs::ReadDir;
        let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
        let mut own = programs(&order.program, &order.args);
        own.retain(|path| !self.0.iter().any(|known| path.starts_with(known)));
        let granted = sandbox.grants.iter().flat_map(|grant| grant.devices());
        let named = sandbox.devices.iter().filter(|path| is_device(path));
        let created = wanted(CompatLevel::BestEffort)?
            .create()?
            .add_rules(path_beneath_rules(&self.0, execute))?
            .add_rules(path_beneath_rules(own, execute))?
            .add_rules(path_beneath_rules(SYSTEM_READ, read))?
            .add_rules(path_beneath_rules(NAME_SERVICE, read))?
            .add_rules(path_beneath_rules(&sandbox.reads, read))?
            .add_rules(path_beneath_rules(&sandbox.writes, write()))?
            .add_rules(path_beneath_rules(DEVICES, device))?
            .add_rules(path_beneath_rules(granted, device))?
            .add_rules(path_beneath_rules(named, device))?;
        Ok(Rules(created))
    }
}

impl Rules {
    /// Confines this process.
    pub(super) fn apply(&self) -> io::Result<()> {
        let rules = self.0.try_clone()?;
        match rules.restrict_self() {
            Ok(_status) => Ok(()),
            Err(error) => Err(kernels_word(&error)),
        }
    }
}

/// Reading and changing, but for device nodes and programs.
fn write() -> BitFlags<AccessFs> {
    AccessFs::from_all(WANTED)
        & !(AccessFs::Execute | AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev)
}

fn wanted(level: CompatLevel) -> Result<Ruleset, RulesetError> {
    Ruleset::default()
        .set_compatibility(level)
        .handle_access(AccessFs::from_all(WANTED))?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)
}

/// The kernel's error under that of the crate.
fn kernels_word(error: &RulesetError) -> io::Error {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = next {
        if let Some(code) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
        {
            return io::Error::from_raw_os_error(code);
        }
        next = error.source();
    }
    io::Error::from(io::ErrorKind::Unsupported)
}

/// How much is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// Landlock as a whole.
    All,
    /// A part of it.
    Part,
}

/// What this kernel does not enforce of it.
pub(super) fn missing() -> Vec<(Level, CannotEnforce)> {
    let has = |access: AccessFs| {
        let asked = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(access);
        asked.and_then(Ruleset::create).is_ok()
    };
    if !has(AccessFs::Execute) {
        let missing = CannotEnforce {
            limit: "an agent's own files only",
            reason: "this kernel has no Landlock, or it is not enabled; an agent can reach every file and device that its user may; use Linux 5.13 or later with landlock in the kernel's lsm= list".to_owned(),
        };
        return vec![(Level::All, missing)];
    }
    let scoped = || {
        let asked = Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .scope(Scope::AbstractUnixSocket | Scope::Signal);
        asked.and_then(Ruleset::create).is_ok()
    };
    let parts = [
        (
            has(AccessFs::Truncate),
            "truncating other files",
            "an agent can cut off files that its user may write; use Linux 6.2 or later",
        ),
        (
            has(AccessFs::IoctlDev),
            "commands to device nodes",
            "an agent can command the nodes that it may open; use Linux 6.10 or later",
        ),
        (
            scoped(),
            "other programs' abstract sockets and processes",
            "an agent can connect to abstract sockets, and signal what its own user runs; use Linux 6.12 or later",
        ),
    ];
    let absent = parts.into_iter().filter(|(has, ..)| !has);
    absent
        .map(|(_has, limit, effect)| {
            let reason = format!("this kernel's Landlock does not know it; {effect}");
            (Level::Part, CannotEnforce { limit, reason })
        })
        .collect()
}

/// The folders and files that an agent may execute and read because its command names them, symbolic links resolved.
fn programs(program: &str, args: &[String]) -> Vec<PathBuf> {
    let mut all = own_programs(program, args);
    let links = [Some(PathBuf::from(program)), interpreter(program)];
    for path in links.into_iter().flatten() {
        // A link's own place counts too: an interpreter finds its folder by the name it was called.
        all.extend(around(&path));
        all.extend(
            path.canonicalize()
                .ok()
                .into_iter()
                .flat_map(|real| around(&real)),
        );
    }
    all.sort();
    all.dedup();
    all
}

/// The folders and files that a command names, as they are written: the program's folder with what belongs to it, and the folder
/// of every argument that is an absolute path, since a script lies beside what it loads.
pub fn own_programs(program: &str, args: &[String]) -> Vec<PathBuf> {
    let mut all = around(Path::new(program));
    for arg in args.iter().map(Path::new).filter(|arg| arg.is_absolute()) {
        all.extend(beside(arg));
    }
    all.sort();
    all.dedup();
    all
}

fn around(program: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = beside(program).into_iter().collect();
    let folder = program.parent();
    if let Some(folder) = folder
        && let Some(prefix) = folder.parent()
        && folder
            .file_name()
            .is_some_and(|name| BIN.iter().any(|bin| name == *bin))
        && is_deep(prefix)
    {
        all.extend(PROGRAMS.iter().map(|name| prefix.join(name)));
    }
    all
}

/// The folder of a file; the file alone where its folder is one of the system's own.
fn beside(file: &Path) -> Option<PathBuf> {
    if is_private(file) {
        return None;
    }
    let folder = file.parent()?;
    Some(if is_deep(folder) { folder } else { file }.to_path_buf())
}

/// Two names or more, and plain ones: `/opt/photos`, not `/home` and not `/opt/../etc`.
fn is_deep(folder: &Path) -> bool {
    let mut parts = folder.components();
    let rooted = parts.next() == Some(Component::RootDir);
    rooted
        && folder.components().count() > 2
        && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Where nothing is granted for being named in a command: no program is executed there.
pub const PRIVATE: [&str; 4] = ["/dev", "/proc", "/sys", "/run"];

fn is_private(path: &Path) -> bool {
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    !path.components().all(plain) || PRIVATE.iter().any(|private| path.starts_with(private))
}

/// Why nobody may declare that an agent reads this; `None`: it may be declared.
pub fn refuse_read(path: &str) -> Option<&'static str> {
    let path = Path::new(path);
    if !path.is_absolute()
        || !path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)))
    {
        return Some("an absolute path without \"..\" is expected");
    }
    if path.parent().is_none() {
        return Some("the whole file system is for no agent");
    }
    if path.starts_with("/dev") {
        return Some(
            "device nodes are for no agent (RUN-47); have it started for the use of the device",
        );
    }
    if path.starts_with("/sys") {
        return Some("hardware and sensors are for no agent (RUN-47)");
    }
    if ["/proc", "/run", "/var/run"]
        .iter()
        .any(|kernel| path.starts_with(kernel))
    {
        return Some("the state of other programs is for no agent (RUN-47)");
    }
    None
}

/// Why nobody may declare that an agent changes this; `None`: it may be declared.
pub fn refuse_write(path: &str) -> Option<&'static str> {
    let system = SYSTEM_RUN.iter().chain(&["/boot", "/root"]);
    let system = system
        .copied()
        .any(|system| Path::new(path).starts_with(system) || Path::new(system).starts_with(path));
    refuse_read(path).or_else(|| system.then_some("no agent changes the system"))
}

/// A node below `/dev`, and no way out of it.
fn is_device(path: &str) -> bool {
    let path = Path::new(path);
    let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
    path.starts_with("/dev")
        && path != Path::new("/dev")
        && path.components().all(plain)
        && !path.is_dir()
}

/// The interpreter that a script's first line names.
fn interpreter(program: &str) -> Option<PathBuf> {
    // What is no plain file must not make the launcher wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(program, flags, Mode::empty()).ok()?);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut line = Vec::new();
    file.take(FIRST_LINE).read_to_end(&mut line).ok()?;
    let rest = line.strip_prefix(b"#!")?;
    let first = rest.split(|byte| *byte == b'\n').next()?;
    let word = first.trim_ascii().split(u8::is_ascii_whitespace).next()?;
    let path = PathBuf::from(OsStr::from_bytes(word));
    path.is_absolute().then_some(path)
}
