//! The local API over a real socket, with callers of real users and from real cages.

mod asked;
mod debugging;
mod handover;
mod pushes;
mod reconciling;
mod scheduled;
mod sdk;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream as PlainStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use actix::Arbiter;
use hyper_util::rt::TokioIo;
use lull_policy::{AppId, Event, Exit, RunId, Usage};
use lull_proto::local::v1 as wire;
use lull_proto::local::v1::app_service_client::AppServiceClient;
use lull_proto::local::v1::attach_response::Event as Told;
use lull_proto::local::v1::operator_service_client::OperatorServiceClient;
use lull_proto::problem;
use rustix::process::Uid;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Streaming};

use super::*;
use crate::engine::rig::{PATIENCE, Rig, app, next, on_runtime, rig, until};
use crate::ports::{ReloadReport, RunOrder};
use crate::store::Journal;

/// The user of the app `photos`, and one of nobody's.
const OWNER: u32 = 60_001;
const STRANGER: u32 = 60_002;

#[derive(Debug)]
struct Manifests(Mutex<ReloadReport>, PathBuf);

impl AppOwners for Manifests {
    fn uid_of(&self, id: &AppId) -> Option<u32> {
        (*id == app()).then_some(OWNER)
    }
    fn folder_of(&self, id: &AppId) -> Option<PathBuf> {
        self.uid_of(id).map(|_| self.1.clone())
    }
}

impl AppSource for Manifests {
    fn reload(&self) -> ReloadReport {
        self.last()
    }
    fn last(&self) -> ReloadReport {
        self.0.lock().unwrap().clone()
    }
}

struct Served {
    debuggers: Debuggers,
    rig: Rig,
    path: PathBuf,
    cage: String,
    ending: CancellationToken,
    serving: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

async fn serve(arbiter: &Arbiter) -> Served {
    let rig = rig(arbiter, PATIENCE).await;
    let folder = tempfile::tempdir().unwrap();
    // Callers of other users must reach it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let path = folder.path().join("local.sock");
    let cage = format!("lull-local-{}-{}", std::process::id(), rig.board_id());
    let manifests = Arc::new(Manifests(Mutex::default(), folder.path().join("photos")));
    let ending = CancellationToken::new();
    let debuggers = Debuggers::default();
    tokio::spawn(debuggers.clone().tell(Arc::clone(&rig.door)));
    let leases = Leases::default();
    tokio::spawn(leases.clone().tell(Arc::clone(&rig.door)));
    let local = Local {
        engine: Arc::clone(&rig.door),
        authority: Authority {
            daemon_uid: rustix::process::getuid().as_raw(),
            cage: cage.clone(),
            owners: Arc::<Manifests>::clone(&manifests),
        },
        owners: Arc::<Manifests>::clone(&manifests),
        source: manifests,
        notices: rig.notices.clone(),
        leases,
        debuggers: debuggers.clone(),
        takers: rig.queues.takers.clone(),
        board: Arc::clone(&rig.board),
        recordings: Recordings::of(Journal::at(&rig.config.path)),
        clock: Arc::<crate::clock::Manual>::clone(&rig.clock),
        ending: ending.clone(),
    };
    let socket = LocalSocket::bind(&path).unwrap();
    let serving = tokio::spawn(async move { local.serve(socket).await.unwrap() });
    Served {
        debuggers,
        rig,
        path,
        cage,
        ending,
        serving,
        _folder: folder,
    }
}

impl Rig {
    fn board_id(&self) -> usize {
        Arc::as_ptr(&self.board).addr()
    }
}

impl Served {
    async fn apps(&self, uid: u32) -> AppServiceClient<Channel> {
        AppServiceClient::new(channel(&self.path, uid).await.unwrap())
    }
    async fn operators(&self, uid: u32) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(channel(&self.path, uid).await.unwrap())
    }
    async fn end(self) {
        self.ending.cancel();
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .unwrap()
            .unwrap();
        self.rig.handle.end().await;
    }
}

/// A connection whose peer is `uid`: made on a thread that took that user on.
fn connection(path: &Path, uid: u32) -> io::Result<PlainStream> {
    let path = path.to_owned();
    std::thread::spawn(move || {
        let uid = Uid::from_raw(uid);
        rustix::thread::set_thread_res_uid(uid, uid, uid)?;
        PlainStream::connect(path)
    })
    .join()
    .unwrap()
}

