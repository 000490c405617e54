//! The engine: hosts the device machine, the only part of the daemon with decisions, and holds back what begins.
//!
//! An event is stamped, decided, and its effects are split by [`lull_policy::Effect::order`]: what stops is performed at once,
//! records go to the store, and what begins or promises waits until the records of its event are durable, in order.
//! Events that come while a commit is under way are gathered into the next one.
//!
//! Deliberately absent: decisions, I/O of its own, timers. The store is the only thing the engine waits for, and it does not stop
//! deciding while it waits.

mod actor;
mod alarm;
mod hold;
mod host;
mod orders;
mod rebuild;
mod recorder;
#[cfg(feature = "sabotage")]
mod sabotage;

use std::sync::Arc;

use actix::{Actor as _, Addr, ArbiterHandle};
use lull_policy::{Answer, Caller, Event, Request};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::clock::ClockRef;
use crate::ports::{
    AppNotice, Engine, EngineError, EngineRef, LinkOrder, Look, PortFuture, RunOrder, WatchOrder,
};
use crate::status::StatusBoard;
use crate::store::{Contents, Store};
use crate::takers::Takers;
use actor::{EngineActor, Message};

/// Messages that wait for the engine. One takes some 20 µs to decide and 200 bytes to keep: a full mailbox is 20 ms of work and
/// 200 KiB (5 MiB if every one were a push of full size). Whoever finds it full is told.
pub const MAILBOX: usize = 1_024;

/// Events whose effects wait for the store. At 3 ms a commit, and with everything that waits in one commit, more means
/// that the store has stood still for seconds: callers are told so instead of being queued.
pub const HELD: usize = 4_096;

/// Launches on their way to the supervisor: one for every run that 256 apps could begin at one push or tick.
pub const LAUNCHES: usize = 1_024;

/// Orders to stop on their way to the supervisor: two for every registration there can be. One that finds no room means
/// that nobody enforces limits any more, and ends the process.
pub const STOPS: usize = 2 * 128 * 256;

/// Orders on their way to the link: every receipt there can be, and one credit an app. The link always reads them.
pub const LINK_ORDERS: usize = lull_policy::bounds::RECEIPTS + lull_policy::bounds::APPS;

/// Orders on their way to the watchers: there are seven sources, each started or stopped.
pub const WATCH_ORDERS: usize = 16;

/// Notices kept for a front client that is slow; it is told how many it lost beyond.
pub const NOTICES: usize = 256;

/// Bytes of events that ride in memory to the next commit, some thousand. Beyond that they are lost to the flight recorder,
/// which goes on from a snapshot.
pub const RIDING: usize = 1 << 20;

/// The engine's ends of the channels to the other parts.
#[derive(Debug, Clone)]
pub struct Orders {
    /// To the supervisor: what begins.
    pub launches: mpsc::Sender<RunOrder>,
    /// To the supervisor: what stops.
    pub stops: mpsc::Sender<RunOrder>,
    /// To the link.
    pub link: mpsc::Sender<LinkOrder>,
    /// To the watchers.
    pub watch: mpsc::Sender<WatchOrder>,
    /// To front clients.
    pub notices: broadcast::Sender<AppNotice>,
    /// To front clients that take pushes.
    pub takers: Takers,
    /// To trigger sources: the registrations are others than before; look at them.
    pub registrations: watch::Sender<()>,
    /// To the inhibitor of sleep: whether the device has to stay awake (RUN-30).
    pub awake: watch::Sender<bool>,
}

/// The other parts' ends.
#[derive(Debug)]
pub struct OrderQueues {
    /// For the supervisor: what begins.
    pub launches: mpsc::Receiver<RunOrder>,
    /// For the supervisor: what stops.
    pub stops: mpsc::Receiver<RunOrder>,
    /// For the link.
    pub link: mpsc::Receiver<LinkOrder>,
    /// For the watchers.
    pub watch: mpsc::Receiver<WatchOrder>,
    /// For trigger sources.
    pub registrations: watch::Receiver<()>,
    /// For front clients that take pushes.
    pub takers: Takers,
    /// For the inhibitor of sleep.
    pub awake: watch::Receiver<bool>,
}

