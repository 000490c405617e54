//! The daemon dies, the launcher dies; runs are accounted for all the same.

use lull_policy::*;
use rustix::process::{Signal, kill_process};

use super::super::RunOrder;
use super::stage::{Stage, until};

const HELLO: &str = "echo '{\"type\":\"hello\",\"protocol\":1}' >&3; read -r invoke <&3;";

#[tokio::test]
async fn a_run_goes_on_over_a_restart_and_is_still_spoken_to() {
    let stage = Stage::new().await;
    let script = format!(
        "{HELLO} echo '{{\"type\":\"progress\",\"value\":1}}' >&3; read -r cancel <&3; echo \"$cancel\"; exit 6"
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.hears(|told| told.len() == 2).await;
    let stage = stage.restart().await;
    assert_eq!(stage.held, [run]);
    let reason = CancelReason::EnergySaver;
    let kill_at = None;
    stage
        .send(RunOrder::AskToCancel {
            run,
            reason,
            kill_at,
        })
        .await;
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(6));
    assert!(output.contains("energy-saver"), "{output}");
    // The second daemon says again that it runs: the first may not have come to it.
    assert_eq!(
        stage.scribe.story(run),
        ["started", "Progress(1)", "started", "Status(6)"]
    );
}

#[tokio::test]
async fn what_was_not_committed_is_heard_by_the_next_daemon() {
    let stage = Stage::new().await;
    let said = stage.shared("said");
    let script = format!(
        "{HELLO} echo '{{\"type\":\"progress\",\"value\":1}}' >&3; while [ ! -e {0}.go ]; do sleep 0.01; done; \
         echo '{{\"type\":\"complete\"}}' >&3; touch {0}; exit 0",
        said.display()
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.hears(|told| told.len() == 2).await;
    // The machine cannot commit what the agent says now, and the daemon dies over it.
    stage.scribe.refuse(true);
    std::fs::write(said.with_extension("go"), "").unwrap();
    until("the file", || said.exists()).await;
    let stage = stage.restart().await;
    stage.scribe.refuse(false);
    assert_eq!(stage.scribe.end(run).await.0, Exit::Status(0));
    let story = stage.scribe.story(run);
    assert_eq!(
        story[story.len() - 2..],
        ["Completed", "Status(0)"],
        "{story:?}"
    );
}

#[tokio::test]
async fn an_end_without_a_daemon_is_told_to_the_next_one() {
    let stage = Stage::new().await;
    let go = stage.shared("go");
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.01; done; echo late; exit 75",
        go.display()
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.starts(run).await;
    stage.scribe.refuse(true);
    std::fs::write(&go, "").unwrap();
    let stage = stage.restart().await;
    stage.scribe.refuse(false);
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!((exit, output.as_str()), (Exit::Status(75), "late\n"));
}

#[tokio::test]
async fn a_held_run_that_the_store_does_not_know_is_ended_and_forgotten() {
    let stage = Stage::new().await;
    let run = stage.launch(1, "while :; do sleep 100; done").await;
    stage.scribe.starts(run).await;
    // A store that began anew.
    stage.scribe.forget(run);
    let stage = stage.restart().await;
    assert_eq!(stage.held, [run]);
    let next = stage.launch(2, "exit 0").await;
    stage.scribe.end(next).await;
    let cage = format!("/sys/fs/cgroup/unified/{}/run-1", stage.setup.cages);
    until("the file", || !std::path::Path::new(&cage).exists()).await;
    assert_eq!(stage.scribe.story(run), ["started"]);
}

#[tokio::test]
async fn runs_of_a_launcher_that_dies_are_lost_and_a_new_one_serves() {
    let stage = Stage::new().await;
    let run = stage.launch(1, "while :; do sleep 100; done").await;
    stage.scribe.starts(run).await;
    let pid = stage.setup.board.read().processes[&run].pid;
    let first = stage.launcher();
    kill_process(first, Signal::KILL).unwrap();
    assert_eq!(stage.scribe.end(run).await.0, Exit::Lost);
    let next = stage.launch(2, "exit 5").await;
    assert_eq!(stage.scribe.end(next).await.0, Exit::Status(5));
    assert_ne!(stage.launcher(), first);
    // The new launcher has cleared the old one's cages.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z"), "{stat}");
}
