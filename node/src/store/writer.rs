//! The writer: one thread that owns the file, and the bounded queue to it.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use tokio::sync::oneshot;

use super::file::{Contents, File};
use super::{Batch, Opened, StoreConfig, StoreError, reserve};
use crate::clock::ClockRef;

/// Orders that wait for the writer. The engine has one in flight and gathers the rest itself; the others are a reopening and
/// one to spare.
const QUEUE: usize = 4;

#[derive(Debug)]
enum Order {
    Commit(Batch, oneshot::Sender<Result<(), StoreError>>),
    Reopen(oneshot::Sender<Result<Contents, StoreError>>),
    Room(oneshot::Sender<bool>),
}

/// The store as its one user sees it. Dropping it ends the writer, after what it was given.
#[derive(Debug)]
pub struct Store {
    orders: SyncSender<Order>,
    journal_bytes: usize,
}

impl Store {
    /// Opens the file and starts the writer. Blocks.
    pub fn open(config: StoreConfig, clock: ClockRef) -> Result<Opened, StoreError> {
        let (file, contents) = open_file(&config, &clock, false)?;
        let (orders, queue) = sync_channel(QUEUE);
        let path = config.path.clone();
        let journal_bytes = usize::try_from(config.journal_bytes).unwrap_or(0);
        let writer = Writer {
            file: Some(file),
            config,
            clock,
            full: false,
        };
        thread::Builder::new()
            .name("store".into())
            .spawn(move || writer.run(&queue))
            .map_err(|source| StoreError::Files { path, source })?;
        Ok(Opened {
            store: Self {
                orders,
                journal_bytes,
            },
            contents,
        })
    }

    /// Bytes of journal that the file keeps.
    pub fn journal_bytes(&self) -> usize {
        self.journal_bytes
    }

    /// Hands over a batch; the answer comes when it is durable, or cannot be made so.
    pub fn commit(&self, batch: Batch) -> oneshot::Receiver<Result<(), StoreError>> {
        let (tx, rx) = oneshot::channel();
        self.order(Order::Commit(batch, tx));
        rx
    }

    /// Has the file opened anew and read back, after a commit failed.
    pub fn reopen(&self) -> oneshot::Receiver<Result<Contents, StoreError>> {
        let (tx, rx) = oneshot::channel();
        self.order(Order::Reopen(tx));
        rx
    }

    /// Whether there is room again after the disk was full; if so, the reserve is there again.
    pub fn room(&self) -> oneshot::Receiver<bool> {
        let (tx, rx) = oneshot::channel();
        self.order(Order::Room(tx));
        rx
    }

    /// An order that finds the queue full (a defect of the caller) or the writer gone is dropped with its answer's sender, which
    /// the caller sees.
    fn order(&self, order: Order) {
        match self.orders.try_send(order) {
            Ok(()) => {}
            Err(TrySendError::Full(_order)) => {
                tracing::error!(
                    bound = QUEUE,
                    "the store was given more than one batch at a time"
                );
            }
            Err(TrySendError::Disconnected(_order)) => {
                tracing::error!("the store's writer is gone");
            }
        }
    }
}

#[derive(Debug)]
struct Writer {
    file: Option<File>,
    config: StoreConfig,
    clock: ClockRef,
    /// The last commit found the disk full.
    full: bool,
}

impl Writer {
    fn run(mut self, queue: &Receiver<Order>) {
        while let Ok(order) = queue.recv() {
            match order {
                Order::Commit(batch, answer) => drop(answer.send(self.commit(&batch))),
                Order::Reopen(answer) => drop(answer.send(self.reopen())),
                Order::Room(answer) => drop(answer.send(reserve::keep(&self.config.path))),
            }
        }
    }

    fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut file = self.file.take().ok_or(StoreError::Closed)?;
        let result = file.commit(batch);
        match &result {
            Ok(()) => self.file = Some(file),
            Err(error) => {
                self.full = error.is_full() && reserve::is_scarce(&self.config.path);
                file.abandon();
            }
        }
        result
    }

    fn reopen(&mut self) -> Result<Contents, StoreError> {
        if let Some(file) = self.file.take() {
            file.abandon();
        }
        let (file, contents) = open_file(&self.config, &self.clock, self.full)?;
        self.file = Some(file);
        self.full = false;
        Ok(contents)
    }
}

/// Opens the file, on a full disk from the reserve, and says whether there is room for what begins.
fn open_file(
    config: &StoreConfig,
    clock: &ClockRef,
    full: bool,
) -> Result<(File, Contents), StoreError> {
    let path = &config.path;
    if full {
        reserve::spend(path);
    }
    let opened = File::open(config, clock.now().wall);
    let (mut file, mut contents) = match opened {
        Err(_) if reserve::is_scarce(path) && reserve::spend(path) => {
            File::open(config, clock.now().wall)?
        }
        opened => opened?,
    };
    contents.scarce = !reserve::keep(path);
    if contents.scarce {
        file.save_room();
    }
    Ok((file, contents))
}
