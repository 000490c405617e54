//! Watchers: read the device and report levels to the engine. Never edges, never decisions.
//!
//! One task a source, started with the first interest and ended with the last. Each hears of changes (D-Bus signals, netlink,
//! uevents, inotify), reads anew, and reports what differs from its last report: at most one report in [`GAP`], the newest
//! level wins. A source that is down reads `Unknown`; one that does not exist reads what the profile assumes (AMB-23).

mod assumed;
mod attribute;
pub mod bell;
pub(crate) mod bus;
mod memory;
pub(crate) mod netlink;
mod network;
mod power;
mod pressure;
mod screen;
mod seat;
mod session;
mod telephony;
mod zone;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use lull_policy::{DeviceKind, Event, Level, Reading, Readings, Source, Span};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use crate::clock::ClockRef;
use crate::config::{Assumed, NodeConfig};
use crate::error_chain::chain;
use crate::ports::{EngineError, EngineRef, WatchOrder};
use crate::retry::{Retry, random};
use crate::status::{StatusBoard, reading};

/// Between two reports of one source: bounds what a flapping link costs to 4 events a second (threat T8), and is
/// far below the 2 s after which a lost condition has to be known (I3).
pub const GAP: Duration = Duration::from_millis(250);

/// The two clocks are read one after the other: so much apart they may be without any sleep between.
const DOZE: Span = Span::millis(1_000);

/// Orders that may wait: one start and stop for each source, several times over.
pub const ORDERS: usize = 32;

/// When a watcher that failed is started anew.
const RETRY: Retry = Retry::new(Duration::from_secs(1), Duration::from_mins(1));

/// Counts readings that were replaced by newer ones before they could be told.
pub const SUPERSEDED: &str = "readings-superseded";
/// Counts reports that the engine had no room for; they are repeated.
pub const REFUSED: &str = "readings-refused";
/// Counts watchers that failed and were started anew.
pub const RESTARTED: &str = "watchers-restarted";

/// What every watcher needs.
#[derive(Debug, Clone)]
struct Post {
    engine: EngineRef,
    board: Arc<StatusBoard>,
    clock: ClockRef,
    assume: Assumed,
    kind: DeviceKind,
    /// The system bus; absent = where this machine has it.
    bus: Option<String>,
    /// Where the kernel shows power supplies, network devices, connectors of screens, and pressure.
    power: PathBuf,
    net: PathBuf,
    screens: PathBuf,
    pressure: PathBuf,
    memory: PathBuf,
}

/// Carries out the orders until their sender is gone or the engine ends.
pub async fn run(
    config: &NodeConfig,
    engine: EngineRef,
    board: Arc<StatusBoard>,
    clock: ClockRef,
    orders: mpsc::Receiver<WatchOrder>,
) {
    let post = Post {
        engine,
        board,
        clock,
        assume: config.profile.assume,
        kind: config.profile.kind,
        bus: None,
        power: config.power.sysfs.clone(),
        net: PathBuf::from(network::SYSFS),
        screens: PathBuf::from(screen::CONNECTORS),
        pressure: PathBuf::from(pressure::CPU),
        memory: PathBuf::from(memory::MEMORY),
    };
    let short = post.clone();
    let watchers = Watchers {
        post,
        tasks: JoinSet::new(),
        watched: BTreeMap::new(),
    };
    tokio::select! {
        () = watchers.keep(orders) => {}
        () = async { memory::watch(&short).await; std::future::pending().await } => {}
    }
}

/// The keeper of the tasks.
#[derive(Debug)]
struct Watchers {
    post: Post,
    tasks: JoinSet<Result<(), WatchError>>,
    watched: BTreeMap<Source, Watched>,
}

#[derive(Debug)]
struct Watched {
    task: AbortHandle,
    retry: Retry,
}

/// Why a watcher ended.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    /// The engine is gone: there is nobody to report to.
    #[error("the engine has ended")]
    Ending,
    /// Its source failed.
    #[error("{what}")]
    Source {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// The connection over which a service is asked failed.
    #[error("the system bus, on the way to {service}")]
    Bus {
        service: &'static str,
        #[source]
        source: zbus::Error,
    },
}

