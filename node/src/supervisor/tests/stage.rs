//! The stage: an engine that remembers what it was told, a catalog of shell scripts, a launcher.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use lull_launcher::sandbox::{Grant, Sandbox};
use lull_policy::*;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::*;
use crate::clock::System;
use crate::fronts::Fronts;
use crate::ports::{Engine, PortFuture};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const UID: u32 = 61_235;

/// Set in the process that is to be the launcher.
const ROLE: &str = "LULL_TEST_LAUNCHER";

/// Runs a second time as the launcher's process, which this library has no binary of its own for.
#[test]
fn a_launcher_is_started_where_none_answers() {
    if let Some(socket) = std::env::var_os(ROLE) {
        return lull_launcher::run(Path::new(&socket)).unwrap();
    }
    needs_root();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("launcher.sock");
    assert!(!lull_launcher::answers(&socket));
    lull_launcher::spawn(&launcher_command(&socket), &socket).unwrap();
    let (client, _greeting, _held) =
        lull_launcher::Client::connect(&socket, &cages_name()).unwrap();
    client.quit().unwrap();
    assert!(!socket.exists());
}

pub(crate) fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test needs root: it makes cgroups and becomes other users"
    );
}

fn own_program() -> String {
    let own = std::env::current_exe().unwrap();
    own.to_str().unwrap().to_owned()
}

pub(crate) fn launcher_command(socket: &Path) -> Vec<String> {
    let own = std::env::current_exe().unwrap();
    vec![
        "/usr/bin/env".into(),
        format!("{ROLE}={}", socket.display()),
        own.to_str().unwrap().into(),
        "--exact".into(),
        "supervisor::tests::stage::a_launcher_is_started_where_none_answers".into(),
        "--nocapture".into(),
    ]
}

pub(crate) fn cages_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("lull-test-{}-{number}", std::process::id())
}

/// An engine that takes everything down. Its machine knows the runs that were launched and have not ended.
#[derive(Debug)]
pub(super) struct Scribe {
    told: watch::Sender<Vec<Event>>,
    refusing: watch::Sender<bool>,
    runs: Mutex<BTreeMap<RunId, Run>>,
}

impl Scribe {
    fn write(&self, event: Event) {
        if let Event::RunEnded { run, .. } = &event {
            self.runs.lock().unwrap().remove(run);
        }
        self.told.send_modify(|told| told.push(event));
    }

    /// From now on nothing can be committed, or it can again.
    pub(super) fn refuse(&self, refusing: bool) {
        self.refusing.send_replace(refusing);
    }

    /// Its store began anew.
    pub(super) fn forget(&self, run: RunId) {
        self.runs.lock().unwrap().remove(&run);
    }

    /// All it was told.
    pub(super) fn told(&self) -> Vec<Event> {
        self.told.borrow().clone()
    }

    pub(super) async fn hears(&self, what: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        let mut told = self.told.subscribe();
        let heard = tokio::time::timeout(PATIENCE, told.wait_for(|told| what(told))).await;
        let Ok(heard) = heard else {
            panic!("not heard in time; heard: {:?}", self.told());
        };
        heard.unwrap().clone()
    }

    /// The end of a run.
    pub(super) async fn end(&self, id: RunId) -> (Exit, Usage, String) {
        let told = self
            .hears(|told| {
                told.iter()
                    .any(|e| matches!(e, Event::RunEnded { run, .. } if *run == id))
            })
            .await;
        let end = told.into_iter().find_map(|event| match event {
            Event::RunEnded {
                run,
                exit,
                usage,
                output,
            } if run == id => Some((exit, usage, output)),
            _ => None,
        });
        end.unwrap()
    }

    pub(super) async fn starts(&self, id: RunId) {
        self.hears(|told| told.contains(&Event::RunStarted { run: id }))
            .await;
    }

    /// What it was told of a run, in words.
    pub(super) fn story(&self, id: RunId) -> Vec<String> {
        let words = self.told().into_iter().filter_map(|event| match event {
            Event::RunStarted { run } if run == id => Some("started".to_owned()),
            Event::RunReported { run, report } if run == id => Some(format!("{report:?}")),
            Event::RunEnded { run, exit, .. } if run == id => Some(format!("{exit:?}")),
            _ => None,
        });
        words.collect()
    }
}

