//! What a daemon and its launcher say to each other: one JSON object a packet, at most [`MESSAGE_LIMIT`](crate::MESSAGE_LIMIT)
//! bytes, with at most one descriptor.
//!
//! The launcher may be older than the daemon, since it outlives upgrades: unknown fields are ignored, and a message of
//! an unknown type is skipped.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sandbox::Sandbox;

/// The version spoken by this build.
pub const PROTOCOL: u32 = 1;

/// What the daemon says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Request {
    /// The first message of a connection. Answered by [`Event::Welcome`] and one [`Event::Held`] for each run held, or by
    /// [`Event::Refused`].
    Hello {
        /// The version of this protocol that the daemon speaks.
        protocol: u32,
        /// Name of the folder of cages, one path component. A launcher that holds runs keeps the name it has.
        cages: String,
    },
    /// Start a run. Comes with the payload's descriptor if it says so. A run that is held already is not
    /// started again; its state is told once more.
    Launch(Box<Launch>),
    /// Replaces the note that is kept with a run.
    Note {
        /// Which run.
        run: u64,
        /// The daemon's own words, opaque here; at most [`NOTE`] bytes.
        note: String,
    },
    /// SIGTERM to the main process: how a plain command is asked to cancel.
    Terminate {
        /// Which run.
        run: u64,
    },
    /// Kill the whole tree of a run. Idempotent.
    Kill {
        /// Which run.
        run: u64,
    },
    /// Stops everybody of a run where he is, or lets them go on. Idempotent.
    Freeze {
        /// Which run.
        run: u64,
        /// Stopped from now on.
        frozen: bool,
    },
    /// Another memory cap for a run.
    Memory {
        /// Which run.
        run: u64,
        /// In bytes; absent = none.
        cap: Option<u64>,
        /// As [`Launch::data`], for every process of the run.
        #[serde(default)]
        data: Option<u64>,
    },
    /// Cuts a run off the network, the loopback excepted, or gives it back. Idempotent.
    Network {
        /// Which run.
        run: u64,
        /// It has the network from now on.
        allowed: bool,
    },
    /// Asks for [`Event::Usage`].
    Usage {
        /// Which run.
        run: u64,
    },
    /// Asks for [`Event::Sampled`].
    Sample {
        /// Which run.
        run: u64,
        /// Its bytes are counted from now on, if they are not yet.
        network: bool,
    },
    /// The end of a run is durable: remove its cage and its record. Ignored for a run that has not ended.
    Forget {
        /// Which run.
        run: u64,
    },
    /// Keep a socket of an app: its descriptor comes with the message. One of the same number is replaced. At most [`KEPT`].
    Keep {
        /// The daemon's own number for it.
        socket: u64,
        /// The daemon's own words, handed back with it; at most [`NOTE`] bytes.
        note: String,
    },
    /// Close a kept socket. Idempotent.
    Release {
        /// Which.
        socket: u64,
    },
    /// End, if no run is held.
    Quit {},
    /// A message of a newer protocol.
    #[serde(other)]
    Unknown,
}

/// Most sockets of apps kept at one time: what the daemon holds, and room for those that are on their way.
pub const KEPT: usize = 160;

/// Most bytes of a note: an invocation line of the agents' protocol, and a little.
pub const NOTE: usize = 20 * 1024;

/// What is started, as whom, and inside which limits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Launch {
    /// The run's id; names its cage.
    pub run: u64,
    /// The program, an absolute path.
    pub program: String,
    /// Its arguments, without the program itself.
    pub args: Vec<String>,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Its Unix user. 0 is refused. Not used where the launcher is not root.
    pub uid: u32,
    /// Its Unix group.
    pub gid: u32,
    /// Its supplementary groups.
    pub groups: Vec<u32>,
    /// Its working folder.
    pub folder: String,
    /// Memory cap of its cage in bytes: passing it is a kill. Absent = none.
    pub memory: Option<u64>,
    /// Most bytes of writable memory that each of its processes may ask for (`RLIMIT_DATA`): asking for more fails with `ENOMEM`.
    /// Absent = no such bound.
    #[serde(default)]
    pub data: Option<u64>,
    /// Most processes and threads of its cage at one time.
    pub pids: u32,
    /// Most open descriptors of each process.
    pub open_files: u64,
    /// What it may do; absent = an order of a daemon that knows no sandboxes: the Internet, and its working folder.
    #[serde(default)]
    pub sandbox: Option<Sandbox>,
    /// How the processor and the disks treat it.
    #[serde(default)]
    pub class: Class,
    /// It begins without the network, the loopback excepted.
    #[serde(default)]
    pub offline: bool,
    /// Network devices that it may neither bind to nor send by, at most [`CLOSED`].
    #[serde(default)]
    pub closed: Vec<String>,
    /// The payload's descriptor comes with this message; the agent finds it as descriptor 4.
    pub payload: bool,
    /// An app's socket is handed to it; the descriptor comes with this message, or is kept under this number and no longer kept
    /// from now on. The agent finds it as descriptor 3, its own socket as 4, and `LISTEN_PID` in its environment. Never
    /// together with a payload.
    #[serde(default)]
    pub socket: Option<u64>,
    /// The daemon's own words, handed back with the run; at most [`NOTE`] bytes.
    pub note: String,
}

