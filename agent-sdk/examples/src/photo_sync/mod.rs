//! `photo-sync`: copies the new files of one folder to another, each verified by SHA-256 of what was written.
//!
//! It reports progress in percent, obeys a request to cancel between chunks of 64 KiB, leaves no half file, and goes on in
//! the next run where the last one ended. It follows no symbolic link, takes no special file, and replaces nothing
//! that it did not copy itself. Two runs at one time take turns.
//!
//! Deliberately absent: deleting. A file that is gone from the source keeps its copy.

mod copying;
mod folder;
mod ledger;
mod listing;
mod settings;
mod sync;

use std::process::ExitCode;

use lull_agent::agent::Agent;

pub use folder::FileError;
pub use ledger::LedgerError;
pub use listing::{ListingError, Refused};
pub use settings::{Settings, SettingsError, TARGET};
pub use sync::{Stopped, Summary, SyncError, sync};

use crate::output;

/// The agent's main.
pub fn main() -> ExitCode {
    crate::with_agent(run)
}

fn run(agent: Agent) -> ExitCode {
    let Some(state) = agent.state_folder() else {
        return agent.abort("LULL_STATE is not set, so there is no folder for the ledger");
    };
    let settings = match Settings::from_env(&state) {
        Ok(settings) => settings,
        Err(error) => return agent.abort(output::chain(&error)),
    };
    let cancellation = agent.cancellation();
    let mut progress = |percent| agent.progress(percent);
    let result = sync(&settings, &state, &cancellation, &mut progress);
    match result {
        Ok(summary) => {
            output::line(&summary);
            agent.complete()
        }
        Err(SyncError::Stopped(stopped)) => {
            output::line(&stopped);
            let why = cancellation.requested().map(|cancel| cancel.reason);
            match why.filter(|_| stopped.failure.is_none()) {
                Some(reason) => agent.abort(format!("cancelled ({reason}): {stopped}")),
                None => agent.abort(stopped.to_string()),
            }
        }
        Err(error) => agent.abort(output::chain(&error)),
    }
}
