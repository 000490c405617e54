//! The life of a watcher over one service: read, report, wait for a signal, let it settle, read anew.
//!
//! While the service is down its readings are unknown, and it is asked again when it comes back. A device that does not have
//! the service is read otherwise, for as long as it does not have it.

use std::io;
use std::pin::pin;
use std::time::Duration;

use lull_policy::Reading;

use super::{Bus, Ear, Signals, Standing, is_of_service};
use crate::retry::{Retry, random};
use crate::watch::{GAP, Post, Report, Reporter, SUPERSEDED, WatchError};

/// How long an answer may be awaited before what was read last is no longer believed.
const PATIENCE: Duration = Duration::from_secs(1);

/// Signals that arrive while one answer is awaited; whoever sends more is not listened to until the next round.
const FLOOD: u64 = 64;

/// Readings thrown away because signals arrived while they were taken: a set of properties in motion. After so many it does
/// not come to rest by itself, and what is read counts.
const RESTLESS: u32 = 2;

/// When a service that went away and that the bus could start is asked again.
const REVIVE: Retry = Retry::new(Duration::from_secs(2), Duration::from_mins(1));

/// When one is asked again that the bus could start and that never answered.
const MISSING: Retry = Retry::new(Duration::from_mins(1), Duration::from_hours(1));

/// What is read of one service.
pub(in crate::watch) trait Subject {
    /// What people call it: `UPower`.
    const LABEL: &'static str;
    /// Its name on the bus.
    const SERVICE: &'static str;
    /// What tells of changes.
    const SIGNALS: &'static [Signals];
    /// That it is gone says nothing: it ends when nobody asks, and what it said stays true.
    const COMES_AND_GOES: bool = false;

    /// Asks for everything, one call after the other.
    ///
    /// # Errors
    /// What the service or the connection answered.
    fn read(&mut self, bus: &Bus) -> impl Future<Output = zbus::Result<Report>> + Send;

    /// What it says while nobody answers.
    fn unknown() -> Vec<Reading>;

    /// Resolves when what was read last is to be read anew though no signal tells of it; never, for most.
    ///
    /// # Errors
    /// What the kernel said when it could not be waited for.
    fn changed(&self) -> impl Future<Output = io::Result<()>> + Send {
        std::future::pending()
    }
}

/// Follows a service; `otherwise` is how its readings are taken while this device does not have it.
pub(in crate::watch) async fn follow<S: Subject>(
    post: &Post,
    mut subject: S,
    otherwise: impl AsyncFn(&Post) -> Result<(), WatchError>,
) -> Result<(), WatchError> {
    let bus = match Bus::connect(post).await {
        Ok(bus) => bus,
        Err(error) => {
            tracing::info!(service = S::LABEL, %error, "no system bus; reading without the service");
            return otherwise(post).await;
        }
    };
    let mut missing = MISSING;
    loop {
        let standing = bus.standing(S::SERVICE).await.map_err(broken::<S>)?;
        if standing.offered() {
            let follower = Follower {
                subject: &mut subject,
                bus: &bus,
                reporter: Reporter::new(post),
                revive: REVIVE,
                owner: (!S::COMES_AND_GOES || !standing.startable).then_some(S::SERVICE),
                answered: false,
            };
            follower.run(post).await?;
        }
        tokio::select! {
            ended = otherwise(post) => return ended,
            came = comes::<S>(&bus, standing, missing.next(random())) => came.map_err(broken::<S>)?,
        }
    }
}

/// Resolves when the service comes; one that was there already, or that the bus could start, is also asked again after a while.
async fn comes<S: Subject>(bus: &Bus, before: Standing, again: Duration) -> zbus::Result<()> {
    let mut ear = Ear::open(bus, Some(S::SERVICE), &[]).await?;
    if before.offered() {
        let rang = tokio::time::timeout(again, ear.ring()).await;
        return rang.unwrap_or(Ok(()));
    }
    if bus.standing(S::SERVICE).await?.offered() {
        return Ok(());
    }
    ear.ring().await
}

/// The connection failed, not the service: everything begins anew.
fn broken<S: Subject>(error: zbus::Error) -> WatchError {
    WatchError::Bus {
        service: S::LABEL,
        source: error,
    }
}

