//! The line protocol with agents that speak, written as shell scripts over descriptor 3.

use lull_policy::*;

use super::super::RunOrder;
use super::stage::{Stage, later, launch, until};

const HELLO: &str = "echo '{\"type\":\"hello\",\"protocol\":9}' >&3; read -r invoke <&3;";

#[tokio::test]
async fn an_agent_is_invoked_and_its_reports_are_told_in_order() {
    let stage = Stage::new().await;
    let script = format!(
        "{HELLO} echo \"$invoke\"; \
         printf '%s\\n' '{{\"type\":\"progress\",\"value\":5}}' '{{\"type\":\"new-thing\",\"x\":1}}' 'garbage' \
         '{{\"type\":\"deferral-taken\"}}' '{{\"type\":\"deferral-completed\"}}' \
         '{{\"type\":\"progress\",\"value\":7}}' '{{\"type\":\"complete\"}}' >&3; exit 0"
    );
    let mut launch = launch(1);
    launch.trigger = Trigger::Timer {
        minutes: 30,
        one_shot: false,
    };
    launch.cancel_at = Some(later(&stage, Span::minutes(5)));
    launch.kill_at = Some(later(&stage, Span::minutes(6)));
    let run = stage.launch_with(launch, &script).await;
    let (_exit, _usage, output) = stage.scribe.end(run).await;
    let invoke: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(invoke["type"], "invoke");
    assert_eq!(
        (&invoke["protocol"], &invoke["run"]),
        (&1.into(), &1.into())
    );
    assert_eq!(
        (&invoke["trigger"], &invoke["task"]),
        (&"timer".into(), &"sync".into())
    );
    let cancel = invoke["cancel_after_ms"].as_u64().unwrap();
    let kill = invoke["kill_after_ms"].as_u64().unwrap();
    assert!((280_000..=300_000).contains(&cancel), "{cancel}");
    assert_eq!(kill - cancel, 60_000);
    assert_eq!(
        stage.scribe.story(run),
        [
            "started",
            "Progress(5)",
            "DeferralTaken",
            "DeferralCompleted",
            "Progress(7)",
            "Completed",
            "Status(0)"
        ]
    );
    assert_eq!(stage.setup.board.counter("agent-lines-skipped"), 2);
}

