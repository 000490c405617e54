//! The embedded store: one `SQLite` file, one writer with group commit, a few readers.
//!
//! - [`file`]: opening, setting a damaged file aside, refusing a newer one.
//! - [`schema`]: the tables and their forward migrations.
//! - [`writer`]: the thread that owns the file; every list that waits goes into one transaction.
//! - [`books`] and its neighbours: what a change does to the tables.
//! - [`readers`] and [`query`]: reads on connections of their own.
//!
//! Deliberately absent: decisions, and the clock (a time that is needed is passed in).

mod accept;
mod books;
mod column;
mod file;
mod identity;
mod query;
mod readers;
mod record;
mod schema;
mod sweep;
mod writer;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use lull_fleet_policy::{
    AppId, ClientName, DeduplicationKey, DeviceId, Mailbox, PushId, Sequence, ShardId, Waiting,
    Wall,
};

use super::{
    CertificateRecord, Change, ClientRecord, DeviceCursor, DevicePage, DeviceRecord, DuePush,
    Earlier, Epoch, OpenError, Outcome, PAGE, PushRecord, ReceiptCursor, ReceiptPage, Store,
    StoreFuture, TargetPage, TokenHash, TokenRecord,
};
use readers::Readers;
use writer::Writer;

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file; its folder exists. Beside it stand `-wal`, `-shm` and `.lock`.
    pub path: PathBuf,
    /// The incarnation of a store that begins anew (a random text of the caller's).
    pub incarnation: String,
    /// Now; names a damaged file that is set aside.
    pub now: Wall,
}

/// The embedded store.
#[derive(Debug)]
pub struct SqliteStore {
    incarnation: String,
    set_aside: Option<PathBuf>,
    writer: Writer,
    readers: Readers,
    _lock: file::Lock,
}

impl SqliteStore {
    /// Opens the store, makes it if there is none, migrates an older one, and sets a damaged one aside. Blocks.
    pub fn open(options: &Options) -> Result<Self, OpenError> {
        let lock = file::Lock::take(&options.path)?;
        let opened = file::open(options)?;
        let readers = Readers::start(&options.path)?;
        let writer = Writer::start(&options.path, opened.connection)?;
        Ok(Self {
            incarnation: opened.incarnation,
            set_aside: opened.set_aside,
            writer,
            readers,
            _lock: lock,
        })
    }

    /// Where the damaged file is that was found and set aside at the opening. The store then began anew.
    pub fn set_aside(&self) -> Option<&Path> {
        self.set_aside.as_deref()
    }
}

impl Store for SqliteStore {
    fn incarnation(&self) -> &str {
        &self.incarnation
    }

    fn commit(&self, changes: Vec<Change>) -> StoreFuture<'_, Vec<Outcome>> {
        Box::pin(self.writer.commit(changes))
    }

    fn claim_shard(&self, shard: ShardId) -> StoreFuture<'_, Epoch> {
        Box::pin(self.writer.claim(shard))
    }

    fn device(&self, device: DeviceId) -> StoreFuture<'_, Option<DeviceRecord>> {
        self.readers.read(move |db| query::device(db, device))
    }

    fn devices(&self, after: Option<DeviceCursor>, limit: u32) -> StoreFuture<'_, DevicePage> {
        let after = after.map(|cursor| cursor.0);
        self.readers
            .read(move |db| query::devices(db, after, page(limit)))
    }

    fn mailboxes(&self, devices: Vec<DeviceId>) -> StoreFuture<'_, Vec<Option<Mailbox>>> {
        self.readers.read(move |db| query::mailboxes(db, &devices))
    }

    fn mail(&self, device: DeviceId, after: Sequence, limit: u32) -> StoreFuture<'_, Vec<Waiting>> {
        self.readers
            .read(move |db| query::mail(db, device, after, page(limit)))
    }

    fn payloads(&self, pushes: Vec<PushId>) -> StoreFuture<'_, Vec<Option<Bytes>>> {
        self.readers.read(move |db| query::payloads(db, &pushes))
    }

    fn push(&self, push: PushId) -> StoreFuture<'_, Option<PushRecord>> {
        self.readers.read(move |db| query::push(db, push))
    }

    fn targets(
        &self,
        push: PushId,
        after: Option<DeviceId>,
        limit: u32,
    ) -> StoreFuture<'_, TargetPage> {
        self.readers
            .read(move |db| query::targets(db, push, after, page(limit)))
    }

    fn receipts(
        &self,
        push: PushId,
        after: ReceiptCursor,
        limit: u32,
    ) -> StoreFuture<'_, ReceiptPage> {
        self.readers
            .read(move |db| query::receipts(db, push, after, page(limit)))
    }

    fn earlier(
        &self,
        sender: ClientName,
        app: AppId,
        key: DeduplicationKey,
        now: Wall,
    ) -> StoreFuture<'_, Option<Earlier>> {
        self.readers
            .read(move |db| query::earlier(db, &sender, &app, &key, now))
    }

    fn token(&self, hash: TokenHash) -> StoreFuture<'_, Option<TokenRecord>> {
        self.readers.read(move |db| query::token(db, hash))
    }

    fn certificate(&self, serial: Vec<u8>) -> StoreFuture<'_, Option<CertificateRecord>> {
        self.readers.read(move |db| query::certificate(db, &serial))
    }

    fn client(&self, name: ClientName) -> StoreFuture<'_, Option<ClientRecord>> {
        self.readers.read(move |db| query::client(db, &name))
    }

    fn due(&self, now: Wall, limit: u32) -> StoreFuture<'_, Vec<DuePush>> {
        self.readers
            .read(move |db| query::due(db, now, page(limit)))
    }
}

fn page(limit: u32) -> u32 {
    limit.clamp(1, PAGE)
}

#[cfg(test)]
mod tests;
