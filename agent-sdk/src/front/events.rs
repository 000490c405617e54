//! What an attached app hears of its runs.
//!
//! Deliberately absent: a log. What was missed is in [`Front::runs`](super::Front::runs), which is durable.

use std::pin::Pin;
use std::task::{Context, Poll};

use lull_proto::local::v1::AttachResponse;
use tokio_stream::{Stream, StreamExt};
use tonic::Streaming;

use crate::RunId;
use crate::front::{Front, FrontError, OfferedPush, Run, wire};

/// Something happened to one of the app's tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A run began.
    Started {
        /// Which.
        run: RunId,
        /// Its registration's name.
        task: String,
    },
    /// Newest progress of a run (RUN-18); only to a client in the foreground.
    Progress {
        /// Which.
        run: RunId,
        /// Its registration's name.
        task: String,
        /// The meaning is the app's.
        value: u32,
    },
    /// A run ended (RUN-19); [`Run::check_result`] tells how.
    Completion(Box<Run>),
    /// A firing will never run.
    Dropped {
        /// The registration's name.
        task: String,
        /// Why, by its name in the verdict ledger.
        reason: String,
    },
    /// A push that the app may deal with itself; only to a client that takes them
    /// ([`Front::attach_taking_pushes`](super::Front::attach_taking_pushes)). Dropping it passes it on to the app's task.
    Push(OfferedPush),
    /// So many events were lost, because this client was more than 256 behind.
    Missed(u64),
    /// An event of a newer node.
    Unrecognised,
}

/// The app's events, from the moment of [`Front::attach`](super::Front::attach) on. The client stays attached until this
/// is dropped. It ends when the node does; attach again then, and look at the runs.
#[derive(Debug)]
pub struct Events {
    answers: Streaming<AttachResponse>,
    front: Front,
}

impl Events {
    pub(super) fn new(answers: Streaming<AttachResponse>, front: Front) -> Self {
        Self { answers, front }
    }

    /// The next event; none = the node ended the stream. Loses nothing when it is dropped while it waits.
    pub async fn next(&mut self) -> Option<Result<Event, FrontError>> {
        StreamExt::next(self).await
    }
}

impl Stream for Events {
    type Item = Result<Event, FrontError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let answer = std::task::ready!(Pin::new(&mut self.answers).poll_next(context));
            let event = match answer {
                None => return Poll::Ready(None),
                Some(Ok(answer)) => wire::event(answer, &self.front).transpose(),
                Some(Err(status)) => Some(Err(FrontError::answered(&self.front.socket, &status))),
            };
            if event.is_some() {
                return Poll::Ready(event);
            }
        }
    }
}
