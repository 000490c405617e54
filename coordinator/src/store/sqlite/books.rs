//! What the writer knows of the tables while it writes: the shards' epochs and the mailboxes' heads.
//!
//! Only the writer changes them, so they are checked in memory and each head is written once per transaction, however many
//! pushes of the transaction went to its mailbox. After a failure all is forgotten and read again.

use std::collections::HashMap;

use lull_fleet_policy::{DeviceId, Sequence, ShardId};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::column::{Fault, int, natural, small};
use crate::store::{Applied, Change, Conflict, Epoch, Fence, Gone, Outcome};

/// Heads kept in memory between transactions: some 10 MiB at most.
const HEADS: usize = 65_536;

/// The head of a device's mailbox, and how far its receipts are durable.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) next: u64,
    pub(super) count: u32,
    pub(super) bytes: u64,
    pub(super) store: String,
    pub(super) receipts_through: u64,
    dirty: bool,
}

/// The books of one transaction, and what of them outlasts it.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) db: Connection,
    epochs: HashMap<ShardId, Epoch>,
    heads: HashMap<DeviceId, Head>,
    dirty: Vec<DeviceId>,
}

/// A change that was looked at: what it did, or why it was not done.
pub(super) type Verdict = Result<Result<Applied, Refusal>, Fault>;

/// Why a change did nothing.
#[derive(Debug)]
pub(super) enum Refusal {
    Conflict(Conflict),
    Duplicate(crate::store::Earlier),
}

impl From<Conflict> for Refusal {
    fn from(conflict: Conflict) -> Self {
        Self::Conflict(conflict)
    }
}

