//! Hands effects to the parts that perform them, over bounded channels. What finds no room is decided here, kind by kind.

use std::collections::BTreeMap;
use std::sync::Arc;

use lull_policy::{AppId, Effect, Event, Exit, Launch, RunId, Source, Usage};
use tokio::sync::mpsc::error::TrySendError;

use super::Orders;
use crate::ports::{AppNotice, LinkOrder, RunOrder, WatchOrder};
use crate::status::StatusBoard;

/// The engine's hands.
#[derive(Debug)]
pub(super) struct Performer {
    orders: Orders,
    board: Arc<StatusBoard>,
    /// Orders to watchers that found no room, the newest for each source; they are tried again with the next effect.
    unsent: BTreeMap<Source, WatchOrder>,
}

impl Performer {
    pub(super) fn new(orders: Orders, board: Arc<StatusBoard>) -> Self {
        Self {
            orders,
            board,
            unsent: BTreeMap::new(),
        }
    }

    /// An effect that never waits.
    pub(super) fn at_once(&mut self, effect: Effect) {
        match effect {
            Effect::Watch(source) => self.watch(source, WatchOrder::Start(source)),
            Effect::Unwatch(source) => self.watch(source, WatchOrder::Stop(source)),
            Effect::AskToCancel {
                run,
                reason,
                kill_at,
            } => self.stop(RunOrder::AskToCancel {
                run,
                reason,
                kill_at,
            }),
            Effect::Kill { run } => self.stop(RunOrder::Kill { run }),
            other => tracing::error!(
                ?other,
                "this effect does not stop anything; it was not performed"
            ),
        }
    }

    /// An effect whose records are durable, replies and launches excepted.
    pub(super) fn after_commit(&mut self, effect: Effect) {
        match effect {
            Effect::SendReceipt(receipt) => self.link(LinkOrder::Receipt(receipt)),
            // Without a front client there is nobody to tell.
            Effect::Notify { app, notice } => {
                self.orders.notices.send(AppNotice { app, notice }).ok();
            }
            other => tracing::error!(?other, "this effect begins nothing; it was not performed"),
        }
    }

    /// A launch; answers how it ended if nobody takes it.
    pub(super) fn launch(&mut self, launch: Box<Launch>) -> Option<Event> {
        let run = launch.run;
        let refused = self
            .orders
            .launches
            .try_send(RunOrder::Launch(launch))
            .err()?;
        self.board.count("launches-refused");
        let message = match refused {
            TrySendError::Full(_launch) => format!(
                "the supervisor has {} launches waiting, which is its bound",
                super::LAUNCHES
            ),
            TrySendError::Closed(_launch) => "the supervisor is gone".to_owned(),
        };
        Some(never_started(run, message))
    }

    /// How many pushes an app can take.
    pub(super) fn credit(&mut self, app: AppId, free: u32) {
        self.link(LinkOrder::Credit { app, free });
    }

    /// Limits that nobody enforces are worse than a restart, which issues every stop again from the records.
    fn stop(&mut self, order: RunOrder) {
        if let Err(error) = self.orders.stops.try_send(order) {
            tracing::error!(%error, "nobody takes orders to stop runs; the daemon ends itself to be restarted");
            super::actor::end_process();
        }
    }

    fn link(&mut self, order: LinkOrder) {
        if self.orders.link.try_send(order).is_err() {
            self.board.count("link-orders-dropped");
        }
    }

    fn watch(&mut self, source: Source, order: WatchOrder) {
        self.unsent.insert(source, order);
        self.unsent.retain(|_source, order| {
            let refused = self.orders.watch.try_send(*order).is_err();
            if refused {
                self.board.count("watch-orders-delayed");
            }
            refused
        });
    }
}

fn never_started(run: RunId, message: String) -> Event {
    Event::RunEnded {
        run,
        exit: Exit::LaunchFailed { message },
        usage: Usage::default(),
        output: String::new(),
    }
}
