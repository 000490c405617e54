//! What a shard is told and asked.
//!
//! Deliberately absent: wire types.

use std::sync::Arc;

use actix::Message;
use bytes::Bytes;
use lull_fleet_policy::{
    AppId, ClientName, DeviceId, Full, Labels, Mailbox, PushId, Waiting, Wall,
};
use tokio::sync::oneshot;

use super::order::Settled;
use super::session::{Session, SessionNumber};
use crate::store::{
    Deduplicate, DeviceReceipt, DeviceRecord, Fence, Gone, InstalledApp, NewDevice, NewSlot,
    StoreError,
};

/// A push that is right in every field, and allowed.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its id.
    pub id: PushId,
    /// Its app.
    pub app: AppId,
    /// Who sends it.
    pub sender: ClientName,
    /// Its body.
    pub payload: Bytes,
    /// When.
    pub accepted: Wall,
    /// When its life ends.
    pub expires: Wall,
    /// The sender's key.
    pub deduplicate: Option<Deduplicate>,
}

/// A push was accepted, now or before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub push: PushId,
    /// For so many devices.
    pub devices: u32,
    /// The sender's key stood for it.
    pub duplicate: bool,
    /// When.
    pub accepted: Wall,
}

/// A push was not accepted; nothing is stored, unless said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such device.
    #[error("device {0} is not enrolled here; `lull devices` lists those that are")]
    UnknownDevice(DeviceId),
    /// The device has told what is installed there, and this is not.
    #[error("app {app} is not installed on device {device}; `lull devices` lists what is")]
    UnknownApp {
        /// The app.
        app: AppId,
        /// The device.
        device: DeviceId,
    },
    /// A mailbox has no room.
    #[error(transparent)]
    Full(#[from] Full),
    /// More devices than one push may have.
    #[error(
        "the selector matches {matched} devices, at most {limit} get one push; use more labels"
    )]
    TooMany {
        /// How many match.
        matched: usize,
        /// The bound.
        limit: usize,
    },
    /// The coordinator has as much to do as it can hold.
    #[error(
        "the coordinator has as many pushes waiting for its store as it can hold; send again shortly"
    )]
    Busy,
    /// Decided on what is no longer so: decide again.
    #[error("the mailbox changed meanwhile; send again")]
    Again,
    /// The store did not do it. After a failed commit, sending again with the same key is safe.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether a failed commit may have happened all the same.
pub fn is_in_doubt(error: &StoreError) -> bool {
    match error {
        StoreError::Busy { .. } | StoreError::DiskFull { .. } | StoreError::Ending => false,
        StoreError::CommitFailed { .. }
        | StoreError::Damaged { .. }
        | StoreError::ReadFailed { .. }
        | StoreError::BadRow { .. } => true,
    }
}

macro_rules! messages {
    ($($message:ident => $result:ty;)*) => {
        $(impl Message for $message { type Result = $result; })*
    };
}

messages! {
    Submit => ();
    Reserve => Result<Reserved, Refusal>;
    Conclude => ();
    Attach => Arrived;
    FromDevice => Heard;
    Detach => ();
    Connected => Vec<bool>;
    Enrolled => ();
    Left => ();
    Settle => ();
    Loaded => ();
    Bodies => ();
    Reread => ();
}

/// A push to one device.
#[derive(Debug)]
pub struct Submit {
    /// To whom.
    pub device: DeviceId,
    /// What.
    pub draft: Draft,
    /// Answered after the commit.
    pub reply: oneshot::Sender<Result<Accepted, Refusal>>,
}

/// Places for a push in the mailboxes of all of a shard's devices that have these labels.
#[derive(Debug)]
pub struct Reserve {
    /// The labels.
    pub wanted: Labels,
    /// The push's app.
    pub app: AppId,
    /// Bytes of its body.
    pub length: u64,
    /// Most devices.
    pub limit: usize,
}

