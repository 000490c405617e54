//! `stubborn`: ignores the request to cancel, and hides processes in sessions of their own.
//!
//! It writes down its tree in `tree.json` (an array of `role`, `pid`, `start_time`), and the request in
//! `cancelled.json`, so that it can be seen afterwards that it was asked, that it went on, and that nothing of it is
//! left. What it starts ignores SIGTERM and SIGHUP and has left the agent's session and process group.
//!
//! Deliberately absent: any way to end it but a kill.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use lull_agent::agent::{Agent, Cancel};
use serde::Serialize;

use crate::state_file::StateError;
use crate::{clock, output, state_file};

/// The tree, in the app's folder.
pub const TREE: &str = "tree.json";

/// The request to cancel, in the app's folder.
pub const CANCELLED: &str = "cancelled.json";

/// The child: starts the grandchild in one more session, says its id, and stays. A day is longer than any run.
const CHILD: &str = r#"
trap '' TERM HUP INT QUIT
setsid sleep 86400 </dev/null >/dev/null 2>&1 &
echo "$!"
exec sleep 86400 </dev/null >/dev/null 2>&1
"#;

/// Bytes of the line with the grandchild's id.
const LINE: u64 = 32;

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("failed to start the child")]
    Spawn(#[source] io::Error),
    #[error("the child did not say its child's id but {0:?}; it needs setsid, sh and sleep")]
    Line(String),
    #[error("failed to read the start time of process {pid}")]
    StartTime {
        pid: u32,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    State(#[from] StateError),
}

/// A process, which no later one of the same id can be taken for.
#[derive(Debug, Serialize)]
struct Member {
    role: &'static str,
    pid: u32,
    /// In clock ticks since the boot: field 22 of `/proc/PID/stat`.
    start_time: u64,
}

#[derive(Debug, Serialize)]
struct Cancelled {
    run: u64,
    pid: u32,
    reason: String,
    number: u8,
    grace_ms: Option<u128>,
    /// Milliseconds since 1970.
    wall_ms: u64,
    uptime_s: String,
}

/// The agent's main.
pub fn main() -> ExitCode {
    crate::with_agent(run)
}

fn run(agent: Agent) -> ExitCode {
    let Some(state) = agent.state_folder() else {
        return agent.abort("LULL_STATE is not set, so there is no folder for the tree");
    };
    // Nobody completes it (RUN-11).
    let deferral = agent.deferral();
    if let Err(error) = grow(&state) {
        drop(deferral);
        return agent.abort(output::chain(&error));
    }
    agent.progress(1);
    let cancellation = agent.cancellation();
    let cancel = loop {
        cancellation.wait(Duration::from_hours(1));
        if let Some(cancel) = cancellation.requested() {
            break cancel;
        }
    };
    if let Err(error) = note(&agent, &state, &cancel) {
        output::error(&error);
    }
    output::line(&format_args!("asked to cancel ({}); I stay", cancel.reason));
    loop {
        std::thread::park();
    }
}

/// Starts the tree and writes it down.
fn grow(state: &Path) -> Result<(), Trouble> {
    let mut command = Command::new("setsid");
    command.args(["sh", "-c", CHILD]);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Trouble::Spawn)?;
    let mut line = String::new();
    let said = child
        .stdout
        .take()
        .map(|out| BufReader::new(out.take(LINE)));
    if let Some(mut said) = said {
        said.read_line(&mut line).map_err(Trouble::Spawn)?;
    }
    let grandchild = line.trim().parse().map_err(|_parse| Trouble::Line(line))?;
    let tree = [
        member("agent", std::process::id())?,
        member("child", child.id())?,
        member("grandchild", grandchild)?,
    ];
    state_file::replace(state, TREE, &json(&tree))?;
    Ok(())
}

fn member(role: &'static str, pid: u32) -> Result<Member, Trouble> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    let text = text.map_err(|source| Trouble::StartTime { pid, source })?;
    // The name in brackets may hold anything: fields count from the last bracket, which ends field 2.
    let fields = text.rsplit_once(')').map(|(_, fields)| fields);
    let start_time =
        fields.and_then(|fields| fields.split_ascii_whitespace().nth(19)?.parse().ok());
    let source = io::Error::from(io::ErrorKind::InvalidData);
    Ok(Member {
        role,
        pid,
        start_time: start_time.ok_or(Trouble::StartTime { pid, source })?,
    })
}

fn note(agent: &Agent, state: &Path, cancel: &Cancel) -> Result<(), StateError> {
    let cancelled = Cancelled {
        run: agent.invocation().run.0,
        pid: std::process::id(),
        reason: cancel.reason.to_string(),
        number: cancel.number,
        grace_ms: cancel.grace.map(|grace| grace.as_millis()),
        wall_ms: clock::wall_millis(),
        uptime_s: clock::uptime(),
    };
    state_file::replace(state, CANCELLED, &json(&cancelled))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Numbers, texts and arrays of them: there is nothing that JSON cannot say.
    serde_json::to_vec(value).unwrap_or_default()
}
