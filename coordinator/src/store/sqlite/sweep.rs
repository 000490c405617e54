//! The sweep's changes: bounded steps, each of which may be repeated.

use lull_fleet_policy::{DeviceId, Hop, PushId, Receipt, Sequence, Stage, Wall};
use rusqlite::params;

use super::books::{Books, Verdict};
use super::column::{self, Fault, at, natural};
use crate::store::Applied;

impl Books {
    pub(super) fn expire_push(
        &mut self,
        push: PushId,
        now: Wall,
        next: Wall,
        limit: u32,
    ) -> Verdict {
        let rows = self.rows_of(
            push,
            limit,
            "SELECT t.device, t.sequence, t.stage, t.run, t.attempt, t.starts
             FROM target t JOIN mail m ON m.device = t.device AND m.sequence = t.sequence
             WHERE t.push = ?1 AND t.stage = 0 AND m.offered = 0 LIMIT ?2",
        )?;
        let mut applied = Applied {
            more: rows.len() >= limit as usize,
            ..Applied::default()
        };
        if !applied.more {
            self.postpone_open(push, next)?;
        }
        for (device, sequence, _) in rows {
            self.expire_row(device, sequence, now, &mut applied)?;
        }
        Ok(Ok(applied))
    }

    pub(super) fn close_push(&mut self, push: PushId, hop: &Hop, now: Wall, limit: u32) -> Verdict {
        let rows = self.rows_of(
            push,
            limit,
            "SELECT device, sequence, stage, run, attempt, starts
             FROM target WHERE push = ?1 AND stage <> 3 LIMIT ?2",
        )?;
        let receipt = Receipt {
            hop: hop.clone(),
            at: now,
        };
        let mut applied = Applied {
            more: rows.len() >= limit as usize,
            ..Applied::default()
        };
        for (device, sequence, stage) in rows {
            self.advance(push, device, stage, sequence, &receipt, now, &mut applied)?;
        }
        Ok(Ok(applied))
    }

    fn rows_of(
        &self,
        push: PushId,
        limit: u32,
        sql: &str,
    ) -> Result<Vec<(DeviceId, Sequence, Stage)>, Fault> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![push.as_bytes(), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let sequence = natural("target", row.get(1)?)?;
            let stage = column::stage(row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?)?;
            found.push((column::device(row, 0)?, Sequence(sequence), stage));
        }
        Ok(found)
    }

    fn postpone_open(&self, push: PushId, until: Wall) -> Result<(), Fault> {
        self.db
            .prepare_cached("UPDATE push SET due = ?2 WHERE id = ?1 AND closed IS NULL")?
            .execute(params![push.as_bytes(), at(until)])?;
        Ok(())
    }

    pub(super) fn postpone(&mut self, push: PushId, until: Wall) -> Verdict {
        self.db
            .prepare_cached("UPDATE push SET due = ?2 WHERE id = ?1")?
            .execute(params![push.as_bytes(), at(until)])?;
        Ok(Ok(Applied::default()))
    }

    /// Receipts first, then targets, then the push itself with its body and its sender's key.
    pub(super) fn remove_push(&mut self, push: PushId, limit: u32) -> Verdict {
        let id = push.as_bytes();
        let closed = self
            .db
            .prepare_cached("SELECT 1 FROM push WHERE id = ?1 AND closed IS NOT NULL")?
            .exists([id])?;
        if !closed {
            return Ok(Ok(Applied::default()));
        }
        let receipts = self
            .db
            .prepare_cached(
                "DELETE FROM receipt WHERE push = ?1 AND ordinal IN
                 (SELECT ordinal FROM receipt WHERE push = ?1 LIMIT ?2)",
            )?
            .execute(params![id, limit])?;
        let left = limit.saturating_sub(u32::try_from(receipts).unwrap_or(limit));
        let targets = self
            .db
            .prepare_cached(
                "DELETE FROM target WHERE push = ?1 AND device IN
                 (SELECT device FROM target WHERE push = ?1 LIMIT ?2)",
            )?
            .execute(params![id, left])?;
        if receipts + targets >= limit as usize {
            return Ok(Ok(Applied {
                more: true,
                ..Applied::default()
            }));
        }
        self.db
            .prepare_cached(
                "DELETE FROM deduplication WHERE push = ?1 AND (sender, app, key) IN
                 (SELECT sender, app, key FROM push WHERE id = ?1)",
            )?
            .execute([id])?;
        self.db
            .prepare_cached("DELETE FROM body WHERE push = ?1")?
            .execute([id])?;
        self.db
            .prepare_cached("DELETE FROM push WHERE id = ?1")?
            .execute([id])?;
        Ok(Ok(Applied::default()))
    }

    pub(super) fn remove_expired(&mut self, before: Wall, limit: u32) -> Verdict {
        let tokens = self
            .db
            .prepare_cached(
                "DELETE FROM token WHERE hash IN
                 (SELECT hash FROM token WHERE expires < ?1 LIMIT ?2)",
            )?
            .execute(params![at(before), limit])?;
        let certificates = self
            .db
            .prepare_cached(
                "DELETE FROM certificate WHERE serial IN
                 (SELECT serial FROM certificate WHERE expires < ?1 LIMIT ?2)",
            )?
            .execute(params![at(before), limit])?;
        Ok(Ok(Applied {
            more: tokens.max(certificates) >= limit as usize,
            ..Applied::default()
        }))
    }
}
