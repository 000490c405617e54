//! `glutton`: takes memory a mebibyte at a time, and touches it, until its cap ends it.
//!
//! At its cap asking for more fails (RES-04), which a well-meaning agent would take for an answer. This one has another program eat
//! beside it, and the whole of its cage is ended.
//!
//! It obeys a request to cancel; the cap is what it is about. Deliberately absent: mercy with a machine without caps,
//! but for a last bound.

use std::hint::black_box;
use std::process::{Command, ExitCode};
use std::time::Duration;

use lull_agent::agent::Agent;

use crate::output;

/// Bytes of a bite.
const MEBIBYTE: usize = 1 << 20;

/// Mebibytes at which it stops by itself: far above any cap, far below what hurts a machine.
pub const ENOUGH: u32 = 1024;

/// Between two bites, so that a watcher can follow it: a cap of 32 MiB is reached in under a second, and the last bound
/// before the request to cancel.
const PAUSE: Duration = Duration::from_millis(20);

/// Keeps 16 MiB.
const EATER: &str = "head -c 16777216 /dev/zero | tail -c 16777216 >/dev/null";

/// The agent's main.
pub fn main() -> ExitCode {
    crate::with_agent(run)
}

fn run(agent: Agent) -> ExitCode {
    let cancellation = agent.cancellation();
    if let Ok(memory) = agent.memory_usage() {
        match memory.limit {
            Some(limit) => output::line(&format_args!("my cap is {limit} bytes; let us see")),
            None => output::line(&"I have no cap"),
        }
    }
    let mut eaten = Vec::new();
    for mebibytes in 1..=ENOUGH {
        let mut bite = Vec::new();
        if bite.try_reserve_exact(MEBIBYTE).is_err() {
            output::line(&format_args!("I was refused at {mebibytes} MiB"));
            // Room to start it.
            eaten.pop();
            return eat_beside(agent, &eaten);
        }
        // Every byte is written, so every page is there.
        bite.resize(MEBIBYTE, 0xa5_u8);
        eaten.push(black_box(bite));
        agent.progress(mebibytes);
        if cancellation.wait(PAUSE) {
            return agent.abort(format!("cancelled at {mebibytes} MiB, below the cap"));
        }
    }
    drop(black_box(eaten));
    output::line(&format_args!("the cap did not hold: I had {ENOUGH} MiB"));
    agent.complete()
}

/// Has another program keep what this one may not: the last bytes of what comes through a pipe, which it cannot look back on.
fn eat_beside(agent: Agent, eaten: &[Vec<u8>]) -> ExitCode {
    let eater = Command::new("sh").args(["-c", EATER]).status();
    black_box(eaten);
    match eater {
        Ok(status) => agent.abort(format!(
            "the cap did not hold: the other one ended ({status})"
        )),
        Err(error) => agent.abort(format!("failed to have another program eat: {error}")),
    }
}
