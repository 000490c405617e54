//! Sources on real things: folders, uevents, a bus of the test's own; and armed by a real engine.

mod armed;
mod bus;
mod devices;
mod files;
mod identity;
mod sms;

use lull_policy::{AppId, Subject};
use tokio::sync::mpsc;

use super::*;
use crate::watch::tests::stage::eventually;
use crate::watch::tests::{NO_BUS, PATIENCE, Recorder};

/// All apps are those of whoever runs the test.
#[derive(Debug)]
struct Mine;

impl AppUsers for Mine {
    fn user(&self, app: &AppId) -> Option<Owner> {
        (app.as_str() != "stranger").then(|| Owner {
            uid: rustix::process::geteuid().as_raw(),
            gid: rustix::process::getegid().as_raw(),
            groups: Vec::new(),
            name: None,
        })
    }
}

/// An engine that hands what it is told to the test.
fn post() -> (Post, mpsc::Receiver<Event>) {
    let (engine, heard) = Recorder::engine(0);
    let post = Post {
        engine,
        board: Arc::new(StatusBoard::new()),
        bus: Some(NO_BUS.to_owned()),
        identity: "/nowhere".into(),
        users: Arc::new(Mine),
    };
    (post, heard)
}

fn subject(text: impl Into<String>) -> Subject {
    Subject::new(text).unwrap()
}

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

/// Runs a source until the test is over.
async fn beside(
    source: impl Future<Output = Result<Infallible, SourceError>>,
    test: impl Future<Output = ()>,
) {
    tokio::select! {
        ended = source => panic!("the source ended: {ended:?}"),
        done = tokio::time::timeout(6 * PATIENCE, test) => done.unwrap(),
    }
}

/// The next that is told to have occurred.
async fn next(heard: &mut mpsc::Receiver<Event>) -> Occurrence {
    let event = tokio::time::timeout(PATIENCE, heard.recv()).await;
    match event
        .expect("nothing was told")
        .expect("the source is gone")
    {
        Event::Occurred(occurrence) => occurrence,
        event => panic!("a source told {event:?}"),
    }
}

/// Waits until the board says where a source stands.
async fn stands(board: &StatusBoard, source: Source, line: &str) {
    let what = format!("{source:?} stands at {line:?}");
    eventually(&what, async || {
        board
            .read()
            .sources
            .get(source.name())
            .is_some_and(|found| found == line)
    })
    .await;
}

/// How often something can have been told since then, at most once in a gap.
fn at_most(begun: tokio::time::Instant) -> u128 {
    begun.elapsed().as_millis() / GAP.as_millis() + 1
}

#[tokio::test]
async fn what_the_engine_has_no_room_for_is_told_again() {
    let (engine, mut heard) = Recorder::engine(2);
    let post = Post { engine, ..post().0 };
    post.tell(Occurrence::OnlineIdChanged).await.unwrap();
    assert_eq!(next(&mut heard).await, Occurrence::OnlineIdChanged);
    assert_eq!(post.board.counter(REFUSED), 2);
    drop(heard);
    let ended = post.tell(Occurrence::OnlineIdChanged).await;
    assert!(matches!(ended, Err(SourceError::Ending)));
}
