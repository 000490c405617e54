//! What the link asks of the machine, through the engine: take a push, see credit and receipts, know what the coordinator has.

use std::time::Duration;

use lull_policy::{AppId, Event, ReceiptSeq};
use tokio::time::{Instant, sleep};

use super::end::End;
use crate::ports::{EngineError, EngineRef, look};
use crate::retry::{Retry, random};

/// When to hand a push over again that the engine had no room for.
const AGAIN: Retry = Retry::new(Duration::from_millis(50), Duration::from_secs(2));

/// What is to be seen in the machine.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) credit: Vec<(AppId, u32)>,
    pub(super) first: Option<ReceiptSeq>,
    pub(super) last: Option<ReceiptSeq>,
}

/// Tells the machine what the coordinator has of its receipts, then looks what is left.
pub(super) async fn prepare(engine: EngineRef, through: ReceiptSeq) -> Result<Seen, EngineError> {
    let seen = see(&engine).await?;
    if seen.first.is_some_and(|first| first <= through) {
        if seen.last.is_some_and(|last| last < through) {
            tracing::warn!(
                through = through.0,
                "the coordinator has receipts that this store never wrote"
            );
        }
        persist(&engine, Event::ReceiptsAcknowledged { through }).await?;
        return see(&engine).await;
    }
    Ok(seen)
}

pub(super) async fn see(engine: &EngineRef) -> Result<Seen, EngineError> {
    look(engine, |device, _now| {
        let credit = |app: &lull_policy::App| (app.id.clone(), device.push_credit(&app.id));
        let receipts = || device.receipts().map(|receipt| receipt.seq);
        Seen {
            credit: device.apps().map(credit).collect(),
            first: receipts().min(),
            last: receipts().max(),
        }
    })
    .await
}

/// Commits something that may be repeated, again and again while the engine cannot.
pub(super) async fn persist(engine: &EngineRef, event: Event) -> Result<(), EngineError> {
    let mut again = AGAIN;
    loop {
        match engine.commit(event.clone()).await {
            Err(EngineError::Full(_) | EngineError::Unavailable) => {
                sleep(again.next(random())).await;
            }
            done @ (Ok(()) | Err(EngineError::Ending)) => return done,
        }
    }
}

/// Commits a push; when that does not succeed in time, the session ends and the push comes again.
pub(super) async fn take(engine: EngineRef, event: Event, limit: Duration) -> Result<(), End> {
    let end = Instant::now() + limit;
    let mut again = AGAIN;
    let mut last = EngineError::Unavailable;
    loop {
        let commit = tokio::time::timeout_at(end, engine.commit(event.clone()));
        match commit.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(EngineError::Ending)) => return Err(End::EngineEnded),
            Ok(Err(source @ (EngineError::Full(_) | EngineError::Unavailable))) => last = source,
            Err(_late) => {
                return Err(End::Commit {
                    limit,
                    source: last,
                });
            }
        }
        sleep(again.next(random())).await;
    }
}
