//! The keeper of watchers over a recording engine.

mod services;
pub(crate) mod stage;

use std::sync::Mutex;

use lull_policy::{Answer, Caller, Device, Network, Now, PerMille, Request};
use tokio::sync::mpsc;

use super::*;
use crate::ports::{Engine, PortFuture};

/// Patience of a test that waits for something to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// An engine that hands what it is told to the test, and refuses as often as it is asked to.
#[derive(Debug)]
pub(crate) struct Recorder {
    told: mpsc::Sender<Event>,
    refuse: Mutex<u32>,
}

impl Recorder {
    pub(crate) fn engine(refuse: u32) -> (EngineRef, mpsc::Receiver<Event>) {
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
        look: Box<dyn FnOnce(&Device, Now) + Send>,
    ) -> PortFuture<'_, Result<(), EngineError>> {
        look(&Device::restore(Vec::new()), Now::default());
        Box::pin(async { Ok(()) })
    }
}

pub(crate) async fn next(heard: &mut mpsc::Receiver<Event>) -> Vec<Reading> {
    let event = tokio::time::timeout(PATIENCE, heard.recv()).await;
    match event
        .expect("nothing was told")
        .expect("the watcher is gone")
    {
        Event::Readings(readings) => readings,
        event => panic!("a watcher told {event:?}"),
    }
}

/// An address where no bus is.
pub(crate) const NO_BUS: &str = "unix:path=/nowhere";

pub(in crate::watch) fn post(engine: EngineRef) -> Post {
    Post {
        engine,
        board: Arc::new(StatusBoard::new()),
        clock: Arc::new(crate::clock::System::new().unwrap()),
        assume: Assumed::default(),
        kind: DeviceKind::Pc,
        bus: Some(NO_BUS.to_owned()),
        power: "/sys/class/power_supply".into(),
        net: network::SYSFS.into(),
        screens: "/nowhere".into(),
        pressure: "/nowhere".into(),
        memory: "/nowhere".into(),
    }
}

#[tokio::test]
async fn a_source_is_watched_from_the_first_interest_to_the_last() {
    let (engine, mut heard) = Recorder::engine(0);
    let folder = tempfile::tempdir().unwrap();
    let mut post = post(engine);
    post.power = folder.path().into();
    post.screens = folder.path().into();
    post.assume.session = Some(lull_policy::Session::Connected);
    let board = Arc::clone(&post.board);
    let (orders, receiver) = mpsc::channel(ORDERS);
    let run = watchers(post).keep(receiver);
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
                Reading::UserPresent(Level::Assumed(false))
            ]
        );
        orders
            .send(WatchOrder::Start(Source::Session))
            .await
            .unwrap();
        orders.send(WatchOrder::Start(Source::Power)).await.unwrap();
        let powered = Reading::ExternalPower(Level::Assumed(true));
        until(&mut heard, powered).await;
        orders.send(WatchOrder::Stop(Source::Power)).await.unwrap();
        orders
            .send(WatchOrder::Stop(Source::Session))
            .await
            .unwrap();
        orders
            .send(WatchOrder::Start(Source::Session))
            .await
            .unwrap();
        until(&mut heard, Reading::Session(session)).await;
        drop(orders);
    };
    tokio::time::timeout(PATIENCE, async { tokio::join!(run, test) })
        .await
        .unwrap();
    let sources = board.read().sources;
    assert_eq!(sources[reading::SESSION], "assumed by the profile");
    assert_eq!(
        sources[reading::USER_PRESENT],
        "assumed: no seat on this device"
    );
    assert_eq!(
        sources[reading::EXTERNAL_POWER],
        "assumed: no battery on this device"
    );
}

fn watchers(post: Post) -> Watchers {
    Watchers {
        post,
        tasks: JoinSet::new(),
        watched: BTreeMap::new(),
    }
}

/// Waits until a reading is told.
pub(crate) async fn until(heard: &mut mpsc::Receiver<Event>, reading: Reading) {
    while !next(heard).await.contains(&reading) {}
}

#[tokio::test]
async fn what_no_source_tells_is_assumed_or_unknown() {
    let (engine, mut heard) = Recorder::engine(0);
    let mut post = post(engine);
    post.assume.standby = Some(false);
    tokio::select! {
        ended = screen::watch(&post) => panic!("{ended:?}"),
        () = until(&mut heard, Reading::ScreenLocked(Level::Assumed(true))) => {}
    }
    let no_call = Reading::Call(Level::Assumed(lull_policy::Call::None));
    tokio::select! {
        ended = telephony::watch(&post) => panic!("{ended:?}"),
        () = until(&mut heard, no_call) => {}
    }
    tokio::select! {
        ended = pressure::watch(&post) => panic!("{ended:?}"),
        () = until(&mut heard, Reading::CpuPressure(Level::Unknown)) => {}
    }
    let sources = post.board.read().sources;
    assert_eq!(sources[reading::STANDBY], "assumed by the profile");
    assert_eq!(sources[reading::CPU_PRESSURE], "no source on this device");
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
    let readings = Readings::default().of(Source::Session);
    let watch = assumed::watch(&post, readings);
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
    let watchers = watchers(post);
    let test = async {
        orders.send(WatchOrder::Start(Source::Power)).await.unwrap();
        while next(&mut heard).await != Readings::default().of(Source::Power) {}
        let path = file.path().to_owned();
        drop(file);
        let powered = Reading::ExternalPower(Level::Assumed(true));
        until(&mut heard, powered).await;
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
