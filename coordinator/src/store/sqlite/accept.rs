//! A push enters the mailboxes; rows are offered and leave.

use lull_fleet_policy::{DeviceId, Hop, PushId, Receipt, Sequence, Stage, Wall, life};
use rusqlite::{OptionalExtension as _, params};

use super::books::{Books, Refusal, Verdict};
use super::column::{self, Fault, at, int, natural, small, wall};
use crate::store::{Applied, Conflict, Earlier, Fence, NewPush};

impl Books {
    pub(super) fn accept(&mut self, push: &NewPush) -> Verdict {
        if let Some(refusal) = self.refuse(push)? {
            let repeat = self.has_push(push.id)?;
            return Ok(if repeat {
                Ok(Applied::default())
            } else {
                Err(refusal)
            });
        }
        if !self.insert_push(push)? {
            return Ok(Ok(Applied::default()));
        }
        self.insert_rows(push)?;
        Ok(Ok(Applied::default()))
    }

    /// Looks at all that a push depends on, and writes nothing.
    fn refuse(&mut self, push: &NewPush) -> Result<Option<Refusal>, Fault> {
        for fence in &push.fences {
            if let Err(conflict) = self.check_fence(*fence) {
                return Ok(Some(conflict.into()));
            }
        }
        if let Some(earlier) = self.earlier(push)? {
            return Ok(Some(Refusal::Duplicate(earlier)));
        }
        for new in &push.slots {
            let device = new.slot.device;
            let Some(head) = self.head(device)? else {
                return Ok(Some(Conflict::UnknownDevice { device }.into()));
            };
            if new.slot.sequence.0 < head.next {
                let next = Sequence(head.next);
                return Ok(Some(Conflict::Mailbox { device, next }.into()));
            }
        }
        Ok(None)
    }

    fn earlier(&self, push: &NewPush) -> Result<Option<Earlier>, Fault> {
        let Some(deduplicate) = &push.deduplicate else {
            return Ok(None);
        };
        let found = self
            .db
            .prepare_cached(
                "SELECT p.id, p.accepted, p.devices FROM deduplication d JOIN push p ON p.id = d.push
                 WHERE d.sender = ?1 AND d.app = ?2 AND d.key = ?3 AND d.until > ?4",
            )?
            .query_row(
                params![
                    push.sender.as_str(),
                    push.app.as_str(),
                    deduplicate.key.as_str(),
                    at(push.accepted)
                ],
                |row| {
                    let figures: (i64, i64) = (row.get(1)?, row.get(2)?);
                    Ok((column::push(row, 0)?, figures))
                },
            )
            .optional()?;
        let Some((id, (accepted, devices))) = found else {
            return Ok(None);
        };
        Ok(Some(Earlier {
            push: id,
            accepted: wall("push", accepted)?,
            devices: small("push", devices)?,
        }))
    }

    fn has_push(&self, id: PushId) -> Result<bool, Fault> {
        Ok(self
            .db
            .prepare_cached("SELECT 1 FROM push WHERE id = ?1")?
            .exists([id.as_bytes()])?)
    }

