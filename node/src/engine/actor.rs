//! The actor around the host: a mailbox, the conversation with the store, and the end of the process when it panics.

use std::time::Duration;

use actix::{
    Actor, ActorContext as _, ActorFutureExt as _, AsyncContext as _, Context, Handler,
    WrapFuture as _,
};
use lull_policy::{Caller, Event, Request};
use tokio::sync::oneshot;

use super::MAILBOX;
use super::host::{Answered, Done, Host};
use crate::error_chain::chain;
use crate::ports::{EngineError, Look};
use crate::retry::{self, Retry};
use crate::store::{Batch, Contents, Store, StoreError};

/// The first pause before the store is opened anew a second time, and the longest: space that was freed is used within
/// 10 s.
const REOPEN: Retry = Retry::new(Duration::from_millis(100), Duration::from_secs(10));

/// Pauses before it is looked again whether a full disk has room: within 10 s of the room something may begin.
const ROOM: Retry = Retry::new(Duration::from_millis(500), Duration::from_secs(5));

/// What the status says while the disk is full.
const SCARCE: &str = "the disk with the store is full: what ends is still written, from a reserve of 1 MiB; nothing begins until 2 MiB are free";

/// Exit status of a daemon that ends itself because limits could not be enforced any more (`EX_SOFTWARE`).
const BROKEN: i32 = 70;

/// What the engine is told.
pub(super) enum Message {
    Event(Box<Event>, Option<Done>),
    Call(Caller, Request, Answered),
    Look(Look, Done),
    /// Write the events that ride in memory.
    Ride,
    /// Write them, and say when they are durable.
    Flush(Done),
    /// Open the store anew.
    Reopen,
    /// Look whether the disk has room again.
    Room,
    End(oneshot::Sender<()>),
}

impl actix::Message for Message {
    type Result = ();
}

/// The actor.
#[derive(Debug)]
pub(super) struct EngineActor {
    host: Host,
    store: Store,
    /// The store was opened anew and has not worked since.
    reopened: bool,
    retry: Retry,
    /// When to look for room.
    room: Retry,
    /// Told when all is durable; nothing is taken any more.
    ending: Option<oneshot::Sender<()>>,
    ended: bool,
    _guard: PanicGuard,
}

impl EngineActor {
    pub(super) fn new(host: Host, store: Store, context: &mut Context<Self>) -> Self {
        context.set_mailbox_capacity(MAILBOX);
        Self {
            host,
            store,
            reopened: false,
            retry: REOPEN,
            room: ROOM,
            ending: None,
            ended: false,
            _guard: PanicGuard,
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Event(event, done) => self.host.event(*event, done),
            Message::Call(caller, request, answered) => self.host.call(caller, request, answered),
            Message::Look(look, done) => self.host.look(look, done),
            Message::Flush(done) => self.host.flush(done),
            Message::Ride | Message::Reopen | Message::Room => {}
            Message::End(done) => self.ending = Some(done),
        }
    }

    /// Hands the store what waits, if it is free.
    fn pump(&mut self, context: &mut Context<Self>) {
        let mut batch = self.host.next_batch();
        if batch.is_none() && self.ending.is_some() {
            batch = self.host.riders();
        }
        match batch {
            Some(batch) => self.commit(batch, context),
            None if self.host.hold.is_quiet() || self.host.down => self.end(context),
            None => {}
        }
    }

    fn commit(&mut self, batch: Batch, context: &mut Context<Self>) {
        let answer = self.store.commit(batch).into_actor(self);
        context.spawn(answer.map(|answer, engine, context| {
            engine.committed(answer.unwrap_or(Err(StoreError::Gone)), context);
        }));
    }

    fn committed(&mut self, result: Result<(), StoreError>, context: &mut Context<Self>) {
        match result {
            Ok(()) => {
                if self.reopened && !self.host.scarce {
                    self.host.board.set_store_trouble("");
                }
                self.reopened = false;
                self.retry.reset();
                self.host.committed();
                self.pump(context);
            }
            Err(error) => {
                self.host.board.count("commits-failed");
                self.host.board.set_store_trouble(&chain(&error));
                tracing::error!(
                    error = chain(&error),
                    "a commit failed; nothing of it begins, limits stay enforced, the store is opened anew"
                );
                self.host.give_up();
                self.reopen_after(&error, context);
                self.end(context);
            }
        }
    }

