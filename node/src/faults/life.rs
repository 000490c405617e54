//! The life of an engine over a store, as a process of its own lives it and as the check continues it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix::Arbiter;
use lull_policy::{
    BootId, Caller, Event, Exit, Hop, Launch, Level, Reading, Request, RunId, Usage,
};

use crate::clock::{ClockRef, Manual};
use crate::engine::rig::{self, PATIENCE, now, photos};
use crate::engine::{EngineHandle, OrderQueues, Setting, channels};
use crate::error_chain::chain;
use crate::ports::{EngineError, RunOrder, look};
use crate::status::StatusBoard;
use crate::store::{Opened, Store, StoreConfig};

/// The store's name in its folder.
pub(super) const STORE: &str = "store.sqlite3";

/// How long a journey pauses before it says again what was refused.
const AGAIN: Duration = Duration::from_millis(3);

/// So small that a journey of some commits trims its journal and moves its log.
pub(super) fn config(folder: &Path) -> StoreConfig {
    StoreConfig {
        journal_bytes: 12_000,
        log_pages: 24,
        ..StoreConfig::at(folder.join(STORE))
    }
}

/// What is written down, in order: it was told to somebody outside.
pub(crate) struct Said(Option<File>);

impl Said {
    pub(crate) fn to(file: &Path) -> Self {
        let options = File::options().create(true).append(true).open(file);
        Self(Some(options.unwrap()))
    }

    pub(super) fn nothing() -> Self {
        Self(None)
    }

    pub(crate) fn say(&mut self, line: &str) {
        if let Some(file) = &mut self.0 {
            file.write_all(format!("{line}\n").as_bytes()).unwrap();
        }
    }
}

/// An engine that lives.
pub(super) struct Life {
    handle: EngineHandle,
    queues: OrderQueues,
    board: Arc<StatusBoard>,
    pub(super) said: Said,
}

impl Life {
    /// Starts it as the daemon does: the runs that live first, or none of them.
    pub(super) async fn begin(
        arbiter: &Arbiter,
        config: &StoreConfig,
        mut said: Said,
        held: bool,
    ) -> Self {
        let clock = Arc::new(Manual::new(BootId::new("boot").unwrap(), now()));
        let board = Arc::new(StatusBoard::new());
        let (orders, queues) = channels();
        let clock: ClockRef = clock;
        let opened = open(config, &clock, &mut said);
        let setting = Setting {
            clock,
            store: opened.store,
            contents: opened.contents,
            orders,
            board: Arc::clone(&board),
        };
        let handle = EngineHandle::start(&arbiter.handle(), setting).unwrap();
        let mut life = Self {
            handle,
            queues,
            board,
            said,
        };
        let door = life.handle.door();
        let runs = look(&door, |device, _now| {
            device.runs().map(|run| run.id).collect()
        });
        let runs = if held {
            runs.await.unwrap()
        } else {
            Vec::new()
        };
        life.tell(Event::RunsHeld { runs }).await;
        life.tell(Event::Apps(vec![photos()])).await;
        let readings = vec![
            Reading::ExternalPower(Level::Known(true)),
            Reading::BatterySaver(Level::Known(false)),
        ];
        life.tell(Event::Readings(readings)).await;
        life
    }

    pub(super) async fn call(&mut self, request: Request) {
        let caller = Caller::Front {
            app: rig::app(),
            foreground: true,
        };
        self.handle.door().call(caller, request).await.unwrap();
    }

