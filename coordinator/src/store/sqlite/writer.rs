//! The writer: one thread owns the file; every list that waits is committed in one transaction, then all are answered.
//!
//! A failed transaction is never retried here: its callers are told, the connection is dropped, and the next batch opens
//! the file anew. Whether a failed commit is on the disk is not known, and repeating a list is safe.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use lull_fleet_policy::ShardId;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::{mpsc, oneshot};

use super::books::Books;
use super::column::Fault;
use super::{OpenError, file};
use crate::store::{Change, Epoch, Outcome, StoreError};

/// Lists that wait for the writer: twice what it commits at once, so that it never starves and a full disk queue is
/// told to the senders within a second.
const QUEUE: usize = 4_096;

/// Lists in one transaction.
const BATCH: usize = 2_048;

/// Rows (devices of pushes, receipts) in one transaction: about 100 ms of work; one list may exceed it alone.
const WEIGHT: usize = 8_192;

enum Order {
    Commit {
        changes: Vec<Change>,
        answer: oneshot::Sender<Result<Vec<Outcome>, StoreError>>,
    },
    Claim {
        shard: ShardId,
        answer: oneshot::Sender<Result<Epoch, StoreError>>,
    },
}

/// The handle of the writing thread. Ends it, after what was handed over, when dropped.
#[derive(Debug)]
pub(super) struct Writer {
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(path: &Path, connection: Connection) -> Result<Self, OpenError> {
        let books = Books::open(connection).map_err(|source| OpenError::Refused {
            path: path.to_owned(),
            source,
        })?;
        let (orders, queue) = mpsc::channel(QUEUE);
        let mut desk = Desk {
            path: path.to_owned(),
            books: Some(books),
        };
        let thread = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || desk.serve(queue))
            .map_err(|source| OpenError::Unusable {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
        })
    }

    /// Hands a list over at once, so that lists are applied in the order of the calls; the future is its answer.
    pub(super) fn commit(
        &self,
        changes: Vec<Change>,
    ) -> impl Future<Output = Result<Vec<Outcome>, StoreError>> + Send + use<> {
        let (answer, rx) = oneshot::channel();
        let handed = self.hand(Order::Commit { changes, answer });
        async move {
            handed?;
            rx.await.map_err(|_gone| StoreError::Ending)?
        }
    }

    pub(super) fn claim(
        &self,
        shard: ShardId,
    ) -> impl Future<Output = Result<Epoch, StoreError>> + Send + use<> {
        let (answer, rx) = oneshot::channel();
        let handed = self.hand(Order::Claim { shard, answer });
        async move {
            handed?;
            rx.await.map_err(|_gone| StoreError::Ending)?
        }
    }

    fn hand(&self, order: Order) -> Result<(), StoreError> {
        let orders = self.orders.as_ref().ok_or(StoreError::Ending)?;
        orders.try_send(order).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy { waiting: QUEUE },
            mpsc::error::TrySendError::Closed(_) => StoreError::Ending,
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has already answered its callers with `Ending`.
            drop(thread.join());
        }
    }
}

struct Desk {
    path: PathBuf,
    /// `None` after a failure, until the file is open again.
    books: Option<Books>,
}

/// What an order came to, kept until the transaction is durable.
enum Came {
    Outcomes(Vec<Outcome>),
    Epoch(Epoch),
}

impl Desk {
    fn serve(&mut self, mut queue: mpsc::Receiver<Order>) {
        while let Some(first) = queue.blocking_recv() {
            let mut weight = first.weight();
            let mut batch = vec![first];
            while batch.len() < BATCH && weight < WEIGHT {
                let Ok(next) = queue.try_recv() else {
                    break;
                };
                weight += next.weight();
                batch.push(next);
            }
            self.commit(batch);
        }
    }

    fn commit(&mut self, batch: Vec<Order>) {
        let fault = match self.transact(&batch) {
            Ok(came) => {
                for (order, came) in batch.into_iter().zip(came) {
                    order.answer(came);
                }
                return;
            }
            Err(fault) => fault,
        };
        // Dropped, not retried: what the file holds is learnt by opening it again.
        self.books = None;
        if batch.len() > 1 && is_of_one_list(&fault) {
            // Nothing was committed, and one list must not fail the others: each has its own transaction now.
            for order in batch {
                self.commit(vec![order]);
            }
            return;
        }
        let error = self.error(fault);
        for order in batch {
            order.fail(&error);
        }
    }

    fn transact(&mut self, batch: &[Order]) -> Result<Vec<Came>, Fault> {
        let books = match &mut self.books {
            Some(books) => books,
            closed => closed.insert(Books::open(file::writer(&self.path)?)?),
        };
        books.begin()?;
        let came = batch
            .iter()
            .map(|order| match order {
                Order::Commit { changes, .. } => books.apply(changes).map(Came::Outcomes),
                Order::Claim { shard, .. } => books.claim(*shard).map(Came::Epoch),
            })
            .collect::<Result<_, Fault>>()?;
        books.finish()?;
        Ok(came)
    }

    fn error(&self, fault: Fault) -> StoreError {
        let path = self.path.clone();
        match fault {
            Fault::Sql(error) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {
                StoreError::DiskFull { path }
            }
            Fault::Sql(error) if file::is_damage(&error) => StoreError::Damaged { path },
            Fault::Sql(source) => StoreError::CommitFailed {
                path,
                source: Arc::new(source),
            },
            Fault::Row { table, what } => StoreError::BadRow { table, what },
        }
    }
}

/// Whether the fault lies with what one list asks for, not with the file or the disk.
fn is_of_one_list(fault: &Fault) -> bool {
    match fault {
        Fault::Row { .. } => true,
        Fault::Sql(error) => error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation),
    }
}

impl Order {
    /// Rows it writes, roughly.
    fn weight(&self) -> usize {
        match self {
            Self::Claim { .. } => 1,
            Self::Commit { changes, .. } => changes
                .iter()
                .map(|change| match change {
                    Change::AcceptPush(push) => 1 + push.slots.len(),
                    Change::Record { receipts, .. } => 1 + receipts.len(),
                    Change::Offer { rows, .. }
                    | Change::Deliver { rows, .. }
                    | Change::Expire { rows, .. } => 1 + rows.len(),
                    Change::ExpirePush { limit, .. }
                    | Change::ClosePush { limit, .. }
                    | Change::RemovePush { limit, .. }
                    | Change::RemoveExpired { limit, .. } => *limit as usize,
                    Change::Postpone { .. }
                    | Change::AddToken { .. }
                    | Change::Redeem { .. }
                    | Change::AddCertificate(_)
                    | Change::PutClient(_)
                    | Change::BeginSession { .. }
                    | Change::Seen { .. }
                    | Change::SetInventory { .. } => 1,
                })
                .sum(),
        }
    }

    // A caller that went away learns nothing either way.

    fn answer(self, came: Came) {
        match (self, came) {
            (Self::Commit { answer, .. }, Came::Outcomes(outcomes)) => {
                drop(answer.send(Ok(outcomes)));
            }
            (Self::Claim { answer, .. }, Came::Epoch(epoch)) => drop(answer.send(Ok(epoch))),
            // Dropping the sender answers `Ending`; `transact` gives each order its own kind.
            (Self::Commit { .. }, Came::Epoch(_)) | (Self::Claim { .. }, Came::Outcomes(_)) => {}
        }
    }

    fn fail(self, error: &StoreError) {
        match self {
            Self::Commit { answer, .. } => drop(answer.send(Err(error.clone()))),
            Self::Claim { answer, .. } => drop(answer.send(Err(error.clone()))),
        }
    }
}
