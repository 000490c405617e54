//! Tells the engine of what happens on held sockets, each thing until it is taken.
//!
//! One task waits for each socket that is watched, until it shows something; one alarm rings for keep-alives. When registrations
//! change, the machine is looked at: a socket whose registration is gone is closed, and one whose firing came to nothing is watched anew.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::OwnedFd;
use std::time::Duration;

use lull_policy::{Deadline, Event, Occurrence, Purpose, Sight, SocketActivity};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use super::inspect::{self, Kind};
use super::{Broker, MISSED, Place, UNREGISTERED};
use crate::clock::Alarm;
use crate::descriptor;
use crate::ports::{EngineError, look};
use crate::retry::{Retry, random};
use crate::watch::GAP;

/// When the engine is told again what it had no room for, or could not commit.
const AGAIN: Retry = Retry::new(GAP, Duration::from_secs(30));

/// How long a socket or the alarm rests that the kernel could not wait for: memory or descriptors are short.
const SHORT: Duration = Duration::from_secs(1);

/// A socket as it was found.
type Found = (Place, u64);

/// What the machine says of a place: it has a registration, and something told of it is on its way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trace {
    registered: bool,
    awaited: bool,
}

impl Broker {
    /// Watches until the engine ends; `registrations` says when to look at them.
    pub async fn watch(self, registrations: watch::Receiver<()>) {
        let mut traces = interval(GAP);
        traces.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watch = Watch {
            broker: self,
            registrations,
            traces,
            trace: true,
            ready: JoinSet::new(),
            watched: BTreeMap::new(),
        };
        // The engine's end is the daemon's.
        watch.run().await.ok();
    }

    fn found(&self) -> Vec<Found> {
        let table = self.lock();
        let found = table.held.iter();
        found
            .map(|(place, held)| (place.clone(), held.serial))
            .collect()
    }

    /// Those that are watched now; of each that is not known yet also its kind and a descriptor to wait on.
    fn watching(
        &self,
        known: &BTreeMap<u64, AbortHandle>,
    ) -> Vec<(Found, Option<(Kind, OwnedFd)>)> {
        let now = self.now();
        let table = self.lock();
        let all = table.held.iter();
        let watched = all.filter(|(_place, held)| held.vigil.is_watching(now));
        let one = |(place, held): (&Place, &super::Held)| {
            let new = !known.contains_key(&held.serial);
            let descriptor = new.then(|| held.socket.try_clone().ok()).flatten();
            let new = descriptor.map(|descriptor| (held.kind, descriptor));
            ((place.clone(), held.serial), new)
        };
        watched.map(one).collect()
    }

    /// What is to be told of a socket that shows this.
    fn saw(&self, (place, serial): &Found, sight: Option<Sight>) -> Option<SocketActivity> {
        let now = self.now();
        let mut table = self.lock();
        let held = table.held.get_mut(place)?;
        if held.serial != *serial {
            return None;
        }
        let sight = sight.unwrap_or_else(|| inspect::sight(&held.socket, held.kind));
        held.look(sight, now)
    }

    fn deadline(&self) -> Deadline {
        let table = self.lock();
        let elapsed = table
            .held
            .values()
            .filter_map(|held| held.vigil.deadline())
            .min();
        Deadline {
            elapsed,
            ..Deadline::default()
        }
    }

    fn close(&self, (place, serial): &Found) {
        let mut table = self.lock();
        if table
            .held
            .get(place)
            .is_some_and(|held| held.serial == *serial)
        {
            let held = table.held.remove(place);
            table.release(held);
        }
        drop(table);
        self.0.errand.notify_one();
    }

    fn traced(&self, found: &Found, trace: Trace) {
        if !trace.registered {
            self.0.board.count(UNREGISTERED);
            return self.close(found);
        }
        let now = self.now();
        let mut table = self.lock();
        let held = table.held.get_mut(&found.0);
        let Some(held) = held.filter(|held| held.serial == found.1) else {
            return;
        };
        match (held.vigil.is_told(), trace.awaited) {
            (false, true) => held.vigil.tell(),
            (true, false) => {
                held.vigil.missed(now);
                self.0.board.count(MISSED);
            }
            (true, true) | (false, false) => {}
        }
    }
}

struct Watch {
    broker: Broker,
    registrations: watch::Receiver<()>,
    /// The machine is looked at four times a second at most.
    traces: Interval,
    trace: bool,
    ready: JoinSet<(Found, Sight)>,
    watched: BTreeMap<u64, AbortHandle>,
}

