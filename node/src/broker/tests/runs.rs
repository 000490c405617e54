//! Sockets with real runs: handed to them, handed back, closed with them, and kept over a restart of the daemon.

use std::io::Read as _;
use std::net::SocketAddr;

use lull_launcher::sandbox::{Grant, Sandbox};
use lull_policy::EntryPoint;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

use super::agent::{PART, SCRIPT, play};
use super::*;
use crate::fronts::Fronts;
use crate::supervisor::tests::stage::{UID, cages_name, launcher_command, needs_root};
use crate::supervisor::{AgentCatalog, AgentProgram, Setup, Supervisor};

/// Every agent is this program, in the part of the day.
#[derive(Debug)]
struct Troupe {
    part: Mutex<&'static str>,
    id: &'static str,
}

impl AgentCatalog for Troupe {
    fn agent(&self, _app: &AppId, _entry_point: &EntryPoint) -> Result<AgentProgram, String> {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let own = own.to_str().ok_or("its path is not UTF-8")?.to_owned();
        let part = (*self.part.lock().unwrap()).to_owned();
        let variables = [(PART, part), ("LULL_TEST_ID", self.id.to_owned())];
        Ok(AgentProgram {
            program: "/bin/sh".into(),
            args: vec!["-c".into(), SCRIPT.into(), own],
            environment: variables
                .map(|(name, value)| (name.to_owned(), value))
                .into(),
            uid: UID,
            gid: UID,
            groups: Vec::new(),
            user_name: None,
            sandbox: Sandbox {
                grants: [Grant::Internet].into(),
                ..Sandbox::default()
            },
            state_dir: "/tmp".into(),
        })
    }

    fn front(&self, _app: &AppId) -> Result<AgentProgram, String> {
        Err("no [front] is declared; declare it".to_owned())
    }
}

