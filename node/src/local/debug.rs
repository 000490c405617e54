//! A debugger's session over the operator's service: it lasts as long as the stream.

use std::pin::Pin;

use futures_util::Stream;
use futures_util::stream::unfold;
use lull_policy::{Notice, RunId};
use lull_proto::local::v1 as wire;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tonic::Status;

use super::Local;
use crate::debuggers::Session;
use crate::ports::AppNotice;

/// What is told of the run that is being debugged.
pub(super) type Debugging = Pin<Box<dyn Stream<Item = Result<wire::DebugResponse, Status>> + Send>>;

/// A session.
struct Client {
    local: Local,
    run: RunId,
    /// Said first.
    greeting: Option<wire::DebugAttached>,
    notices: broadcast::Receiver<AppNotice>,
    /// Held: the limits are suspended.
    _session: Session,
}

/// Attaches to a run that is under way.
pub(super) async fn attach(local: Local, run: RunId) -> Result<Debugging, Status> {
    // First of all, so that its end is not missed.
    let notices = local.notices.subscribe();
    let found = local.look(move |device, _now| {
        let mut runs = device.runs();
        let found = runs.find(|of| of.id == run);
        let kept = device.policy().debugger_keeps_limits;
        found.map(|run| (run.app.clone(), run.task.clone(), kept))
    });
    let (app, task, limits_kept) = found.await?.ok_or_else(|| {
        Status::not_found(format!(
            "no run {} is under way; `lull runs` lists those that are first",
            run.0
        ))
    })?;
    let processes = local.board.read().processes;
    let process = processes.get(&run);
    let greeting = wire::DebugAttached {
        app: app.to_string(),
        task: task.to_string(),
        pid: process.map_or(0, |process| process.pid),
        limits_kept,
    };
    let client = Client {
        _session: local.debuggers.attach(app, task),
        local,
        run,
        greeting: Some(greeting),
        notices,
    };
    Ok(Box::pin(unfold(client, async |mut client| {
        let event = client.next().await?;
        let event = Some(event);
        Some((Ok(wire::DebugResponse { event }), client))
    })))
}

impl Client {
    async fn next(&mut self) -> Option<wire::debug_response::Event> {
        use wire::debug_response::Event;
        if let Some(greeting) = self.greeting.take() {
            return Some(Event::Attached(greeting));
        }
        if self.run.0 == 0 {
            return None;
        }
        loop {
            let told = tokio::select! {
                told = self.notices.recv() => told,
                () = self.local.ending.cancelled() => return None,
            };
            match told {
                Ok(AppNotice {
                    notice: Notice::Completion(run),
                    ..
                }) if run.id == self.run => {
                    // There is nothing after it.
                    self.run = RunId(0);
                    return Some(Event::Ended(super::convert::finished(&run)));
                }
                Ok(_of_another) => {}
                Err(RecvError::Lagged(_)) if self.is_over().await => return None,
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Its end may be among what was missed.
    async fn is_over(&self) -> bool {
        let run = self.run;
        let goes_on = self
            .local
            .look(move |device, _now| device.runs().any(|of| of.id == run));
        !goes_on.await.unwrap_or(true)
    }
}