async fn channel(path: &Path, uid: u32) -> Result<Channel, tonic::transport::Error> {
    over(connection(path, uid).unwrap()).await
}

async fn over(stream: PlainStream) -> Result<Channel, tonic::transport::Error> {
    stream.set_nonblocking(true).unwrap();
    let mut stream = Some(UnixStream::from_std(stream).unwrap());
    let connector = tower::service_fn(move |_uri| {
        let stream = stream
            .take()
            .ok_or_else(|| io::Error::other("one connection only"));
        async move { stream.map(TokioIo::new) }
    });
    Endpoint::from_static("http://local")
        .connect_with_connector(connector)
        .await
}

fn photos() -> String {
    app().to_string()
}

fn registration(name: &str, kind: wire::trigger::Kind) -> wire::RegisterRequest {
    wire::RegisterRequest {
        app: photos(),
        name: name.into(),
        entry_point: "photo-sync".into(),
        trigger: Some(wire::Trigger { kind: Some(kind) }),
        replace: true,
        ..Default::default()
    }
}

fn timer() -> wire::trigger::Kind {
    wire::trigger::Kind::Timer(wire::TimerTrigger {
        minutes: 30,
        one_shot: false,
    })
}

async fn told(stream: &mut Streaming<wire::AttachResponse>) -> Told {
    let message = tokio::time::timeout(PATIENCE, stream.message())
        .await
        .unwrap();
    message.unwrap().unwrap().event.unwrap()
}

fn served<F: Future<Output = Served>>(test: impl FnOnce(Served) -> F) {
    on_runtime(async |arbiter| {
        let served = serve(&arbiter).await;
        test(served).await.end().await;
    });
}

fn raise() -> wire::RequestRunRequest {
    wire::RequestRunRequest {
        app: photos(),
        name: "sync".into(),
    }
}

fn attach(foreground: bool) -> wire::AttachRequest {
    wire::AttachRequest {
        app: photos(),
        foreground,
        takes_pushes: false,
    }
}

#[test]
fn an_app_raises_its_trigger_from_the_foreground_and_is_told_what_becomes_of_it() {
    served(async |mut served| {
        let mut apps = served.apps(OWNER).await;
        let refused = apps.request_run(raise()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("foreground"), "{refused}");
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        let raised = apps.request_run(raise()).await.unwrap().into_inner();
        assert_eq!(raised.result(), wire::Raised::Allowed);
        let RunOrder::Launch(launch) = next(&mut served.rig.queues.launches).await else {
            panic!("not a launch");
        };
        let run = launch.run;
        let door = &served.rig.door;
        door.commit(Event::RunStarted { run }).await.unwrap();
        let again = apps.request_run(raise()).await.unwrap().into_inner();
        assert_eq!(again.result(), wire::Raised::CurrentlyRunning);
        let tasks = apps
            .list_tasks(wire::ListTasksRequest { app: photos() })
            .await
            .unwrap();
        assert_eq!(tasks.get_ref().tasks[0].state, "running");
        door.commit(ended(run)).await.unwrap();
        let Told::Started(started) = told(&mut events).await else {
            panic!("not started");
        };
        assert_eq!((started.run, started.task.as_str()), (run.0, "sync"));
        let Told::Completion(completion) = told(&mut events).await else {
            panic!("not completed");
        };
        assert_eq!(
            (completion.outcome.as_str(), completion.output.as_str()),
            ("completed", "copied 3")
        );
        let runs = wire::ListRunsRequest {
            app: photos(),
            limit: 0,
        };
        assert_eq!(
            apps.list_runs(runs).await.unwrap().into_inner().runs,
            [completion]
        );
        served
    });
}

fn ended(run: RunId) -> Event {
    Event::RunEnded {
        run,
        exit: Exit::Status(0),
        usage: Usage::default(),
        output: "copied 3".into(),
    }
}

#[test]
fn a_lease_ends_with_its_client() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        drop((events, apps));
        let mut apps = served.apps(OWNER).await;
        until(|| {
            let mut apps = apps.clone();
            async move { apps.request_run(raise()).await.is_err() }
        })
        .await;
        let unseen = apps.attach(attach(false)).await.unwrap().into_inner();
        apps.request_run(raise()).await.unwrap_err();
        drop(unseen);
        served
    });
}