/// A daemon's supervisor and broker over one engine, and their launcher.
struct Yard {
    rig: Rig,
    troupe: Arc<Troupe>,
    setup: Setup,
    broker: Broker,
    /// What the engine orders goes to whichever supervisor serves now.
    launches: mpsc::Sender<RunOrder>,
    parts: Vec<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Yard {
    async fn new(arbiter: &actix::Arbiter, part: &'static str) -> Self {
        needs_root();
        let rig = rig(arbiter, PATIENCE).await;
        prepare(&rig).await;
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("launcher.sock");
        let clock: ClockRef = Arc::<crate::clock::Manual>::clone(&rig.clock);
        let broker = Broker::new(
            Arc::clone(&rig.door),
            Arc::clone(&clock),
            Arc::clone(&rig.board),
        );
        let troupe = Arc::new(Troupe {
            part: Mutex::new(part),
            id: "door",
        });
        let setup = Setup {
            engine: Arc::clone(&rig.door),
            catalog: Arc::<Troupe>::clone(&troupe),
            clock,
            board: Arc::clone(&rig.board),
            broker: broker.clone(),
            launcher_command: launcher_command(&socket),
            launcher_socket: socket,
            cages: cages_name(),
            fronts: Fronts::default(),
            local_socket: folder.path().join("local.sock"),
        };
        let mut yard = Self {
            rig,
            troupe,
            setup,
            broker,
            launches: mpsc::channel(1).0,
            parts: Vec::new(),
            _folder: folder,
        };
        yard.serve().await;
        yard
    }

    async fn serve(&mut self) {
        let supervisor = Supervisor::start(self.setup.clone()).await.unwrap();
        let (launches, to_launch) = mpsc::channel(16);
        let (stops, to_stop) = mpsc::channel(16);
        self.launches = launches;
        let serving = tokio::spawn(async move {
            // Not used, and not closed either.
            let _stops = stops;
            supervisor.serve(to_launch, to_stop).await.unwrap();
        });
        let registrations = self.rig.queues.registrations.clone();
        let watching = tokio::spawn(self.broker.clone().watch(registrations));
        self.parts = vec![serving, watching];
    }

    /// The daemon is killed, another one comes with a broker that knows nothing.
    async fn restart(&mut self) {
        for part in self.parts.drain(..) {
            part.abort();
            drop(part.await);
        }
        let (engine, clock) = (Arc::clone(&self.rig.door), Arc::clone(&self.setup.clock));
        self.broker = Broker::new(engine, clock, Arc::clone(&self.rig.board));
        self.setup.broker = self.broker.clone();
        self.serve().await;
    }

    async fn hand_over(&self, socket: impl Into<OwnedFd>) {
        let offer = offer("door", Purpose::Socket);
        let app = rig::app();
        self.broker
            .take_over(&app, offer, socket.into())
            .await
            .unwrap();
    }

    /// The next launch goes to the supervisor; what the run printed when it has ended.
    async fn run(&mut self) -> String {
        let order = rig::next(&mut self.rig.queues.launches).await;
        let RunOrder::Launch(launch) = &order else {
            panic!("{order:?}");
        };
        let run = launch.run;
        self.launches.send(order).await.unwrap();
        let door = Arc::clone(&self.rig.door);
        let looking = async {
            loop {
                let ended = move |device: &lull_policy::Device, _now| {
                    let ended = device.finished().find(|ended| ended.id == run);
                    ended.map(|ended| format!("{:?}: {}", ended.outcome, ended.output))
                };
                if let Some(printed) = look(&door, ended).await.unwrap() {
                    return printed;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap()
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        self.parts.iter().for_each(JoinHandle::abort);
        let pid = i32::try_from(self.rig.board.read().launcher_pid).unwrap();
        // It ends what it holds and removes its cages.
        kill_process(Pid::from_raw(pid).unwrap(), Signal::TERM).ok();
    }
}

fn in_yard<F: Future<Output = ()>>(part: &'static str, test: impl FnOnce(Yard) -> F) {
    on_runtime(async |arbiter| {
        let yard = Yard::new(&arbiter, part).await;
        let handle = yard.rig.handle.clone();
        test(yard).await;
        handle.end().await;
    });
}

fn greeted(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).unwrap()
}

/// Blocks for the test's patience at most.
fn words(mut guest: TcpStream) -> String {
    guest.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut words = String::new();
    guest.read_to_string(&mut words).unwrap();
    words
}

/// TRG-15, TRGD-15, TRGD-16: as descriptor 3, with its id, context and reason.
#[test]
fn a_listener_goes_to_its_run_and_back() {
    if let Ok(part) = std::env::var(PART) {
        return play(&part);
    }
    in_yard("answer", async |mut yard| {
        let (listener, address) = listener();
        yard.hand_over(listener).await;
        for context in ["6c6566742077697468206974", "616761696e"] {
            let guest = greeted(address);
            let printed = yard.run().await;
            let found = format!("found door door connection-accepted listener {context}");
            assert!(printed.contains(&found), "{printed}");
            assert!(printed.contains("handed over: None"), "{printed}");
            assert_eq!(words(guest), "welcome");
        }
    });
}

/// TRGD-18.
#[test]
fn a_socket_that_is_not_handed_back_closes_with_its_run() {
    in_yard("keep", async |mut yard| {
        let (listener, address) = listener();
        yard.hand_over(listener).await;
        let guest = greeted(address);
        let printed = yard.run().await;
        assert!(printed.contains("connection-accepted"), "{printed}");
        assert_eq!(words(guest), "welcome");
        until(async || TcpStream::connect(address).is_err()).await;
        assert_eq!(yard.broker.found_count(), 0);
    });
}

/// TRGD-19: also for a running agent.
#[test]
fn an_agent_cannot_hand_over_what_nothing_is_registered_for() {
    in_yard("read", async |mut yard| {
        yard.troupe = Arc::new(Troupe {
            part: Mutex::new("read"),
            id: "chat",
        });
        yard.setup.catalog = Arc::<Troupe>::clone(&yard.troupe);
        yard.restart().await;
        let (ours, mut peer) = pair();
        yard.hand_over(ours).await;
        peer.write_all(b"hello").unwrap();
        let printed = yard.run().await;
        assert!(printed.contains("read hello"), "{printed}");
        assert!(printed.contains("is for a control-channel"), "{printed}");
        assert_eq!(yard.broker.found_count(), 0);
    });
}

#[test]
fn a_held_socket_outlives_the_daemon_and_what_came_meanwhile_is_told() {
    in_yard("read", async |mut yard| {
        let (ours, mut peer) = pair();
        yard.hand_over(ours).await;
        let (listener, address) = listener();
        register(&yard.rig, "gate", socket("gate")).await;
        let gate = offer("gate", Purpose::Socket);
        yard.broker
            .take_over(&rig::app(), gate, listener.into())
            .await
            .unwrap();
        yard.restart().await;
        assert_eq!(yard.broker.found_count(), 2);
        peer.write_all(b"hello").unwrap();
        let printed = yard.run().await;
        assert!(printed.contains("read hello"), "{printed}");
        assert!(printed.contains("handed over: None"), "{printed}");
        // The launcher of a dead daemon's dead launcher keeps it again.
        let pid = i32::try_from(yard.rig.board.read().launcher_pid).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
        until(async || yard.rig.board.read().launcher_pid.cast_signed() != pid).await;
        TcpStream::connect(address).unwrap();
        until(async || yard.broker.all_kept()).await;
        yard.restart().await;
        assert_eq!(yard.broker.found_count(), 2);
    });
}

#[test]
fn what_came_before_the_end_is_read_and_the_end_is_told_after() {
    in_yard("read", async |mut yard| {
        let (ours, mut peer) = pair();
        yard.hand_over(ours).await;
        peer.write_all(b"last words").unwrap();
        drop(peer);
        let printed = yard.run().await;
        assert!(printed.contains("socket-activity stream"), "{printed}");
        assert!(printed.contains("read last words"), "{printed}");
        let printed = yard.run().await;
        assert!(printed.contains("socket-closed stream"), "{printed}");
    });
}

impl Broker {
    fn all_kept(&self) -> bool {
        self.lock().held.values().all(|held| held.kept)
    }
}
