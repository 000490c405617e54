//! Agents that do something a person would want, and two that misbehave on purpose.
//!
//! | agent | what it does |
//! | --- | --- |
//! | [`photo_sync`] | copies new files of a folder to another, verified, and goes on where it was interrupted |
//! | `disk-report` ([`DISK_REPORT`]) | a plain command: writes how full the disks are |
//! | [`inbox`] | keeps each push that arrives, once, and notes every start |
//! | [`neighbour`] | works in small steps for some seconds, beside whoever misbehaves |
//! | [`stubborn`] | ignores the request to cancel, and hides processes in sessions of their own |
//! | [`glutton`] | takes memory until it is stopped |
//!
//! Each is a binary of its own, and all are in the command `lull`; [`main_of`] finds them by name. [`manifests`] has the
//! manifests that install them. Deliberately absent: anything that only a test could want of the SDK.

mod clock;
mod digest;
pub mod glutton;
pub mod inbox;
pub mod manifests;
pub mod neighbour;
mod output;
pub mod photo_sync;
mod state_file;
pub mod stubborn;

use std::process::ExitCode;

use lull_agent::agent::{Agent, StartError};

/// The shell script `disk-report`: a plain command, which needs no SDK.
pub const DISK_REPORT: &str = include_str!("../disk-report.sh");

/// The status of a program that was called in a way it cannot be (`EX_USAGE`).
const EXIT_USAGE: u8 = 64;

/// The main of an agent, by its name.
pub fn main_of(name: &str) -> Option<fn() -> ExitCode> {
    Some(match name {
        "photo-sync" => photo_sync::main,
        "stubborn" => stubborn::main,
        "glutton" => glutton::main,
        "neighbour" => neighbour::main,
        "inbox" => inbox::main,
        _ => return None,
    })
}

/// Says hello and does the work; or says on standard error why there is none.
fn with_agent(work: impl FnOnce(Agent) -> ExitCode) -> ExitCode {
    match Agent::from_env() {
        Ok(agent) => work(agent),
        Err(error) => {
            output::error(&error);
            match error {
                StartError::NotStartedByNode { .. } => ExitCode::from(EXIT_USAGE),
                // Nothing was done, and nothing is wrong with the agent: the next run may find the node.
                StartError::HungUp | StartError::NoInvocation { .. } => ExitCode::from(75),
                _ => ExitCode::FAILURE,
            }
        }
    }
}