#[test]
fn only_the_apps_user_and_the_operator_speak_for_an_app() {
    served(async |served| {
        let mut stranger = served.apps(STRANGER).await;
        let refused = stranger
            .register(registration(
                "mine",
                wire::trigger::Kind::Push(wire::PushTrigger {}),
            ))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        for word in ["60001", "60002", "photos"] {
            assert!(refused.message().contains(word), "{refused}");
        }
        let list = wire::ListTasksRequest { app: photos() };
        stranger.list_tasks(list.clone()).await.unwrap_err();
        for uid in [0, OWNER] {
            let mut apps = served.apps(uid).await;
            apps.register(registration(
                "hourly",
                wire::trigger::Kind::Push(wire::PushTrigger {}),
            ))
            .await
            .unwrap();
            assert_eq!(
                apps.list_tasks(list.clone())
                    .await
                    .unwrap()
                    .into_inner()
                    .tasks
                    .len(),
                3
            );
        }
        let mut operators = served.operators(OWNER).await;
        let refused = operators
            .get_status(wire::GetStatusRequest {})
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        assert!(refused.message().contains("call as root"), "{refused}");
        served
    });
}

#[test]
fn an_agent_reads_but_does_not_act_whatever_its_user() {
    served(async |served| {
        let cage = Cage::new(&served.cage);
        let mut agent = Agent::start(&served.path, &cage);
        // The agent holds the connection open; what it may is what the peer it was is told.
        let peer = agent.peer(&served.cage).await;
        assert_eq!(peer.place, Place::Agent(RunId(7)));
        let authority = Authority {
            daemon_uid: 0,
            cage: served.cage.clone(),
            owners: Arc::new(Manifests(Mutex::default(), PathBuf::new())),
        };
        let own = Peer {
            uid: OWNER,
            ..peer.clone()
        };
        authority.read(&own, &app()).unwrap();
        let refused = authority.act(&own, &app()).unwrap_err();
        assert!(refused.message().contains("run 7"), "{refused}");
        authority.act(&peer, &app()).unwrap_err();
        authority.operate(&peer).unwrap_err();
        agent.end();
        served
    });
}

/// A group `run-7` of our own in the tree whose groups any kernel here has.
struct Cage {
    parent: PathBuf,
    run: PathBuf,
}

impl Cage {
    fn new(name: &str) -> Self {
        let root = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = root
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .unwrap();
        let parent = root.join(name);
        let run = parent.join("run-7");
        std::fs::create_dir_all(&run).unwrap();
        Self { parent, run }
    }
}

impl Drop for Cage {
    fn drop(&mut self) {
        for folder in [&self.run, &self.parent] {
            let gone = (0..100_000).any(|_| std::fs::remove_dir(folder).is_ok());
            assert!(gone, "{} is still in use", folder.display());
        }
    }
}

/// A process that goes into the cage and then connects to a socket of the test.
struct Agent {
    child: Child,
    listener: tokio::net::UnixListener,
}

impl Agent {
    const SCRIPT: &str = r#"
        open(my $procs, ">", "$ARGV[1]/cgroup.procs") or die; print $procs $$; close $procs;
        socket(my $s, AF_UNIX, SOCK_STREAM, 0) or die;
        connect($s, sockaddr_un($ARGV[0])) or die;
        <STDIN>;
    "#;

