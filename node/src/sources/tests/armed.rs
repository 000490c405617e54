//! Sources armed by what is registered with a real engine.

use std::path::Path;

use lull_policy::{
    Answer, App, Capability, Details, EntryPoint, Exit, Launch, RegistrationRequest, Request,
    SystemEvent, TaskType, Trigger, Usage,
};

use super::*;
use crate::engine::rig::{self, Rig, on_runtime, rig};
use crate::link::tests::authority::Authority;
use crate::ports::RunOrder;
use crate::watch::tests::stage::Stage;

/// The rig's app may do all that sources are about.
async fn allow(rig: &Rig) {
    let mut app: App = rig::photos();
    app.agents[0].types.push(TaskType::SystemEvent);
    app.capabilities.insert(Capability::Sms);
    rig.door.commit(Event::Apps(vec![app])).await.unwrap();
}

async fn register(rig: &Rig, task: &str, trigger: Trigger) -> lull_policy::RegistrationId {
    let request =
        RegistrationRequest::new(rig::name(task), EntryPoint::new("photo-sync").ok(), trigger);
    let call = Request::Register {
        app: rig::app(),
        registration: request,
    };
    match rig.call(call).await.unwrap() {
        Answer::Registered { id, .. } => id,
        answer => panic!("{answer:?}"),
    }
}

async fn unregister(rig: &Rig, id: lull_policy::RegistrationId) {
    let call = Request::Unregister {
        app: rig::app(),
        id,
        cancel: false,
    };
    rig.call(call).await.unwrap();
}

/// The task of the next launch, which ends well.
async fn runs(rig: &mut Rig) -> String {
    launched(rig).await.task.to_string()
}

async fn launched(rig: &mut Rig) -> Launch {
    let RunOrder::Launch(launch) = rig::next(&mut rig.queues.launches).await else {
        panic!("not a launch");
    };
    let run = launch.run;
    rig.door.commit(Event::RunStarted { run }).await.unwrap();
    let ended = Event::RunEnded {
        run,
        exit: Exit::Status(0),
        usage: Usage::default(),
        output: String::new(),
    };
    rig.door.commit(ended).await.unwrap();
    *launch
}

fn files(path: &Path) -> Trigger {
    let path = subject(path.display().to_string());
    Trigger::Files { path }
}

fn system(event: SystemEvent, one_shot: bool) -> Trigger {
    Trigger::System { event, one_shot }
}

#[test]
fn sources_are_armed_while_something_is_registered() {
    on_runtime(|arbiter| async move {
        let mut rig = rig(&arbiter, PATIENCE).await;
        allow(&rig).await;
        let folder = tempfile::tempdir().unwrap();
        let identity = folder.path().join("identity");
        let sources = run(
            identity.clone(),
            Arc::new(Mine),
            Arc::clone(&rig.door),
            Arc::clone(&rig.board),
            rig.queues.registrations.clone(),
        );
        let board = Arc::clone(&rig.board);
        let sources = tokio::spawn(sources);

        let inbox = folder.path().join("inbox");
        let id = register(&rig, "inbox", files(&inbox)).await;
        stands(&board, Source::Files, "inotify: 1 paths").await;
        std::fs::create_dir(&inbox).unwrap();
        assert_eq!(runs(&mut rig).await, "inbox");
        std::fs::write(inbox.join("photo"), "x").unwrap();
        assert_eq!(runs(&mut rig).await, "inbox");

        // One that can fire no more wants nothing.
        let online = SystemEvent::OnlineIdConnectedStateChange;
        register(&rig, "enrolled", system(online, true)).await;
        stands(&board, Source::Identity, "inotify").await;
        Authority::new().enrol(&identity, "device-1", "127.0.0.1:7443", 1);
        assert_eq!(runs(&mut rig).await, "enrolled");
        stands(&board, Source::Identity, "not armed").await;

        let pattern = subject("usb:*");
        let camera = register(&rig, "camera", Trigger::DeviceWatcher { pattern }).await;
        stands(&board, Source::Devices, "uevents of the kernel").await;
        unregister(&rig, camera).await;
        stands(&board, Source::Devices, "not armed").await;

        unregister(&rig, id).await;
        stands(&board, Source::Files, "not armed").await;
        assert_eq!(board.read().sources.get(trigger_source::SMS), None);
        assert_eq!(board.counter(RESTARTED), 0);
        rig.handle.end().await;
        tokio::time::timeout(PATIENCE, sources)
            .await
            .unwrap()
            .unwrap();
    });
}

