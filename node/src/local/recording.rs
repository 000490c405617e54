//! The flight recorder as a stream: the header, then the journal's entries, in pieces of a bounded size.
//!
//! One at a time: each holds a connection to the store's file. Deliberately absent: what an entry means.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::unfold;
use lull_proto::local::v1::GetRecordingResponse;
use lull_recording::{Header, VERSION};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::error_chain::chain;
use crate::store::{Journal, JournalError, Recorded};

/// Bytes of one message.
const MESSAGE: usize = 64 << 10;

/// The flight recorder, as the operator's service reads it.
#[derive(Debug, Clone)]
pub struct Recordings {
    journal: Journal,
    turn: Arc<Semaphore>,
}

/// Pieces as they are sent.
pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<GetRecordingResponse, Status>> + Send>>;

/// A recording on its way.
#[derive(Debug)]
struct Sending {
    /// Absent once all is read, or reading failed.
    recorded: Option<Recorded>,
    /// Read and not yet sent.
    ready: Bytes,
    _turn: OwnedSemaphorePermit,
}

impl Recordings {
    /// Of this journal.
    pub fn of(journal: Journal) -> Self {
        Self {
            journal,
            turn: Arc::new(Semaphore::new(1)),
        }
    }

    /// Begins to read.
    pub(super) async fn send(&self, device: String) -> Result<Pieces, Status> {
        let turn = Arc::clone(&self.turn).try_acquire_owned();
        let turn = turn.map_err(|_taken| {
            Status::resource_exhausted("another recording is being read; try again when it is over")
        })?;
        let journal = self.journal.clone();
        let recorded = blocking(move || journal.open()).await?;
        let header = Header {
            version: VERSION,
            node: env!("CARGO_PKG_VERSION").to_owned(),
            device,
            from: recorded.from,
            until: recorded.until,
        };
        let mut ready = serde_json::to_vec(&header)
            .map_err(|error| Status::internal(format!("writing the header failed: {error}")))?;
        ready.push(b'\n');
        let sending = Sending {
            recorded: Some(recorded),
            ready: ready.into(),
            _turn: turn,
        };
        Ok(Box::pin(unfold(sending, async |mut sending| {
            let piece = sending.next().await?;
            Some((piece.map(|data| GetRecordingResponse { data }), sending))
        })))
    }
}

impl Sending {
    async fn next(&mut self) -> Option<Result<Bytes, Status>> {
        if self.ready.is_empty() {
            let mut recorded = self.recorded.take()?;
            let read = blocking(move || recorded.piece().map(|piece| (piece, recorded))).await;
            match read {
                Ok((Some(piece), recorded)) => {
                    self.recorded = Some(recorded);
                    self.ready = piece.into();
                }
                Ok((None, _read_to_its_end)) => return None,
                Err(status) => return Some(Err(status)),
            }
        }
        let size = self.ready.len().min(MESSAGE);
        Some(Ok(self.ready.split_to(size)))
    }
}

/// Reads files off the runtime's threads.
async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, Status> {
    let read = tokio::task::spawn_blocking(read).await;
    let read =
        read.map_err(|error| Status::internal(format!("reading the recorder failed: {error}")))?;
    read.map_err(|error| match error {
        JournalError::Empty { .. } => Status::failed_precondition(error.to_string()),
        JournalError::Overtaken => Status::aborted(error.to_string()),
        JournalError::Database { .. } => Status::internal(chain(&error)),
    })
}
