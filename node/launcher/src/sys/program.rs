//! Loading a program of the kernel's virtual machine, and attaching it to a cgroup.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};

use crate::bpf::Instruction;

/// `BPF_PROG_LOAD` and `BPF_LINK_CREATE` of linux/bpf.h.
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
pub(crate) fn load_program(kind: u32, hook: u32, program: &[Instruction]) -> io::Result<OwnedFd> {
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

/// A descriptor that a system call has just made.
fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(io::Error::other)?;
    // SAFETY: the kernel just made this descriptor for us, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
