//! The front client against a node's service that answers what each test puts into it.

mod asked;
mod offered;
mod reconciling;

use std::io::ErrorKind;
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use lull_proto::local::v1 as wire;
use lull_proto::local::v1::app_service_server::{AppService, AppServiceServer};
use lull_proto::local::v1::attach_response::Event as WireEvent;
use lull_proto::problem;
use prost_types::{Duration as WireDuration, Timestamp};
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::UnixListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

use super::{
    AccessStatus, Condition, Event, Front, FrontError, Presence, Raised, Registration,
    ScheduledKind, TaskState,
};
use crate::{CancelReason, RegistrationId, RunId, SystemEvent, Trigger};

/// Longer than any of these tests takes on a loaded machine.
const LONG: Duration = Duration::from_mins(1);

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the service answers, and what it was told.
#[derive(Debug, Default)]
struct Script {
    status: i32,
    refusal: Option<Status>,
    registered: Option<wire::RegisterRequest>,
    unregistered: Option<wire::UnregisterRequest>,
    tasks: Vec<wire::Task>,
    runs: Vec<wire::Run>,
    events: Vec<wire::AttachResponse>,
    raised: i32,
    scheduled: Option<wire::AddScheduledRequest>,
    unscheduled: Option<wire::RemoveScheduledRequest>,
    cards: usize,
    attached: Option<wire::AttachRequest>,
    reconciled: Option<wire::ReconcileRequest>,
    answers: Vec<wire::AnswerPushRequest>,
    wished: Option<wire::RequestAccessKindRequest>,
    device: Option<wire::RequestDeviceRequest>,
    servicing: Option<wire::RequestServicingRequest>,
    folder: String,
    /// The stream of events stays open after the last.
    stays: bool,
}

#[derive(Debug, Clone)]
struct Service(Arc<Mutex<Script>>);

impl Service {
    fn answer<T>(&self, answer: impl FnOnce(&mut Script) -> T) -> Result<Response<T>, Status> {
        let mut script = self.0.lock().unwrap();
        match script.refusal.clone() {
            Some(refusal) => Err(refusal),
            None => Ok(Response::new(answer(&mut script))),
        }
    }
}

#[tonic::async_trait]
impl AppService for Service {
    async fn request_access(
        &self,
        _: Request<wire::RequestAccessRequest>,
    ) -> Result<Response<wire::RequestAccessResponse>, Status> {
        self.answer(|script| wire::RequestAccessResponse {
            status: script.status,
        })
    }

    async fn remove_access(
        &self,
        _: Request<wire::RemoveAccessRequest>,
    ) -> Result<Response<wire::RemoveAccessResponse>, Status> {
        self.answer(|script| wire::RemoveAccessResponse {
            status: script.status,
        })
    }

    async fn get_access_status(
        &self,
        _: Request<wire::GetAccessStatusRequest>,
    ) -> Result<Response<wire::GetAccessStatusResponse>, Status> {
        self.answer(|script| wire::GetAccessStatusResponse {
            status: script.status,
        })
    }

    async fn register(
        &self,
        request: Request<wire::RegisterRequest>,
    ) -> Result<Response<wire::RegisterResponse>, Status> {
        self.answer(|script| {
            script.registered = Some(request.into_inner());
            wire::RegisterResponse {
                id: 3,
                warnings: vec!["it is odd".to_owned()],
            }
        })
    }

    async fn unregister(
        &self,
        request: Request<wire::UnregisterRequest>,
    ) -> Result<Response<wire::UnregisterResponse>, Status> {
        self.answer(|script| {
            script.unregistered = Some(request.into_inner());
            wire::UnregisterResponse {}
        })
    }

    async fn reconcile(
        &self,
        request: Request<wire::ReconcileRequest>,
    ) -> Result<Response<wire::ReconcileResponse>, Status> {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        self.answer(|script| {
            script.reconciled = Some(request.into_inner());
            wire::ReconcileResponse {
                registered: names(&["a"]),
                unregistered: names(&["b"]),
                replaced: names(&["c"]),
                kept: names(&["d", "e"]),
            }
        })
    }

    async fn request_access_kind(
        &self,
        request: Request<wire::RequestAccessKindRequest>,
    ) -> Result<Response<wire::RequestAccessKindResponse>, Status> {
        self.answer(|script| {
            let granted = request.get_ref().kind() == wire::AccessKind::Allowed;
            script.wished = Some(request.into_inner());
            wire::RequestAccessKindResponse { granted }
        })
    }

