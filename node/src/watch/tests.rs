//! The keeper of watchers over a recording engine.

use std::sync::Mutex;

use lull_policy::{Answer, Caller, Device, Now, Request};
use tokio::sync::mpsc;

use super::*;
use crate::ports::{Engine, PortFuture};

/// Patience of a test that waits for something to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// An engine that hands what it is told to the test, and refuses as often as it is asked to.
#[derive(Debug)]
pub(super) struct Recorder {
    told: mpsc::Sender<Event>,
    refuse: Mutex<u32>,
}

impl Recorder {
    pub(super) fn engine(refuse: u32) -> (EngineRef, mpsc::Receiver<Event>) {
        let (told, heard) = mpsc::channel(64);
        let refuse = Mutex::new(refuse);
        (Arc::new(Self { told, refuse }), heard)
    }
}

impl Engine for Recorder {
    fn commit(&self, event: Event) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async move { self.tell(event) })
    }
    fn tell(&self, event: Event) -> Result<(), EngineError> {
        let mut refuse = self.refuse.lock().unwrap();
        if *refuse > 0 {
            *refuse -= 1;
            return Err(EngineError::Full(1));
        }
        self.told
            .try_send(event)
            .map_err(|_gone| EngineError::Ending)
    }
    fn call(&self, _: Caller, _: Request) -> PortFuture<'_, Result<Answer, EngineError>> {
        Box::pin(async { Err(EngineError::Ending) })
    }
    fn look(
        &self,
        _: Box<dyn FnOnce(&Device, Now) + Send>,
    ) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(async { Err(EngineError::Ending) })
    }
}

pub(super) async fn next(heard: &mut mpsc::Receiver<Event>) -> Vec<Reading> {
    let event = tokio::time::timeout(PATIENCE, heard.recv()).await;
    match event
        .expect("nothing was told")
        .expect("the watcher is gone")
    {
        Event::Readings(readings) => readings,
        event => panic!("a watcher told {event:?}"),
    }
}

pub(super) fn post(engine: EngineRef) -> Post {
    Post {
        engine,
        board: Arc::new(StatusBoard::new()),
        assume: Assumed::default(),
        power: "/sys/class/power_supply".into(),
        net: network::SYSFS.into(),
    }
}

#[tokio::test]
async fn a_source_is_watched_from_the_first_interest_to_the_last() {
    let (engine, mut heard) = Recorder::engine(0);
    let folder = tempfile::tempdir().unwrap();
    let mut config = NodeConfig::default();
    config.power.sysfs = folder.path().into();
    config.profile.assume.session = Some(lull_policy::Session::Connected);
    let board = Arc::new(StatusBoard::new());
    let (orders, receiver) = mpsc::channel(ORDERS);
    let run = run(&config, engine, Arc::clone(&board), receiver);
    let test = async {
        orders
            .send(WatchOrder::Start(Source::Session))
            .await
            .unwrap();
        let session = Level::Assumed(lull_policy::Session::Connected);
        assert_eq!(
            next(&mut heard).await,
            [
                Reading::Session(session),
                Reading::UserPresent(Level::Unknown)
            ]
        );
        orders
            .send(WatchOrder::Start(Source::Session))
            .await
            .unwrap();
        orders.send(WatchOrder::Start(Source::Power)).await.unwrap();
        assert_eq!(
            next(&mut heard).await[0],
            Reading::ExternalPower(Level::Assumed(true))
        );
        orders.send(WatchOrder::Stop(Source::Power)).await.unwrap();
        orders
            .send(WatchOrder::Stop(Source::Session))
            .await
            .unwrap();
        orders
            .send(WatchOrder::Start(Source::Session))
            .await
            .unwrap();
        assert_eq!(next(&mut heard).await[0], Reading::Session(session));
        drop(orders);
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(run, test) })
        .await
        .unwrap();
    let sources = board.read().sources;
    assert_eq!(sources[reading::SESSION], "assumed by the profile");
    assert_eq!(sources[reading::USER_PRESENT], "no source on this device");
    assert_eq!(
        sources[reading::EXTERNAL_POWER],
        "assumed: no battery on this device"
    );
}

#[tokio::test]
async fn what_no_source_tells_is_assumed_or_unknown() {
    let (engine, mut heard) = Recorder::engine(0);
    let mut post = post(engine);
    post.assume.standby = Some(false);
    post.assume.call = Some(lull_policy::Call::None);
    let unread = [
        Source::Screen,
        Source::Telephony,
        Source::Zone,
        Source::Pressure,
    ];
    let mut told = Vec::new();
    for source in unread {
        tokio::select! {
            ended = unread::watch(&post, source) => panic!("{ended:?}"),
            readings = next(&mut heard) => told.extend(readings),
        }
    }
    assert_eq!(
        told,
        [
            Reading::ScreenLocked(Level::Unknown),
            Reading::ScreenOn(Level::Unknown),
            Reading::Standby(Level::Assumed(false)),
            Reading::Call(Level::Assumed(lull_policy::Call::None)),
            Reading::Zone(Level::Unknown),
            Reading::CpuPressure(Level::Unknown),
        ]
    );
    let sources = post.board.read().sources;
    assert_eq!(sources[reading::STANDBY], "assumed by the profile");
    assert_eq!(sources[reading::ZONE], "no source on this device");
}

#[tokio::test]
async fn what_did_not_change_is_not_told_again() {
    let (engine, mut heard) = Recorder::engine(0);
    let post = post(engine);
    let mut reporter = Reporter::new(&post);
    let level = |present| {
        let mut report = Report::default();
        report.add(Reading::UserPresent(Level::Known(present)), "a test");
        report
    };
    for present in [true, true, false] {
        assert!(matches!(reporter.report(level(present)), Ok(None)));
    }
    for present in [true, false] {
        let expected = [Reading::UserPresent(Level::Known(present))];
        assert_eq!(next(&mut heard).await, expected);
    }
    assert!(heard.is_empty());
}

#[tokio::test]
async fn a_full_engine_is_told_again() {
    let (engine, mut heard) = Recorder::engine(2);
    let post = post(engine);
    let watch = unread::watch(&post, Source::Session);
    let heard = async { next(&mut heard).await };
    tokio::select! {
        ended = watch => panic!("{ended:?}"),
        readings = heard => assert_eq!(readings.len(), 2),
    }
    assert_eq!(post.board.counter(REFUSED), 2);
}

#[tokio::test]
async fn a_watcher_that_fails_reads_unknown_and_is_started_anew() {
    let (engine, mut heard) = Recorder::engine(0);
    let mut post = post(engine);
    let file = tempfile::NamedTempFile::new().unwrap();
    // A file where the folder should be.
    post.power = file.path().into();
    let board = Arc::clone(&post.board);
    let (orders, receiver) = mpsc::channel(ORDERS);
    let (tasks, watched) = (JoinSet::new(), BTreeMap::new());
    let watchers = Watchers {
        post,
        tasks,
        watched,
    };
    let test = async {
        orders.send(WatchOrder::Start(Source::Power)).await.unwrap();
        assert_eq!(
            next(&mut heard).await,
            Readings::default().of(Source::Power)
        );
        let path = file.path().to_owned();
        drop(file);
        assert_eq!(
            next(&mut heard).await[0],
            Reading::ExternalPower(Level::Assumed(true))
        );
        assert!(!path.exists());
        drop(orders);
    };
    tokio::time::timeout(PATIENCE, async {
        tokio::join!(watchers.keep(receiver), test)
    })
    .await
    .unwrap();
    assert!(board.counter(RESTARTED) >= 1);
}