    /// `false` where a push of this id is there already.
    fn insert_push(&self, push: &NewPush) -> Result<bool, Fault> {
        let devices = u32::try_from(push.slots.len()).unwrap_or(u32::MAX);
        let closed = push.slots.is_empty().then_some(push.accepted);
        let due = closed.map_or(push.expires, life::removal);
        let key = push.deduplicate.as_ref().map(|d| d.key.as_str());
        let inserted = self
            .db
            .prepare_cached(
                "INSERT INTO push (id, app, sender, key, accepted, expires, devices, open, closed, due)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                push.id.as_bytes(),
                push.app.as_str(),
                push.sender.as_str(),
                key,
                at(push.accepted),
                at(push.expires),
                devices,
                closed.map(at),
                at(due),
            ])?;
        if inserted == 0 {
            return Ok(false);
        }
        self.db
            .prepare_cached("INSERT INTO body (push, payload) VALUES (?1, ?2)")?
            .execute(params![push.id.as_bytes(), push.payload.as_ref()])?;
        if let Some(deduplicate) = &push.deduplicate {
            self.db
                .prepare_cached(
                    "INSERT OR REPLACE INTO deduplication (sender, app, key, push, until)
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![
                    push.sender.as_str(),
                    push.app.as_str(),
                    deduplicate.key.as_str(),
                    push.id.as_bytes(),
                    at(deduplicate.until)
                ])?;
        }
        Ok(true)
    }

    fn insert_rows(&mut self, push: &NewPush) -> Result<(), Fault> {
        for new in &push.slots {
            let slot = &new.slot;
            self.db
                .prepare_cached(
                    "INSERT INTO target (push, device, sequence, stage, run, attempt, starts)
                     VALUES (?1, ?2, ?3, 0, 0, 0, 0)",
                )?
                .execute(params![
                    push.id.as_bytes(),
                    slot.device.as_bytes(),
                    int(slot.sequence.0)
                ])?;
            self.db
                .prepare_cached(
                    "INSERT INTO mail (device, sequence, push, app, bytes, expires, offered)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![
                    slot.device.as_bytes(),
                    int(slot.sequence.0),
                    push.id.as_bytes(),
                    push.app.as_str(),
                    int(slot.bytes),
                    at(push.expires),
                    new.offered
                ])?;
            if let Some(head) = self.head_mut(slot.device)? {
                head.next = slot.sequence.0.saturating_add(1);
                head.count = head.count.saturating_add(1);
                head.bytes = head.bytes.saturating_add(slot.bytes);
            }
        }
        Ok(())
    }

    pub(super) fn offer(&mut self, fence: Fence, device: DeviceId, rows: &[Sequence]) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        let mut applied = Applied::default();
        let mut statement = self
            .db
            .prepare_cached("UPDATE mail SET offered = 1 WHERE device = ?1 AND sequence = ?2")?;
        for row in rows {
            if statement.execute(params![device.as_bytes(), int(row.0)])? > 0 {
                applied.offered.push(*row);
            }
        }
        Ok(Ok(applied))
    }

    pub(super) fn deliver(&mut self, fence: Fence, device: DeviceId, rows: &[Sequence]) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        let mut applied = Applied::default();
        for row in rows {
            applied.gone.extend(self.take_row(device, *row)?);
        }
        Ok(Ok(applied))
    }

    /// A row leaves its mailbox, if it is there.
    pub(super) fn take_row(
        &mut self,
        device: DeviceId,
        sequence: Sequence,
    ) -> Result<Option<crate::store::Gone>, Fault> {
        let bytes: Option<i64> = self
            .db
            .prepare_cached("DELETE FROM mail WHERE device = ?1 AND sequence = ?2 RETURNING bytes")?
            .query_row(params![device.as_bytes(), int(sequence.0)], |row| {
                row.get(0)
            })
            .optional()?;
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        let bytes = natural("mail", bytes)?;
        self.release(device, sequence, bytes).map(Some)
    }

    pub(super) fn expire(
        &mut self,
        fence: Fence,
        device: DeviceId,
        rows: &[Sequence],
        now: Wall,
    ) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        let mut applied = Applied::default();
        for row in rows {
            self.expire_row(device, *row, now, &mut applied)?;
        }
        Ok(Ok(applied))
    }

    /// A row that was never offered ends as expired. One that was, or is gone, stays as it is.
    pub(super) fn expire_row(
        &mut self,
        device: DeviceId,
        sequence: Sequence,
        now: Wall,
        applied: &mut Applied,
    ) -> Result<(), Fault> {
        let push: Option<PushId> = self
            .db
            .prepare_cached(
                "SELECT push FROM mail WHERE device = ?1 AND sequence = ?2 AND offered = 0",
            )?
            .query_row(params![device.as_bytes(), int(sequence.0)], |row| {
                column::push(row, 0)
            })
            .optional()?;
        let Some(push) = push else {
            return Ok(());
        };
        let receipt = Receipt {
            hop: Hop::Expired,
            at: now,
        };
        self.advance(
            push,
            device,
            Stage::Accepted,
            sequence,
            &receipt,
            now,
            applied,
        )
    }
}
