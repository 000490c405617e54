//! `SQLite` with the statements of the coordinator's store.

use std::path::Path;

use anyhow::Result;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Engine;
use super::rows::{APP, Batch, Hop, Push, SENDER};

struct Sqlite(Connection);

pub(crate) fn open(folder: &Path) -> Result<Box<dyn Engine>> {
    let db = Connection::open(folder.join("db"))?;
    db.set_prepared_statement_cache_capacity(64);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "cache_size", -32 * 1024)?;
    db.pragma_update(None, "wal_autocheckpoint", 8_192)?;
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS mailbox (device BLOB PRIMARY KEY, next INTEGER NOT NULL, count INTEGER NOT NULL,
            bytes INTEGER NOT NULL, store TEXT NOT NULL, receipts_through INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS push (id BLOB PRIMARY KEY, app TEXT NOT NULL, sender TEXT NOT NULL, key TEXT,
            accepted INTEGER NOT NULL, expires INTEGER NOT NULL, devices INTEGER NOT NULL, open INTEGER NOT NULL,
            closed INTEGER, due INTEGER NOT NULL) STRICT, WITHOUT ROWID;
         CREATE INDEX IF NOT EXISTS push_due ON push (due);
         CREATE TABLE IF NOT EXISTS body (push BLOB PRIMARY KEY, payload BLOB NOT NULL) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS target (push BLOB NOT NULL, device BLOB NOT NULL, sequence INTEGER NOT NULL,
            stage INTEGER NOT NULL, run INTEGER NOT NULL, attempt INTEGER NOT NULL, starts INTEGER NOT NULL,
            PRIMARY KEY (push, device)) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS mail (device BLOB NOT NULL, sequence INTEGER NOT NULL, push BLOB NOT NULL,
            app TEXT NOT NULL, bytes INTEGER NOT NULL, expires INTEGER NOT NULL, offered INTEGER NOT NULL,
            PRIMARY KEY (device, sequence)) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS receipt (push BLOB NOT NULL, ordinal INTEGER NOT NULL, device BLOB NOT NULL,
            hop INTEGER NOT NULL, at INTEGER NOT NULL, run INTEGER NOT NULL, attempt INTEGER NOT NULL,
            word TEXT NOT NULL, PRIMARY KEY (push, ordinal)) STRICT, WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS deduplication (sender TEXT NOT NULL, app TEXT NOT NULL, key TEXT NOT NULL,
            push BLOB NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (sender, app, key)) STRICT, WITHOUT ROWID;",
    )?;
    Ok(Box::new(Sqlite(db)))
}

fn int(n: u64) -> i64 {
    n.cast_signed()
}

impl Sqlite {
    fn begin(&self) -> Result<()> {
        self.0.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        Ok(())
    }

    fn finish(&self, batch: &Batch) -> Result<()> {
        let mut statement = self.0.prepare_cached(
            "INSERT OR REPLACE INTO mailbox VALUES (?1, ?2, ?3, ?4, '0123456789abcdef', 0)",
        )?;
        for (device, head) in &batch.heads {
            statement.execute(params![
                device,
                int(head.next),
                int(head.count),
                int(head.bytes)
            ])?;
        }
        self.0.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }

    fn insert(&self, push: &Push) -> Result<()> {
        let db = &self.0;
        let earlier: Option<Vec<u8>> = db
            .prepare_cached(
                "SELECT p.id FROM deduplication d JOIN push p ON p.id = d.push
                 WHERE d.sender = ?1 AND d.app = ?2 AND d.key = ?3 AND d.until > ?4",
            )?
            .query_row(params![SENDER, APP, push.key, int(push.accepted)], |row| {
                row.get(0)
            })
            .optional()?;
        anyhow::ensure!(earlier.is_none(), "a key came twice");
        db.prepare_cached(
            "INSERT INTO push VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1, 1, NULL, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            push.id,
            APP,
            SENDER,
            push.key,
            int(push.accepted),
            int(push.expires)
        ])?;
        db.prepare_cached("INSERT INTO body VALUES (?1, ?2)")?
            .execute(params![push.id, push.body])?;
        db.prepare_cached("INSERT OR REPLACE INTO deduplication VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                SENDER,
                APP,
                push.key,
                push.id,
                int(push.accepted + 86_400_000)
            ])?;
        db.prepare_cached("INSERT INTO target VALUES (?1, ?2, ?3, 0, 0, 0, 0)")?
            .execute(params![push.id, push.device, int(push.sequence)])?;
        db.prepare_cached("INSERT INTO mail VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)")?
            .execute(params![
                push.device,
                int(push.sequence),
                push.id,
                APP,
                int(push.body.len() as u64),
                int(push.expires)
            ])?;
        Ok(())
    }

    fn hop(&self, push: &Push, hop: Hop) -> Result<()> {
        let db = &self.0;
        let stage: i64 = db
            .prepare_cached("SELECT stage FROM target WHERE push = ?1 AND device = ?2")?
            .query_row(params![push.id, push.device], |row| row.get(0))?;
        anyhow::ensure!(stage < hop as i64, "a receipt came twice");
        if hop == Hop::Delivered {
            db.prepare_cached(
                "DELETE FROM mail WHERE device = ?1 AND sequence = ?2 RETURNING bytes",
            )?
            .query_row(params![push.device, int(push.sequence)], |row| {
                row.get::<_, i64>(0)
            })?;
        }
        db.prepare_cached(
            "UPDATE target SET stage = ?3, run = 7, attempt = 1, starts = 1
             WHERE push = ?1 AND device = ?2",
        )?
        .execute(params![push.id, push.device, hop as i64])?;
        if hop == Hop::Finished {
            let open: i64 = db
                .prepare_cached("UPDATE push SET open = open - 1 WHERE id = ?1 RETURNING open")?
                .query_row([push.id], |row| row.get(0))?;
            anyhow::ensure!(open == 0, "a push is open");
            db.prepare_cached("UPDATE push SET closed = ?2, due = ?2 WHERE id = ?1")?
                .execute(params![push.id, int(push.accepted)])?;
        }
        db.prepare_cached(
            "INSERT INTO receipt VALUES
             (?1, (SELECT coalesce(max(ordinal), 0) + 1 FROM receipt WHERE push = ?1), ?2, ?3, ?4, 7, 1, 'completed')
             RETURNING ordinal",
        )?
        .query_row(
            params![push.id, push.device, hop as i64, int(push.accepted)],
            |row| row.get::<_, i64>(0),
        )?;
        Ok(())
    }
}

impl Engine for Sqlite {
    fn accept(&mut self, batch: &Batch) -> Result<()> {
        self.begin()?;
        batch.pushes.iter().try_for_each(|push| self.insert(push))?;
        self.finish(batch)
    }

    fn record(&mut self, batch: &Batch, hop: Hop) -> Result<()> {
        self.begin()?;
        batch
            .pushes
            .iter()
            .try_for_each(|push| self.hop(push, hop))?;
        self.finish(batch)
    }

    fn drain(&mut self, device: &[u8; 16]) -> Result<(usize, usize)> {
        let mut statement = self.0.prepare_cached(
            "SELECT b.payload FROM mail m JOIN body b ON b.push = m.push
             WHERE m.device = ?1 ORDER BY m.sequence",
        )?;
        let mut rows = statement.query([device])?;
        let (mut count, mut bytes) = (0, 0);
        while let Some(row) = rows.next()? {
            count += 1;
            bytes += row.get_ref(0)?.as_blob()?.len();
        }
        Ok((count, bytes))
    }
}
