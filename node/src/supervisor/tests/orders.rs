//! Orders carried out: what agents are given, and how they end.

use lull_policy::*;

use super::super::RunOrder;
use super::stage::{Stage, later, launch, until};

#[tokio::test]
async fn a_plain_command_gets_its_push_by_environment_and_descriptor() {
    let stage = Stage::new().await;
    let mut launch = launch(1);
    launch.trigger = Trigger::Push;
    launch.attempt = 2;
    launch.cancel_at = Some(later(&stage, Span::seconds(25)));
    launch.push = Some(Push {
        id: PushId::new("push-1").unwrap(),
        app: launch.app.clone(),
        payload: b"two words".to_vec(),
        expires: Wall::from_millis(u64::MAX),
        retention: Retention::default(),
        priority: Priority::default(),
        collapse_key: None,
    });
    let script = "env | grep -E '^(LULL|PHOTOS|HOME|USER)' | sort; cat <&$LULL_PAYLOAD_FD; pwd >&2";
    let run = stage.launch_with(launch, script).await;
    let (exit, usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(0));
    let expected = "\
HOME=/tmp
LULL_APP=photos
LULL_ATTEMPT=2
LULL_CANCEL_AFTER=25
LULL_PAYLOAD=two words
LULL_PAYLOAD_FD=4
LULL_PUSH_ID=push-1
LULL_RUN=1
LULL_SOCKET_FD=3
LULL_STATE=/tmp
LULL_TASK=sync
LULL_TRIGGER=push
PHOTOS_FROM=/data/in
USER=photos
two words/tmp
";
    assert_eq!(output, expected);
    assert!(
        usage.memory_peak.is_some() && usage.cpu_micros.is_some(),
        "{usage:?}"
    );
    assert_eq!(stage.scribe.story(run), ["started", "Status(0)"]);
    // Its end is durable, so nobody holds it any more.
    let stage = stage.restart().await;
    assert_eq!(stage.held, []);
}

#[tokio::test]
async fn a_payload_that_is_no_text_is_on_the_descriptor_only() {
    let stage = Stage::new().await;
    let mut launch = launch(1);
    launch.push = Some(Push {
        id: PushId::new("push-1").unwrap(),
        app: launch.app.clone(),
        payload: vec![0xff; 5_000],
        expires: Wall::from_millis(u64::MAX),
        retention: Retention::default(),
        priority: Priority::default(),
        collapse_key: None,
    });
    let script = "env | grep -c ^LULL_PAYLOAD=; wc -c <&$LULL_PAYLOAD_FD";
    let run = stage.launch_with(launch, script).await;
    assert_eq!(stage.scribe.end(run).await.2, "0\n5000\n");
}

#[tokio::test]
async fn a_plain_command_learns_which_device_path_or_signal_it_was() {
    let stage = Stage::new().await;
    let subject = |text: &str| Subject::new(text).unwrap();
    let rows = [
        (
            Details::Device {
                device: subject("usb:046d:c52b:1-1.2"),
                present: false,
            },
            "LULL_DEVICE=usb:046d:c52b:1-1.2\nLULL_DEVICE_CHANGE=left\n",
        ),
        (
            Details::Files {
                path: subject("/srv/inbox"),
            },
            "LULL_PATH_CHANGED=/srv/inbox\n",
        ),
        (
            Details::Bus {
                event: subject("com.example.Door com.example.Door1.Opened"),
            },
            "LULL_BUS_EVENT=com.example.Door com.example.Door1.Opened\n",
        ),
        (Details::Sms, ""),
    ];
    for (id, (details, expected)) in (1..).zip(rows) {
        let mut launch = launch(id);
        launch.details = Some(details);
        let script = "env | grep -E '^LULL_(DEVICE|PATH_CHANGED|BUS_EVENT)' | sort";
        let run = stage.launch_with(launch, script).await;
        assert_eq!(stage.scribe.end(run).await.2, expected, "TRGC-04");
    }
}

#[tokio::test]
async fn what_cannot_be_started_ends_with_the_reason() {
    let stage = Stage::new().await;
    stage.send(RunOrder::Launch(Box::new(launch(1)))).await;
    let (exit, ..) = stage.scribe.end(RunId(1)).await;
    let message = "no such agent is declared; declare it".to_owned();
    assert_eq!(exit, Exit::LaunchFailed { message });
    let run = stage.launch(2, &"x".repeat(70_000)).await;
    let (exit, ..) = stage.scribe.end(run).await;
    let Exit::LaunchFailed { message } = exit else {
        panic!("{exit:?}");
    };
    assert!(message.contains("at most 65536; shorten"), "{message}");
    assert_eq!(stage.scribe.story(run).len(), 1);
}

/// Asks for more and more memory, says what became of it, and goes on.
const HUNGRY: &str = "tail /dev/zero; echo went on; exit 0";

#[tokio::test]
async fn a_trigger_task_beyond_its_cap_sees_its_allocation_fail_and_goes_on() {
    let stage = Stage::new().await;
    let mut launch = launch(1);
    launch.memory = Some(Bytes::mib(32));
    let run = stage.launch_with(launch, HUNGRY).await;
    let (exit, usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Status(0), "AMB-15: {output}");
    assert!(output.contains("memory exhausted"), "{output}");
    assert!(output.ends_with("went on\n"), "{output}");
    assert!(
        usage.memory_peak.is_some_and(|peak| peak <= Bytes::mib(36)),
        "{usage:?}"
    );
}

