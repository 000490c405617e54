//! The Linux calls that need `unsafe`: clone, the child until it becomes the agent, identity, signals, descriptors.
//!
//! The only `unsafe` code of the node. The process that uses it has one thread, so the child of a clone may use
//! everything; it still only makes system calls, on memory that was prepared before.

#![expect(
    unsafe_code,
    reason = "clone3, setresuid, execve, close_range, signalfd and signal dispositions have no safe form"
)]

use std::ffi::{CStr, CString, c_char, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Resource, Rlimit};

use crate::sandbox::Walls;

/// Where the agent finds its socket to the daemon, or an app's socket that is handed to it.
pub(crate) const FIRST: RawFd = 3;
/// Where it finds its payload, or else its socket to the daemon.
pub(crate) const SECOND: RawFd = 4;
/// Where the child reports a failure until `execve` closes it.
const REPORT: RawFd = 5;

/// What a handed socket is announced with, beside the daemon's own variables: `sd_listen_fds(3)` asks for the process's own id.
const LISTEN_PID: &str = "LISTEN_PID";

/// Descriptors 3, 4 and 5 of this process, held so that nothing else is ever opened there, and the child can put its own
/// in their place.
#[derive(Debug)]
pub(crate) struct Places([OwnedFd; 3]);

impl Places {
    /// Opens `/dev/null` and takes the three places; nothing else may be open there.
    pub(crate) fn take() -> io::Result<(OwnedFd, Self)> {
        let null = File::options().read(true).write(true).open("/dev/null")?;
        let null = {
            // Out of the way: it may stand in one of the places itself.
            let above = rustix::io::fcntl_dupfd_cloexec(&null, REPORT + 1)?;
            drop(null);
            above
        };
        let take = |place: RawFd| {
            let fd = rustix::io::fcntl_dupfd_cloexec(&null, place)?;
            if fd.as_raw_fd() == place {
                return Ok(fd);
            }
            let message = format!("descriptor {place} is in use");
            Err(io::Error::other(message))
        };
        let places = Self([take(FIRST)?, take(SECOND)?, take(REPORT)?]);
        Ok((null, places))
    }
}

/// Everything the child needs, prepared before the clone.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) program: &'a CStr,
    /// With the program's name first.
    pub(crate) argv: &'a [CString],
    pub(crate) envp: &'a [CString],
    pub(crate) folder: &'a CStr,
    /// Whom to become; absent = stay who we are.
    pub(crate) identity: Option<Identity<'a>>,
    pub(crate) open_files: u64,
    /// Most bytes of writable memory of each process.
    pub(crate) data: Option<u64>,
    pub(crate) class: crate::wire::Class,
    pub(crate) null: BorrowedFd<'a>,
    /// Standard output and standard error.
    pub(crate) output: BorrowedFd<'a>,
    pub(crate) socket: BorrowedFd<'a>,
    pub(crate) handed: Option<Handed<'a>>,
    /// Takes [`Failure`]'s bytes; closed by a successful `execve`.
    pub(crate) report: BorrowedFd<'a>,
    /// The v2 cage to be born in.
    pub(crate) born_in: Option<BorrowedFd<'a>>,
    /// Files of v1 cages that take "0" for the process that writes it.
    pub(crate) enter: &'a [BorrowedFd<'a>],
    pub(crate) walls: &'a Walls<'a>,
}

/// A descriptor that came with the order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Handed<'a> {
    /// A payload, read as descriptor 4.
    Payload(BorrowedFd<'a>),
    /// An app's socket, found as descriptor 3 as `sd_listen_fds(3)` has it; the socket to the daemon moves to 4.
    Socket(BorrowedFd<'a>),
}

/// A Unix user with its groups.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Identity<'a> {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: &'a [u32],
}

/// At which step the child failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Step {
    Session = 1,
    Cage,
    Descriptors,
    Signals,
    Limits,
    Identity,
    NoNewPrivileges,
    Folder,
    Exec,
    Files,
    Calls,
}

/// What the child reports of a failure.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Absent: a step of another build.
    pub(crate) step: Option<Step>,
    pub(crate) error: io::Error,
}

impl Failure {
    /// Bytes of a report.
    pub(crate) const LENGTH: usize = 8;

    pub(crate) fn decode(bytes: [u8; Self::LENGTH]) -> Self {
        let word = |half: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&bytes[half * 4..half * 4 + 4]);
            word
        };
        let steps = [
            Step::Session,
            Step::Cage,
            Step::Descriptors,
            Step::Signals,
            Step::Limits,
            Step::Identity,
            Step::NoNewPrivileges,
            Step::Folder,
            Step::Exec,
            Step::Files,
            Step::Calls,
        ];
        let number = u32::from_ne_bytes(word(0));
        Self {
            step: steps.into_iter().find(|step| *step as u32 == number),
            error: io::Error::from_raw_os_error(i32::from_ne_bytes(word(1))),
        }
    }
}