    fn start(beside: &Path, cage: &Cage) -> Self {
        let path = beside.with_extension("agent");
        let listener = tokio::net::UnixListener::bind(&path).unwrap();
        let child = Command::new("perl")
            .args(["-MSocket", "-e", Self::SCRIPT])
            .args([&path, &cage.run])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, listener }
    }

    async fn peer(&self, cage: &str) -> Peer {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        Peer::of(&accepted.unwrap().unwrap().0, cage).unwrap()
    }

    fn end(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let good = registration("task", timer());
        let table: Vec<(&str, wire::RegisterRequest)> = vec![
            (
                "name",
                wire::RegisterRequest {
                    name: "no\tcontrols".into(),
                    ..good.clone()
                },
            ),
            (
                "entry_point",
                wire::RegisterRequest {
                    entry_point: "photo\nsync".into(),
                    ..good.clone()
                },
            ),
            (
                "trigger",
                wire::RegisterRequest {
                    trigger: None,
                    ..good.clone()
                },
            ),
            (
                "conditions[1]",
                wire::RegisterRequest {
                    conditions: vec![1, 9],
                    ..good.clone()
                },
            ),
            (
                "conditions",
                wire::RegisterRequest {
                    conditions: vec![1; 17],
                    ..good.clone()
                },
            ),
            (
                "app",
                wire::RegisterRequest {
                    app: "../photos".into(),
                    ..good.clone()
                },
            ),
        ];
        for (field, request) in table {
            let refused = apps.register(request).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
            let named: Vec<String> = problem::violations(&refused)
                .into_iter()
                .map(|v| v.0)
                .collect();
            assert_eq!(named, [field], "{refused}");
        }
        served
    });
}

#[test]
fn what_is_too_short_too_many_or_too_big_is_refused() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let short = wire::trigger::Kind::Timer(wire::TimerTrigger {
            minutes: 3,
            one_shot: false,
        });
        let refused = apps
            .register(registration("short", short))
            .await
            .unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        let many = wire::ListRunsRequest {
            app: photos(),
            limit: 1_000,
        };
        let refused = apps.list_runs(many).await.unwrap_err();
        assert_eq!(problem::violations(&refused)[0].0, "limit");
        let big = wire::RegisterRequest {
            name: "x".repeat(REQUEST + 1),
            ..registration("task", timer())
        };
        let refused = apps.register(big).await.unwrap_err();
        assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
        served
    });
}

#[test]
fn the_operator_sees_status_tasks_and_why() {
    served(async |served| {
        let mut operators = served.operators(0).await;
        served
            .rig
            .board
            .set_source(crate::status::reading::EXTERNAL_POWER, "a file");
        let status = operators
            .get_status(wire::GetStatusRequest {})
            .await
            .unwrap()
            .into_inner();
        assert_eq!(status.pid, std::process::id());
        assert_eq!(status.counters["registrations"], 2);
        let power = &status.readings[0];
        let seen = [&power.name, &power.value, &power.certainty, &power.source];
        assert_eq!(seen, ["external-power", "yes", "known", "a file"]);
        let tasks = wire::ListTasksRequest::default();
        assert_eq!(
            operators
                .list_tasks(tasks)
                .await
                .unwrap()
                .into_inner()
                .tasks
                .len(),
            2
        );
        let apps = operators
            .list_apps(wire::ListAppsRequest {})
            .await
            .unwrap()
            .into_inner()
            .apps;
        assert_eq!((apps[0].user.as_str(), apps[0].registrations), ("60001", 2));
        served
    });
}

#[test]
fn the_operator_asks_why_and_decides_over_access() {
    served(async |served| {
        let mut operators = served.operators(0).await;
        let why = wire::WhyRequest {
            app: photos(),
            task: "sync".into(),
        };
        assert_eq!(
            operators
                .why(why.clone())
                .await
                .unwrap()
                .into_inner()
                .explanations
                .len(),
            1
        );
        let unknown = wire::WhyRequest {
            task: "nothing".into(),
            ..why
        };
        assert_eq!(
            operators.why(unknown).await.unwrap_err().code(),
            Code::NotFound
        );
        let starving = operators.why(wire::WhyRequest::default()).await.unwrap();
        assert_eq!(starving.into_inner().explanations, []);
        let never = wire::SetAccessRequest {
            app: photos(),
            choice: wire::AccessChoice::Never.into(),
        };
        let status = operators
            .set_access(never)
            .await
            .unwrap()
            .into_inner()
            .status();
        assert_eq!(status, wire::AccessStatus::DeniedByUser);
        let reloaded = operators
            .reload_apps(wire::ReloadAppsRequest {})
            .await
            .unwrap();
        assert_eq!(
            reloaded.get_ref().apps,
            [],
            "the folder of the test is empty"
        );
        served
    });
}

