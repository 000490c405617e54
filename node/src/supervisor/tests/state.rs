//! The state that an app shares with its agents (RUN-22, RUN-48), from inside an agent's cage and sandbox.

use lull_agent::state::{State, StateError};
use lull_policy::Exit;

use super::stage::{Stage, UID};

/// Set in the process that is the agent.
const ROLE: &str = "LULL_TEST_STATE_AGENT";

/// What each side adds.
const ROUNDS: usize = 40;

fn add(state: &State, mark: u8) {
    for _ in 0..ROUNDS {
        let adding = |contents: &mut lull_agent::state::Contents| {
            let mut marks = contents.get("marks").unwrap_or_default().to_vec();
            marks.push(mark);
            contents.put("marks", marks)
        };
        state.transaction::<(), StateError>(adding).unwrap();
    }
}

/// Runs a second time as the agent, under the app's own user.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_app_and_its_caged_agent_change_one_state_at_one_time() {
    if std::env::var_os(ROLE).is_some() {
        let folder = std::env::var_os("LULL_STATE").unwrap();
        add(&State::open(folder).unwrap(), b'a');
        return;
    }
    let stage = Stage::new().await;
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    std::os::unix::fs::chown(folder.path(), Some(UID), Some(UID)).unwrap();
    let state = State::open(folder.path()).unwrap();
    state.put("marks", b"").unwrap();
    let test = "supervisor::tests::state::an_app_and_its_caged_agent_change_one_state_at_one_time";
    let script = format!(
        "export {ROLE}=1 LULL_STATE='{}'; exec \"$0\" --exact {test} --nocapture",
        folder.path().display()
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.starts(run).await;
    let app = state.clone();
    let adding = tokio::task::spawn_blocking(move || add(&app, b'f'));
    adding.await.unwrap();
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(0), "{output}");
    let mut marks = state.get("marks").unwrap().unwrap();
    marks.sort_unstable();
    assert_eq!(marks, [[b'a'; ROUNDS], [b'f'; ROUNDS]].concat(), "RUN-48");
}
