//! Runs in the app's own process (RUN-01 to RUN-05), with real processes: the SDK in a thread of the test, and a program of another
//! language that the launcher starts.

use std::path::PathBuf;
use std::thread::JoinHandle as Thread;

use lull_agent::host::{Host, HostError, Run as HostedRun};
use lull_policy::*;
use tokio_util::sync::CancellationToken;

use super::stage::*;
use crate::fronts::{Door, Fronts, serve};
use crate::local::Authority;
use crate::ports::{AppOwners, RunOrder};

/// Takes each run of its app, and does as its task says.
const APP: &str = r#"
import json, os, socket, sys, time
assert sys.argv[1] == "--background", sys.argv
assert os.environ["LULL_APP"] == "photos"
path = os.path.join(os.path.dirname(os.environ["LULL_NODE_SOCKET"]), "host.sock")
def connect():
    end = time.monotonic() + 20
    while True:
        node = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            node.connect(path)
            break
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.02)
    node.send(b'{"type":"hello","protocol":1,"app":"photos"}')
    assert json.loads(node.recv(65536))["type"] == "welcome"
    return node
node = connect()
while True:
    packet, fds, _, _ = socket.recv_fds(node, 65536, 1)
    if not packet:
        node = connect()
        continue
    run = socket.socket(fileno=fds[0])
    run.sendall(b'{"type":"hello","protocol":1}\n')
    lines = run.makefile("r")
    task = json.loads(lines.readline())["task"]
    if task == "crash": os.abort()
    if task == "status": os._exit(3)
    if task == "hang": continue
    if task == "leave":
        node.send(b'{"type":"leaving"}')
        os._exit(0)
    run.sendall(b'{"type":"complete"}\n')
    run.close()
    del lines
"#;

#[derive(Debug)]
struct Own;

impl AppOwners for Own {
    fn uid_of(&self, app: &AppId) -> Option<u32> {
        (app.as_str() == "photos").then_some(UID)
    }
    fn user_of(&self, _app: &AppId) -> Option<String> {
        None
    }
    fn folder_of(&self, _app: &AppId) -> Option<PathBuf> {
        None
    }
}

/// A stage with its door open.
struct House {
    stage: Stage,
    ending: CancellationToken,
}

impl House {
    async fn new() -> Self {
        let house = Self {
            stage: Stage::new().await,
            ending: CancellationToken::new(),
        };
        house.open_door();
        house
    }

    fn open_door(&self) {
        let setup = &self.stage.setup;
        let path = setup.local_socket.with_file_name("host.sock");
        let authority = Authority {
            daemon_uid: rustix::process::geteuid().as_raw(),
            cage: setup.cages.clone(),
            owners: std::sync::Arc::new(Own),
        };
        let door = Door::open(&path).unwrap();
        let (fronts, board) = (setup.fronts.clone(), std::sync::Arc::clone(&setup.board));
        tokio::spawn(serve(door, fronts, authority, board, self.ending.clone()));
    }

    /// Orders a run of the app's own process.
    async fn orders(&self, id: u64, task: &str) -> RunId {
        self.orders_with(id, task, None).await
    }

    async fn orders_with(&self, id: u64, task: &str, push: Option<Push>) -> RunId {
        let launch = Launch {
            entry_point: None,
            host: HostKind::InProcess,
            task: TaskName::new(task).unwrap(),
            push,
            ..launch(id)
        };
        self.stage.send(RunOrder::Launch(Box::new(launch))).await;
        RunId(id)
    }

    /// The app's process in a thread: `takes` gets its runs, one after the other.
    fn app(
        &self,
        runs: usize,
        takes: impl Fn(HostedRun) + Send + 'static,
    ) -> Thread<Result<(), HostError>> {
        let mut host = Host::connect_to("photos", &self.stage.setup.local_socket).unwrap();
        std::thread::spawn(move || {
            for _ in 0..runs {
                takes(host.next_run()?);
            }
            Ok(())
        })
    }

    fn state(&self) -> FrontState {
        self.stage.setup.fronts.leases().state(&app())
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.ending.cancel();
    }
}

fn push(body: &[u8]) -> Push {
    Push {
        id: PushId::new("p1").unwrap(),
        app: app(),
        payload: body.to_vec(),
        expires: Wall::from_millis(u64::MAX),
        retention: Retention::default(),
        priority: Priority::default(),
        collapse_key: None,
    }
}

