//! Attached front clients: what they are told, and the foreground lease that lives as long as their stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use lull_policy::{AppId, Event, FrontState, Notice};
use lull_proto::local::v1::attach_response;
use lull_proto::local::v1::{
    AttachResponse, Attached, FiringDropped, PushOffered, RunProgress, RunStarted,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::convert::{finished, moment, word};
use crate::newest;
use crate::ports::{AppNotice, EngineError, EngineRef, look};
use crate::retry::random;
use crate::takers::Taking;

/// The attached clients of each app.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<watch::Sender<BTreeMap<AppId, Clients>>>);

/// How many clients of one app are attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Clients {
    foreground: usize,
    background: usize,
}

impl Clients {
    fn of(&mut self, foreground: bool) -> &mut usize {
        if foreground {
            &mut self.foreground
        } else {
            &mut self.background
        }
    }

    fn state(self) -> FrontState {
        match (self.foreground, self.background) {
            (0, 0) => FrontState::None,
            (0, _) => FrontState::Background,
            (_, _) => FrontState::Foreground,
        }
    }
}

impl Leases {
    /// A further client, until the lease is dropped.
    pub(crate) fn take(&self, app: &AppId, foreground: bool) -> Lease {
        self.0
            .send_modify(|held| *held.entry(app.clone()).or_default().of(foreground) += 1);
        Lease {
            leases: self.clone(),
            app: app.clone(),
            foreground,
        }
    }

    /// Whether the app is in the foreground.
    pub(super) fn held(&self, app: &AppId) -> bool {
        let held = self.0.borrow();
        held.get(app).is_some_and(|clients| clients.foreground > 0)
    }

    /// Where the app's front clients stand.
    #[cfg(test)]
    pub(crate) fn state(&self, app: &AppId) -> FrontState {
        let held = self.0.borrow();
        held.get(app)
            .map_or(FrontState::None, |clients| clients.state())
    }

    /// Tells the machine where the front clients stand, the newest state of each app, until the engine ends.
    pub async fn tell(self, engine: EngineRef) {
        let changes = self.0.subscribe();
        let Some(believed) = known(&engine).await else {
            return;
        };
        let changed = |app, state| Event::FrontChanged { app, state };
        newest::tell(
            engine,
            changes,
            believed,
            |of: &Clients| of.state(),
            changed,
        )
        .await;
    }
}

/// What the machine believes; a client of an earlier daemon is gone with its connection. Absent = the engine ends.
async fn known(engine: &EngineRef) -> Option<BTreeMap<AppId, FrontState>> {
    let mut retry = newest::AGAIN;
    loop {
        let fronts = look(engine, |device, _now| {
            let fronts = device.fronts();
            fronts.map(|(app, state)| (app.clone(), state)).collect()
        });
        match fronts.await {
            Ok(fronts) => return Some(fronts),
            Err(EngineError::Ending) => return None,
            Err(EngineError::Full(_) | EngineError::Unavailable) => {
                tokio::time::sleep(retry.next(random())).await;
            }
        }
    }
}

/// One client's lease.
#[derive(Debug)]
pub(crate) struct Lease {
    leases: Leases,
    app: AppId,
    foreground: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.0.send_modify(|held| {
            if let Some(clients) = held.get_mut(&self.app) {
                let count = clients.of(self.foreground);
                *count = count.saturating_sub(1);
                if *clients == Clients::default() {
                    held.remove(&self.app);
                }
            }
        });
    }
}

/// Events as they are sent.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

/// One attached client.
#[derive(Debug)]
struct Client {
    app: AppId,
    lease: Lease,
    notices: broadcast::Receiver<AppNotice>,
    /// Absent = it takes no pushes.
    pushes: Option<Taking>,
    ending: CancellationToken,
    greeted: bool,
}

/// Attaches a client: its stream begins with the greeting and ends with the daemon. The lease is held from now on.
pub(super) fn attach(
    app: AppId,
    foreground: bool,
    leases: &Leases,
    notices: broadcast::Receiver<AppNotice>,
    pushes: Option<Taking>,
    ending: CancellationToken,
) -> Events {
    let client = Client {
        lease: leases.take(&app, foreground),
        app,
        notices,
        pushes,
        ending,
        greeted: false,
    };
    Box::pin(unfold(client, async |mut client| {
        let event = client.next().await?;
        Some((Ok(AttachResponse { event: Some(event) }), client))
    }))
}

/// The next push for a client; never, where it takes none.
async fn offered(pushes: Option<&mut Taking>) -> attach_response::Event {
    let Some(taking) = pushes else {
        return std::future::pending().await;
    };
    let Some(push) = taking.next().await else {
        return std::future::pending().await;
    };
    attach_response::Event::Push(PushOffered {
        id: push.id.into(),
        body: push.payload.into(),
        expires: Some(moment(push.expires)),
    })
}

impl Client {
    async fn next(&mut self) -> Option<attach_response::Event> {
        if !self.greeted {
            self.greeted = true;
            let node_version = env!("CARGO_PKG_VERSION").to_owned();
            return Some(attach_response::Event::Attached(Attached { node_version }));
        }
        loop {
            let told = tokio::select! {
                told = self.notices.recv() => told,
                push = offered(self.pushes.as_mut()) => return Some(push),
                () = self.ending.cancelled() => return None,
            };
            match told {
                Ok(told) if told.app == self.app => {
                    if let Some(event) = self.event(told.notice) {
                        return Some(event);
                    }
                }
                Ok(_of_another_app) => {}
                Err(RecvError::Lagged(missed)) => {
                    return Some(attach_response::Event::Missed(missed));
                }
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// RUN-18: progress reaches an app in the foreground only.
    fn event(&self, notice: Notice) -> Option<attach_response::Event> {
        match notice {
            Notice::Started { run, task } => Some(attach_response::Event::Started(RunStarted {
                run: run.0,
                task: task.into(),
            })),
            Notice::Progress { run, task, value } => self.lease.foreground.then(|| {
                attach_response::Event::Progress(RunProgress {
                    run: run.0,
                    task: task.into(),
                    value,
                })
            }),
            Notice::Completion(run) => Some(attach_response::Event::Completion(finished(&run))),
            Notice::Dropped { task, reason } => {
                Some(attach_response::Event::Dropped(FiringDropped {
                    task: task.into(),
                    reason: word(&reason),
                }))
            }
        }
    }
}
