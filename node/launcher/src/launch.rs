//! Starting one agent: cage, pipes, socket, clone. What is prepared here is all the child needs.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Gid, OFlags, Uid};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;

use crate::cage::{Cage, CageError, Cages, Limits, start_time};
use crate::sandbox::{SandboxError, Sandboxes};
use crate::sys::{self, Failure, Handed, Identity, Places, Plan, Step};
use crate::wire::{Launch, NOTE, Process};

/// What every child is made of beside its own order.
#[derive(Debug)]
pub(crate) struct Ground {
    /// `/dev/null`.
    pub(crate) null: OwnedFd,
    pub(crate) places: Places,
    pub(crate) sandboxes: Sandboxes,
    /// This process can become other users.
    pub(crate) root: bool,
}

/// A child on its way to `execve`.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) main: Pid,
    pub(crate) process: Process,
    pub(crate) cage: Cage,
    /// The daemon's end of the agent's socket.
    pub(crate) socket: OwnedFd,
    /// What it prints.
    pub(crate) output: OwnedFd,
    /// Closes at `execve`, or tells why there was none.
    pub(crate) report: OwnedFd,
}

/// Why an agent was not started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    #[error("{what} holds a NUL byte; remove it from the manifest")]
    Nul { what: &'static str },
    #[error("the program {program:?} is not an absolute path; write it out in the manifest")]
    Relative { program: String },
    #[error("agents never run as root; give the app a user of its own")]
    Root,
    #[error("the note has {length} bytes, at most {NOTE} are kept")]
    Note { length: usize },
    #[error("the {what}'s descriptor did not come with the order")]
    Missing { what: &'static str },
    #[error("the agent's cage")]
    Cage(#[from] CageError),
    #[error("the agent's sandbox")]
    Sandbox(#[from] SandboxError),
    #[error("cannot have a {what}")]
    Descriptor {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("cannot start a process")]
    Clone(#[source] io::Error),
}

/// Starts the child of an order.
pub(crate) fn start(
    order: &Launch,
    descriptor: Option<&OwnedFd>,
    cages: &Cages,
    ground: &Ground,
) -> Result<Child, LaunchError> {
    check(order, descriptor, ground)?;
    let mut cage = cages.create(
        order.run,
        Limits {
            memory: order.memory,
            data: order.data,
            pids: order.pids,
            class: order.class,
        },
    )?;
    if let Err(error) = cages.wall_in(&mut cage, order) {
        drop(cages.remove(&cage));
        return Err(error.into());
    }
    match start_in(order, descriptor, cages, ground, &cage) {
        Ok((main, socket, output, report)) => {
            // While the child is on its way. An event that is missed shows in the counters when the run ends.
            cages.watch_memory(&mut cage).ok();
            Ok(Child {
                main,
                process: Process {
                    pid: main.as_raw_nonzero().get().unsigned_abs(),
                    start_time: start_time(main).unwrap_or(0),
                    cage: cages.name(&cage),
                },
                cage,
                socket,
                output,
                report,
            })
        }
        Err(error) => {
            // The error to tell is the first one.
            drop(cages.remove(&cage));
            Err(error)
        }
    }
}

fn check(order: &Launch, descriptor: Option<&OwnedFd>, ground: &Ground) -> Result<(), LaunchError> {
    if !order.program.starts_with('/') {
        return Err(LaunchError::Relative {
            program: order.program.clone(),
        });
    }
    if ground.root && order.uid == 0 {
        return Err(LaunchError::Root);
    }
    if order.note.len() > NOTE {
        return Err(LaunchError::Note {
            length: order.note.len(),
        });
    }
    let what = match (order.payload, order.socket) {
        (_, Some(_)) => "socket",
        (true, None) => "payload",
        (false, None) => return Ok(()),
    };
    if descriptor.is_none() {
        return Err(LaunchError::Missing { what });
    }
    Ok(())
}

type Ends = (Pid, OwnedFd, OwnedFd, OwnedFd);

fn start_in(
    order: &Launch,
    descriptor: Option<&OwnedFd>,
    cages: &Cages,
    ground: &Ground,
    cage: &Cage,
) -> Result<Ends, LaunchError> {
    let words = Words::of(order)?;
    let doors = cages.doors(cage)?;
    let walls = ground.sandboxes.prepare(order)?;
    let (socket, its_socket) = socketpair(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .map_err(no("socket for the agent"))?;
    let (output, its_output) = pipe_with(PipeFlags::CLOEXEC).map_err(no("pipe for its output"))?;
    if ground.root {
        // By its name, /dev/stderr, a descriptor is opened anew, which asks whose the pipe is.
        let (uid, gid) = (Uid::from_raw(order.uid), Gid::from_raw(order.gid));
        rustix::fs::fchown(&its_output, Some(uid), Some(gid)).map_err(no("pipe of its own"))?;
    }
    let (report, its_report) = pipe_with(PipeFlags::CLOEXEC).map_err(no("pipe for its start"))?;
    for end in [&socket, &output, &report] {
        rustix::fs::fcntl_setfl(end, OFlags::NONBLOCK)
            .map_err(no("descriptor that never waits"))?;
    }
    let mut enter: Vec<BorrowedFd<'_>> = doors.enter.iter().map(AsFd::as_fd).collect();
    enter.extend(cages.shared_cpu(order.class));
    let plan = Plan {
        program: &words.program,
        argv: &words.argv,
        envp: &words.envp,
        folder: &words.folder,
        identity: ground.root.then_some(Identity {
            uid: order.uid,
            gid: order.gid,
            groups: &order.groups,
        }),
        open_files: order.open_files,
        data: order.data,
        class: order.class,
        null: ground.null.as_fd(),
        output: its_output.as_fd(),
        socket: its_socket.as_fd(),
        handed: descriptor.and_then(|fd| match (order.payload, order.socket) {
            (_, Some(_)) => Some(Handed::Socket(fd.as_fd())),
            (true, None) => Some(Handed::Payload(fd.as_fd())),
            (false, None) => None,
        }),
        report: its_report.as_fd(),
        born_in: doors.born_in.as_ref().map(AsFd::as_fd),
        enter: &enter,
        walls: &walls,
    };
    let main = sys::start(&plan, &ground.places).map_err(LaunchError::Clone)?;
    Ok((main, socket, output, report))
}

fn no(what: &'static str) -> impl Fn(rustix::io::Errno) -> LaunchError {
    move |errno| LaunchError::Descriptor {
        what,
        source: errno.into(),
    }
}

/// The order's strings, as `execve` wants them.
#[derive(Debug)]
struct Words {
    program: CString,
    argv: Vec<CString>,
    envp: Vec<CString>,
    folder: CString,
}

impl Words {
    fn of(order: &Launch) -> Result<Self, LaunchError> {
        let word = |what: &'static str, text: &str| {
            CString::new(text).map_err(|_nul| LaunchError::Nul { what })
        };
        let program = word("the program", &order.program)?;
        let mut argv = vec![program.clone()];
        for arg in &order.args {
            argv.push(word("an argument", arg)?);
        }
        let mut envp = Vec::with_capacity(order.environment.len());
        for (name, value) in &order.environment {
            envp.push(word("the environment", &format!("{name}={value}"))?);
        }
        Ok(Self {
            program,
            argv,
            envp,
            folder: word("the working folder", &order.folder)?,
        })
    }
}

/// What a child's failure means to people.
pub(crate) fn describe(failure: &Failure, order: &Origin) -> String {
    let Failure { step, error } = failure;
    let Origin {
        program,
        folder,
        uid,
        gid: _,
    } = order;
    match step {
        Some(Step::Exec) => format!("cannot execute {program:?}: {error}"),
        Some(Step::Folder) => {
            format!("user {uid} cannot enter the agent's folder {folder:?}: {error}")
        }
        Some(Step::Identity) => format!("cannot become user {uid}: {error}"),
        Some(Step::Cage) => format!("the process cannot enter its cage: {error}"),
        Some(Step::Descriptors) => format!("cannot arrange the agent's descriptors: {error}"),
        Some(Step::Signals) => format!("cannot reset the agent's signals: {error}"),
        Some(Step::Limits) => format!("cannot set the agent's limits: {error}"),
        Some(Step::NoNewPrivileges) => format!("cannot give up new privileges: {error}"),
        Some(Step::Files) => format!("cannot confine the agent to its files: {error}"),
        Some(Step::Calls) => format!("cannot confine the agent to its system calls: {error}"),
        Some(Step::Session) => format!("cannot give the agent a session of its own: {error}"),
        None => format!("the process failed before it began: {error}"),
    }
}

/// What is kept of an order for messages.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) program: String,
    pub(crate) folder: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl From<&Launch> for Origin {
    fn from(order: &Launch) -> Self {
        Self {
            program: order.program.clone(),
            folder: order.folder.clone(),
            uid: order.uid,
            gid: order.gid,
        }
    }
}

/// The error and all its sources.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
