//! What the store tells: plain records.

use std::collections::BTreeSet;

use lull_fleet_policy::{
    AppId, ClientName, DeviceId, KeyFingerprint, Labels, PushId, Receipt, ShardId, Stage, Wall,
    enrollment::Token, life::Life,
};
use serde::{Deserialize, Serialize};

use super::{DeviceCursor, ReceiptCursor};

/// One claim of a shard. Only the newest may change the mailboxes of the shard's devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// On behalf of which shard, and in which epoch, a change was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence {
    /// The shard.
    pub shard: ShardId,
    /// Its epoch as its owner knows it.
    pub epoch: Epoch,
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its id.
    pub id: DeviceId,
    /// What it calls itself.
    pub name: String,
    /// The key it enrolled with.
    pub key: KeyFingerprint,
    /// The operator's labels.
    pub operator_labels: Labels,
    /// The device's own.
    pub own_labels: Labels,
    /// When it enrolled.
    pub enrolled: Wall,
    /// When it was last heard of; `None` = never since its enrolment.
    pub last_seen: Option<Wall>,
    /// The node's version at its last hello; empty = none yet.
    pub node_version: String,
    /// The device's store incarnation at its last hello; empty = none yet.
    pub store: String,
    /// Its receipts of that incarnation are durable up to this number.
    pub receipts_through: u64,
    /// What is installed there, by its last word.
    pub apps: Vec<InstalledApp>,
    /// Pushes that wait in its mailbox.
    pub waiting: u32,
}

impl DeviceRecord {
    /// The labels that count.
    pub fn labels(&self) -> Labels {
        Labels::effective(&self.operator_labels, &self.own_labels)
    }
}

/// An app on a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InstalledApp {
    /// The app.
    pub app: AppId,
    /// Its version as its manifest says.
    pub version: String,
}

/// A page of devices, by id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DevicePage {
    /// The devices.
    pub devices: Vec<DeviceRecord>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<DeviceCursor>,
}

/// An accepted push, without its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushRecord {
    /// Its id.
    pub id: PushId,
    /// Its app.
    pub app: AppId,
    /// Who sent it.
    pub sender: ClientName,
    /// When it became durable.
    pub accepted: Wall,
    /// When its time to live ends.
    pub expires: Wall,
    /// Devices it was accepted for.
    pub devices: u32,
    /// Those without a terminal receipt.
    pub open: u32,
}

/// A push on one of its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRecord {
    /// The device.
    pub device: DeviceId,
    /// How far it has come.
    pub stage: Stage,
}

/// A page of a push's devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetPage {
    /// By device id.
    pub targets: Vec<TargetRecord>,
    /// True where more follow.
    pub more: bool,
}

/// A page of a push's receipts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReceiptPage {
    /// Device and receipt, in order.
    pub receipts: Vec<(DeviceId, Receipt)>,
    /// After the last of them (or as asked, if there are none).
    pub next: ReceiptCursor,
    /// True where more are there already.
    pub more: bool,
}

/// SHA-256 of a token's secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// An enrolment token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its state, for [`lull_fleet_policy::enrollment::redeem`].
    pub token: Token,
    /// Labels that the operator gives the device.
    pub labels: Labels,
}

/// Whose a certificate is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// A device's.
    Device(DeviceId),
    /// A person's or program's.
    Client(ClientName),
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRecord {
    /// Whose.
    pub holder: Holder,
    /// Its end.
    pub expires: Wall,
}

/// What a client may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientRole {
    /// Push, to these apps.
    Publisher(BTreeSet<AppId>),
    /// Everything.
    Operator,
}

/// A person or program with a client certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRecord {
    /// Its name.
    pub name: ClientName,
    /// What it may do.
    pub role: ClientRole,
}

/// A push that the sweep must look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DuePush {
    /// The push.
    pub push: PushId,
    /// For [`Life::due`].
    pub life: Life,
}