fn app() -> AppId {
    AppId::new("photos").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_speaks_as_an_agent_does() {
    let house = House::new().await;
    let thread = house.app(2, |run| {
        if run.invocation().task == "sum" {
            assert_eq!(run.payload(), b"\0\x9f\x92\x96");
            run.progress(40);
            run.complete();
        } else {
            assert!(run.payload().is_empty());
            assert_eq!(run.memory_usage().unwrap().usage, None);
            run.abort("no server");
        }
    });
    assert_eq!(house.state(), FrontState::Background);
    let push = push(b"\0\x9f\x92\x96");
    let sum = house.orders_with(1, "sum", Some(push)).await;
    assert_eq!(house.stage.scribe.end(sum).await.0, Exit::Status(0));
    let story = house.stage.scribe.story(sum);
    assert_eq!(story, ["started", "Progress(40)", "Completed", "Status(0)"]);
    let other = house.orders(2, "other").await;
    house.stage.scribe.end(other).await;
    let story = house.stage.scribe.story(other);
    assert_eq!(story[1], "Aborted { message: \"no server\" }");
    tokio::task::spawn_blocking(|| thread.join().unwrap().unwrap())
        .await
        .unwrap();
    until("the app's leaving", || house.state() == FrontState::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_returns_is_done() {
    let house = House::new().await;
    let _thread = house.app(1, drop);
    let run = house.orders(1, "t").await;
    house.stage.scribe.end(run).await;
    assert_eq!(
        house.stage.scribe.story(run),
        ["started", "Completed", "Status(0)"],
        "RUN-11"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_cancel_reaches_the_code() {
    let house = House::new().await;
    let _thread = house.app(1, |run| {
        let cancellation = run.cancellation();
        assert!(cancellation.wait(PATIENCE));
        let reason = cancellation.requested().unwrap().reason;
        run.abort(format!("{reason:?}"));
    });
    let run = house.orders(1, "t").await;
    house.stage.scribe.starts(run).await;
    house
        .stage
        .send(RunOrder::AskToCancel {
            run,
            reason: CancelReason::ConditionLoss,
            kill_at: None,
        })
        .await;
    house.stage.scribe.end(run).await;
    let story = house.stage.scribe.story(run);
    assert_eq!(story[1], "Aborted { message: \"ConditionLoss\" }", "RUN-12");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_leaves_is_told_of_before_its_run_ends() {
    let house = House::new().await;
    house.stage.declare_front(APP);
    house.stage.send(RunOrder::StartFront { app: app() }).await;
    let run = house.orders(1, "leave").await;
    house.stage.scribe.starts(run).await;
    until("the app's leaving", || house.state() == FrontState::None).await;
    assert_eq!(
        house.stage.scribe.story(run),
        ["started"],
        "RUN-24: it is to be cancelled first"
    );
    let (reason, kill_at) = (CancelReason::Terminating, None);
    let cancel = RunOrder::AskToCancel {
        run,
        reason,
        kill_at,
    };
    house.stage.send(cancel).await;
    assert_eq!(house.stage.scribe.end(run).await.0, Exit::Status(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_a_strange_app_and_an_uninstalled_one_are_refused() {
    let house = House::new().await;
    let socket = house.stage.setup.local_socket.clone();
    let _first = Host::connect_to("photos", &socket).unwrap();
    for (name, words) in [
        ("photos", "already"),
        ("ghost", "no app ghost is installed"),
        ("", "app: "),
    ] {
        let refused = Host::connect_to(name, &socket).unwrap_err();
        assert!(refused.to_string().contains(words), "{name}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_does_not_run_is_started_by_its_manifest() {
    let house = House::new().await;
    house.stage.declare_front(APP);
    house.stage.send(RunOrder::StartFront { app: app() }).await;
    let first = house.orders(1, "t").await;
    let second = house.orders(2, "t").await;
    for run in [first, second] {
        house.stage.scribe.end(run).await;
        assert_eq!(
            house.stage.scribe.story(run),
            ["started", "Completed", "Status(0)"],
            "RUN-04"
        );
    }
    assert_eq!(house.state(), FrontState::Background, "where it stays");
    house.stage.send(RunOrder::KillFront { app: app() }).await;
    until("the process's end", || house.state() == FrontState::None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_and_a_kill_are_the_runs_own_end() {
    for (task, exit) in [
        ("crash", Exit::Signal(6)),
        ("status", Exit::Status(3)),
        ("hang", Exit::Signal(9)),
    ] {
        let house = House::new().await;
        house.stage.declare_front(APP);
        house.stage.send(RunOrder::StartFront { app: app() }).await;
        let run = house.orders(1, task).await;
        if task == "hang" {
            house.stage.scribe.starts(run).await;
            house.stage.send(RunOrder::Kill { run }).await;
            house.stage.send(RunOrder::KillFront { app: app() }).await;
        }
        assert_eq!(
            house.stage.scribe.end(run).await.0,
            exit,
            "RUN-02, RUN-05: {task}"
        );
        until("the process's end", || house.state() == FrontState::None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_said_by_the_run() {
    let house = House::new().await;
    for (front, words) in [
        (None, "no [front]"),
        (Some("raise SystemExit(4)"), "ended before it connected"),
    ] {
        if let Some(front) = front {
            house.stage.declare_front(front);
        }
        house.stage.send(RunOrder::StartFront { app: app() }).await;
        let run = house.orders(if front.is_none() { 1 } else { 2 }, "t").await;
        let Exit::LaunchFailed { message } = house.stage.scribe.end(run).await.0 else {
            panic!("it was started");
        };
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_apps_process_outlives_the_daemon() {
    let mut house = House::new().await;
    house.stage.declare_front(APP);
    house.stage.send(RunOrder::StartFront { app: app() }).await;
    let run = house.orders(1, "t").await;
    house.stage.scribe.end(run).await;
    house.ending.cancel();
    let mut stage = std::mem::replace(&mut house.stage, Stage::new().await);
    stage.setup.fronts = Fronts::default();
    house.stage = stage.restart().await;
    assert_eq!(house.stage.held, [], "it is no run");
    house.ending = CancellationToken::new();
    house.open_door();
    let run = house.orders(2, "t").await;
    house.stage.scribe.end(run).await;
    assert_eq!(
        house.stage.scribe.story(run),
        ["started", "Completed", "Status(0)"],
        "the same process took it"
    );
    house.stage.send(RunOrder::KillFront { app: app() }).await;
    until("the process's end", || house.state() == FrontState::None).await;
}
