//! Which system calls an agent may make: seccomp filters, compiled once.
//!
//! - Calls that the node does not know fail with ENOSYS, and so does `clone3`, whose flags lie in memory where no filter sees them: every
//!   runtime then uses `clone`.
//! - What no agent may do fails with EPERM: the list, and some uses of calls that are allowed otherwise.
//! - Sockets are of local and Internet kind only. `AF_NETLINK` is open for routes alone, which is how the C library's `getaddrinfo` and
//!   `getifaddrs` ask which addresses this device has; what it tells needs no privilege, and changing something does.
//!
//! To install a filter the kernel tries it on every call there is, which for the long ones takes a millisecond (measured: three times a
//! whole launch). So the launcher gives up for itself, once, what neither it nor any agent may use, and all agents inherit that; short filters
//! with the rest, which the launcher needs, come last before `execve`.
//!
//! Where filters disagree the strictest counts, so that their order does not matter. Deliberately absent: 32-bit programs on 64-bit
//! processors, which are killed at their first call, and the processors that `seccompiler` does not know.

use std::collections::BTreeMap;
use std::io;

use libc::{c_int, c_long};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch, apply_filter,
};

use super::call_list::{
    DENIED, DENIED_HERE, KNOWN, KNOWN_EARLY, KNOWN_HERE, NEW_DENIED, NEW_KNOWN,
};

/// The filters of every agent that the launcher itself could not live with.
#[derive(Debug)]
pub(super) struct Filters {
    /// Answers ENOSYS.
    absent: BpfProgram,
    /// Answers EPERM.
    denied: BpfProgram,
    /// As `denied`, and no sockets of the Internet.
    denied_offline: BpfProgram,
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

impl Filters {
    /// Compiles them, and confines this process to what it and its agents may use; why that cannot be had here.
    pub(super) fn begin() -> Result<Self, String> {
        let target: TargetArch = std::env::consts::ARCH
            .try_into()
            .map_err(|_unknown| format!("filters for {} cannot be made", std::env::consts::ARCH))?;
        let (filters, for_all) = compile(target).map_err(|e| format!("filters for it: {e}"))?;
        for filter in &for_all {
            install(filter).map_err(|error| format!("the kernel takes no filters: {error}"))?;
        }
        Ok(filters)
    }

    /// Confines this process to what an agent may use.
    pub(super) fn apply(&self, internet: bool) -> io::Result<()> {
        let denied = if internet {
            &self.denied
        } else {
            &self.denied_offline
        };
        install(&self.absent)?;
        install(denied)
    }
}

fn compile(target: TargetArch) -> Result<(Filters, [BpfProgram; 2]), BackendError> {
    let allow = || SeccompAction::Allow;
    let absent = || SeccompAction::Errno(errno(libc::ENOSYS));
    let refuse = || SeccompAction::Errno(errno(libc::EPERM));
    let program = |rules, otherwise, then| -> Result<BpfProgram, BackendError> {
        SeccompFilter::new(rules, otherwise, then, target)?.try_into()
    };
    let for_all = [
        program(known(), absent(), allow())?,
        program(whole(&[DENIED, DENIED_HERE, NEW_DENIED]), allow(), refuse())?,
    ];
    let filters = Filters {
        absent: program(whole(&[&[libc::SYS_clone3]]), allow(), absent())?,
        denied: program(denied(true)?, allow(), refuse())?,
        denied_offline: program(denied(false)?, allow(), refuse())?,
    };
    Ok((filters, for_all))
}

fn install(filter: &BpfProgram) -> io::Result<()> {
    apply_filter(filter).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        _ => io::Error::from(io::ErrorKind::InvalidInput),
    })
}

fn errno(code: c_int) -> u32 {
    code.unsigned_abs()
}

/// What is known, denied calls among it: these are the other filters'.
fn known() -> Rules {
    let lists = [
        OWN,
        KNOWN,
        KNOWN_HERE,
        KNOWN_EARLY,
        NEW_KNOWN,
        DENIED,
        DENIED_HERE,
        NEW_DENIED,
    ];
    whole(&lists)
}

