//! What the store is told to do, and what it answers.

use bytes::Bytes;
use lull_fleet_policy::{
    AppId, ClientName, DeduplicationKey, DeviceId, Hop, KeyFingerprint, Labels, PushId, Receipt,
    Sequence, ShardId, Slot, Wall, enrollment::Token,
};

use super::{
    ClientRecord, Epoch, Fence, Holder, InstalledApp, ReceiptCursor, TokenHash, TokenRecord,
};

/// One change, decided by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A push is accepted, for all its devices or for none.
    ///
    /// Conflicts: [`Conflict::Deposed`], [`Conflict::Mailbox`], [`Conflict::UnknownDevice`]. Where its sender's key stands
    /// for another push: [`Outcome::Duplicate`]. A push that is already there under this id is [`Outcome::Applied`].
    AcceptPush(Box<NewPush>),
    /// Rows may have been sent from now on: only the device can end them. [`Applied::offered`] names those still there.
    Offer {
        /// Decided by.
        fence: Fence,
        /// Whose mailbox.
        device: DeviceId,
        /// Which rows.
        rows: Vec<Sequence>,
    },
    /// Rows are durable on the device and leave the mailbox ([`Applied::gone`]).
    Deliver {
        /// Decided by.
        fence: Fence,
        /// Whose mailbox.
        device: DeviceId,
        /// Which rows.
        rows: Vec<Sequence>,
    },
    /// Rows whose life ended leave the mailbox with an expired receipt; those offered meanwhile stay.
    Expire {
        /// Decided by.
        fence: Fence,
        /// Whose mailbox.
        device: DeviceId,
        /// Which rows.
        rows: Vec<Sequence>,
        /// When: the receipts' time.
        at: Wall,
    },
    /// Receipts of a device. Those at or below its durable number are repeats; those that change nothing
    /// ([`lull_fleet_policy::Stage::advance`]) or name a push that is not the device's are passed over, and counted as
    /// durable. A row still in the mailbox leaves it: the device has it.
    ///
    /// Conflicts: [`Conflict::Deposed`], [`Conflict::UnknownDevice`], [`Conflict::StoreChanged`].
    Record {
        /// Decided by.
        fence: Fence,
        /// The device.
        device: DeviceId,
        /// Its store incarnation.
        store: String,
        /// Ascending by sequence.
        receipts: Vec<DeviceReceipt>,
        /// Now: when a push counts as closed.
        at: Wall,
    },
    /// Sweep: the never-offered rows of a push end as expired, at most `limit`; [`Applied::more`] asks for another step.
    ExpirePush {
        /// The push.
        push: PushId,
        /// The receipts' time.
        at: Wall,
        /// When the push is due again, once none is left.
        next: Wall,
        /// Devices in this step.
        limit: u32,
    },
    /// Sweep: what is open of a push ends with this hop, at most `limit` devices in this step.
    ClosePush {
        /// The push.
        push: PushId,
        /// A terminal hop.
        hop: Hop,
        /// The receipts' time.
        at: Wall,
        /// Devices in this step.
        limit: u32,
    },
    /// Sweep: a push whose devices are all closed is removed, at most `limit` rows in this step. One that is open stays.
    RemovePush {
        /// The push.
        push: PushId,
        /// Rows in this step.
        limit: u32,
    },
    /// Sweep: the push is due at another time.
    Postpone {
        /// The push.
        push: PushId,
        /// When.
        until: Wall,
    },
    /// Sweep: expired tokens and certificates are removed, at most `limit` of each.
    RemoveExpired {
        /// Ended before.
        before: Wall,
        /// Rows of each in this step.
        limit: u32,
    },
    /// A new token.
    AddToken {
        /// SHA-256 of its secret.
        hash: TokenHash,
        /// Its state and labels.
        token: TokenRecord,
    },
    /// A token is redeemed: applied only if the token is as `before`, else [`Conflict::Token`].
    Redeem {
        /// Which token.
        hash: TokenHash,
        /// As it was read.
        before: Token,
        /// As it becomes.
        after: Token,
        /// The new device, at its first use.
        device: Option<Box<NewDevice>>,
        /// The certificate it gets.
        certificate: NewCertificate,
    },
    /// A certificate for a client or, at renewal, a device.
    AddCertificate(NewCertificate),
    /// A client is new or changed. [`Conflict::Client`] where the name stands for another role.
    PutClient(ClientRecord),
    /// A session began: the hello's figures. A store incarnation other than the last one starts its receipts at 0.
    /// [`Applied::receipts_through`] is what the coordinator's hello says.
    BeginSession {
        /// Decided by.
        fence: Fence,
        /// The device.
        device: DeviceId,
        /// Its store incarnation.
        store: String,
        /// The node's version.
        version: String,
        /// When.
        at: Wall,
    },
    /// A device was heard of.
    Seen {
        /// Decided by.
        fence: Fence,
        /// The device.
        device: DeviceId,
        /// When.
        at: Wall,
    },
    /// What is installed on a device, and its own labels.
    SetInventory {
        /// Decided by.
        fence: Fence,
        /// The device.
        device: DeviceId,
        /// Its apps.
        apps: Vec<InstalledApp>,
        /// Its labels.
        labels: Labels,
    },
}

