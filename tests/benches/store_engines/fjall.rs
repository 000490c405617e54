//! fjall: a log-structured merge tree with a journal, fdatasync on each commit.

use std::path::Path;

use anyhow::{Context as _, Result};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::Engine;
use super::rows::{Batch, Hop, flat};

struct Fjall {
    db: Database,
    mailbox: Keyspace,
    push: Keyspace,
    due: Keyspace,
    body: Keyspace,
    target: Keyspace,
    mail: Keyspace,
    receipt: Keyspace,
    key: Keyspace,
}

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Engine>> {
    let db = Database::builder(folder.join("db"))
        .cache_size(32 << 20)
        .open()?;
    let rows = |name: &str| db.keyspace(name, KeyspaceCreateOptions::default);
    Ok(Box::new(Fjall {
        mailbox: rows("mailbox")?,
        push: rows("push")?,
        due: rows("due")?,
        body: rows("body")?,
        target: rows("target")?,
        mail: rows("mail")?,
        receipt: rows("receipt")?,
        key: rows("deduplication")?,
        db,
    }))
}

impl Engine for Fjall {
    fn accept(&mut self, batch: &Batch) -> Result<()> {
        let mut writes = self.db.batch().durability(Some(PersistMode::SyncData));
        for push in &batch.pushes {
            let name = flat::key_key(push);
            anyhow::ensure!(self.key.get(&name)?.is_none(), "a key came twice");
            writes.insert(&self.push, push.id, flat::push_value(push, false));
            writes.insert(&self.due, flat::due_key(push.expires, push), []);
            writes.insert(&self.body, push.id, push.body.as_slice());
            writes.insert(&self.key, name, flat::key_value(push));
            writes.insert(
                &self.target,
                flat::target_key(push),
                flat::target_value(push, 0),
            );
            writes.insert(&self.mail, flat::mail_key(push), flat::mail_value(push));
        }
        for (device, head) in &batch.heads {
            writes.insert(&self.mailbox, *device, flat::head_value(head));
        }
        writes.commit()?;
        Ok(())
    }

    fn record(&mut self, batch: &Batch, hop: Hop) -> Result<()> {
        let mut writes = self.db.batch().durability(Some(PersistMode::SyncData));
        for push in &batch.pushes {
            let place = flat::target_key(push);
            let stage = self
                .target
                .get(&place)?
                .and_then(|value| value.get(8).copied());
            anyhow::ensure!(stage < Some(hop as u8), "a receipt came twice");
            if hop == Hop::Delivered {
                writes.remove(&self.mail, flat::mail_key(push));
            }
            writes.insert(&self.target, place, flat::target_value(push, hop as u8));
            if hop == Hop::Finished {
                writes.insert(&self.push, push.id, flat::push_value(push, true));
                writes.remove(&self.due, flat::due_key(push.expires, push));
                writes.insert(&self.due, flat::due_key(push.accepted, push), []);
            }
            let last = self.receipt.prefix(push.id).next_back();
            let last = last.map(fjall::Guard::key).transpose()?;
            let ordinal = flat::next_ordinal(last.as_deref());
            writes.insert(
                &self.receipt,
                flat::receipt_key(push, ordinal),
                flat::receipt_value(push, hop),
            );
        }
        for (device, head) in &batch.heads {
            writes.insert(&self.mailbox, *device, flat::head_value(head));
        }
        writes.commit()?;
        Ok(())
    }

    fn drain(&mut self, device: &[u8; 16]) -> Result<(usize, usize)> {
        let (mut count, mut bytes) = (0, 0);
        for row in self.mail.prefix(device) {
            let value = row.value()?;
            let push = value.get(..16).context("a short row")?;
            let found = self.body.get(push)?.context("a body is missing")?;
            count += 1;
            bytes += found.len();
        }
        Ok((count, bytes))
    }
}
