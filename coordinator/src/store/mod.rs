//! The coordinator's memory: what must survive, behind one trait.
//!
//! Decisions are made elsewhere, on what was read here; a [`Change`] carries the epoch and version it was decided on, and
//! a stale one answers [`Conflict`] and is decided again. Ids and times come from the caller, cursors are opaque.
//! [`SqliteStore`] is the embedded one; one contract suite (`contract.rs`) serves every store.
//!
//! Deliberately absent: decisions (`lull-fleet-policy`), sessions, clocks.

mod change;
#[cfg(test)]
mod contract;
mod cursor;
mod error;
mod record;
mod sqlite;

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use lull_fleet_policy::{
    AppId, ClientName, DeduplicationKey, DeviceId, Mailbox, PushId, Sequence, ShardId, Waiting,
    Wall,
};

pub use change::{
    Applied, Change, Conflict, Deduplicate, DeviceReceipt, Earlier, Gone, NewCertificate,
    NewDevice, NewPush, NewSlot, Outcome, Recorded,
};
pub use cursor::{CursorError, DeviceCursor, ReceiptCursor};
pub use error::{OpenError, StoreError};
pub use record::{
    CertificateRecord, ClientRecord, ClientRole, DevicePage, DeviceRecord, DuePush, Epoch, Fence,
    Holder, InstalledApp, PushRecord, ReceiptPage, TargetPage, TargetRecord, TokenHash,
    TokenRecord,
};
pub use sqlite::{Options, SqliteStore};

/// A store's answer.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// The store.
///
/// A future that is dropped takes nothing back: a change list that was handed over is committed or refused as a whole.
/// Every method answers within the store's own bounds; deadlines of calls are the caller's.
pub trait Store: Debug + Send + Sync + 'static {
    /// Changes when the store begins anew (a new file, or one that an operator restored from a copy).
    fn incarnation(&self) -> &str;

    /// Applies a list of changes as a whole, durably, or nothing of it.
    ///
    /// One outcome for each change, in order. Where one is a [`Conflict`], the others are [`Outcome::Withheld`]. Lists are
    /// applied in the order in which they were handed over. Repeating a list that was applied changes nothing.
    fn commit(&self, changes: Vec<Change>) -> StoreFuture<'_, Vec<Outcome>>;

    /// Begins a new epoch of a shard: all changes that carry an older one are refused from now on.
    fn claim_shard(&self, shard: ShardId) -> StoreFuture<'_, Epoch>;

    /// One device.
    fn device(&self, device: DeviceId) -> StoreFuture<'_, Option<DeviceRecord>>;

    /// Devices by id, at most `limit` (1 to [`PAGE`]).
    fn devices(&self, after: Option<DeviceCursor>, limit: u32) -> StoreFuture<'_, DevicePage>;

    /// The summaries of the mailboxes of these devices, in the order asked; `None` for a device that is not enrolled.
    fn mailboxes(&self, devices: Vec<DeviceId>) -> StoreFuture<'_, Vec<Option<Mailbox>>>;

    /// Rows of a mailbox after a place, in order, at most `limit` (1 to [`PAGE`]).
    fn mail(&self, device: DeviceId, after: Sequence, limit: u32) -> StoreFuture<'_, Vec<Waiting>>;

    /// The bodies of these pushes, in the order asked; `None` for one that is not there. At most [`PAGE`].
    fn payloads(&self, pushes: Vec<PushId>) -> StoreFuture<'_, Vec<Option<Bytes>>>;

    /// One push.
    fn push(&self, push: PushId) -> StoreFuture<'_, Option<PushRecord>>;

    /// The devices of a push with their stage, by device id.
    fn targets(
        &self,
        push: PushId,
        after: Option<DeviceId>,
        limit: u32,
    ) -> StoreFuture<'_, TargetPage>;

    /// The receipts of a push after a cursor: first its acceptance for each device, then the others as they were recorded.
    fn receipts(
        &self,
        push: PushId,
        after: ReceiptCursor,
        limit: u32,
    ) -> StoreFuture<'_, ReceiptPage>;

    /// The push that a sender's key stands for at `now`.
    fn earlier(
        &self,
        sender: ClientName,
        app: AppId,
        key: DeduplicationKey,
        now: Wall,
    ) -> StoreFuture<'_, Option<Earlier>>;

    /// An enrolment token by the hash of its secret.
    fn token(&self, hash: TokenHash) -> StoreFuture<'_, Option<TokenRecord>>;

    /// A certificate that was issued and is not revoked, by its serial number.
    fn certificate(&self, serial: Vec<u8>) -> StoreFuture<'_, Option<CertificateRecord>>;

    /// A person or program with a client certificate.
    fn client(&self, name: ClientName) -> StoreFuture<'_, Option<ClientRecord>>;

    /// Pushes that the sweep must look at, the longest due first, at most `limit`.
    fn due(&self, now: Wall, limit: u32) -> StoreFuture<'_, Vec<DuePush>>;
}

/// Most rows of one read: a page of the largest rows stays below a megabyte or two.
pub const PAGE: u32 = 1_000;