    /// At once the first time, then with a pause.
    fn reopen_after(&mut self, error: &StoreError, context: &mut Context<Self>) {
        if matches!(error, StoreError::Gone) {
            end_process();
        }
        if !self.reopened {
            self.reopen(context);
            return;
        }
        let pause = self.retry.next(retry::random());
        tracing::warn!(?pause, "the store is opened anew after a pause");
        let engine = context.address();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            engine.send(Message::Reopen).await.ok();
        });
    }

    fn reopen(&mut self, context: &mut Context<Self>) {
        self.reopened = true;
        let answer = self.store.reopen().into_actor(self);
        context.spawn(answer.map(|answer, engine, context| {
            engine.reopened(answer.unwrap_or(Err(StoreError::Gone)), context);
        }));
    }

    fn reopened(&mut self, result: Result<Contents, StoreError>, context: &mut Context<Self>) {
        if self.ended {
            return;
        }
        match result {
            Ok(contents) => {
                if let Some(aside) = contents.set_aside {
                    // What runs and what the coordinator was told belong to the lost records: a start sorts that out.
                    tracing::error!(set_aside = %aside.path.display(), "the store broke under the daemon, which ends itself to be restarted");
                    end_process();
                }
                self.host.rebuild(contents);
                self.look_for_room_later(context);
                self.pump(context);
            }
            Err(error) => {
                self.host.board.set_store_trouble(&chain(&error));
                tracing::error!(error = chain(&error), "the store cannot be opened anew yet");
                self.reopen_after(&error, context);
            }
        }
    }

    /// While the disk is full.
    fn look_for_room_later(&mut self, context: &mut Context<Self>) {
        if !self.host.scarce {
            return;
        }
        self.host.board.set_store_trouble(SCARCE);
        let pause = self.room.next(retry::random());
        let engine = context.address();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            engine.send(Message::Room).await.ok();
        });
    }

    fn look_for_room(&mut self, context: &mut Context<Self>) {
        if !self.host.scarce || self.host.down {
            return;
        }
        let answer = self.store.room().into_actor(self);
        context.spawn(answer.map(|answer, engine, context| {
            if answer.unwrap_or(false) {
                tracing::info!("the disk has room again; what begins is taken again");
                engine.host.scarce = false;
                engine.room.reset();
                engine.host.board.set_store_trouble("");
            }
            engine.look_for_room_later(context);
        }));
    }

    /// Whoever waits for the end is told, and the channels to the other parts are closed with the actor.
    fn end(&mut self, context: &mut Context<Self>) {
        if let Some(done) = self.ending.take() {
            self.ended = true;
            context.stop();
            done.send(()).ok();
        }
    }

    /// Tells a sender that the daemon is ending.
    fn turn_away(message: Message) {
        match message {
            Message::Event(_, Some(done)) | Message::Look(_, done) | Message::Flush(done) => {
                drop(done.send(Err(EngineError::Ending)));
            }
            Message::Call(_, _, answered) => drop(answered.send(Err(EngineError::Ending))),
            Message::End(done) => drop(done.send(())),
            Message::Event(_, None) | Message::Ride | Message::Reopen | Message::Room => {}
        }
    }
}

impl Actor for EngineActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        self.look_for_room_later(context);
        self.pump(context);
    }
}

impl Handler<Message> for EngineActor {
    type Result = ();

    fn handle(&mut self, message: Message, context: &mut Self::Context) {
        // Limits are enforced to the last moment; nothing else is taken while ending.
        let urgent = match &message {
            Message::Event(event, _) => {
                matches!(**event, Event::DeadlineReached | Event::RunEnded { .. })
            }
            _ => false,
        };
        if self.ended || (self.ending.is_some() && !urgent) {
            Self::turn_away(message);
            return;
        }
        match message {
            Message::Reopen => self.reopen(context),
            Message::Room => self.look_for_room(context),
            Message::Ride => {
                if let Some(batch) = self.host.riders() {
                    self.commit(batch, context);
                }
            }
            message => self.take(message),
        }
        self.pump(context);
    }
}

/// A panic in the engine ends the process: its state is not to be trusted. The service manager starts it anew, the store
/// restores it, the launcher has kept the agents.
#[derive(Debug)]
struct PanicGuard;

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            end_process();
        }
    }
}

/// Ends the process where going on would leave limits unenforced. Nothing is lost that was promised: that is in the store.
pub(super) fn end_process() -> ! {
    std::process::exit(BROKEN)
}