#[test]
fn one_user_cannot_take_all_connections() {
    served(async |served| {
        let mut held = Vec::new();
        for _ in 0..40 {
            held.push(connection(&served.path, STRANGER).unwrap());
        }
        until(|| async { served.rig.board.counter("local-connections-refused") == 8 }).await;
        let mut apps = served.apps(OWNER).await;
        apps.list_tasks(wire::ListTasksRequest { app: photos() })
            .await
            .unwrap();
        drop(held);
        until(|| async { channel(&served.path, STRANGER).await.is_ok() }).await;
        served
    });
}

#[test]
fn one_user_cannot_call_without_end() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut codes = BTreeMap::new();
        for _ in 0..520 {
            let called = apps
                .get_access_status(wire::GetAccessStatusRequest { app: photos() })
                .await;
            let code = called.map_or_else(|status| status.code(), |_answer| Code::Ok);
            *codes.entry(format!("{code:?}")).or_insert(0) += 1;
        }
        // The clock of the test stands still: nothing is earned.
        assert_eq!(codes["Ok"], 500);
        assert_eq!(codes["ResourceExhausted"], 20);
        let mut operators = served.operators(0).await;
        operators
            .get_status(wire::GetStatusRequest {})
            .await
            .unwrap();
        served
    });
}

#[test]
fn attached_clients_are_let_go_when_the_daemon_ends() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        served.ending.cancel();
        let last = tokio::time::timeout(PATIENCE, events.message())
            .await
            .unwrap();
        assert!(matches!(last, Ok(None) | Err(_)), "{last:?}");
        served
    });
}

#[test]
fn a_slow_client_is_told_how_much_it_missed() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        let notice = AppNotice {
            app: app(),
            notice: lull_policy::Notice::Progress {
                run: RunId(1),
                task: crate::engine::rig::name("sync"),
                value: 7,
            },
        };
        // More than the connection's window and the broadcast together hold.
        let sent = 100_000;
        for _ in 0..sent {
            served.rig.notices.send(notice.clone()).unwrap();
        }
        let (mut got, mut missed) = (0, 0);
        while got + missed < sent {
            match told(&mut events).await {
                Told::Progress(progress) => got += u64::from(progress.value == 7),
                Told::Missed(n) => missed += n,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(got + missed, sent);
        assert!(missed > 0);
        served
    });
}

#[test]
fn the_standard_health_service_answers() {
    served(async |served| {
        let channel = channel(&served.path, STRANGER).await.unwrap();
        let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
        let request = tonic_health::pb::HealthCheckRequest {
            service: "lull.local.v1.AppService".into(),
        };
        let answer = health.check(request).await.unwrap().into_inner();
        assert_eq!(
            answer.status(),
            tonic_health::pb::health_check_response::ServingStatus::Serving
        );
        served
    });
}

#[test]
fn an_operator_reads_the_recording_and_nobody_else_does() {
    on_runtime(async |arbiter| {
        let served = serve(&arbiter).await;
        let mut operator = served.operators(0).await;
        served.rig.call(crate::engine::rig::raise()).await.unwrap();
        let answer = operator.get_recording(wire::GetRecordingRequest {}).await;
        let mut pieces = answer.unwrap().into_inner();
        let first = pieces.message().await.unwrap().unwrap();
        let mut bytes = first.data.to_vec();
        while let Some(piece) = pieces.message().await.unwrap() {
            assert!(piece.data.len() <= 64 << 10);
            bytes.extend(piece.data);
        }
        let file = Path::new("device.jsonl");
        let recording = lull_testkit::Recording::read(file, &bytes).unwrap();
        assert_eq!(recording.header.node, env!("CARGO_PKG_VERSION"));
        let replay = recording.replay();
        let runs: Vec<RunId> = replay.device.runs().map(|run| run.id).collect();
        assert_eq!(runs, [RunId(1)], "what rode in memory is in it");
        let mut stranger = served.operators(STRANGER).await;
        let refused = stranger.get_recording(wire::GetRecordingRequest {}).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        served.end().await;
    });
}

#[test]
fn one_recording_is_read_at_a_time() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let recordings = Recordings::of(Journal::at(&rig.config.path));
        let first = recordings.send(String::new()).await.unwrap();
        let second = recordings.send(String::new()).await.map(drop);
        assert_eq!(second.unwrap_err().code(), Code::ResourceExhausted);
        drop(first);
        assert!(recordings.send(String::new()).await.is_ok());
        rig.handle.end().await;
    });
}
