//! `inbox`: keeps each push that arrives.
//!
//! Every start is a line of `inbox.log`, so that a push that ran twice is seen: `id attempt run payload`, the payload
//! as one word. The work itself is idempotent by the push's id: `messages/push-<id>` is written once. Both are durable
//! before the run completes.
//!
//! Deliberately absent: forgetting; whoever reads the messages removes them.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use lull_agent::agent::Agent;

use crate::output;
use crate::state_file::{self, StateError};

/// The log of starts, in the app's folder.
pub const LOG: &str = "inbox.log";

/// The folder of messages, in the app's folder.
pub const MESSAGES: &str = "messages";

/// The agent's main.
pub fn main() -> ExitCode {
    crate::with_agent(run)
}

fn run(agent: Agent) -> ExitCode {
    let Some(state) = agent.state_folder() else {
        return agent.abort("LULL_STATE is not set, so there is no folder for the messages");
    };
    let invocation = agent.invocation();
    let Some(push) = invocation.push.as_ref().map(|push| push.id.clone()) else {
        return agent.abort("no push started this run; register the inbox for pushes only");
    };
    let line = format!(
        "{push} {} {} {}",
        invocation.attempt,
        invocation.run,
        one_word(agent.payload())
    );
    let kept =
        state_file::append(&state, LOG, &line).and_then(|()| keep(&state, &push, agent.payload()));
    match kept {
        Ok(new) => {
            let what = if new { "kept" } else { "had already" };
            output::line(&format_args!("{what} message {push}"));
            agent.complete()
        }
        Err(error) => agent.abort(output::chain(&error)),
    }
}

/// Keeps a message; false = it was kept by an earlier run.
fn keep(state: &Path, push: &str, payload: &[u8]) -> Result<bool, StateError> {
    let folder = state.join(MESSAGES);
    match std::fs::create_dir(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(source) => return Err(StateError::new(folder, source)),
    }
    // Ids have no slash; the prefix takes the meaning from `.` and `..`.
    let name = format!("push-{push}");
    if folder.join(&name).exists() {
        return Ok(false);
    }
    state_file::replace(&folder, &name, payload)?;
    Ok(true)
}

fn one_word(payload: &[u8]) -> String {
    let escaped = payload.escape_ascii().to_string();
    escaped.replace(' ', "\\x20")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_kept_once() {
        let state = tempfile::tempdir().unwrap();
        assert!(keep(state.path(), "p-1", b"one").unwrap());
        assert!(!keep(state.path(), "p-1", b"another").unwrap());
        assert!(keep(state.path(), "..", b"odd").unwrap());
        let kept = std::fs::read(state.path().join("messages/push-p-1")).unwrap();
        assert_eq!(kept, b"one");
    }

    #[test]
    fn a_payload_is_one_word_of_the_log() {
        assert_eq!(one_word(b"letter-007"), "letter-007");
        assert_eq!(one_word(b"two words\n\xff"), "two\\x20words\\n\\xff");
    }
}