    async fn request_device(
        &self,
        request: Request<wire::RequestDeviceRequest>,
    ) -> Result<Response<wire::RequestDeviceResponse>, Status> {
        self.answer(|script| {
            script.device = Some(request.into_inner());
            wire::RequestDeviceResponse { result: 4 }
        })
    }

    async fn request_servicing(
        &self,
        request: Request<wire::RequestServicingRequest>,
    ) -> Result<Response<wire::RequestServicingResponse>, Status> {
        self.answer(|script| {
            script.servicing = Some(request.into_inner());
            wire::RequestServicingResponse { result: 6 }
        })
    }

    async fn get_state_folder(
        &self,
        _: Request<wire::GetStateFolderRequest>,
    ) -> Result<Response<wire::GetStateFolderResponse>, Status> {
        self.answer(|script| wire::GetStateFolderResponse {
            folder: script.folder.clone(),
        })
    }

    async fn answer_push(
        &self,
        request: Request<wire::AnswerPushRequest>,
    ) -> Result<Response<wire::AnswerPushResponse>, Status> {
        self.answer(|script| {
            script.answers.push(request.into_inner());
            wire::AnswerPushResponse {}
        })
    }

    async fn list_tasks(
        &self,
        _: Request<wire::ListTasksRequest>,
    ) -> Result<Response<wire::ListTasksResponse>, Status> {
        self.answer(|script| wire::ListTasksResponse {
            tasks: script.tasks.clone(),
        })
    }

    async fn request_run(
        &self,
        _: Request<wire::RequestRunRequest>,
    ) -> Result<Response<wire::RequestRunResponse>, Status> {
        self.answer(|script| wire::RequestRunResponse {
            result: script.raised,
        })
    }

    async fn add_scheduled(
        &self,
        request: Request<wire::AddScheduledRequest>,
    ) -> Result<Response<wire::AddScheduledResponse>, Status> {
        self.answer(|script| {
            script.scheduled = Some(request.into_inner());
            wire::AddScheduledResponse { id: 7 }
        })
    }

    async fn remove_scheduled(
        &self,
        request: Request<wire::RemoveScheduledRequest>,
    ) -> Result<Response<wire::RemoveScheduledResponse>, Status> {
        self.answer(|script| {
            script.unscheduled = Some(request.into_inner());
            wire::RemoveScheduledResponse {}
        })
    }

    async fn update_card(
        &self,
        _: Request<wire::UpdateCardRequest>,
    ) -> Result<Response<wire::UpdateCardResponse>, Status> {
        self.answer(|script| {
            script.cards += 1;
            wire::UpdateCardResponse {}
        })
    }

    type AttachStream = Answers<wire::AttachResponse>;

    async fn attach(
        &self,
        request: Request<wire::AttachRequest>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.answer(|script| {
            script.attached = Some(request.into_inner());
            let events: Vec<_> = script.events.drain(..).map(Ok).collect();
            let events = tokio_stream::iter(events);
            if script.stays {
                Box::pin(events.chain(tokio_stream::pending())) as Self::AttachStream
            } else {
                Box::pin(events)
            }
        })
    }

    async fn list_runs(
        &self,
        _: Request<wire::ListRunsRequest>,
    ) -> Result<Response<wire::ListRunsResponse>, Status> {
        self.answer(|script| wire::ListRunsResponse {
            runs: script.runs.clone(),
        })
    }
}

/// A node that listens, and the front client of the app `photos`.
struct Node {
    script: Arc<Mutex<Script>>,
    front: Front,
    /// A runtime of its own, so that its end cuts every connection as the death of a process does.
    listening: Option<Runtime>,
    socket: PathBuf,
    _folder: TempDir,
}

impl Node {
    async fn with(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("local.sock");
        let script = Arc::new(Mutex::new(script));
        let listening = listen(&socket, &script);
        Self {
            script,
            front: Front::connect_to("photos", &socket).await.unwrap(),
            listening: Some(listening),
            socket,
            _folder: folder,
        }
    }

    fn die(&mut self) {
        if let Some(runtime) = self.listening.take() {
            runtime.shutdown_background();
        }
    }

    fn rise(&mut self) {
        self.listening = Some(listen(&self.socket, &self.script));
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.die();
    }
}

fn listen(socket: &Path, script: &Arc<Mutex<Script>>) -> Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    drop(std::fs::remove_file(socket));
    let listener = StdUnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let service = AppServiceServer::new(Service(Arc::clone(script)));
    runtime.spawn(async move {
        let listener = UnixListener::from_std(listener).unwrap();
        let server = Server::builder().add_service(service);
        let incoming = UnixListenerStream::new(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    });
    runtime
}

