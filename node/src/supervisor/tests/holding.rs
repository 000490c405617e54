//! What holds a run while it goes on reaches it, also when it was ordered before the run was there.

use lull_policy::{Bytes, Exit, Trigger};

use super::stage::*;
use crate::ports::{Hold, RunOrder};

const HUNGRY: &str = "head -c 67108864 /dev/zero | tail -c 67108864 | wc -c";

async fn hold(stage: &Stage, run: lull_policy::RunId, hold: Hold) {
    stage.send(RunOrder::Hold { run, hold }).await;
}

#[tokio::test]
async fn a_frozen_run_does_nothing_until_it_is_thawed() {
    let stage = Stage::new().await;
    let (up, go) = (stage.shared("up"), stage.shared("go"));
    let script = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.01; done",
        up.display(),
        go.display()
    );
    let run = stage.launch(1, &script).await;
    until("the file", || up.exists()).await;
    hold(&stage, run, Hold::Frozen(true)).await;
    until("a standstill", || stage.is_frozen(run)).await;
    std::fs::write(&go, "").unwrap();
    assert_eq!(stage.scribe.story(run), ["started"], "it stands");
    hold(&stage, run, Hold::Frozen(false)).await;
    assert_eq!(stage.scribe.end(run).await.0, Exit::Status(0));
}

#[tokio::test]
async fn a_cap_ordered_before_the_launch_holds_from_its_start() {
    let stage = Stage::new().await;
    let mut early = launch(7);
    early.trigger = Trigger::Periodic;
    hold(&stage, early.run, Hold::Memory(Some(Bytes::mib(16)))).await;
    let script = format!("sleep 0.2; {HUNGRY}");
    let run = stage.launch_with(early, &script).await;
    assert_eq!(stage.scribe.end(run).await.0, Exit::MemoryExceeded);
}

#[tokio::test]
async fn a_cap_is_lifted_for_a_debugger() {
    let stage = Stage::new().await;
    let (up, go) = (stage.shared("up"), stage.shared("go"));
    let script = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.01; done; {HUNGRY}",
        up.display(),
        go.display()
    );
    let mut capped = launch(1);
    capped.memory = Some(Bytes::mib(16));
    let run = stage.launch_with(capped, &script).await;
    until("the file", || up.exists()).await;
    hold(&stage, run, Hold::Memory(None)).await;
    // Orders are obeyed one after the other: a standstill after the cap says that it is lifted.
    for frozen in [true, false] {
        hold(&stage, run, Hold::Frozen(frozen)).await;
        until("the freezer", || stage.is_frozen(run) == frozen).await;
    }
    std::fs::write(&go, "").unwrap();
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(0), "RES-22: {output}");
}

#[tokio::test]
async fn the_exit_of_a_plain_command_is_the_word_of_a_scheduled_agent() {
    let stage = Stage::new().await;
    let scheduled = |id, trigger| {
        let mut launch = launch(id);
        launch.trigger = trigger;
        launch
    };
    let rows = [
        (
            1,
            Trigger::Periodic,
            "exit 0",
            &["started", "Completed", "Status(0)"][..],
        ),
        (
            2,
            Trigger::ResourceIntensive,
            "exit 3",
            &["started", "Status(3)"],
        ),
        (3, Trigger::Application, "exit 0", &["started", "Status(0)"]),
    ];
    for (id, trigger, script, expected) in rows {
        let run = stage.launch_with(scheduled(id, trigger), script).await;
        stage.scribe.end(run).await;
        assert_eq!(stage.scribe.story(run), expected, "RUN-43");
    }
}