/// Starts the child. It reports a failure on the plan's pipe; a successful `execve` closes that.
pub(crate) fn start(plan: &Plan<'_>, places: &Places) -> io::Result<Pid> {
    let argv = pointers(plan.argv);
    let mut envp = pointers(plan.envp);
    let (pid, born) = clone_into(plan.born_in)?;
    if let Some(pid) = pid {
        return Ok(pid);
    }
    let handed = matches!(plan.handed, Some(Handed::Socket(_)));
    let listen_pid = handed.then(listen_pid);
    if let (Some(listen_pid), Some(last)) = (&listen_pid, envp.len().checked_sub(1)) {
        envp.insert(last, listen_pid.as_ptr());
    }
    let (step, error) = become_agent(plan, places, born, &argv, &envp);
    let mut report = [0; Failure::LENGTH];
    report[..4].copy_from_slice(&(step as u32).to_ne_bytes());
    report[4..].copy_from_slice(&error.raw_os_error().unwrap_or(0).to_ne_bytes());
    // Both places: how far the child came is not known here. Nobody is left to be told of a failure to tell.
    if rustix::io::write(plan.report, &report).is_err() {
        rustix::io::write(&places.0[2], &report).ok();
    }
    // SAFETY: `_exit` has no precondition; it keeps the child from running the parent's destructors.
    unsafe { libc::_exit(127) }
}

/// The child's own number, which is known only after the clone.
fn listen_pid() -> CString {
    let pid = rustix::process::getpid().as_raw_nonzero();
    // Digits have no NUL.
    CString::new(format!("{LISTEN_PID}={pid}")).unwrap_or_default()
}

/// `CLONE_INTO_CGROUP`; libc's constant overflows its type.
const INTO_CGROUP: u64 = 0x2_0000_0000;

/// `struct clone_args` of clone3(2), which libc has for some architectures only.
#[derive(Debug, Default)]
#[repr(C)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Clones this process: `None` in the child. Says whether the child was born in the cage.
fn clone_into(cage: Option<BorrowedFd<'_>>) -> io::Result<(Option<Pid>, bool)> {
    if let Some(cage) = cage {
        let args = CloneArgs {
            flags: INTO_CGROUP,
            exit_signal: libc::SIGCHLD.unsigned_abs().into(),
            cgroup: cage.as_raw_fd().unsigned_abs().into(),
            ..CloneArgs::default()
        };
        // SAFETY: as fork(2): no memory is shared and no stack is given. The kernel reads `size_of` bytes of `args`, which live
        // through the call. This process has one thread, so no lock can be held by another one.
        let pid =
            unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
        if pid >= 0 {
            return Ok((Pid::from_raw(c_int::try_from(pid).unwrap_or(0)), true));
        }
        let error = io::Error::last_os_error();
        // Kernels before 5.7 and some sandboxes have no such clone; anything else is a real failure.
        let missing = [libc::ENOSYS, libc::E2BIG, libc::EINVAL, libc::EPERM];
        if !error
            .raw_os_error()
            .is_some_and(|code| missing.contains(&code))
        {
            return Err(error);
        }
    }
    fork().map(|pid| (pid, false))
}