struct Follower<'p, S> {
    subject: &'p mut S,
    bus: &'p Bus,
    reporter: Reporter<'p>,
    revive: Retry,
    /// The name whose comings and goings matter.
    owner: Option<&'static str>,
    /// It has answered at least once.
    answered: bool,
}

/// What one round of reading came to.
enum Round {
    /// All was read, and so many signals came meanwhile.
    Read { report: Report, signals: u64 },
    /// The service did not answer as it should.
    Down { why: String },
}

/// When to read again.
enum Next {
    /// As soon as may be.
    AtOnce,
    /// At the next signal.
    Signal,
    /// At the next signal, or after this time.
    SignalOr(Duration),
}

impl<S: Subject> Follower<'_, S> {
    /// Comes back when this device turns out not to have the service.
    async fn run(mut self, post: &Post) -> Result<(), WatchError> {
        let mut restless = 0;
        loop {
            let ear = Ear::open(self.bus, self.owner, S::SIGNALS).await;
            let mut ear = Some(ear.map_err(broken::<S>)?);
            let next = match self.round(&mut ear).await? {
                Round::Read { signals, .. } if signals > 0 && restless < RESTLESS => {
                    restless += 1;
                    post.board.count(SUPERSEDED);
                    Next::AtOnce
                }
                Round::Read { report, signals } => {
                    restless = 0;
                    self.answered = true;
                    self.revive.reset();
                    match self.reporter.report(report)? {
                        Some(pause) => Next::SignalOr(pause),
                        None if signals > 0 => Next::AtOnce,
                        None => Next::Signal,
                    }
                }
                Round::Down { why } if !self.answered => {
                    tracing::info!(service = S::LABEL, why, "reading without the service");
                    return Ok(());
                }
                Round::Down { why } => {
                    let pause = self.reporter.report(Self::down(&why))?;
                    Next::SignalOr(pause.unwrap_or_else(|| self.revive.next(random())))
                }
            };
            match (next, ear) {
                (Next::Signal, Some(ear)) => self.wait(ear).await?,
                (Next::SignalOr(pause), Some(ear)) => {
                    let waited = tokio::time::timeout(pause, self.wait(ear)).await;
                    waited.unwrap_or(Ok(()))?;
                }
                (Next::AtOnce, _) | (_, None) => {}
            }
            tokio::time::sleep(GAP).await;
        }
    }

    /// Resolves at the next signal, or when the subject itself knows of a change.
    async fn wait(&self, mut ear: Ear) -> Result<(), WatchError> {
        tokio::select! {
            heard = ear.ring() => heard.map_err(broken::<S>),
            changed = self.subject.changed() => changed.map_err(|source| WatchError::Source {
                what: S::LABEL,
                source,
            }),
        }
    }

    /// Reads everything. What takes too long is reported as unknown and still waited for.
    async fn round(&mut self, ear: &mut Option<Ear>) -> Result<Round, WatchError> {
        let mut read = pin!(self.subject.read(self.bus));
        let mut late = pin!(tokio::time::sleep(PATIENCE));
        let (mut signals, mut waiting) = (0, true);
        loop {
            tokio::select! {
                biased;
                read = &mut read => return match read {
                    Ok(report) => Ok(Round::Read { report, signals }),
                    Err(error) if is_of_service(&error) => Ok(Round::Down { why: error.to_string() }),
                    Err(error) => Err(broken::<S>(error)),
                },
                () = &mut late, if waiting => {
                    waiting = false;
                    if self.answered {
                        self.reporter.report(Self::down("it does not answer"))?;
                    }
                }
                heard = ring(ear), if ear.is_some() => {
                    heard.map_err(broken::<S>)?;
                    signals += 1;
                    if signals >= FLOOD {
                        // Not listened to until the next round.
                        *ear = None;
                    }
                }
            }
        }
    }

    fn down(why: &str) -> Report {
        let mut report = Report::default();
        for reading in S::unknown() {
            report.add(reading, format!("{} is down: {why}", S::LABEL));
        }
        report
    }
}

async fn ring(ear: &mut Option<Ear>) -> zbus::Result<()> {
    match ear {
        Some(ear) => ear.ring().await,
        None => std::future::pending().await,
    }
}