impl Watch {
    async fn run(mut self) -> Result<(), EngineError> {
        let mut alarm = None;
        // What was told by an earlier daemon and waits is not told again.
        self.look_for_traces().await?;
        loop {
            self.arm();
            let deadline = self.broker.deadline();
            let broker = self.broker.clone();
            tokio::select! {
                () = broker.0.changed.notified() => self.trace = true,
                Some(ready) = self.ready.join_next() => {
                    // A wait that was given up says nothing.
                    if let Ok((found, sight)) = ready {
                        self.watched.remove(&found.1);
                        self.tell(found, Some(sight)).await?;
                    }
                }
                () = rung(&broker, &mut alarm, deadline) => {
                    for found in self.broker.found() {
                        self.tell(found, None).await?;
                    }
                }
                changed = self.registrations.changed() => match changed {
                    Ok(()) => self.trace = true,
                    Err(_engine_gone) => return Ok(()),
                },
                _tick = self.traces.tick(), if self.trace => self.look_for_traces().await?,
            }
        }
    }

    /// Waits for those that are to be watched, and for no others.
    fn arm(&mut self) {
        let wanted = self.broker.watching(&self.watched);
        let serials: BTreeSet<u64> = wanted.iter().map(|((_place, serial), _)| *serial).collect();
        self.watched.retain(|serial, task| {
            let keep = serials.contains(serial);
            if !keep {
                task.abort();
            }
            keep
        });
        for (found, new) in wanted {
            if let Some((kind, descriptor)) = new {
                let serial = found.1;
                let task = async move { (found, shows(descriptor, kind).await) };
                self.watched.insert(serial, self.ready.spawn(task));
            }
        }
    }

    async fn tell(&mut self, found: Found, sight: Option<Sight>) -> Result<(), EngineError> {
        let Some(activity) = self.broker.saw(&found, sight) else {
            return Ok(());
        };
        let Place { app, id, purpose } = found.0.clone();
        self.commit(purpose.occurrence(app, id, activity)).await?;
        // A firing that is dropped at once changes no registration.
        self.trace = true;
        // A channel without its transport is reset; there is nothing left to hand to anybody.
        if purpose == Purpose::Channel && activity == SocketActivity::Closed {
            self.broker.close(&found);
        }
        Ok(())
    }

    async fn commit(&self, occurrence: Occurrence) -> Result<(), EngineError> {
        let mut retry = AGAIN;
        loop {
            let event = Event::Occurred(occurrence.clone());
            match self.broker.0.engine.commit(event).await {
                Err(EngineError::Full(_) | EngineError::Unavailable) => {
                    self.broker.0.board.count(crate::sources::REFUSED);
                    sleep(retry.next(random())).await;
                }
                done => return done,
            }
        }
    }

    async fn look_for_traces(&mut self) -> Result<(), EngineError> {
        self.trace = false;
        let found = self.broker.found();
        let asked = found.clone();
        let seen = look(&self.broker.0.engine, move |device, _now| {
            let trace = |(place, _serial): &Found| {
                let Place { app, id, purpose } = place;
                Trace {
                    registered: device.terms(app, id, *purpose).is_ok(),
                    awaited: device.awaits(app, id, *purpose),
                }
            };
            asked.iter().map(trace).collect::<Vec<_>>()
        });
        match seen.await {
            Ok(traces) => {
                for (found, trace) in found.iter().zip(traces) {
                    self.broker.traced(found, trace);
                }
            }
            Err(EngineError::Ending) => return Err(EngineError::Ending),
            Err(EngineError::Full(_) | EngineError::Unavailable) => self.trace = true,
        }
        Ok(())
    }
}

/// Resolves when the socket shows something.
async fn shows(descriptor: OwnedFd, kind: Kind) -> Sight {
    let socket = loop {
        match descriptor.try_clone().and_then(descriptor::watch) {
            Ok(socket) => break socket,
            Err(error) => {
                tracing::warn!(%error, "a held socket cannot be waited on yet");
                sleep(SHORT).await;
            }
        }
    };
    loop {
        let Ok(mut readable) = socket.readable().await else {
            return Sight::Closed;
        };
        match inspect::sight(&descriptor, kind) {
            Sight::Quiet => readable.clear_ready(),
            shown => return shown,
        }
    }
}

/// Resolves at the deadline.
async fn rung(broker: &Broker, alarm: &mut Option<Box<dyn Alarm>>, deadline: Deadline) {
    if deadline.elapsed.is_none() {
        return std::future::pending().await;
    }
    if alarm.is_none() {
        *alarm = broker.0.clock.alarm().ok();
    }
    let rung = match alarm {
        Some(alarm) => alarm.wait(deadline).await.is_ok(),
        None => false,
    };
    if !rung {
        tracing::warn!("no alarm for keep-alives can be had yet");
        *alarm = None;
        sleep(SHORT).await;
    }
}