fn event(event: WireEvent) -> wire::AttachResponse {
    wire::AttachResponse { event: Some(event) }
}

fn attached() -> wire::AttachResponse {
    event(WireEvent::Attached(wire::Attached {
        node_version: "0.1.0".to_owned(),
    }))
}

fn ended(outcome: &str) -> wire::Run {
    wire::Run {
        run: 12,
        app: "photos".to_owned(),
        task: "sync".to_owned(),
        number: 2,
        outcome: outcome.to_owned(),
        started_at: Some(Timestamp {
            seconds: 1_000,
            nanos: 0,
        }),
        ran: Some(WireDuration {
            seconds: 1,
            nanos: 500_000_000,
        }),
        exit: "killed by signal 9".to_owned(),
        push_id: "p-1".to_owned(),
        attempt: 1,
        ..wire::Run::default()
    }
}

#[tokio::test]
async fn access_is_asked_for_and_told() {
    let cases = [
        (3, AccessStatus::Allowed, true),
        (2, AccessStatus::AlwaysAllowed, true),
        (1, AccessStatus::NotRequested, false),
        (4, AccessStatus::DeniedBySystemPolicy, false),
        (5, AccessStatus::DeniedByUser, false),
        (0, AccessStatus::Unrecognised(0), false),
        (77, AccessStatus::Unrecognised(77), false),
    ];
    let node = Node::with(Script::default()).await;
    for (status, wanted, may_run) in cases {
        node.script.lock().unwrap().status = status;
        assert_eq!(node.front.request_access().await.unwrap(), wanted);
        assert_eq!(node.front.access_status().await.unwrap(), wanted);
        assert_eq!(node.front.remove_access().await.unwrap(), wanted);
        assert_eq!(wanted.may_run(), may_run);
    }
}

#[tokio::test]
async fn an_agent_is_put_on_the_schedule_and_taken_off() {
    let node = Node::with(Script::default()).await;
    let kind = ScheduledKind::ResourceIntensive;
    let id = node.front.add_scheduled(kind, "indexes").await.unwrap();
    assert_eq!(id, RegistrationId(7));
    node.front.remove_scheduled(kind).await.unwrap();
    node.front.update_card().await.unwrap();
    let script = node.script.lock().unwrap();
    let wanted = wire::ScheduledKind::ResourceIntensive;
    let scheduled = script.scheduled.as_ref().unwrap();
    assert_eq!(
        (scheduled.kind(), scheduled.description.as_str()),
        (wanted, "indexes")
    );
    assert_eq!(script.unscheduled.as_ref().unwrap().kind(), wanted);
    assert_eq!(script.cards, 1);
}

#[tokio::test]
async fn a_registration_arrives_as_it_was_built() {
    let node = Node::with(Script::default()).await;
    let registration = Registration::named("sync")
        .entry_point("photo-sync")
        .trigger(Trigger::once_on(SystemEvent::InternetAvailable))
        .condition(Condition::UserNotPresent)
        .condition(Condition::InternetAvailable)
        .cancel_on_condition_loss()
        .network_requested()
        .group("downloads")
        .replace();
    let registered = node.front.register(registration).await.unwrap();
    assert_eq!(registered.registration, RegistrationId(3));
    assert_eq!(registered.warnings, ["it is odd"]);
    let system = wire::SystemTrigger {
        event: 1,
        one_shot: true,
    };
    let wanted = wire::RegisterRequest {
        app: "photos".to_owned(),
        name: "sync".to_owned(),
        entry_point: "photo-sync".to_owned(),
        trigger: Some(wire::Trigger {
            kind: Some(wire::trigger::Kind::System(system)),
        }),
        conditions: vec![2, 3],
        cancel_on_condition_loss: true,
        replace: true,
        network_requested: true,
        group: "downloads".to_owned(),
        dry_run: false,
    };
    assert_eq!(node.script.lock().unwrap().registered, Some(wanted));
    let odd = Registration::named("sync")
        .entry_point("photo-sync")
        .trigger(Trigger::Push);
    let warnings = node.front.try_register(odd).await.unwrap();
    assert_eq!(warnings, ["it is odd"]);
    let told = node.script.lock().unwrap().registered.take().unwrap();
    assert!(told.dry_run, "ACC-30");
}