#[tokio::test]
async fn an_abort_is_told_with_its_words_cut_to_the_bound() {
    let stage = Stage::new().await;
    let script = format!(
        "{HELLO} printf '{{\"type\":\"abort\",\"message\":\"%s\"}}\\n' \"$(head -c 3000 /dev/zero | tr '\\0' x)\" >&3; exit 75"
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.end(run).await;
    let message = "x".repeat(bounds::MESSAGE);
    let story = stage.scribe.story(run);
    assert_eq!(story[1], format!("{:?}", Report::Aborted { message }));
    assert_eq!(story[2], "Status(75)");
}

#[tokio::test]
async fn an_agent_that_speaks_is_asked_by_message() {
    let stage = Stage::new().await;
    let script = format!(
        "trap 'echo signalled' TERM; {HELLO} echo '{{\"type\":\"progress\",\"value\":1}}' >&3; read -r cancel <&3; echo \"$cancel\"; exit 0"
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.hears(|told| told.len() == 2).await;
    let reason = CancelReason::ExecutionTimeExceeded;
    let kill_at = Some(later(&stage, Span::seconds(5)));
    stage
        .send(RunOrder::AskToCancel {
            run,
            reason,
            kill_at,
        })
        .await;
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(0));
    let cancel: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(cancel["type"], "cancel");
    assert_eq!(cancel["reason"], "execution-time-exceeded");
    assert_eq!(cancel["number"], 9);
    let grace = cancel["grace_ms"].as_u64().unwrap();
    assert!((4_000..=5_000).contains(&grace), "{grace}");
}

#[tokio::test]
async fn memory_usage_is_answered_from_the_cage() {
    let stage = Stage::new().await;
    let mut launch = launch(1);
    launch.memory = Some(Bytes::mib(40));
    let script = format!(
        "{HELLO} echo '{{\"type\":\"memory-usage\"}}' >&3; read -r usage <&3; echo \"$usage\""
    );
    let run = stage.launch_with(launch, &script).await;
    let (_exit, _usage, output) = stage.scribe.end(run).await;
    let usage: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!(usage["limit"], 40 << 20);
    assert!(
        usage["usage"].as_u64().is_some_and(|bytes| bytes > 0),
        "{usage}"
    );
}

#[tokio::test]
async fn a_flood_of_progress_is_thinned_and_the_newest_wins() {
    let stage = Stage::new().await;
    let script = format!(
        "{HELLO} i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo '{{\"type\":\"progress\",\"value\":'$i'}}'; done >&3; exit 0"
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.end(run).await;
    let story = stage.scribe.story(run);
    assert_eq!(story[story.len() - 2], "Progress(20000)");
    assert!(story.len() < 200, "{} reports", story.len());
}

#[tokio::test]
async fn a_line_beyond_the_bound_ends_the_conversation_and_not_the_run() {
    let stage = Stage::new().await;
    let script = format!(
        "trap 'echo signalled; exit 4' TERM; {HELLO} head -c 20000 /dev/zero | tr '\\0' x >&3; read -r nothing <&3; echo \"read $?\"; while :; do sleep 0.01; done"
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.starts(run).await;
    let reason = CancelReason::Abort;
    let kill_at = None;
    stage
        .send(RunOrder::AskToCancel {
            run,
            reason,
            kill_at,
        })
        .await;
    let (exit, _usage, output) = stage.scribe.end(run).await;
    // Asked before or after it was hung up on, it is asked in the way that is left.
    assert!(
        [Exit::Status(4), Exit::Signal(15)].contains(&exit),
        "{exit:?}: {output}"
    );
}

#[tokio::test]
async fn an_agent_that_closes_its_socket_is_a_plain_command_from_then_on() {
    let stage = Stage::new().await;
    let closed = stage.shared("closed");
    let script = format!(
        "trap 'echo signalled; exit 4' TERM; {HELLO} echo '{{\"type\":\"progress\",\"value\":1}}' >&3; exec 3>&-; touch {}; while :; do sleep 0.01; done",
        closed.display()
    );
    let run = stage.launch(1, &script).await;
    until("the file", || closed.exists()).await;
    let reason = CancelReason::Abort;
    let kill_at = None;
    stage
        .send(RunOrder::AskToCancel {
            run,
            reason,
            kill_at,
        })
        .await;
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!((exit, output.as_str()), (Exit::Status(4), "signalled\n"));
}

/// Waits for a level, passing over others on the way, and prints it with the cap.
const AWAIT: &str = r#"await() {
    while read -r said <&3; do
        case $said in
            *\"level\":\"$1\"*) echo "$1 $(echo "$said" | sed 's/.*"limit"://; s/[^0-9a-z].*//')"; return ;;
        esac
    done
}
"#;

#[tokio::test]
async fn an_agent_is_told_when_its_memory_level_rises_and_falls_and_when_its_cap_changes() {
    let stage = Stage::new().await;
    // What is cached of a file counts for its cage, and not for what a process may ask for.
    let file = stage.shared("fill");
    let file = file.display();
    let progress = |value| format!("echo '{{\"type\":\"progress\",\"value\":{value}}}' >&3");
    let script = format!(
        "{AWAIT} {HELLO} echo '{{\"type\":\"follow-memory\"}}' >&3; await low; \
         head -c 20M /dev/zero > {file}; await medium; head -c 10M /dev/zero >> {file}; await high; \
         rm {file}; await low; {}; await low; {}; await low; exit 0",
        progress(1),
        progress(2),
    );
    let mut launch = launch(1);
    launch.memory = Some(Bytes::mib(32));
    let run = stage.launch_with(launch, &script).await;
    for (said, cap) in [(1, Some(Bytes::mib(64))), (2, None)] {
        let report = Report::Progress(said);
        let progress = Event::RunReported { run, report };
        stage.scribe.hears(|told| told.contains(&progress)).await;
        let hold = crate::ports::Hold::Memory(cap);
        stage.send(RunOrder::Hold { run, hold }).await;
    }
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(0), "{output}");
    let (small, large) = (32 << 20, 64 << 20);
    let expected =
        format!("low {small}\nmedium {small}\nhigh {small}\nlow {small}\nlow {large}\nlow null\n");
    assert_eq!(output, expected, "RES-08");
}