/// A push to be stored: its body once, a row for each device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPush {
    /// Its id, UUID version 7.
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
    /// The devices, with the places reserved in their mailboxes. May be empty.
    pub slots: Vec<NewSlot>,
    /// Each shard whose mailboxes are among them.
    pub fences: Vec<Fence>,
}

/// A place in a mailbox for a new push.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSlot {
    /// As reserved.
    pub slot: Slot,
    /// It is sent as soon as it is durable.
    pub offered: bool,
}

/// A sender's key, and until when it stands for the push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deduplicate {
    /// The key.
    pub key: DeduplicationKey,
    /// Until when; at that instant it is free again.
    pub until: Wall,
}

/// A receipt as a device reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceReceipt {
    /// Increasing within the device's store incarnation.
    pub sequence: u64,
    /// The push.
    pub push: PushId,
    /// What became of it.
    pub receipt: Receipt,
}

/// A device that enrols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDevice {
    /// Its id.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: String,
    /// Its key.
    pub key: KeyFingerprint,
    /// The token's labels.
    pub operator_labels: Labels,
    /// Its own.
    pub own_labels: Labels,
    /// When.
    pub enrolled: Wall,
}

/// A certificate that is handed out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCertificate {
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Whose.
    pub holder: Holder,
    /// Its end.
    pub expires: Wall,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Durable, or was so before.
    Applied(Applied),
    /// The sender's key stands for an earlier push; nothing was stored.
    Duplicate(Earlier),
    /// Decided on what is no longer so: read, and decide again.
    Conflict(Conflict),
    /// Another change of the list was a conflict.
    Withheld,
}

/// What an applied change did that its caller cannot know.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Receipts that count from now on, for those who watch.
    pub recorded: Vec<Recorded>,
    /// Rows that left mailboxes: their shards release the room.
    pub gone: Vec<Gone>,
    /// [`Change::Offer`]: the rows that are there, offered.
    pub offered: Vec<Sequence>,
    /// [`Change::Record`] and [`Change::BeginSession`]: the device's receipts are durable up to here.
    pub receipts_through: u64,
    /// Sweeps: there is more to do.
    pub more: bool,
}

/// A receipt that was recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The push.
    pub push: PushId,
    /// The device.
    pub device: DeviceId,
    /// Its place among the push's receipts.
    pub cursor: ReceiptCursor,
    /// The receipt.
    pub receipt: Receipt,
}

/// A row that left its mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone {
    /// Whose mailbox.
    pub device: DeviceId,
    /// Its place.
    pub sequence: Sequence,
    /// Bytes of its payload.
    pub bytes: u64,
}

/// The push that a sender's key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier {
    /// Its id.
    pub push: PushId,
    /// When it was accepted.
    pub accepted: Wall,
    /// For how many devices.
    pub devices: u32,
}

/// Why a change is not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another owner has claimed the shard.
    #[error("shard {} is owned by epoch {} now", shard.0, epoch.0)]
    Deposed {
        /// The shard.
        shard: ShardId,
        /// Its epoch now; 0 = never claimed.
        epoch: Epoch,
    },
    /// The place is taken: the mailbox goes on at `next`.
    #[error("the mailbox of device {device} goes on at {}", next.0)]
    Mailbox {
        /// Whose.
        device: DeviceId,
        /// Its next place.
        next: Sequence,
    },
    /// No such device.
    #[error("device {device} is not enrolled")]
    UnknownDevice {
        /// The id.
        device: DeviceId,
    },
    /// The device's store incarnation is another one.
    #[error("device {device} has begun a session with another store")]
    StoreChanged {
        /// Which device.
        device: DeviceId,
    },
    /// The token is not as it was read, or is gone.
    #[error("the token was used meanwhile")]
    Token,
    /// The name stands for a client of another role.
    #[error("{name} is the name of a client with another role")]
    Client {
        /// The name.
        name: ClientName,
    },
}
