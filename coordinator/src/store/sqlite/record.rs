//! Receipts: each moves its target's stage by the policy's table, or changes nothing.

use lull_fleet_policy::{DeviceId, PushId, Receipt, Sequence, Stage, Wall, life, receipt};
use rusqlite::{OptionalExtension as _, params};

use super::books::{Books, Verdict};
use super::column::{self, Fault, at, natural};
use crate::store::cursor::{Place, ReceiptCursor};
use crate::store::{Applied, Conflict, DeviceReceipt, Fence, Recorded};

impl Books {
    pub(super) fn record(
        &mut self,
        fence: Fence,
        device: DeviceId,
        store: &str,
        receipts: &[DeviceReceipt],
        now: Wall,
    ) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        let Some(head) = self.head(device)? else {
            return Ok(Err(Conflict::UnknownDevice { device }.into()));
        };
        if head.store != store {
            return Ok(Err(Conflict::StoreChanged { device }.into()));
        }
        let mut through = head.receipts_through;
        let mut applied = Applied::default();
        for told in receipts {
            if !receipt::fresh(told.sequence, through) {
                continue;
            }
            through = told.sequence;
            if let Some((stage, sequence)) = self.target(told.push, device)? {
                let receipt = &told.receipt;
                self.advance(
                    told.push,
                    device,
                    stage,
                    sequence,
                    receipt,
                    now,
                    &mut applied,
                )?;
            }
        }
        if let Some(head) = self.head_mut(device)? {
            head.receipts_through = through;
        }
        applied.receipts_through = through;
        Ok(Ok(applied))
    }

    fn target(&self, push: PushId, device: DeviceId) -> Result<Option<(Stage, Sequence)>, Fault> {
        let found = self
            .db
            .prepare_cached(
                "SELECT stage, run, attempt, starts, sequence FROM target
                 WHERE push = ?1 AND device = ?2",
            )?
            .query_row(params![push.as_bytes(), device.as_bytes()], |row| {
                let stage: (i64, i64, u32, u32) =
                    (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
                Ok((stage, row.get::<_, i64>(4)?))
            })
            .optional()?;
        let Some(((stage, run, attempt, starts), sequence)) = found else {
            return Ok(None);
        };
        let stage = column::stage(stage, run, attempt, starts)?;
        Ok(Some((stage, Sequence(natural("target", sequence)?))))
    }

    /// Records a receipt if the policy's table says that it counts, and whatever follows: the row leaves the mailbox, a
    /// push whose last device is done is closed.
    #[expect(
        clippy::too_many_arguments,
        reason = "the target's key, what is known of it, and what happened"
    )]
    pub(super) fn advance(
        &mut self,
        push: PushId,
        device: DeviceId,
        stage: Stage,
        sequence: Sequence,
        receipt: &Receipt,
        now: Wall,
        applied: &mut Applied,
    ) -> Result<(), Fault> {
        let Some(after) = stage.advance(&receipt.hop) else {
            return Ok(());
        };
        if stage == Stage::Accepted {
            applied.gone.extend(self.take_row(device, sequence)?);
        }
        let (number, run, attempt, starts) = column::stage_columns(after);
        self.db
            .prepare_cached(
                "UPDATE target SET stage = ?3, run = ?4, attempt = ?5, starts = ?6
                 WHERE push = ?1 AND device = ?2",
            )?
            .execute(params![
                push.as_bytes(),
                device.as_bytes(),
                number,
                run,
                attempt,
                starts
            ])?;
        if after.is_closed() {
            self.close_target(push, now)?;
        }
        let ordinal = self.insert_receipt(push, device, receipt)?;
        applied.recorded.push(Recorded {
            push,
            device,
            cursor: ReceiptCursor(Place::Recorded(ordinal)),
            receipt: receipt.clone(),
        });
        Ok(())
    }

    fn insert_receipt(
        &self,
        push: PushId,
        device: DeviceId,
        receipt: &Receipt,
    ) -> Result<u64, Fault> {
        let (hop, run, attempt, word) = column::hop_columns(&receipt.hop);
        let ordinal: i64 = self
            .db
            .prepare_cached(
                "INSERT INTO receipt (push, ordinal, device, hop, at, run, attempt, word)
                 VALUES (?1, (SELECT coalesce(max(ordinal), 0) + 1 FROM receipt WHERE push = ?1),
                         ?2, ?3, ?4, ?5, ?6, ?7)
                 RETURNING ordinal",
            )?
            .query_row(
                params![
                    push.as_bytes(),
                    device.as_bytes(),
                    hop,
                    at(receipt.at),
                    run,
                    attempt,
                    word
                ],
                |row| row.get(0),
            )?;
        natural("receipt", ordinal)
    }

    fn close_target(&self, push: PushId, now: Wall) -> Result<(), Fault> {
        let open: Option<i64> = self
            .db
            .prepare_cached(
                "UPDATE push SET open = open - 1 WHERE id = ?1 AND open > 0 RETURNING open",
            )?
            .query_row([push.as_bytes()], |row| row.get(0))
            .optional()?;
        if open == Some(0) {
            self.db
                .prepare_cached("UPDATE push SET closed = ?2, due = ?3 WHERE id = ?1")?
                .execute(params![push.as_bytes(), at(now), at(life::removal(now))])?;
        }
        Ok(())
    }
}
