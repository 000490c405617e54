//! The launcher's socket: listening on it once, finding whether somebody answers, and starting a launcher where nobody does.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, socket_with,
};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// How long a launcher may take until it listens: reading its own program from a slow card takes two seconds.
const START: Duration = Duration::from_secs(10);

/// Bytes kept of what a launcher said before it failed.
const WORDS: u64 = 4 * 1024;

/// Connections that may wait to be accepted: one daemon, and a few that are refused.
const BACKLOG: i32 = 8;

/// Why there is no launcher to speak to.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The path is no socket path.
    #[error("{} cannot be a socket; a path has at most 107 bytes, choose a shorter run_dir", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// What the kernel's rules say.
        #[source]
        source: io::Error,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Listen {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The command is empty or cannot be executed.
    #[error("cannot start the launcher with {command:?}")]
    Command {
        /// The command.
        command: Vec<String>,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// It ended before it listened.
    #[error("the launcher {command:?} did not begin ({status}): {words}")]
    Failed {
        /// The command.
        command: Vec<String>,
        /// How it ended.
        status: String,
        /// What it said.
        words: String,
    },
}

/// A socket that takes connections, and the lock that says it is ours.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) socket: OwnedFd,
    #[expect(dead_code, reason = "held for as long as the socket is")]
    lock: OwnedFd,
}

/// Listens on `path`, readable and writable by its owner only. `None`: another launcher does.
pub(crate) fn listen(path: &Path) -> Result<Option<Listening>, SpawnError> {
    let address = address(path)?;
    let failed = |source: io::Error| SpawnError::Listen {
        path: path.to_path_buf(),
        source,
    };
    let lock_path = path.with_extension("lock");
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let lock = rustix::fs::open(&lock_path, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|e| failed(e.into()))?;
    match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(failed(error.into())),
    }
    // Whoever left it is gone: the lock says so.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK).map_err(failed)?;
    let before = rustix::process::umask(Mode::from_raw_mode(0o177));
    let bound = bind(&socket, &address);
    rustix::process::umask(before);
    bound.map_err(|e| failed(e.into()))?;
    rustix::net::listen(&socket, BACKLOG).map_err(|e| failed(e.into()))?;
    Ok(Some(Listening { socket, lock }))
}

/// Connects to the launcher that listens on `path`. The socket waits in its calls.
pub(crate) fn dial(path: &Path) -> Result<OwnedFd, SpawnError> {
    let failed = |source: io::Error| SpawnError::Listen {
        path: path.to_path_buf(),
        source,
    };
    let address = address(path)?;
    let socket = socket(SocketFlags::CLOEXEC).map_err(failed)?;
    connect(&socket, &address).map_err(|e| failed(e.into()))?;
    Ok(socket)
}

/// A launcher listens on `path`.
pub fn answers(path: &Path) -> bool {
    dial(path).is_ok()
}

/// Starts a launcher with `command`, which ends up in [`run`](crate::run) for the same `path`, unless one answers there already.
/// Returns when it takes connections. It outlives the caller.
///
/// Best called before the caller has threads of its own: the launcher then inherits nothing of them. Blocks for up to 10 s.
pub fn spawn(command: &[String], path: &Path) -> Result<(), SpawnError> {
    if answers(path) {
        return Ok(());
    }
    let failed = |source: io::Error| SpawnError::Command {
        command: command.to_vec(),
        source,
    };
    let [program, args @ ..] = command else {
        return Err(failed(io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let ended = wait(child.id()).map_err(failed)?;
    if !ended {
        // It may have ended in this moment.
        drop(child.kill());
    }
    let status = child.wait().map_err(failed)?;
    if ended && status.success() {
        return Ok(());
    }
    let words = child
        .stderr
        .take()
        .map(|pipe| said(&pipe.into()))
        .unwrap_or_default();
    Err(SpawnError::Failed {
        command: command.to_vec(),
        status: if ended {
            status.to_string()
        } else {
            format!("not within {} s", START.as_secs())
        },
        words,
    })
}

/// Waits until a child has ended; false: not in time.
fn wait(pid: u32) -> io::Result<bool> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(io::Error::from(io::ErrorKind::InvalidInput))?;
    let process = pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = rustix::time::Timespec {
        tv_sec: i64::try_from(START.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: 0,
    };
    let mut fds = [PollFd::new(&process, PollFlags::IN)];
    loop {
        match poll(&mut fds, Some(&timeout)) {
            Ok(count) => return Ok(count > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What a process that has ended left in its pipe; somebody it started may hold the pipe open.
fn said(pipe: &OwnedFd) -> String {
    let mut words = Vec::new();
    if rustix::fs::fcntl_setfl(pipe.as_fd(), OFlags::NONBLOCK).is_ok()
        && let Ok(copy) = pipe.try_clone()
    {
        // Would-block is the end of what was said.
        drop(File::from(copy).take(WORDS).read_to_end(&mut words));
    }
    String::from_utf8_lossy(&words).trim().to_owned()
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

fn address(path: &Path) -> Result<SocketAddrUnix, SpawnError> {
    SocketAddrUnix::new(path).map_err(|source| SpawnError::Path {
        path: path.to_path_buf(),
        source: source.into(),
    })
}