/// Reserved places; to be concluded.
#[derive(Debug)]
pub struct Reserved {
    /// On whose behalf.
    pub fence: Fence,
    /// The places; may be none. Until they are concluded, no other push to their devices reaches the store.
    pub slots: Vec<NewSlot>,
    /// Resolves when what was decided before is with the store; only then may these places go there.
    pub before: oneshot::Receiver<()>,
}

/// What became of reserved places.
#[derive(Debug)]
pub struct Conclude {
    /// The push.
    pub draft: Arc<Draft>,
    /// This shard's places.
    pub slots: Vec<NewSlot>,
    /// What became of them.
    pub conclusion: Conclusion,
}

/// What became of reserved places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// They are durable.
    Durable,
    /// They are not.
    NotStored,
    /// It is not known: the mailboxes are read anew.
    Unknown,
}

/// A device has said hello.
#[derive(Debug)]
pub struct Attach {
    /// As the store has it.
    pub record: Box<DeviceRecord>,
    /// Its mailbox as the store has it.
    pub mailbox: Mailbox,
    /// Its session.
    pub session: Arc<Session>,
    /// The node's version.
    pub version: String,
    /// The protocol chosen.
    pub protocol: u32,
    /// The mailbox incarnation it took from last, and how far.
    pub taken: (String, u64),
    /// The session that was asked for a sign of life, and whether it gave one.
    pub probed: Option<(SessionNumber, bool)>,
}

/// What a hello leads to.
#[derive(Debug)]
pub enum Arrived {
    /// The session begins: the coordinator's hello comes after its commit.
    Begins,
    /// Ask this session for a sign of life first.
    Probe(Arc<Session>),
    /// Refused: the other one is alive.
    Refused(lull_fleet_policy::session::AlreadyThere),
    /// Too much to do: the device comes back.
    Busy,
}

/// What a device says in its session.
#[derive(Debug)]
pub struct FromDevice {
    /// Which device.
    pub device: DeviceId,
    /// In which session.
    pub session: SessionNumber,
    /// What.
    pub word: Said,
}

/// What a device says.
#[derive(Debug)]
pub enum Said {
    /// Credit for an app.
    Grant(AppId, u64),
    /// Pushes are durable there.
    Acknowledge(u64),
    /// Receipts.
    Receipts(Vec<DeviceReceipt>),
    /// What is installed.
    Inventory(Vec<InstalledApp>, Labels),
    /// The connection has room again.
    Resume,
}

/// What became of it.
#[derive(Debug)]
pub enum Heard {
    /// Taken.
    Taken,
    /// Say it again shortly.
    Busy(Said),
    /// The session is no longer the device's.
    Over,
    /// It cannot be.
    Wrong(String),
}

/// A session's task has ended.
#[derive(Debug)]
pub struct Detach {
    /// Whose.
    pub device: DeviceId,
    /// Which.
    pub session: SessionNumber,
}

/// Which of these devices have a session?
#[derive(Debug)]
pub struct Connected(pub Vec<DeviceId>);

/// A device has enrolled.
#[derive(Debug)]
pub struct Enrolled(pub NewDevice);

/// Rows left their mailboxes by the sweep.
#[derive(Debug)]
pub struct Left(pub Vec<Gone>);

/// Orders are settled.
#[derive(Debug)]
pub(super) struct Settle(pub(super) Vec<Settled>);

/// Rows of a mailbox were read.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) device: DeviceId,
    pub(super) session: SessionNumber,
    pub(super) rows: Result<Vec<Waiting>, StoreError>,
}

/// Bodies of pushes were read.
#[derive(Debug)]
pub(super) struct Bodies {
    pub(super) device: DeviceId,
    pub(super) session: SessionNumber,
    pub(super) read: Result<Vec<(PushId, Option<Bytes>)>, StoreError>,
}

/// A mailbox whose commit may or may not have happened was read anew.
#[derive(Debug)]
pub(super) struct Reread {
    pub(super) device: DeviceId,
    pub(super) mailbox: Mailbox,
}