impl Watchers {
    async fn keep(mut self, mut orders: mpsc::Receiver<WatchOrder>) {
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(WatchOrder::Start(source)) => self.start(source),
                    Some(WatchOrder::Stop(source)) => self.stop(source),
                    None => return,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended),
            }
        }
    }

    fn start(&mut self, source: Source) {
        if !self.watched.contains_key(&source) {
            let task = self.spawn(source, Duration::ZERO);
            let retry = RETRY;
            self.watched.insert(source, Watched { task, retry });
        }
    }

    fn stop(&mut self, source: Source) {
        if let Some(watched) = self.watched.remove(&source) {
            watched.task.abort();
        }
    }

    fn spawn(&mut self, source: Source, after: Duration) -> AbortHandle {
        let post = self.post.clone();
        self.tasks.spawn(async move {
            tokio::time::sleep(after).await;
            match source {
                Source::Network => network::watch(&post).await,
                Source::Power => power::watch(&post).await,
                Source::Session => session::watch(&post).await,
                Source::Screen => screen::watch(&post).await,
                Source::Telephony => telephony::watch(&post).await,
                Source::Zone => zone::watch(&post).await,
                Source::Pressure => pressure::watch(&post).await,
            }
        })
    }

    /// A task that ended by itself is started anew; what it watched is unknown meanwhile.
    fn ended(&mut self, ended: Result<(Id, Result<(), WatchError>), JoinError>) {
        let (id, why) = match ended {
            Ok((_, Err(WatchError::Ending))) => return,
            Ok((id, Ok(()))) => (id, "it ended".to_owned()),
            Ok((id, Err(error))) => (id, chain(&error)),
            Err(error) => (error.id(), error.to_string()),
        };
        let found = self.watched.iter_mut().find(|(_, w)| w.task.id() == id);
        // A task that was stopped is not watched any more.
        let Some((source, watched)) = found else {
            return;
        };
        let source = *source;
        let after = watched.retry.next(random());
        tracing::warn!(
            ?source,
            why,
            ?after,
            "a watcher failed; its readings are unknown until it is back"
        );
        self.post.board.count(RESTARTED);
        let retry = watched.retry;
        // Refused: the machine keeps the last level until the watcher is back, and that is counted.
        if self
            .post
            .engine
            .tell(Event::Readings(Readings::default().of(source)))
            .is_err()
        {
            self.post.board.count(REFUSED);
        }
        let task = self.spawn(source, after);
        self.watched.insert(source, Watched { task, retry });
    }
}

/// The network devices that lead into mobile networks, by name.
pub fn mobile_devices() -> Vec<String> {
    network::mobile(std::path::Path::new(network::SYSFS))
}

/// Readings with the places where they come from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Report {
    readings: Vec<Reading>,
    sources: Vec<(&'static str, String)>,
}

impl Report {
    fn add(&mut self, reading: Reading, source: impl Into<String>) {
        self.sources.push((name(reading), source.into()));
        self.readings.push(reading);
    }
}

fn name(of: Reading) -> &'static str {
    match of {
        Reading::ExternalPower(_) => reading::EXTERNAL_POWER,
        Reading::Battery(_) => reading::BATTERY,
        Reading::BatterySaver(_) => reading::BATTERY_SAVER,
        Reading::SaverManual(_) => reading::SAVER_MANUAL,
        Reading::Network(_) => reading::NETWORK,
        Reading::Internet(_) => reading::INTERNET,
        Reading::Metered(_) => reading::METERED,
        Reading::Session(_) => reading::SESSION,
        Reading::UserPresent(_) => reading::USER_PRESENT,
        Reading::ScreenLocked(_) => reading::SCREEN_LOCKED,
        Reading::ScreenOn(_) => reading::SCREEN_ON,
        Reading::Standby(_) => reading::STANDBY,
        Reading::Call(_) => reading::CALL,
        Reading::Zone(_) => reading::ZONE,
        Reading::CpuPressure(_) => reading::CPU_PRESSURE,
    }
}

/// How an assumed or unknown reading is explained.
fn without_source<T: Copy>(level: Level<T>) -> &'static str {
    match level {
        Level::Assumed(_) => "assumed by the profile",
        Level::Known(_) | Level::Unknown => "no source on this device",
    }
}

/// Reports one series of levels.
#[derive(Debug)]
struct Reporter<'p> {
    post: &'p Post,
    told: Option<Report>,
    /// How long this boot had slept at the last report.
    slept: Span,
    retry: Retry,
}

impl<'p> Reporter<'p> {
    fn new(post: &'p Post) -> Self {
        Self {
            post,
            told: None,
            slept: slept(post),
            retry: Retry::new(GAP, Duration::from_secs(5)),
        }
    }

    /// Tells the engine what differs from the last report; when it has no room, answers when to read and report anew.
    fn report(&mut self, report: Report) -> Result<Option<Duration>, WatchError> {
        if self.told.as_ref() == Some(&report) {
            return Ok(None);
        }
        for (name, source) in &report.sources {
            self.post.board.set_source(name, source);
        }
        // What changed while the device slept is a level without an edge: nobody saw when.
        let slept = slept(self.post);
        let event = if slept.saturating_sub(self.slept) > DOZE {
            Event::ReadingsAnew(report.readings.clone())
        } else {
            Event::Readings(report.readings.clone())
        };
        match self.post.engine.tell(event) {
            Ok(()) => {
                self.told = Some(report);
                self.slept = slept;
                self.retry.reset();
                Ok(None)
            }
            Err(EngineError::Ending) => Err(WatchError::Ending),
            Err(EngineError::Full(_) | EngineError::Unavailable) => {
                self.post.board.count(REFUSED);
                Ok(Some(self.retry.next(random()).max(GAP)))
            }
        }
    }
}

/// How long this boot has slept so far.
fn slept(post: &Post) -> Span {
    let now = post.clock.now();
    let awake = now.running.as_millis();
    Span::millis(now.elapsed.as_millis().saturating_sub(awake))
}

#[cfg(test)]
pub(crate) mod tests;
