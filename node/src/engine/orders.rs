//! Hands effects to the parts that perform them, over bounded channels. What finds no room is decided here, kind by kind.
//!
//! Deliberately absent: what this release cannot do yet (share a process between runs).
//! Such an effect is counted and told as something that cannot be enforced.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use lull_policy::{AppId, Effect, Event, Exit, Launch, Push, RunId, Source, Usage};
use tokio::sync::mpsc::error::TrySendError;

use super::Orders;
use crate::ports::{AppNotice, Hold, LinkOrder, RunOrder, WatchOrder};
use crate::status::StatusBoard;

/// The engine's hands.
#[derive(Debug)]
pub(super) struct Performer {
    orders: Orders,
    board: Arc<StatusBoard>,
    /// Orders to watchers that found no room, the newest for each source; they are tried again with the next effect.
    unsent: BTreeMap<Source, WatchOrder>,
    /// What has been told as not offered.
    told: BTreeSet<NotOffered>,
}

/// Counts effects that this release cannot perform.
pub(super) const NOT_OFFERED: &str = "effects-not-offered";

/// What this release cannot do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NotOffered {
    SharedHost,
}

impl NotOffered {
    fn words(self) -> &'static str {
        match self {
            Self::SharedHost => {
                "runs of one group do not share a process (RUN-07): each has its own in this release"
            }
        }
    }
}

impl Performer {
    pub(super) fn new(orders: Orders, board: Arc<StatusBoard>) -> Self {
        Self {
            orders,
            board,
            unsent: BTreeMap::new(),
            told: BTreeSet::new(),
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
            // For timelines of scenarios; here the ledger and the log of the parts say the same.
            Effect::Observe(observation) => tracing::debug!(?observation, "decided"),
            Effect::Network { run, allowed } => self.hold(run, Hold::Network(allowed)),
            Effect::Freeze { run } => self.hold(run, Hold::Frozen(true)),
            // When it is killed is the machine's own deadline.
            Effect::Limit { run, memory, .. } => self.hold(run, Hold::Memory(memory)),
            Effect::Meter {
                app,
                resource,
                budget,
            } => self.stop(RunOrder::Meter {
                app,
                resource,
                budget,
            }),
            Effect::Sample { run, every } => self.stop(RunOrder::Sample { run, every }),
            Effect::KillFront { app } => self.stop(RunOrder::KillFront { app }),
            other @ (Effect::Put(_)
            | Effect::Remove(_)
            | Effect::Launch(_)
            | Effect::Thaw { .. }
            | Effect::StartFront { .. }
            | Effect::OfferPush(_)
            | Effect::Reply { .. }
            | Effect::SendReceipt(_)
            | Effect::Notify { .. }) => tracing::error!(
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
            Effect::Network { run, allowed } => self.hold(run, Hold::Network(allowed)),
            Effect::Thaw { run } => self.hold(run, Hold::Frozen(false)),
            Effect::StartFront { app } => self.start_front(app),
            other @ (Effect::Put(_)
            | Effect::Remove(_)
            | Effect::Watch(_)
            | Effect::Unwatch(_)
            | Effect::Launch(_)
            | Effect::AskToCancel { .. }
            | Effect::Kill { .. }
            | Effect::Freeze { .. }
            | Effect::Meter { .. }
            | Effect::Sample { .. }
            | Effect::Limit { .. }
            | Effect::KillFront { .. }
            | Effect::Observe(_)
            | Effect::OfferPush(_)
            | Effect::Reply { .. }) => {
                tracing::error!(?other, "this effect begins nothing; it was not performed");
            }
        }
    }

    /// Something this release cannot do: counted each time, told the first time.
    fn not_offered(&mut self, what: NotOffered) {
        self.board.count(NOT_OFFERED);
        if self.told.insert(what) {
            tracing::warn!(?what, "{}", what.words());
            self.board.cannot_enforce(what.words());
        }
    }

    /// A push for an app that runs; answers for it where none of its clients takes the push (PSH-10).
    pub(super) fn offer(&mut self, push: &Push) -> Option<Event> {
        let nobody = !self.orders.takers.offer(push);
        nobody.then(|| Event::PushAnswered {
            push: push.id.clone(),
            handled: false,
        })
    }

    /// A launch; answers how it ended if nobody takes it.
    pub(super) fn launch(&mut self, launch: Box<Launch>) -> Option<Event> {
        let run = launch.run;
        if launch.group.is_some() {
            self.not_offered(NotOffered::SharedHost);
        }
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

    /// The app's own process. Where nobody takes the order, what waits for the process is not started, and says so.
    fn start_front(&self, app: AppId) {
        if self
            .orders
            .launches
            .try_send(RunOrder::StartFront { app })
            .is_err()
        {
            self.board.count("launches-refused");
        }
    }

    /// Registrations came, went or changed: whoever watches something for one looks anew.
    pub(super) fn registrations_changed(&self) {
        self.orders.registrations.send_replace(());
    }

    /// The device has to stay awake, or need not any more.
    pub(super) fn stay_awake(&self, awake: bool) {
        self.orders.awake.send_if_modified(|before| {
            let turned = *before != awake;
            *before = awake;
            turned
        });
    }

    /// How many pushes an app can take.
    pub(super) fn credit(&mut self, app: AppId, free: u32) {
        self.link(LinkOrder::Credit { app, free });
    }

    fn hold(&mut self, run: RunId, hold: Hold) {
        self.stop(RunOrder::Hold { run, hold });
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
