//! `neighbour`: a well-behaved agent, which works in small steps beside whoever misbehaves.
//!
//! Each step hashes a mebibyte, reports progress and is a line of `beats.log`: `run beat uptime pid`. So a gap in its
//! work, or a second process of one run, can be read from the file afterwards. About 8 seconds in all.
//!
//! Deliberately absent: durability of the beats; they are read on the same boot.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use lull_agent::agent::Agent;

use crate::digest::Hasher;
use crate::state_file::StateError;
use crate::{clock, output};

/// The log of beats, in the app's folder.
pub const LOG: &str = "beats.log";

/// How many steps.
pub const BEATS: u32 = 32;

/// From one to the next.
const PERIOD: Duration = Duration::from_millis(250);

/// Bytes hashed in each.
const BLOCK: usize = 1 << 20;

/// The agent's main.
pub fn main() -> ExitCode {
    crate::with_agent(run)
}

fn run(agent: Agent) -> ExitCode {
    let Some(state) = agent.state_folder() else {
        return agent.abort("LULL_STATE is not set, so there is no folder for the beats");
    };
    let cancellation = agent.cancellation();
    let path = state.join(LOG);
    let mut block = vec![0; BLOCK];
    for beat in 1..=BEATS {
        if cancellation.wait(PERIOD) {
            return agent.abort(format!("cancelled after {} of {BEATS} beats", beat - 1));
        }
        // Each block depends on the one before, so none can be skipped.
        let mut hasher = Hasher::new();
        hasher.update(&block);
        let digest = hasher.finish();
        for (byte, from) in block.iter_mut().zip(digest.as_bytes()) {
            *byte = *from;
        }
        let run = agent.invocation().run;
        let line = format!("{run} {beat} {} {}\n", clock::uptime(), std::process::id());
        if let Err(source) = append(&path, line.as_bytes()) {
            return agent.abort(output::chain(&StateError::new(path, source)));
        }
        agent.progress(beat * 100 / BEATS);
    }
    output::line(&format_args!("{BEATS} beats"));
    agent.complete()
}

fn append(path: &Path, line: &[u8]) -> io::Result<()> {
    let mut options = File::options();
    let mut file = options.append(true).create(true).open(path)?;
    file.write_all(line)
}
