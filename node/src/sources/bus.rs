//! Named signals of the system bus (TRG-47): `service interface.Member`, such as `com.example.Door com.example.Door1.Opened`.
//!
//! The service is part of the name because anybody on a bus can send a signal by any name, and only the bus's own policy
//! says who may own a service. Deliberately absent: what a signal carries, and on which object it is said; the agent asks the service.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use lull_policy::{Occurrence, Subject};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::follow::{Follower, Line};
use super::subject::Signal;
use super::{Post, Source, SourceError, Wanted};

/// Signals whose subscriptions were answered and that are not counted yet; further ones wait.
const LISTENING: usize = 16;

/// Told until it is dropped.
pub(super) async fn watch(
    post: &Post,
    mut wanted: watch::Receiver<Wanted>,
) -> Result<Infallible, SourceError> {
    let line = Line::open(post).await?;
    let mut tasks = JoinSet::new();
    let mut heard: BTreeMap<Subject, AbortHandle> = BTreeMap::new();
    let (listens, mut listening) = mpsc::channel(LISTENING);
    let mut listened = BTreeSet::new();
    loop {
        let signals = wanted.borrow_and_update().signals.clone();
        heard.retain(|event, task| {
            let stays = signals.contains_key(event);
            if !stays {
                task.abort();
            }
            stays
        });
        for event in signals.keys() {
            if !heard.contains_key(event) {
                let (post, wanted) = (post.clone(), wanted.clone());
                let hearing = hear(post, line.clone(), wanted, event.clone(), listens.clone());
                heard.insert(event.clone(), tasks.spawn(hearing));
            }
        }
        listened.retain(|event| heard.contains_key(event));
        let stands = format!(
            "the system bus: {} of {} signals",
            listened.len(),
            heard.len()
        );
        post.stands(Source::Bus, &stands);
        tokio::select! {
            again = wanted.changed() => again.map_err(|_keeper_gone| SourceError::Ending)?,
            Some(event) = listening.recv() => { listened.insert(event); },
            Some(ended) = tasks.join_next() => failed(ended)?,
        }
    }
}

/// A signal that is not wanted any more ends by itself; every other end is the source's.
fn failed(ended: Result<Result<Infallible, SourceError>, JoinError>) -> Result<(), SourceError> {
    match ended {
        Ok(Err(error)) => Err(error),
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => Err(SourceError::Part(error)),
    }
}

/// Tells every app that wants it at that moment.
async fn hear(
    post: Post,
    line: Line,
    wanted: watch::Receiver<Wanted>,
    event: Subject,
    listens: mpsc::Sender<Subject>,
) -> Result<Infallible, SourceError> {
    let Ok(signal) = Signal::parse(event.as_str()) else {
        // Such a one is left out of what is wanted.
        return std::future::pending().await;
    };
    let follower = Follower::open(&post, &line, &signal, |_any| true).await?;
    if listens.send(event.clone()).await.is_err() {
        return Err(SourceError::Ending);
    }
    let news = || {
        let apps = wanted.borrow().signals.get(&event).cloned();
        let event = || event.clone();
        let told = apps.into_iter().flatten();
        told.map(|app| Occurrence::Bus {
            app,
            event: event(),
        })
        .collect()
    };
    follower.run(news).await
}