/// fork(2): `None` in the child.
pub(crate) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: this process has one thread, so the child finds every lock free.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// The child: returns only on failure.
fn become_agent(
    plan: &Plan<'_>,
    places: &Places,
    born: bool,
    argv: &[*const c_char],
    envp: &[*const c_char],
) -> (Step, io::Error) {
    let prepared = enter_cage(plan, born)
        .map_err(|e| (Step::Cage, e))
        .and_then(|()| {
            rustix::thread::set_no_new_privs(true).map_err(|e| (Step::NoNewPrivileges, e.into()))
        })
        // Its ruleset is a descriptor, so this comes before all but the agent's own are closed.
        .and_then(|()| plan.walls.close_files().map_err(|e| (Step::Files, e)))
        .and_then(|()| place_descriptors(plan, places).map_err(|e| (Step::Descriptors, e)))
        .and_then(|()| clear_signals().map_err(|e| (Step::Signals, e)))
        .and_then(|()| limit(plan).map_err(|e| (Step::Limits, e)))
        .and_then(|()| {
            let became = plan.identity.map_or(Ok(()), become_user);
            became.map_err(|e| (Step::Identity, e))
        })
        .and_then(|()| match rustix::process::setsid() {
            Ok(_session) => Ok(()),
            Err(e) => Err((Step::Session, e.into())),
        })
        .and_then(|()| rustix::process::chdir(plan.folder).map_err(|e| (Step::Folder, e.into())))
        .and_then(|()| plan.walls.close_calls().map_err(|e| (Step::Calls, e)));
    if let Err(failure) = prepared {
        return failure;
    }
    // SAFETY: the program is NUL-terminated; both arrays end with a null pointer and point to NUL-terminated strings that the
    // plan keeps alive.
    unsafe { libc::execve(plan.program.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
    (Step::Exec, io::Error::last_os_error())
}

/// Before anything else of the agent's: from here on it is bounded.
fn enter_cage(plan: &Plan<'_>, born: bool) -> io::Result<()> {
    if let (false, Some(cage)) = (born, plan.born_in) {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let join = rustix::fs::openat(cage, c"cgroup.procs", flags, Mode::empty())?;
        rustix::io::write(&join, b"0")?;
    }
    for file in plan.enter {
        rustix::io::write(file, b"0")?;
    }
    Ok(())
}

fn place_descriptors(plan: &Plan<'_>, places: &Places) -> io::Result<()> {
    rustix::stdio::dup2_stdin(plan.null)?;
    rustix::stdio::dup2_stdout(plan.output)?;
    rustix::stdio::dup2_stderr(plan.output)?;
    let [first, second, report] = &places.0;
    match plan.handed {
        Some(Handed::Payload(file)) => {
            replace(plan.socket, first, 0)?;
            replace(file, second, 0)?;
        }
        Some(Handed::Socket(handed)) => {
            replace(handed, first, 0)?;
            replace(plan.socket, second, 0)?;
        }
        None => {
            replace(plan.socket, first, 0)?;
            // SAFETY: the child never uses this descriptor again: it only makes the calls of this module.
            checked(unsafe { libc::close(second.as_raw_fd()) })?;
        }
    }
    replace(plan.report, report, libc::O_CLOEXEC)?;
    close_from(REPORT + 1)
}

/// Puts a duplicate of `source` in the place of `target`.
fn replace(source: BorrowedFd<'_>, target: &OwnedFd, flags: c_int) -> io::Result<()> {
    // SAFETY: both are open; the target is one of the reserved places, whose owner here in the child is used for nothing else.
    checked(unsafe { libc::dup3(source.as_raw_fd(), target.as_raw_fd(), flags) })
}

/// Closes every descriptor from `first` on.
pub(crate) fn close_from(first: RawFd) -> io::Result<()> {
    // SAFETY: called where nothing owns a descriptor from `first` on that is used afterwards: at the start of the process,
    // and in the child, which uses only those below. libc's own wrapper is newer than the oldest libc supported.
    checked(unsafe { libc::syscall(libc::SYS_close_range, first.unsigned_abs(), u32::MAX, 0_u32) })
}

/// What `execve` keeps of signals: the mask, and what is ignored. This process ignores only SIGPIPE.
fn clear_signals() -> io::Result<()> {
    // SAFETY: the default disposition runs no code of ours.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    set_mask(&[])
}

fn limit(plan: &Plan<'_>) -> io::Result<()> {
    // Before its bounds: these hold for the launcher too, where it lacks the capability.
    set_class(plan.class)?;
    let bounds = [
        (Resource::Nofile, plan.open_files),
        // No memory image with secrets in it, nothing before other programs, no messages that outlive the run.
        (Resource::Core, 0),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
        (Resource::Msgqueue, 0),
    ];
    for (resource, bound) in bounds {
        let limit = Rlimit {
            current: Some(bound),
            maximum: Some(bound),
        };
        rustix::process::setrlimit(resource, limit)?;
    }
    if plan.data.is_some() {
        rustix::process::setrlimit(Resource::Data, data_limit(plan.data))?;
    }
    Ok(())
}

/// The bound beyond which asking for writable memory fails. Only the soft one: an agent that raises it for itself meets the cap of its
/// cage, and a launcher that is not root can still lift it for a debugger.
fn data_limit(bytes: Option<u64>) -> Rlimit {
    let maximum = rustix::process::getrlimit(Resource::Data).maximum;
    let current = match (bytes, maximum) {
        (Some(bytes), Some(maximum)) => Some(bytes.min(maximum)),
        (bytes, maximum) => bytes.or(maximum),
    };
    Rlimit { current, maximum }
}

/// Sets the bound of [`data_limit`] on running processes of a user. One that ended meanwhile asks for nothing.
///
/// A root without `CAP_SYS_RESOURCE`, as in many containers, may do so only as that user: then a child does it.
pub(crate) fn bound_data(
    pids: &[Pid],
    bytes: Option<u64>,
    identity: Option<Identity<'_>>,
) -> io::Result<()> {
    let Err(error) = bound_all(pids, bytes) else {
        return Ok(());
    };
    let Some(identity) = identity.filter(|_| error.kind() == io::ErrorKind::PermissionDenied)
    else {
        return Err(error);
    };
    if let Some(child) = fork()? {
        let ended = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty())?;
        let done = ended.is_some_and(|(_pid, status)| status.exit_status() == Some(0));
        return if done { Ok(()) } else { Err(error) };
    }
    let done = become_user(identity).and_then(|()| bound_all(pids, bytes));
    // SAFETY: `_exit` has no precondition; it keeps the child from running the parent's destructors.
    unsafe { libc::_exit(c_int::from(done.is_err())) }
}

fn bound_all(pids: &[Pid], bytes: Option<u64>) -> io::Result<()> {
    for pid in pids {
        match rustix::process::prlimit(Some(*pid), Resource::Data, data_limit(bytes)) {
            Ok(_) | Err(rustix::io::Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn become_user(identity: Identity<'_>) -> io::Result<()> {
    let Identity { uid, gid, groups } = identity;
    // SAFETY: the pointer and the length describe one live slice.
    checked(unsafe { libc::setgroups(groups.len(), groups.as_ptr()) })?;
    // SAFETY: plain numbers; the child has one thread, so libc has nobody to signal.
    checked(unsafe { libc::setresgid(gid, gid, gid) })?;
    // SAFETY: as above.
    checked(unsafe { libc::setresuid(uid, uid, uid) })
}

/// The highest signal number.
const SIGNALS: c_int = 64;

/// Takes the signals this process reads from a descriptor: children, and requests to end. Everything else goes back to its default,
/// whatever the parent had set, but for SIGPIPE, which stays ignored.
pub(crate) fn take_signals() -> io::Result<OwnedFd> {
    // libc's own wrapper refuses the two signals it keeps for itself, which a parent may have ignored all the same.
    let default = [0_u64; 4];
    for signal in 1..=SIGNALS {
        if ![libc::SIGKILL, libc::SIGSTOP, libc::SIGSEGV, libc::SIGBUS].contains(&signal) {
            // SAFETY: all zero is the default disposition with no flags, whatever the order of the kernel's fields, of which there are
            // at most four words; the set in it has eight bytes. No code of ours is run by it.
            checked(unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    default.as_ptr(),
                    std::ptr::null_mut::<u64>(),
                    size_of::<u64>(),
                )
            })?;
        }
    }
    // SAFETY: ignoring runs no code of ours.
    if unsafe { libc::signal(libc::SIGPIPE, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    let taken = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
    set_mask(&taken)?;
    let set = signal_set(&taken);
    // SAFETY: the set is initialised and lives through the call; -1 asks for a new descriptor.
    let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The next signal taken, if there is one: its number.
pub(crate) fn next_signal(signals: &OwnedFd) -> Option<c_int> {
    let mut record = [0; size_of::<libc::signalfd_siginfo>()];
    match rustix::io::read(signals, &mut record) {
        Ok(length) if length == record.len() => {
            let [a, b, c, d, ..] = record;
            c_int::try_from(u32::from_ne_bytes([a, b, c, d])).ok()
        }
        _ => None,
    }
}

fn set_mask(signals: &[c_int]) -> io::Result<()> {
    let set = signal_set(signals);
    // SAFETY: the set is initialised and lives through the call; the old mask is not asked for.
    checked(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) })
}

fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    // SAFETY: all zero is a valid `sigset_t`; `sigemptyset` and `sigaddset` then write only to it, and cannot fail for these numbers.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        set
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
    pointers.push(std::ptr::null());
    pointers
}

fn checked(result: impl Into<i64>) -> io::Result<()> {
    if result.into() < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// `BPF_MAP_CREATE`, `BPF_MAP_LOOKUP_ELEM`, `BPF_PROG_LOAD` and `BPF_LINK_CREATE` of linux/bpf.h.
const MAP_CREATE: c_int = 0;
const MAP_LOOKUP: c_int = 1;
const PROG_LOAD: c_int = 5;
const LINK_CREATE: c_int = 28;

/// The part of `union bpf_attr` that loading a program reads.
#[derive(Debug, Default)]
#[repr(C)]
struct ProgramAttr {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    device: u32,
    hook: u32,
}

/// The part that making a link reads.
#[derive(Debug, Default)]
#[repr(C)]
struct LinkAttr {
    program: u32,
    target: u32,
    hook: u32,
    flags: u32,
}

/// Hands a program to the kernel's verifier.
pub(crate) fn load_program(
    kind: u32,
    hook: u32,
    program: &[crate::bpf::Instruction],
) -> io::Result<OwnedFd> {
    let attr = ProgramAttr {
        kind,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        instructions: program.as_ptr() as u64,
        license: c"Dual MIT/GPL".as_ptr() as u64,
        name: *b"lull\0\0\0\0\0\0\0\0\0\0\0\0",
        hook,
        ..ProgramAttr::default()
    };
    // SAFETY: the kernel reads `size_of` bytes of `attr`, and through it the instructions and the licence, all of which live
    // through the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            PROG_LOAD,
            &raw const attr,
            size_of::<ProgramAttr>(),
        )
    };
    owned(fd)
}

/// Attaches a loaded program to a cgroup for as long as the link is open.
pub(crate) fn link_program(program: &OwnedFd, cgroup: RawFd, hook: u32) -> io::Result<OwnedFd> {
    let attr = LinkAttr {
        program: program.as_raw_fd().unsigned_abs(),
        target: cgroup.unsigned_abs(),
        hook,
        flags: 0,
    };
    // SAFETY: the kernel reads `size_of` bytes of `attr`, which lives through the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            LINK_CREATE,
            &raw const attr,
            size_of::<LinkAttr>(),
        )
    };
    owned(fd)
}

