//! Attached front clients: what they are told, and the foreground lease that lives as long as their stream.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::Stream;
use futures_util::stream::unfold;
use lull_policy::{AppId, Notice};
use lull_proto::local::v1::attach_response::Event;
use lull_proto::local::v1::{AttachResponse, Attached, FiringDropped, RunProgress, RunStarted};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::convert::{finished, word};
use crate::ports::AppNotice;

/// How many attached clients of each app are in the foreground.
#[derive(Debug, Clone, Default)]
pub struct Leases(Arc<Mutex<BTreeMap<AppId, usize>>>);

impl Leases {
    /// A further one, until the lease is dropped.
    fn take(&self, app: &AppId) -> Lease {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *held.entry(app.clone()).or_default() += 1;
        Lease {
            leases: self.clone(),
            app: app.clone(),
        }
    }

    /// Whether the app is in the foreground.
    pub(super) fn held(&self, app: &AppId) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.contains_key(app)
    }
}

/// One client's foreground lease.
#[derive(Debug)]
struct Lease {
    leases: Leases,
    app: AppId,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut held = self.leases.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = held.get_mut(&self.app) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                held.remove(&self.app);
            }
        }
    }
}

/// Events as they are sent.
pub(super) type Events = Pin<Box<dyn Stream<Item = Result<AttachResponse, Status>> + Send>>;

/// One attached client.
#[derive(Debug)]
struct Client {
    app: AppId,
    lease: Option<Lease>,
    notices: broadcast::Receiver<AppNotice>,
    ending: CancellationToken,
    greeted: bool,
}

/// Attaches a client: its stream begins with the greeting and ends with the daemon. The lease is held from now on.
pub(super) fn attach(
    app: AppId,
    foreground: bool,
    leases: &Leases,
    notices: broadcast::Receiver<AppNotice>,
    ending: CancellationToken,
) -> Events {
    let client = Client {
        lease: foreground.then(|| leases.take(&app)),
        app,
        notices,
        ending,
        greeted: false,
    };
    Box::pin(unfold(client, async |mut client| {
        let event = client.next().await?;
        Some((Ok(AttachResponse { event: Some(event) }), client))
    }))
}

impl Client {
    async fn next(&mut self) -> Option<Event> {
        if !self.greeted {
            self.greeted = true;
            let node_version = env!("CARGO_PKG_VERSION").to_owned();
            return Some(Event::Attached(Attached { node_version }));
        }
        loop {
            let told = tokio::select! {
                told = self.notices.recv() => told,
                () = self.ending.cancelled() => return None,
            };
            match told {
                Ok(told) if told.app == self.app => {
                    if let Some(event) = self.event(told.notice) {
                        return Some(event);
                    }
                }
                Ok(_of_another_app) => {}
                Err(RecvError::Lagged(missed)) => return Some(Event::Missed(missed)),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// RUN-18: progress reaches an app in the foreground only.
    fn event(&self, notice: Notice) -> Option<Event> {
        match notice {
            Notice::Started { run, task } => Some(Event::Started(RunStarted {
                run: run.0,
                task: task.into(),
            })),
            Notice::Progress { run, task, value } => self.lease.as_ref().map(|_lease| {
                Event::Progress(RunProgress {
                    run: run.0,
                    task: task.into(),
                    value,
                })
            }),
            Notice::Completion(run) => Some(Event::Completion(finished(&run))),
            Notice::Dropped { task, reason } => Some(Event::Dropped(FiringDropped {
                task: task.into(),
                reason: word(&reason),
            })),
        }
    }
}