impl Engine for Scribe {
    fn commit(&self, event: Event) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async move {
            if *self.refusing.borrow() {
                return Err(EngineError::Unavailable);
            }
            self.write(event);
            Ok(())
        })
    }
    fn tell(&self, event: Event) -> Result<(), EngineError> {
        self.write(event);
        Ok(())
    }
    fn call(
        &self,
        _caller: Caller,
        _request: Request,
    ) -> PortFuture<'_, Result<Answer, EngineError>> {
        Box::pin(async { Err(EngineError::Ending) })
    }
    fn look(
        &self,
        look: Box<dyn FnOnce(&Device, Now) + Send>,
    ) -> PortFuture<'_, Result<(), EngineError>> {
        let runs = self
            .runs
            .lock()
            .unwrap()
            .values()
            .cloned()
            .map(Record::Run)
            .collect::<Vec<_>>();
        look(&Device::restore(runs), Now::default());
        Box::pin(async { Ok(()) })
    }
}

/// Entry points are shell scripts.
#[derive(Debug, Default)]
pub(super) struct Scripts(Mutex<BTreeMap<EntryPoint, String>>, Mutex<Option<String>>);

impl Scripts {
    /// The script of an entry point.
    pub(super) fn declare(&self, entry_point: EntryPoint, script: &str) {
        let mut scripts = self.0.lock().unwrap();
        scripts.insert(entry_point, script.to_owned());
    }
}

impl AgentCatalog for Scripts {
    fn agent(&self, _app: &AppId, entry_point: &EntryPoint) -> Result<AgentProgram, String> {
        let scripts = self.0.lock().unwrap();
        let script = scripts
            .get(entry_point)
            .ok_or("no such agent is declared; declare it")?;
        Ok(AgentProgram {
            program: "/bin/sh".into(),
            // A script may start this program, as its `$0`.
            args: vec!["-c".into(), script.clone(), own_program()],
            environment: BTreeMap::from([
                ("PHOTOS_FROM".into(), "/data/in".into()),
                ("LULL_RUN".into(), "forged".into()),
            ]),
            uid: UID,
            gid: UID,
            groups: Vec::new(),
            user_name: Some("photos".into()),
            sandbox: Sandbox {
                grants: [Grant::Internet].into(),
                ..Sandbox::default()
            },
            state_dir: "/tmp".into(),
        })
    }

    fn front(&self, _app: &AppId) -> Result<AgentProgram, String> {
        let front = self.1.lock().unwrap().clone();
        Ok(AgentProgram {
            program: "/usr/bin/python3".into(),
            args: vec![
                "-c".into(),
                front.ok_or("no [front] is declared; declare it")?,
            ],
            environment: BTreeMap::new(),
            uid: UID,
            gid: UID,
            groups: Vec::new(),
            user_name: None,
            sandbox: Sandbox::default(),
            state_dir: "/tmp".into(),
        })
    }
}

/// A supervisor at work.
pub(super) struct Stage {
    pub(super) scribe: Arc<Scribe>,
    pub(super) scripts: Arc<Scripts>,
    pub(super) setup: Setup,
    pub(super) launches: mpsc::Sender<RunOrder>,
    pub(super) stops: mpsc::Sender<RunOrder>,
    pub(super) held: Vec<RunId>,
    serving: JoinHandle<Result<(), SupervisorError>>,
    folder: TempDir,
    /// Its launcher goes on with the next one.
    left: bool,
}

impl Stage {
    pub(super) async fn new() -> Self {
        needs_root();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("launcher.sock");
        let scribe = Arc::new(Scribe {
            told: watch::Sender::default(),
            refusing: watch::Sender::new(false),
            runs: Mutex::default(),
        });
        let scripts = Arc::new(Scripts::default());
        let engine: EngineRef = Arc::<Scribe>::clone(&scribe);
        let catalog: Arc<dyn AgentCatalog> = Arc::<Scripts>::clone(&scripts);
        let clock: ClockRef = Arc::new(System::new().unwrap());
        let board = Arc::new(StatusBoard::new());
        let setup = Setup {
            broker: Broker::new(Arc::clone(&engine), Arc::clone(&clock), Arc::clone(&board)),
            engine,
            catalog,
            clock,
            board,
            launcher_command: launcher_command(&socket),
            launcher_socket: socket,
            cages: cages_name(),
            fronts: Fronts::default(),
            local_socket: folder.path().join("local.sock"),
        };
        Self::serve(scribe, scripts, setup, folder).await
    }

    async fn serve(
        scribe: Arc<Scribe>,
        scripts: Arc<Scripts>,
        setup: Setup,
        folder: TempDir,
    ) -> Self {
        let supervisor = Supervisor::start(setup.clone()).await.unwrap();
        let held = supervisor.held();
        let (launches, to_launch) = mpsc::channel(16);
        let (stops, to_stop) = mpsc::channel(16);
        Self {
            scribe,
            scripts,
            setup,
            launches,
            stops,
            held,
            serving: tokio::spawn(supervisor.serve(to_launch, to_stop)),
            folder,
            left: false,
        }
    }