/// The part of `union bpf_attr` that making a map reads.
#[derive(Debug, Default)]
#[repr(C)]
struct MapAttr {
    kind: u32,
    key: u32,
    value: u32,
    entries: u32,
}

/// The part that looking into a map reads.
#[derive(Debug, Default)]
#[repr(C)]
struct LookupAttr {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// A map of one number, which is 0.
pub(crate) fn number_map() -> io::Result<OwnedFd> {
    /// `BPF_MAP_TYPE_ARRAY`.
    const ARRAY: u32 = 2;
    let attr = MapAttr {
        kind: ARRAY,
        key: 4,
        value: 8,
        entries: 1,
    };
    // SAFETY: the kernel reads `size_of` bytes of `attr`, which lives through the call.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            MAP_CREATE,
            &raw const attr,
            size_of::<MapAttr>(),
        )
    };
    owned(fd)
}

/// The number of a map of one.
pub(crate) fn map_number(map: &OwnedFd) -> io::Result<u64> {
    let key = 0_u32;
    let mut number = 0_u64;
    let attr = LookupAttr {
        map: map.as_raw_fd().unsigned_abs(),
        key: &raw const key as u64,
        value: &raw mut number as u64,
        ..LookupAttr::default()
    };
    // SAFETY: the kernel reads `size_of` bytes of `attr` and the 4 bytes of the key, and writes the 8 bytes of the number, which are
    // the sizes that the map was made with. All live through the call.
    checked(unsafe {
        libc::syscall(
            libc::SYS_bpf,
            MAP_LOOKUP,
            &raw const attr,
            size_of::<LookupAttr>(),
        )
    })?;
    Ok(number)
}