#[tokio::test]
async fn a_registration_is_removed_with_or_without_its_run() {
    let node = Node::with(Script::default()).await;
    let told = || node.script.lock().unwrap().unregistered.take().unwrap();
    node.front.unregister(RegistrationId(3)).await.unwrap();
    assert!(!told().cancel);
    let id = RegistrationId(4);
    node.front.unregister_and_cancel(id).await.unwrap();
    let told = told();
    assert_eq!((told.id, told.cancel), (4, true));
}

#[tokio::test]
async fn tasks_are_listed_and_what_a_newer_node_has_is_told_apart() {
    let trigger = |kind| Some(wire::Trigger { kind });
    let timer = wire::trigger::Kind::Timer(wire::TimerTrigger {
        minutes: 30,
        one_shot: false,
    });
    let task = |trigger, state: &str| wire::Task {
        id: 1,
        name: "sync".to_owned(),
        trigger,
        conditions: vec![3, 99],
        state: state.to_owned(),
        reasons: vec!["internet".to_owned()],
        ..wire::Task::default()
    };
    let script = Script {
        tasks: vec![
            task(trigger(Some(timer)), "waiting"),
            task(trigger(None), "of a newer node"),
        ],
        ..Script::default()
    };
    let node = Node::with(script).await;
    let tasks = node.front.tasks().await.unwrap();
    let waiting = TaskState::Waiting {
        reasons: vec!["internet".to_owned()],
    };
    assert_eq!(tasks[0].state, waiting);
    assert_eq!(tasks[0].trigger, Some(Trigger::every(30)));
    let conditions = [Some(Condition::InternetAvailable), None];
    assert_eq!(tasks[0].conditions, conditions);
    let newer = TaskState::Unrecognised("of a newer node".to_owned());
    assert_eq!((&tasks[1].state, &tasks[1].trigger), (&newer, &None));
}

#[tokio::test]
async fn a_run_tells_how_it_ended() {
    let under_way = wire::Run {
        state: "cancelling".to_owned(),
        cancel_reason: "energy-saver".to_owned(),
        ..ended("")
    };
    let aborted = wire::Run {
        message: "no server".to_owned(),
        ..ended("aborted")
    };
    let hung = wire::Run {
        cancel_reason: "execution-time-exceeded".to_owned(),
        ..ended("hung")
    };
    let script = Script {
        runs: vec![under_way, ended("completed"), aborted, hung, ended("eaten")],
        ..Script::default()
    };
    let node = Node::with(script).await;
    let runs = node.front.runs(50).await.unwrap();
    let told: Vec<_> = runs
        .iter()
        .map(|run| run.check_result().map_err(|error| error.to_string()))
        .collect();
    let failed = |text: &str| Err(text.to_owned());
    assert_eq!(told[0], failed("run 12 of sync is still under way"));
    assert_eq!(told[1], Ok(()));
    assert_eq!(
        told[2],
        failed("run 12 of sync ended as aborted: no server")
    );
    assert_eq!(
        told[3],
        failed(
            "run 12 of sync ended as hung (asked to cancel: execution-time-exceeded): killed by signal 9"
        )
    );
    assert!(told[4].as_ref().unwrap_err().contains("eaten"));
    assert_eq!(runs[0].cancel_reason, Some(CancelReason::EnergySaver));
    assert_eq!(runs[0].ran, Some(Duration::from_millis(1_500)));
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
    assert_eq!(runs[0].started, Some(started));
}

#[tokio::test]
async fn a_time_that_cannot_be_is_an_error_that_names_it() {
    let mut run = ended("completed");
    run.started_at = Some(Timestamp {
        seconds: -1,
        nanos: 0,
    });
    let script = Script {
        runs: vec![run],
        ..Script::default()
    };
    let node = Node::with(script).await;
    let refused = node.front.runs(50).await.unwrap_err();
    let told = "the node's answer has a started_at that cannot be";
    assert_eq!(refused.to_string(), told);
}

