//! How the parts of the daemon speak to each other: the engine's door, and the orders it gives.
//!
//! Only plain types and one trait stand here, so that each part can be built and tested without the others.

use std::fmt::Debug;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use lull_policy::{
    Answer, App, AppId, Bytes, Caller, CancelReason, Device, Event, Launch, Notice, Now, Receipt,
    RegistrationRequest, Request, Resource, RunId, Running, Source, Span,
};

/// A future that a port returns.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A look at the machine, performed where it lives: it must be short and must not block.
pub type Look = Box<dyn FnOnce(&Device, Now) + Send>;

/// Why the engine did not take something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Its mailbox is full: a bound, decided by the sender (retry, or tell the caller).
    #[error("the engine has {0} messages waiting, which is its bound; try again shortly")]
    Full(usize),
    /// The store cannot commit now; nothing that this event begins has begun.
    #[error("the store cannot commit now; nothing was begun, try again shortly")]
    Unavailable,
    /// The daemon is ending.
    #[error("the daemon is ending")]
    Ending,
}

/// The one door to the machine.
pub trait Engine: Debug + Send + Sync + 'static {
    /// Hands over an event; resolves when its records are durable and its effects are on their way.
    ///
    /// After [`EngineError::Unavailable`] the event counts as never said: who reports a fact (a run that ended, a push
    /// that arrived) says it again, with back-off, until it is taken.
    fn commit(&self, event: Event) -> PortFuture<'_, Result<(), EngineError>>;
    /// Hands over an event without waiting for the commit. For what may be lost or comes again: readings, progress.
    fn tell(&self, event: Event) -> Result<(), EngineError>;
    /// A call, answered after its commit.
    fn call(&self, caller: Caller, request: Request)
    -> PortFuture<'_, Result<Answer, EngineError>>;
    /// Looks at the machine without changing it.
    fn look(&self, look: Look) -> PortFuture<'_, Result<(), EngineError>>;
    /// Resolves when all that was decided so far is in the flight recorder's file. An engine without a recorder has nothing
    /// to write.
    fn flush(&self) -> PortFuture<'_, Result<(), EngineError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The door, shared.
pub type EngineRef = Arc<dyn Engine>;

/// Looks at the machine and brings back what was seen.
pub async fn look<T: Send + 'static>(
    engine: &EngineRef,
    read: impl FnOnce(&Device, Now) -> T + Send + 'static,
) -> Result<T, EngineError> {
    let (tx, rx) = tokio::sync::oneshot::channel();
    let look = Box::new(move |device: &Device, now: Now| drop(tx.send(read(device, now))));
    engine.look(look).await?;
    rx.await.map_err(|_gone| EngineError::Ending)
}

/// What the engine orders from the supervisor. Sent over a bounded channel; all but `Launch` are idempotent and
/// go over a channel of their own, so that no launch can hold them up: one may therefore overtake the launch of its run, and
/// the supervisor keeps it until that launch comes (a run killed before its launch is reported as never started).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunOrder {
    /// Start it.
    Launch(Box<Launch>),
    /// Ask it to get out.
    AskToCancel {
        /// Which.
        run: RunId,
        /// Why.
        reason: CancelReason,
        /// When its kill comes, on the monotonic clock.
        kill_at: Option<Running>,
    },
    /// Kill its whole tree.
    Kill {
        /// Which.
        run: RunId,
    },
    /// Start the app's own process, in the background (RUN-04).
    StartFront {
        /// Whose.
        app: AppId,
    },
    /// Kill the app's own process (RUN-05).
    KillFront {
        /// Whose.
        app: AppId,
    },
    /// Change what holds it.
    Hold {
        /// Which.
        run: RunId,
        /// What, from now on.
        hold: Hold,
    },
    /// Say when the runs of an app have used so much more (RES-13, RES-14).
    Meter {
        /// Whose.
        app: AppId,
        /// Of what.
        resource: Resource,
        /// How much: microseconds or bytes; absent = not counted any more.
        budget: Option<u64>,
    },
    /// Say what a run uses (RUN-15, TRGD-31).
    Sample {
        /// Which.
        run: RunId,
        /// So often; absent = not any more.
        every: Option<Span>,
    },
}

/// One thing that holds a run while it goes on. The newest of each kind counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Its processes stand still, or go on (RES-13).
    Frozen(bool),
    /// Its memory cap; absent = none (RES-22).
    Memory(Option<Bytes>),
    /// It has the network (RUN-31).
    Network(bool),
}

/// What the engine orders from the link, which reads its orders also while no session is up and lets them go then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkOrder {
    /// A receipt is durable: send it if the session is up. (When it is not, [`Event::LinkUp`] asks for all of them.)
    Receipt(Receipt),
    /// How many further pushes of the app can be taken now.
    Credit {
        /// Which app.
        app: AppId,
        /// How many.
        free: u32,
    },
}

/// What the engine orders from the watchers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WatchOrder {
    /// First interest.
    Start(Source),
    /// Last interest gone.
    Stop(Source),
}

/// What front clients of an app are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppNotice {
    /// Whose.
    pub app: AppId,
    /// What.
    pub notice: Notice,
}

/// Which Unix user an app's agents run as, and therefore who may speak for the app. Implemented by the catalog of
/// manifests.
pub trait AppOwners: Debug + Send + Sync + 'static {
    /// The user of an installed app; absent = no such app.
    fn uid_of(&self, app: &AppId) -> Option<u32>;
    /// The folder that an installed app shares with its agents; absent = no such app.
    fn folder_of(&self, app: &AppId) -> Option<PathBuf>;
    /// The user's name, for people; the number where it has none.
    fn user_of(&self, app: &AppId) -> Option<String> {
        self.uid_of(app).map(|uid| uid.to_string())
    }
}

/// Where installed apps come from: the folder of manifests.
pub trait AppSource: Debug + Send + Sync + 'static {
    /// Reads every manifest anew and takes the valid ones into the catalog. Blocks on files: call it off the runtime's
    /// threads. It does not speak to the engine: hand the report to [`crate::declared::install`].
    fn reload(&self) -> ReloadReport;
    /// What the last reading found.
    fn last(&self) -> ReloadReport;
}

/// What reading the manifests found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReloadReport {
    /// Valid manifests, in the order of their ids.
    pub apps: Vec<App>,
    /// Registrations that manifests declare (`[[register]]`), in their order.
    pub declared: Vec<DeclaredRegistration>,
    /// Manifests that were refused.
    pub refused: Vec<RefusedManifest>,
}

/// A registration that a manifest asks the daemon to make for its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredRegistration {
    /// For which app.
    pub app: AppId,
    /// What.
    pub request: RegistrationRequest,
}

/// A manifest that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedManifest {
    /// Its file.
    pub path: PathBuf,
    /// Key, line, value, and the way out.
    pub error: String,
}