#[test]
fn a_source_that_fails_is_started_anew() {
    on_runtime(|arbiter| async move {
        let mut rig = rig(&arbiter, PATIENCE).await;
        allow(&rig).await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("bus");
        let post = Post {
            engine: Arc::clone(&rig.door),
            board: Arc::clone(&rig.board),
            bus: Some(format!("unix:path={}", socket.display())),
            identity: folder.path().join("identity"),
            users: Arc::new(Mine),
        };
        let keeping = Sources::new(post).keep(rig.queues.registrations.clone());
        let sources = tokio::spawn(keeping);
        let event = subject("com.example.Door com.example.Door1.Opened");
        register(&rig, "door", Trigger::Bus { event }).await;
        let board = Arc::clone(&rig.board);
        eventually("it has failed twice", async || {
            board.counter(RESTARTED) >= 2
        })
        .await;
        let line = board.read().sources[trigger_source::BUS].clone();
        assert!(line.starts_with("failed: the system bus: "), "{line}");

        // The bus comes.
        let stage = Stage::start().await;
        let address = stage.address();
        let real = address.strip_prefix("unix:path=").unwrap();
        std::os::unix::fs::symlink(real, &socket).unwrap();
        stands(&board, Source::Bus, "the system bus: 1 of 1 signals").await;
        let builder = zbus::conn::Builder::address(address.as_str());
        let door = builder.build().await.unwrap();
        door.request_name("com.example.Door").await.unwrap();
        let (path, interface) = ("/door", "com.example.Door1");
        let said = door.emit_signal(None::<&str>, path, interface, "Opened", &());
        said.await.unwrap();
        assert_eq!(runs(&mut rig).await, "door");
        sources.abort();
    });
}

/// The machine was told that it left; while nobody listened, it came back.
#[test]
fn a_device_that_came_back_unheard_is_told_when_somebody_listens() {
    let Some(device) = devices::bridge() else {
        return;
    };
    on_runtime(|arbiter| async move {
        let mut rig = rig(&arbiter, PATIENCE).await;
        let left = Occurrence::Device {
            device: device.clone(),
            present: false,
        };
        rig.door.commit(Event::Occurred(left)).await.unwrap();
        let (engine, board) = (Arc::clone(&rig.door), Arc::clone(&rig.board));
        let registrations = rig.queues.registrations.clone();
        let sources = run(
            "/nowhere".into(),
            Arc::new(Mine),
            engine,
            board,
            registrations,
        );
        let sources = tokio::spawn(sources);
        let pattern = subject("pci:*");
        register(&rig, "bridge", Trigger::DeviceWatcher { pattern }).await;
        let launch = launched(&mut rig).await;
        let present = true;
        assert_eq!(launch.details, Some(Details::Device { device, present }));
        sources.abort();
    });
}

/// What is beyond the bounds is not watched, and said to be so.
#[test]
fn an_app_has_so_many_paths() {
    on_runtime(|arbiter| async move {
        let rig = rig(&arbiter, PATIENCE).await;
        let folder = tempfile::tempdir().unwrap();
        for n in 0..=wanted::PATHS_PER_APP {
            let path = folder.path().join(format!("{n:02}"));
            register(&rig, &format!("task {n}"), files(&path)).await;
        }
        let wanted = look(&rig.door, |device, _now| Wanted::of(device))
            .await
            .unwrap();
        assert_eq!(wanted.files.len(), wanted::PATHS_PER_APP);
        let left_out = wanted.left_out.first().unwrap();
        let beyond = folder.path().join("32");
        let expected = format!(
            "photos asks for more than 32 paths (TRG-48): those from {} on are not watched; name a folder that holds them",
            beyond.display()
        );
        assert_eq!(*left_out, expected);
    });
}
