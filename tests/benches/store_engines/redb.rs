//! redb: one copy-on-write file, a commit is durable when it returns.

use std::path::Path;

use anyhow::{Context as _, Result};
use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::Engine;
use super::rows::{Batch, Hop, flat};

type Rows = TableDefinition<'static, &'static [u8], &'static [u8]>;

const MAILBOX: Rows = Rows::new("mailbox");
const PUSH: Rows = Rows::new("push");
const DUE: Rows = Rows::new("due");
const BODY: Rows = Rows::new("body");
const TARGET: Rows = Rows::new("target");
const MAIL: Rows = Rows::new("mail");
const RECEIPT: Rows = Rows::new("receipt");
const KEY: Rows = Rows::new("deduplication");

struct Redb(Database);

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Engine>> {
    let db = Database::builder()
        .set_cache_size(32 << 20)
        .create(folder.join("db"))?;
    let transaction = db.begin_write()?;
    for table in [MAILBOX, PUSH, DUE, BODY, TARGET, MAIL, RECEIPT, KEY] {
        transaction.open_table(table)?;
    }
    transaction.commit()?;
    Ok(Box::new(Redb(db)))
}

impl Engine for Redb {
    fn accept(&mut self, batch: &Batch) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut push_table = transaction.open_table(PUSH)?;
            let mut due = transaction.open_table(DUE)?;
            let mut body = transaction.open_table(BODY)?;
            let mut target = transaction.open_table(TARGET)?;
            let mut mail = transaction.open_table(MAIL)?;
            let mut key = transaction.open_table(KEY)?;
            let mut mailbox = transaction.open_table(MAILBOX)?;
            for push in &batch.pushes {
                let name = flat::key_key(push);
                anyhow::ensure!(key.get(name.as_slice())?.is_none(), "a key came twice");
                push_table.insert(&push.id[..], flat::push_value(push, false).as_slice())?;
                due.insert(flat::due_key(push.expires, push).as_slice(), &[][..])?;
                body.insert(&push.id[..], push.body.as_slice())?;
                key.insert(name.as_slice(), flat::key_value(push).as_slice())?;
                target.insert(
                    flat::target_key(push).as_slice(),
                    flat::target_value(push, 0).as_slice(),
                )?;
                mail.insert(
                    flat::mail_key(push).as_slice(),
                    flat::mail_value(push).as_slice(),
                )?;
            }
            for (device, head) in &batch.heads {
                mailbox.insert(&device[..], flat::head_value(head).as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn record(&mut self, batch: &Batch, hop: Hop) -> Result<()> {
        let mut transaction = self.0.begin_write()?;
        transaction.set_durability(Durability::Immediate)?;
        {
            let mut push_table = transaction.open_table(PUSH)?;
            let mut due = transaction.open_table(DUE)?;
            let mut target = transaction.open_table(TARGET)?;
            let mut mail = transaction.open_table(MAIL)?;
            let mut receipt = transaction.open_table(RECEIPT)?;
            let mut mailbox = transaction.open_table(MAILBOX)?;
            for push in &batch.pushes {
                let place = flat::target_key(push);
                let stage = target
                    .get(place.as_slice())?
                    .and_then(|value| value.value().get(8).copied());
                anyhow::ensure!(stage < Some(hop as u8), "a receipt came twice");
                if hop == Hop::Delivered {
                    mail.remove(flat::mail_key(push).as_slice())?;
                }
                target.insert(
                    place.as_slice(),
                    flat::target_value(push, hop as u8).as_slice(),
                )?;
                if hop == Hop::Finished {
                    push_table.insert(&push.id[..], flat::push_value(push, true).as_slice())?;
                    due.remove(flat::due_key(push.expires, push).as_slice())?;
                    due.insert(flat::due_key(push.accepted, push).as_slice(), &[][..])?;
                }
                let first = flat::receipt_key(push, 0);
                let last = flat::receipt_key(push, u64::MAX);
                let ordinal = {
                    let mut range = receipt.range(first.as_slice()..=last.as_slice())?;
                    let found = range.next_back().transpose()?;
                    flat::next_ordinal(found.as_ref().map(|(key, _)| key.value()))
                };
                receipt.insert(
                    flat::receipt_key(push, ordinal).as_slice(),
                    flat::receipt_value(push, hop).as_slice(),
                )?;
            }
            for (device, head) in &batch.heads {
                mailbox.insert(&device[..], flat::head_value(head).as_slice())?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn drain(&mut self, device: &[u8; 16]) -> Result<(usize, usize)> {
        let transaction = self.0.begin_read()?;
        let mail = transaction.open_table(MAIL)?;
        let body = transaction.open_table(BODY)?;
        let (mut count, mut bytes) = (0, 0);
        let last = flat::join(&[device, &u64::MAX.to_be_bytes()]);
        for row in mail.range(&device[..]..=last.as_slice())? {
            let (_, value) = row?;
            let push = value.value().get(..16).context("a short row")?;
            let found = body.get(push)?.context("a body is missing")?;
            count += 1;
            bytes += found.value().len();
        }
        Ok((count, bytes))
    }
}