impl Books {
    pub(super) fn open(db: Connection) -> rusqlite::Result<Self> {
        let mut epochs = HashMap::new();
        {
            let mut statement = db.prepare("SELECT id, epoch FROM shard")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let epoch = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                epochs.insert(ShardId(row.get(0)?), Epoch(epoch));
            }
        }
        Ok(Self {
            db,
            epochs,
            heads: HashMap::new(),
            dirty: Vec::new(),
        })
    }

    pub(super) fn begin(&self) -> Result<(), Fault> {
        Ok(self
            .db
            .prepare_cached("BEGIN IMMEDIATE")?
            .execute([])
            .map(drop)?)
    }

    /// Writes the heads and commits: the one place where the disk is waited for.
    pub(super) fn finish(&mut self) -> Result<(), Fault> {
        self.flush()?;
        self.db.prepare_cached("COMMIT")?.execute([])?;
        if self.heads.len() > HEADS {
            self.heads.clear();
        }
        Ok(())
    }

    /// A new epoch of the shard.
    pub(super) fn claim(&mut self, shard: ShardId) -> Result<Epoch, Fault> {
        let epoch: i64 = self
            .db
            .prepare_cached(
                "INSERT INTO shard (id, epoch) VALUES (?1, 1)
                 ON CONFLICT (id) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
            )?
            .query_row([shard.0], |row| row.get(0))?;
        let epoch = Epoch(natural("shard", epoch)?);
        self.epochs.insert(shard, epoch);
        Ok(epoch)
    }

    /// Applies a list as a whole or not at all. A single change looks before it writes; a longer list has a savepoint.
    pub(super) fn apply(&mut self, changes: &[Change]) -> Result<Vec<Outcome>, Fault> {
        if let [change] = changes {
            return Ok(vec![outcome(self.apply_one(change)?)]);
        }
        self.flush()?;
        self.db.prepare_cached("SAVEPOINT list")?.execute([])?;
        let mut outcomes = Vec::with_capacity(changes.len());
        for (place, change) in changes.iter().enumerate() {
            let outcome = outcome(self.apply_one(change)?);
            if let Outcome::Conflict(conflict) = outcome {
                self.db.prepare_cached("ROLLBACK TO list")?.execute([])?;
                self.db.prepare_cached("RELEASE list")?.execute([])?;
                self.forget_heads();
                let mut outcomes = vec![Outcome::Withheld; changes.len()];
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = Outcome::Conflict(conflict);
                }
                return Ok(outcomes);
            }
            outcomes.push(outcome);
        }
        self.flush()?;
        self.db.prepare_cached("RELEASE list")?.execute([])?;
        Ok(outcomes)
    }

    fn apply_one(&mut self, change: &Change) -> Verdict {
        match change {
            Change::AcceptPush(push) => self.accept(push),
            Change::Offer {
                fence,
                device,
                rows,
            } => self.offer(*fence, *device, rows),
            Change::Deliver {
                fence,
                device,
                rows,
            } => self.deliver(*fence, *device, rows),
            Change::Expire {
                fence,
                device,
                rows,
                at,
            } => self.expire(*fence, *device, rows, *at),
            Change::Record {
                fence,
                device,
                store,
                receipts,
                at,
            } => self.record(*fence, *device, store, receipts, *at),
            Change::ExpirePush {
                push,
                at,
                next,
                limit,
            } => self.expire_push(*push, *at, *next, *limit),
            Change::ClosePush {
                push,
                hop,
                at,
                limit,
            } => self.close_push(*push, hop, *at, *limit),
            Change::RemovePush { push, limit } => self.remove_push(*push, *limit),
            Change::Postpone { push, until } => self.postpone(*push, *until),
            Change::RemoveExpired { before, limit } => self.remove_expired(*before, *limit),
            Change::AddToken { hash, token } => self.add_token(*hash, token),
            Change::Redeem {
                hash,
                before,
                after,
                device,
                certificate,
            } => self.redeem(*hash, before, after, device.as_deref(), certificate),
            Change::AddCertificate(certificate) => self.add_certificate(certificate),
            Change::PutClient(client) => self.put_client(client),
            Change::BeginSession {
                fence,
                device,
                store,
                version,
                at,
            } => self.begin_session(*fence, *device, store, version, *at),
            Change::Seen { fence, device, at } => self.seen(*fence, *device, *at),
            Change::SetInventory {
                fence,
                device,
                apps,
                labels,
            } => self.set_inventory(*fence, *device, apps, labels),
        }
    }

    /// The owner of the shard is the one who decided.
    pub(super) fn check_fence(&self, fence: Fence) -> Result<(), Conflict> {
        let epoch = self.epochs.get(&fence.shard).copied().unwrap_or(Epoch(0));
        if epoch == fence.epoch {
            return Ok(());
        }
        Err(Conflict::Deposed {
            shard: fence.shard,
            epoch,
        })
    }

    /// The head of a device's mailbox; `None` where the device is not enrolled.
    pub(super) fn head(&mut self, device: DeviceId) -> Result<Option<&Head>, Fault> {
        self.load(device)?;
        Ok(self.heads.get(&device))
    }

    /// The head, to be changed: it is written at the end of the transaction.
    pub(super) fn head_mut(&mut self, device: DeviceId) -> Result<Option<&mut Head>, Fault> {
        self.load(device)?;
        let Some(head) = self.heads.get_mut(&device) else {
            return Ok(None);
        };
        if !head.dirty {
            head.dirty = true;
            self.dirty.push(device);
        }
        Ok(Some(head))
    }

    fn load(&mut self, device: DeviceId) -> Result<(), Fault> {
        if self.heads.contains_key(&device) {
            return Ok(());
        }
        let found = self
            .db
            .prepare_cached(
                "SELECT next, count, bytes, store, receipts_through FROM mailbox WHERE device = ?1",
            )?
            .query_row([device.as_bytes()], |row| {
                let figures: (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok((figures, row.get::<_, String>(3)?, row.get::<_, i64>(4)?))
            })
            .optional()?;
        let Some(((next, count, bytes), store, receipts_through)) = found else {
            return Ok(());
        };
        let head = Head {
            next: natural("mailbox", next)?,
            count: small("mailbox", count)?,
            bytes: natural("mailbox", bytes)?,
            store,
            receipts_through: natural("mailbox", receipts_through)?,
            dirty: false,
        };
        self.heads.insert(device, head);
        Ok(())
    }

    /// A row has left its mailbox.
    pub(super) fn release(
        &mut self,
        device: DeviceId,
        sequence: Sequence,
        bytes: u64,
    ) -> Result<Gone, Fault> {
        if let Some(head) = self.head_mut(device)? {
            head.count = head.count.saturating_sub(1);
            head.bytes = head.bytes.saturating_sub(bytes);
        }
        Ok(Gone {
            device,
            sequence,
            bytes,
        })
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let Self {
            db, heads, dirty, ..
        } = self;
        if dirty.is_empty() {
            return Ok(());
        }
        let mut statement = db.prepare_cached(
            "UPDATE mailbox SET next = ?2, count = ?3, bytes = ?4, store = ?5, receipts_through = ?6
             WHERE device = ?1",
        )?;
        for device in dirty.drain(..) {
            let Some(head) = heads.get_mut(&device) else {
                continue;
            };
            head.dirty = false;
            statement.execute(params![
                device.as_bytes(),
                int(head.next),
                head.count,
                int(head.bytes),
                head.store,
                int(head.receipts_through),
            ])?;
        }
        Ok(())
    }

    /// What a rolled back list did to the heads is read again.
    fn forget_heads(&mut self) {
        self.heads.clear();
        self.dirty.clear();
    }
}

fn outcome(verdict: Result<Applied, Refusal>) -> Outcome {
    match verdict {
        Ok(applied) => Outcome::Applied(applied),
        Err(Refusal::Duplicate(earlier)) => Outcome::Duplicate(earlier),
        Err(Refusal::Conflict(conflict)) => Outcome::Conflict(conflict),
    }
}
