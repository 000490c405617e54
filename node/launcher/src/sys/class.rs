//! How the processor and the disks treat a process.

use std::ffi::c_int;
use std::io;

use super::checked;
use crate::wire::Class;

/// `IOPRIO_WHO_PROCESS`, and the classes and the lowest level, as `ioprio_set` has them.
const IO_WHO_PROCESS: c_int = 1;
const IO_BEST_EFFORT: c_int = 2;
const IO_IDLE: c_int = 3;
const IO_SHIFT: c_int = 13;
const IO_LOWEST: c_int = 7;

/// How the processor and the disks treat a process and its children, until it changes that itself.
pub(super) fn set(class: Class) -> io::Result<()> {
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