    /// Says something until it is taken. A refusal has its reason in the status.
    pub(super) async fn tell(&mut self, event: Event) {
        let door = self.handle.door();
        let taken = async {
            loop {
                match door.commit(event.clone()).await {
                    Ok(()) => return,
                    Err(EngineError::Unavailable) => {
                        let trouble = self.board.read().store_trouble;
                        self.said.say(&format!("refused {trouble}"));
                    }
                    Err(other) => panic!("{other}"),
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::time::timeout(PATIENCE, taken).await.unwrap();
    }

    /// Says something once.
    pub(super) async fn try_tell(&self, event: Event) -> Result<(), EngineError> {
        self.handle.door().commit(event).await
    }

    /// What the status says of the store.
    pub(super) fn trouble(&self) -> String {
        self.board.read().store_trouble
    }

    /// Whether an order to stop a run was given.
    pub(super) fn stops_something(&mut self) -> bool {
        self.queues.stops.try_recv().is_ok()
    }

    pub(super) async fn accept(&mut self, id: &str) {
        self.said.say(&format!("sent {id}"));
        self.tell(rig::push(id)).await;
        self.said.say(&format!("acked {id}"));
    }

    /// Takes a launch and starts its run.
    pub(super) async fn start(&mut self) -> Box<Launch> {
        let RunOrder::Launch(launch) = rig::next(&mut self.queues.launches).await else {
            panic!("a launch was expected");
        };
        let (id, attempt) = (id(&launch), launch.attempt);
        self.said.say(&format!("launched {id} {attempt}"));
        self.tell(Event::RunStarted { run: launch.run }).await;
        self.said.say(&format!("started {id} {attempt}"));
        launch
    }

    /// A run ends, and its agent is told that this is taken down.
    pub(super) async fn finish(&mut self, run: RunId, id: &str) {
        self.tell(Event::RunEnded {
            run,
            exit: Exit::Status(0),
            usage: Usage::default(),
            output: String::new(),
        })
        .await;
        self.said.say(&format!("ended {id}"));
    }

    /// The runs that the machine knows, by their pushes.
    pub(super) async fn runs(&self) -> BTreeMap<String, RunId> {
        let door = self.handle.door();
        let runs = look(&door, |device, _now| {
            let runs = device.runs();
            runs.filter_map(|run| Some((run.push.clone()?.to_string(), run.id)))
                .collect()
        });
        runs.await.unwrap()
    }

    /// The pushes that the coordinator will hear to be finished.
    pub(super) async fn finished(&self) -> Vec<String> {
        let door = self.handle.door();
        let finished = look(&door, |device, _now| {
            let receipts = device.receipts();
            let finished = receipts.filter(|receipt| matches!(receipt.hop, Hop::Finished { .. }));
            finished.map(|receipt| receipt.push.to_string()).collect()
        });
        finished.await.unwrap()
    }

    /// Carries out what the machine begins until it begins nothing more: each push with its attempt.
    pub(super) async fn run_all(&mut self) -> Vec<(String, u32)> {
        let mut ran = Vec::new();
        while let Ok(RunOrder::Launch(launch)) = self.queues.launches.try_recv() {
            self.tell(Event::RunStarted { run: launch.run }).await;
            self.finish(launch.run, &id(&launch)).await;
            ran.push((id(&launch), launch.attempt));
        }
        ran
    }

    /// Ends it and waits a moment for its file to be closed.
    pub(super) async fn end(mut self, config: &StoreConfig) {
        self.handle.end().await;
        // Of a commit that nobody waited for, the counters tell.
        let failed = self.board.counter("commits-failed");
        if failed > 0 {
            self.said.say(&format!("refused {failed} commits in all"));
        }
        drop(self);
        // The store's thread closes the file; where that fails the log stays.
        let log = format!("{}-wal", config.path.display());
        for _ in 0..100 {
            if !Path::new(&log).exists() {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Opens the store as daemons do that are started again when they could not.
fn open(config: &StoreConfig, clock: &ClockRef, said: &mut Said) -> Opened {
    for _ in 0..3 {
        match Store::open(config.clone(), Arc::clone(clock)) {
            Ok(opened) => return opened,
            Err(error) => said.say(&format!("not opened {}", chain(&error))),
        }
    }
    panic!("the store does not open");
}

pub(super) fn id(launch: &Launch) -> String {
    launch.push.as_ref().unwrap().id.to_string()
}
