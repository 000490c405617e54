//! Reads on threads of their own, each with a connection: a slow one holds up neither the writer nor the runtime.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::column::Fault;
use super::{OpenError, StoreFuture, file};
use crate::store::StoreError;

/// Reading threads: reads are short and mostly from memory; two keep one slow page from blocking the rest.
const THREADS: usize = 2;

/// Reads that wait for a thread, each: a second's worth of them.
const QUEUE: usize = 1_024;

type Task = Box<dyn FnOnce(&Connection) + Send>;

/// The reading threads. Ends when dropped.
pub(super) struct Readers {
    path: Arc<Path>,
    queues: Vec<mpsc::Sender<Task>>,
    turn: AtomicUsize,
    threads: Vec<JoinHandle<()>>,
}

impl Readers {
    pub(super) fn start(path: &Path) -> Result<Self, OpenError> {
        let mut readers = Self {
            path: Arc::from(path),
            queues: Vec::new(),
            turn: AtomicUsize::new(0),
            threads: Vec::new(),
        };
        for _ in 0..THREADS {
            let connection = file::reader(path).map_err(|source| OpenError::Refused {
                path: path.to_owned(),
                source,
            })?;
            let (tx, mut rx) = mpsc::channel::<Task>(QUEUE);
            let thread = std::thread::Builder::new()
                .name("store-reader".to_owned())
                .spawn(move || {
                    while let Some(task) = rx.blocking_recv() {
                        task(&connection);
                    }
                })
                .map_err(|source| OpenError::Unusable {
                    path: path.to_owned(),
                    source,
                })?;
            readers.queues.push(tx);
            readers.threads.push(thread);
        }
        Ok(readers)
    }

    /// Runs a read on the next thread that has room.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        let (tx, rx) = oneshot::channel();
        let task: Task = Box::new(move |connection| drop(tx.send(read(connection))));
        let handed = self.hand(task);
        let path = Arc::clone(&self.path);
        Box::pin(async move {
            handed?;
            let answer = rx.await.map_err(|_gone| StoreError::Ending)?;
            answer.map_err(|fault| error(fault, path.to_path_buf()))
        })
    }

    fn hand(&self, mut task: Task) -> Result<(), StoreError> {
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        for place in 0..self.queues.len() {
            let Some(queue) = self
                .queues
                .get((first.wrapping_add(place)) % self.queues.len())
            else {
                break;
            };
            task = match queue.try_send(task) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(task)) => task,
                Err(mpsc::error::TrySendError::Closed(_)) => return Err(StoreError::Ending),
            };
        }
        Err(StoreError::Busy {
            waiting: QUEUE * THREADS,
        })
    }
}

fn error(fault: Fault, path: PathBuf) -> StoreError {
    match fault {
        Fault::Sql(source) if file::is_damage(&source) => StoreError::Damaged { path },
        Fault::Sql(source) => StoreError::ReadFailed {
            path,
            source: Arc::new(source),
        },
        Fault::Row { table, what } => StoreError::BadRow { table, what },
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        self.queues.clear();
        for thread in self.threads.drain(..) {
            // A reader that panicked has already answered its caller with `Ending`.
            drop(thread.join());
        }
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readers")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}