#[tokio::test]
async fn a_trigger_task_that_goes_round_its_cap_is_killed() {
    let stage = Stage::new().await;
    let mut launch = launch(1);
    launch.memory = Some(Bytes::mib(16));
    // Each of four holds 8 MiB, which it may.
    let script = "for i in 1 2 3 4; do (head -c 8M /dev/zero; sleep 100) | tail -c 8M & done; wait";
    let run = stage.launch_with(launch, script).await;
    assert_eq!(stage.scribe.end(run).await.0, Exit::MemoryExceeded);
}

#[tokio::test]
async fn a_memory_cap_is_set_and_its_kill_is_told_as_such() {
    let stage = Stage::new().await;
    let mut launch = launch(1);
    launch.memory = Some(Bytes::mib(32));
    launch.trigger = Trigger::Periodic;
    let run = stage.launch_with(launch, HUNGRY).await;
    let (exit, usage, _output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::MemoryExceeded);
    assert!(
        usage.memory_peak.is_some_and(|peak| peak <= Bytes::mib(32)),
        "{usage:?}"
    );
}

#[tokio::test]
async fn a_plain_command_is_asked_by_signal_and_killed_by_order() {
    let stage = Stage::new().await;
    let up = stage.shared("up");
    let script = format!(
        "trap 'echo asked' TERM; touch {}; while :; do sleep 0.01; done",
        up.display()
    );
    let run = stage.launch(1, &script).await;
    stage.scribe.starts(run).await;
    until("the file", || up.exists()).await;
    let pid = stage
        .setup
        .board
        .read()
        .processes
        .get(&run)
        .cloned()
        .unwrap();
    assert!(pid.cgroup.ends_with("run-1"), "{pid:?}");
    let reason = CancelReason::ConditionLoss;
    let kill_at = None;
    stage
        .send(RunOrder::AskToCancel {
            run,
            reason,
            kill_at,
        })
        .await;
    stage.send(RunOrder::Kill { run }).await;
    let (exit, _usage, output) = stage.scribe.end(run).await;
    assert_eq!(exit, Exit::Signal(9));
    // Both orders came at once: the shell may have been killed before its trap ran.
    assert!(["", "asked\n"].contains(&output.as_str()), "{output}");
    assert!(stage.setup.board.read().processes.is_empty());
}

#[tokio::test]
async fn a_run_killed_before_its_launch_is_never_started() {
    let stage = Stage::new().await;
    let early = launch(7);
    stage.declare(&early, "echo it ran");
    stage.send(RunOrder::Kill { run: early.run }).await;
    // Stops are taken first; the launch that follows finds the kill.
    stage.send(RunOrder::Launch(Box::new(early))).await;
    let (exit, _usage, output) = stage.scribe.end(RunId(7)).await;
    let message = "it was killed before it started".to_owned();
    assert_eq!(
        (exit, output.as_str()),
        (Exit::LaunchFailed { message }, "")
    );
}

#[tokio::test]
async fn an_end_waits_for_an_engine_that_cannot_commit() {
    let stage = Stage::new().await;
    let run = stage.launch(1, "exit 75").await;
    stage.scribe.end(run).await;
    stage.scribe.refuse(true);
    let second = stage.launch(2, "exit 3").await;
    let third = stage.launch(3, "while :; do sleep 100; done").await;
    let board = &stage.setup.board;
    until("the third", || board.read().processes.contains_key(&third)).await;
    let pid = board.read().processes[&third].pid;
    // A stop does not wait for the commit of the start.
    stage.send(RunOrder::Kill { run: third }).await;
    let stat = format!("/proc/{pid}/stat");
    let lives = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z"));
    until("the kill", || !lives()).await;
    assert_eq!(stage.scribe.story(second), Vec::<String>::new());
    stage.scribe.refuse(false);
    stage.scribe.end(second).await;
    stage.scribe.end(third).await;
    assert_eq!(stage.scribe.story(second), ["started", "Status(3)"]);
    assert_eq!(stage.scribe.story(third), ["started", "Signal(9)"]);
}

/// RUN-46, RUN-47, TRGD-26: default-deny, the app's own folder, and the device of the run.
#[tokio::test]
async fn an_agent_has_its_folder_and_the_device_it_was_started_for() {
    let stage = Stage::new().await;
    let script = "try() { if ( eval \"$1\" ) 2>/dev/null; then echo had; else echo refused; fi; }\n\
         try ': >$LULL_STATE/lull-$$ && rm $LULL_STATE/lull-$$'; try ': >/var/tmp/lull-$$'; try ': </dev/ptmx'; echo $TMPDIR";
    let run = stage.launch(1, script).await;
    let output = stage.scribe.end(run).await.2;
    assert_eq!(output, "had\nrefused\nrefused\n/tmp\n");
    let mut launch = launch(2);
    launch.trigger = Trigger::DeviceUse;
    launch.details = Some(Details::Device {
        device: Subject::new("/dev/ptmx").unwrap(),
        present: true,
    });
    let run = stage.launch_with(launch, script).await;
    let output = stage.scribe.end(run).await.2;
    assert_eq!(output, "had\nrefused\nhad\n/tmp\n");
}