/// A descriptor that a system call has just made.
fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// How the processor and the disks treat a process and its children, until it changes that itself.
pub(crate) fn set_class(class: crate::wire::Class) -> io::Result<()> {
    use crate::wire::Class;
    let policy = match class {
        Class::Background => libc::SCHED_IDLE,
        Class::Intensive => libc::SCHED_BATCH,
        Class::Critical => return Ok(()),
    };
    // The lowest priority of the best-effort class, and the idle class, of ioprio_set(2).
    let io = match class {
        Class::Background => IO_IDLE << IO_SHIFT,
        Class::Intensive | Class::Critical => IO_BEST_EFFORT << IO_SHIFT | IO_LOWEST,
    };
    // SAFETY: all zero is a valid `sched_param`, and the only one that these policies take.
    let param: libc::sched_param = unsafe { std::mem::zeroed() };
    // SAFETY: 0 is this process; the parameter lives through the call.
    checked(unsafe { libc::sched_setscheduler(0, policy, &raw const param) })?;
    // SAFETY: plain numbers; 0 is this process.
    checked(unsafe { libc::syscall(libc::SYS_ioprio_set, IO_WHO_PROCESS, 0, io) })
}

const IO_WHO_PROCESS: c_int = 1;
const IO_BEST_EFFORT: c_int = 2;
const IO_IDLE: c_int = 3;
const IO_SHIFT: c_int = 13;
const IO_LOWEST: c_int = 7;