/// Most network devices closed to a run; the lowest-numbered ones of a machine with more.
pub const CLOSED: usize = 16;

/// How the processor and the disks treat a run, beside what people do on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Only where nobody else wants them: idle scheduling, and a small share (RES-21).
    #[default]
    Background,
    /// Long work while nobody is there: batch scheduling, and the disks before the others (INT-15).
    Intensive,
    /// As an ordinary program: control channels and pushes (RES-16).
    Critical,
}

/// Says what is started, and nothing of the arguments, the environment and the note: they can hold secrets.
impl std::fmt::Debug for Launch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Launch")
            .field("run", &self.run)
            .field("program", &self.program)
            .field("uid", &self.uid)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

/// What the launcher says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// Answers `hello`.
    Welcome {
        /// The version of this protocol that the launcher speaks.
        protocol: u32,
        /// The launcher's build.
        version: String,
        /// Its process.
        pid: u32,
        /// How many [`Event::Held`] follow, before anything else.
        held: u32,
        /// What this machine cannot enforce, in words; a line each.
        cannot_enforce: Vec<String>,
        /// Cages that an earlier launcher left behind and nobody holds, now removed; a line each.
        cleared: Vec<String>,
        /// How many [`Event::Kept`] follow the last [`Event::Held`]; absent = a launcher that keeps no sockets.
        #[serde(default)]
        kept: Option<u32>,
    },
    /// A request was refused; where it was a `hello`, the connection ends.
    Refused {
        /// Why, and the way out.
        message: String,
    },
    /// A run that is held. If it has ended, its [`Event::Ended`] follows. Comes with the agent's socket, if there is one.
    Held {
        /// Which.
        run: u64,
        /// Its main process; absent = not started yet, or never.
        process: Option<Process>,
        /// The daemon's own words.
        note: String,
    },
    /// A socket that is kept. Comes with its descriptor.
    Kept {
        /// Its number.
        socket: u64,
        /// The daemon's own words.
        note: String,
    },
    /// The program of a run is executing. Comes with the agent's socket.
    Started {
        /// Which.
        run: u64,
        /// Its main process.
        process: Process,
    },
    /// Nobody of the run's tree lives any more, or nothing of it was ever started.
    Ended {
        /// Which.
        run: u64,
        /// How.
        exit: Exit,
        /// Peak memory of its cage, in bytes; absent = cannot be read here.
        memory_peak: Option<u64>,
        /// CPU time of its cage, in microseconds; absent = cannot be read here.
        cpu_micros: Option<u64>,
        /// Bytes that it sent and received, the loopback's excepted; absent = they were not counted.
        #[serde(default)]
        network_bytes: Option<u64>,
        /// The last bytes it printed, at most [`OUTPUT`](crate::OUTPUT).
        output: String,
    },
    /// What a run uses now.
    Usage {
        /// Which.
        run: u64,
        /// Bytes in use by its cage; absent = cannot be read here.
        memory: Option<u64>,
        /// Its cap in bytes: the bound beyond which asking for memory fails, where there is one, else the cap of its cage. Absent =
        /// none, or none that is enforced here.
        limit: Option<u64>,
    },
    /// What a run has used from its start, and uses now.
    Sampled {
        /// Which.
        run: u64,
        /// CPU time of its cage, in microseconds; absent = cannot be read here.
        cpu_micros: Option<u64>,
        /// Bytes that it sent and received since they are counted, the loopback's excepted; absent = they are not.
        network_bytes: Option<u64>,
        /// As in [`Event::Usage`].
        memory: Option<u64>,
        /// As in [`Event::Usage`].
        limit: Option<u64>,
    },
    /// A message of a newer protocol.
    #[serde(other)]
    Unknown,
}

/// A main process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since boot (field 22 of `/proc/<pid>/stat`): with the id it names one process for good.
    pub start_time: u64,
    /// The folder of its cage by which the tree is killed; empty where there is none.
    pub cage: String,
}

/// How a run came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Exit {
    /// The main process returned.
    Status {
        /// This.
        status: u8,
    },
    /// A signal ended the main process.
    Signal {
        /// This one.
        signal: u8,
    },
    /// The kernel killed in the run's cage, for the cage's own memory cap.
    MemoryExceeded,
    /// Nothing of it ran.
    LaunchFailed {
        /// The whole chain, for people.
        message: String,
    },
}