fn whole(lists: &[&[c_long]]) -> Rules {
    let calls = lists.iter().copied().flatten();
    calls.map(|call| (*call, Vec::new())).collect()
}

/// What the launcher uses to put agents into their cages, and no agent may.
const OWN: &[c_long] = &[libc::SYS_clone3, libc::SYS_bpf];

/// `CLONE_NEW…`: a namespace of one's own, in which an agent would be root.
const NAMESPACES: [c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWCGROUP,
];

/// `CLONE_NEWTIME`, which only `unshare` takes: in `clone` these bits are a signal.
const NEW_TIME: c_int = 0x80;

/// Commands that put words into a terminal, as if its user had typed them.
const TERMINAL: [u32; 2] = [0x5412, 0x541c]; // TIOCSTI, TIOCLINUX

/// Execution domains that change nothing: the question for the present one, and Linux itself.
const PLAIN_DOMAINS: [u64; 2] = [0xffff_ffff, 0];

/// What agents may not use, and the launcher does.
fn denied(internet: bool) -> Result<Rules, BackendError> {
    let mut rules = whole(&[&[libc::SYS_bpf]]);
    let spaces = || NAMESPACES.into_iter();
    let forbid = |flags: &mut dyn Iterator<Item = c_int>| {
        flags
            .map(|flag| rule([bits(0, flag)?]))
            .collect::<Result<Vec<_>, _>>()
    };
    rules.insert(libc::SYS_clone, forbid(&mut spaces())?);
    rules.insert(libc::SYS_unshare, forbid(&mut spaces().chain([NEW_TIME]))?);
    let terminal = TERMINAL
        .into_iter()
        .map(|command| rule([when(1, SeccompCmpOp::Eq, command.into())?]));
    rules.insert(libc::SYS_ioctl, terminal.collect::<Result<_, _>>()?);
    let domains = PLAIN_DOMAINS
        .into_iter()
        .map(|plain| when(0, SeccompCmpOp::Ne, plain));
    rules.insert(libc::SYS_personality, vec![all(domains)?]);
    rules.insert(libc::SYS_socket, sockets(internet)?);
    let local = when(0, SeccompCmpOp::Ne, family(libc::AF_UNIX))?;
    rules.insert(libc::SYS_socketpair, vec![rule([local])?]);
    Ok(rules)
}

/// Sockets of other families, and of netlink other than routes.
fn sockets(internet: bool) -> Result<Vec<SeccompRule>, BackendError> {
    let families: &[c_int] = if internet {
        &[
            libc::AF_UNIX,
            libc::AF_INET,
            libc::AF_INET6,
            libc::AF_NETLINK,
        ]
    } else {
        &[libc::AF_UNIX]
    };
    let others = families
        .iter()
        .map(|allowed| when(0, SeccompCmpOp::Ne, family(*allowed)));
    let routes = family(libc::NETLINK_ROUTE);
    Ok(vec![
        all(others)?,
        rule([
            when(0, SeccompCmpOp::Eq, family(libc::AF_NETLINK))?,
            when(2, SeccompCmpOp::Ne, routes)?,
        ])?,
    ])
}

fn family(number: c_int) -> u64 {
    number.unsigned_abs().into()
}

fn rule<const N: usize>(conditions: [SeccompCondition; N]) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into())
}

fn all(
    conditions: impl Iterator<Item = Result<SeccompCondition, BackendError>>,
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

/// On the lower half of an argument: all of these are 32 bits wide, whatever a program leaves in the upper half.
fn when(argument: u8, compare: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, compare, value)
}

fn bits(argument: u8, flag: c_int) -> Result<SeccompCondition, BackendError> {
    let flag = u64::from(flag.cast_unsigned());
    when(argument, SeccompCmpOp::MaskedEq(flag), flag)
}