#[tokio::test]
async fn an_attached_client_hears_in_order_what_happens() {
    let started = WireEvent::Started(wire::RunStarted {
        run: 12,
        task: "sync".to_owned(),
    });
    let progress = WireEvent::Progress(wire::RunProgress {
        run: 12,
        task: "sync".to_owned(),
        value: 40,
    });
    let script = Script {
        events: vec![
            attached(),
            event(started),
            event(progress),
            event(WireEvent::Completion(ended("completed"))),
            event(WireEvent::Missed(9)),
            wire::AttachResponse { event: None },
        ],
        ..Script::default()
    };
    let node = Node::with(script).await;
    let mut events = node.front.attach(Presence::Foreground).await.unwrap();
    assert!(
        node.script
            .lock()
            .unwrap()
            .attached
            .take()
            .unwrap()
            .foreground
    );
    let (run, task) = (RunId(12), "sync".to_owned());
    let next = events.next().await.unwrap().unwrap();
    let wanted = Event::Started {
        run,
        task: task.clone(),
    };
    assert_eq!(next, wanted);
    let next = events.next().await.unwrap().unwrap();
    let value = 40;
    assert_eq!(next, Event::Progress { run, task, value });
    let Some(Ok(Event::Completion(run))) = events.next().await else {
        panic!("no completion");
    };
    assert_eq!(run.check_result(), Ok(()));
    assert_eq!(events.next().await.unwrap().unwrap(), Event::Missed(9));
    assert_eq!(events.next().await.unwrap().unwrap(), Event::Unrecognised);
    assert!(events.next().await.is_none());
}

#[tokio::test]
async fn a_stream_that_does_not_confirm_is_an_error() {
    let node = Node::with(Script::default()).await;
    let refused = node.front.attach(Presence::Background).await.unwrap_err();
    assert!(matches!(refused, FrontError::Unintelligible { .. }));
}

#[tokio::test]
async fn raising_answers_what_the_node_says() {
    let node = Node::with(Script::default()).await;
    let cases = [
        (1, Raised::Allowed),
        (2, Raised::CurrentlyRunning),
        (3, Raised::DisabledByPolicy),
        (4, Raised::DeniedByUser),
        (5, Raised::DeniedBySystem),
        (6, Raised::LowBattery),
        (9, Raised::Unrecognised(9)),
    ];
    for (number, wanted) in cases {
        node.script.lock().unwrap().raised = number;
        assert_eq!(node.front.request_run("now").await.unwrap(), wanted);
    }
}

#[tokio::test]
async fn refusals_are_sorted_by_who_must_act() {
    let node = Node::with(Script::default()).await;
    let refused = async |refusal: Status| {
        node.script.lock().unwrap().refusal = Some(refusal);
        node.front.tasks().await.unwrap_err()
    };
    let named = refused(problem::invalid("minutes", "14, at least 15 are accepted")).await;
    let FrontError::InvalidArgument { field, message } = named else {
        panic!("{named}");
    };
    assert_eq!(
        (field.as_str(), message.as_str()),
        ("minutes", "14, at least 15 are accepted")
    );
    let after = Duration::from_secs(3);
    let later = refused(problem::retry_later(Code::Unavailable, "no commit", after)).await;
    assert_eq!(later.retry_after(), Some(after));
    let denied = refused(Status::permission_denied("ask first")).await;
    assert!(matches!(denied, FrontError::Denied { .. }), "{denied}");
    let full = refused(Status::resource_exhausted("128 of 128")).await;
    assert!(matches!(full, FrontError::LimitReached { .. }), "{full}");
    let old = refused(Status::unimplemented("")).await;
    assert!(matches!(old, FrontError::Unsupported { .. }), "{old}");
    let broken = refused(Status::internal("oh")).await;
    assert!(matches!(broken, FrontError::Node { .. }), "{broken}");
}

#[tokio::test]
async fn no_node_is_an_error_that_names_the_socket_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("local.sock");
    let refused = Front::connect_to("photos", &socket).await.unwrap_err();
    assert!(matches!(refused, FrontError::NoNode { .. }), "{refused:?}");
    let told = refused.to_string();
    assert!(told.contains(socket.to_str().unwrap()), "{told}");
    assert!(told.contains("LULL_NODE_SOCKET"), "{told}");
}

#[tokio::test]
async fn a_client_outlives_its_node() {
    let script = Script {
        events: vec![attached()],
        stays: true,
        ..Script::default()
    };
    let mut node = Node::with(script).await;
    let mut events = node.front.attach(Presence::Background).await.unwrap();
    node.die();
    std::fs::remove_file(&node.socket).unwrap();
    let ended = events.next().await;
    assert!(matches!(ended, None | Some(Err(_))), "{ended:?}");
    let away = tokio::time::timeout(LONG, async {
        loop {
            if let Err(FrontError::NoNode { source, .. }) = node.front.tasks().await
                && source.kind() == ErrorKind::NotFound
            {
                return;
            }
            tokio::task::yield_now().await;
        }
    });
    away.await.unwrap();
    node.rise();
    let back = tokio::time::timeout(LONG, async {
        while node.front.tasks().await.is_err() {
            tokio::task::yield_now().await;
        }
    });
    back.await.unwrap();
}