    /// The daemon is killed, another one comes.
    pub(super) async fn restart(mut self) -> Self {
        self.serving.abort();
        assert!((&mut self.serving).await.is_err());
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir().unwrap());
        let (scribe, scripts) = (Arc::clone(&self.scribe), Arc::clone(&self.scripts));
        let setup = self.setup.clone();
        self.left = true;
        Self::serve(scribe, scripts, setup, folder).await
    }

    /// Orders a run of a script.
    pub(super) async fn launch(&self, id: u64, script: &str) -> RunId {
        self.launch_with(launch(id), script).await
    }

    pub(super) async fn launch_with(&self, launch: Launch, script: &str) -> RunId {
        let id = launch.run;
        self.declare(&launch, script);
        self.send(RunOrder::Launch(Box::new(launch))).await;
        id
    }

    /// The app has a program of its own, in Python.
    pub(super) fn declare_front(&self, program: &str) {
        *self.scripts.1.lock().unwrap() = Some(program.to_owned());
    }

    /// The catalog has the script, the machine the run.
    pub(super) fn declare(&self, launch: &Launch, script: &str) {
        let agent = launch.entry_point.clone();
        let agent = agent.expect("a process of its own");
        self.scripts.declare(agent, script);
        self.scribe
            .runs
            .lock()
            .unwrap()
            .insert(launch.run, under_way(launch));
    }

    pub(super) async fn send(&self, order: RunOrder) {
        let channel = match &order {
            RunOrder::Launch(_) | RunOrder::StartFront { .. } => &self.launches,
            RunOrder::AskToCancel { .. }
            | RunOrder::Kill { .. }
            | RunOrder::KillFront { .. }
            | RunOrder::Hold { .. }
            | RunOrder::Meter { .. }
            | RunOrder::Sample { .. } => &self.stops,
        };
        channel.send(order).await.unwrap();
    }

    /// Its whole cage stands still.
    pub(super) fn is_frozen(&self, run: RunId) -> bool {
        let cgroup = self.setup.board.read().processes[&run].cgroup.clone();
        let events = std::fs::read_to_string(format!("{cgroup}/cgroup.events"));
        let state = std::fs::read_to_string(format!("{cgroup}/freezer.state"));
        events.is_ok_and(|events| events.contains("frozen 1"))
            || state.is_ok_and(|state| state.trim() == "FROZEN")
    }

    pub(super) fn launcher(&self) -> Pid {
        let pid = i32::try_from(self.setup.board.read().launcher_pid).unwrap();
        Pid::from_raw(pid).unwrap()
    }

    /// A file of the folder, which agents can write.
    pub(super) fn shared(&self, name: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = self.folder.path().join("shared");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        folder.join(name)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.serving.abort();
        if self.left {
            return;
        }
        // It ends what it holds and removes its cages.
        kill_process(self.launcher(), Signal::TERM).ok();
    }
}

pub(super) fn launch(id: u64) -> Launch {
    Launch {
        run: RunId(id),
        registration: RegistrationId(1),
        app: AppId::new("photos").unwrap(),
        task: TaskName::new("sync").unwrap(),
        entry_point: EntryPoint::new(format!("agent-{id}")).ok(),
        host: HostKind::OutOfProcess,
        group: None,
        number: 1,
        trigger: Trigger::Application,
        details: None,
        push: None,
        attempt: 1,
        memory: None,
        cancel_at: None,
        kill_at: None,
        network: true,
        network_requested: false,
        cellular: false,
        critical: false,
    }
}

fn under_way(launch: &Launch) -> Run {
    Run {
        id: launch.run,
        registration: launch.registration,
        app: launch.app.clone(),
        task: launch.task.clone(),
        entry_point: launch.entry_point.clone(),
        number: launch.number,
        state: RunState::Starting,
        started: Wall::from_millis(0),
        started_running: Running::from_millis(0),
        cancel_at: launch.cancel_at,
        kill_at: launch.kill_at,
        cancel_reason: None,
        said: None,
        progress: None,
        push: None,
        attempt: launch.attempt,
        memory: launch.memory,
        kind: launch.trigger.kind(),
        host: launch.host,
        details: None,
        network_requested: launch.network_requested,
        network: launch.network,
        suspended: None,
        debugged: false,
        termination: None,
        waived: Vec::new(),
    }
}

/// Looks again and again until something is so.
pub(super) async fn until(what: &str, mut so: impl FnMut() -> bool) {
    let mut looks = tokio::time::interval(Duration::from_millis(2));
    let looking = async {
        while !so() {
            looks.tick().await;
        }
    };
    let seen = tokio::time::timeout(PATIENCE, looking).await;
    assert!(seen.is_ok(), "{what} did not come in time");
}

/// So long from now, on the monotonic clock.
pub(super) fn later(stage: &Stage, span: Span) -> Running {
    stage.setup.clock.now().running.after(span)
}