/// Both ends of every channel, each with its bound.
pub fn channels() -> (Orders, OrderQueues) {
    let (launches, launches_rx) = mpsc::channel(LAUNCHES);
    let (stops, stops_rx) = mpsc::channel(STOPS);
    let (link, link_rx) = mpsc::channel(LINK_ORDERS);
    let (watch_tx, watch_rx) = mpsc::channel(WATCH_ORDERS);
    let (notices, _none) = broadcast::channel(NOTICES);
    let (registrations, registrations_rx) = watch::channel(());
    let takers = Takers::default();
    let (awake, awake_rx) = watch::channel(false);
    let orders = Orders {
        launches,
        stops,
        link,
        watch: watch_tx,
        notices,
        takers: takers.clone(),
        registrations,
        awake,
    };
    let queues = OrderQueues {
        launches: launches_rx,
        stops: stops_rx,
        link: link_rx,
        watch: watch_rx,
        registrations: registrations_rx,
        takers,
        awake: awake_rx,
    };
    (orders, queues)
}

/// What the engine is started with.
#[derive(Debug)]
pub struct Setting {
    /// Stamps events and rings at deadlines.
    pub clock: ClockRef,
    /// Where records go.
    pub store: Store,
    /// What the store held.
    pub contents: Contents,
    /// Who performs effects.
    pub orders: Orders,
    /// For counters.
    pub board: Arc<StatusBoard>,
}

/// The running engine, as the daemon holds it. The parts hold an [`EngineRef`].
#[derive(Debug, Clone)]
pub struct EngineHandle {
    address: Addr<EngineActor>,
    board: Arc<StatusBoard>,
}

impl EngineHandle {
    /// Starts the engine on `arbiter` and its alarm on the runtime. The machine is restored and told that it booted: its
    /// first event.
    ///
    /// # Errors
    /// What the kernel said when no timer could be had.
    pub fn start(arbiter: &ArbiterHandle, setting: Setting) -> std::io::Result<Self> {
        let alarm = setting.clock.alarm()?;
        let board = Arc::clone(&setting.board);
        let (host, deadlines) = host::Host::new(
            setting.clock,
            setting.orders,
            setting.board,
            setting.contents,
            setting.store.journal_bytes(),
        );
        let store = setting.store;
        let address = EngineActor::start_in_arbiter(arbiter, move |context| {
            EngineActor::new(host, store, context)
        });
        tokio::spawn(alarm::ring(alarm, deadlines, address.clone()));
        Ok(Self { address, board })
    }

    /// The door for the other parts.
    pub fn door(&self) -> EngineRef {
        Arc::new(self.clone())
    }

    /// Takes nothing more, commits what it has, and resolves when that is durable and performed (or cannot be).
    pub async fn end(&self) {
        let (tx, rx) = oneshot::channel();
        // Waits for room: ending is not refused.
        if self.address.send(Message::End(tx)).await.is_ok() {
            drop(rx.await);
        }
    }

    fn send(&self, message: Message) -> Result<(), EngineError> {
        self.address.try_send(message).map_err(|error| match error {
            actix::prelude::SendError::Full(_message) => {
                self.board.count("mailbox-refused");
                EngineError::Full(MAILBOX)
            }
            actix::prelude::SendError::Closed(_message) => EngineError::Ending,
        })
    }

    async fn ask<T>(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<T, EngineError>>) -> Message,
    ) -> Result<T, EngineError> {
        let (tx, rx) = oneshot::channel();
        self.send(message(tx))?;
        rx.await.unwrap_or(Err(EngineError::Ending))
    }
}

impl Engine for EngineHandle {
    fn commit(&self, event: Event) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(self.ask(|done| Message::Event(Box::new(event), Some(done))))
    }
    fn tell(&self, event: Event) -> Result<(), EngineError> {
        self.send(Message::Event(Box::new(event), None))
    }
    fn call(
        &self,
        caller: Caller,
        request: Request,
    ) -> PortFuture<'_, Result<Answer, EngineError>> {
        Box::pin(self.ask(|answer| Message::Call(caller, request, answer)))
    }
    fn look(&self, look: Look) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(self.ask(|done| Message::Look(look, done)))
    }
    fn flush(&self) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(self.ask(Message::Flush))
    }
}

#[cfg(test)]
pub(crate) mod rig;
#[cfg(test)]
mod tests;
