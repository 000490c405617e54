//! Reads. Each is one short statement or a handful; none changes anything.

use bytes::Bytes;
use lull_fleet_policy::enrollment::{Bound, Token};
use lull_fleet_policy::life::Life;
use lull_fleet_policy::{
    AppId, ClientName, DeduplicationKey, DeviceId, Hop, Mailbox, PushId, Receipt, Sequence,
    Waiting, Wall,
};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::column::{
    self, Fault, app, at, bad, client as client_name, int, json, natural, small, wall,
};
use crate::store::cursor::{Place, ReceiptCursor};
use crate::store::{
    CertificateRecord, ClientRecord, ClientRole, DeviceCursor, DevicePage, DeviceRecord, DuePush,
    Earlier, Holder, PushRecord, ReceiptPage, TargetPage, TargetRecord, TokenHash, TokenRecord,
};

const DEVICE: &str = "SELECT d.id, d.name, d.key, d.operator_labels, d.own_labels, d.enrolled,
    d.last_seen, d.node_version, m.store, m.receipts_through, d.apps, m.count
    FROM device d JOIN mailbox m ON m.device = d.id";

fn device_record(row: &Row<'_>) -> Result<DeviceRecord, Fault> {
    let last_seen: Option<i64> = row.get(6)?;
    Ok(DeviceRecord {
        id: column::device(row, 0)?,
        name: row.get(1)?,
        key: column::key(row, 2)?,
        operator_labels: json("device", row.get_ref(3)?.as_str().map_err(text_fault)?)?,
        own_labels: json("device", row.get_ref(4)?.as_str().map_err(text_fault)?)?,
        enrolled: wall("device", row.get(5)?)?,
        last_seen: last_seen.map(|n| wall("device", n)).transpose()?,
        node_version: row.get(7)?,
        store: row.get(8)?,
        receipts_through: natural("mailbox", row.get(9)?)?,
        apps: json("device", row.get_ref(10)?.as_str().map_err(text_fault)?)?,
        waiting: small("mailbox", row.get(11)?)?,
    })
}

fn text_fault(error: rusqlite::types::FromSqlError) -> Fault {
    bad("device", error)
}

pub(super) fn device(db: &Connection, id: DeviceId) -> Result<Option<DeviceRecord>, Fault> {
    let mut statement = db.prepare_cached(&format!("{DEVICE} WHERE d.id = ?1"))?;
    let mut rows = statement.query([id.as_bytes()])?;
    rows.next()?.map(device_record).transpose()
}

pub(super) fn devices(
    db: &Connection,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<DevicePage, Fault> {
    // No id lies below the empty blob.
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let mut statement =
        db.prepare_cached(&format!("{DEVICE} WHERE d.id > ?1 ORDER BY d.id LIMIT ?2"))?;
    let mut rows = statement.query(params![after, i64::from(limit) + 1])?;
    let mut devices = Vec::new();
    while let Some(row) = rows.next()? {
        devices.push(device_record(row)?);
    }
    let more = devices.len() > limit as usize;
    devices.truncate(limit as usize);
    let next = devices
        .last()
        .filter(|_| more)
        .map(|device| DeviceCursor(device.id));
    Ok(DevicePage { devices, next })
}

pub(super) fn mailboxes(
    db: &Connection,
    devices: &[DeviceId],
) -> Result<Vec<Option<Mailbox>>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT next, count, bytes FROM mailbox WHERE device = ?1")?;
    devices
        .iter()
        .map(|device| {
            let found: Option<(i64, i64, i64)> = statement
                .query_row([device.as_bytes()], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let Some((next, count, bytes)) = found else {
                return Ok(None);
            };
            let next = Sequence(natural("mailbox", next)?);
            let count = small("mailbox", count)?;
            Ok(Some(Mailbox::new(next, count, natural("mailbox", bytes)?)))
        })
        .collect()
}

pub(super) fn mail(
    db: &Connection,
    device: DeviceId,
    after: Sequence,
    limit: u32,
) -> Result<Vec<Waiting>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT sequence, push, app, expires, offered FROM mail
         WHERE device = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )?;
    let mut rows = statement.query(params![device.as_bytes(), int(after.0), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Waiting {
            sequence: Sequence(natural("mail", row.get(0)?)?),
            push: column::push(row, 1)?,
            app: app("mail", row.get(2)?)?,
            expires: wall("mail", row.get(3)?)?,
            offered: row.get(4)?,
        });
    }
    Ok(found)
}

pub(super) fn payloads(db: &Connection, pushes: &[PushId]) -> Result<Vec<Option<Bytes>>, Fault> {
    let mut statement = db.prepare_cached("SELECT payload FROM body WHERE push = ?1")?;
    pushes
        .iter()
        .map(|push| {
            let payload: Option<Vec<u8>> = statement
                .query_row([push.as_bytes()], |row| row.get(0))
                .optional()?;
            Ok(payload.map(Bytes::from))
        })
        .collect()
}

pub(super) fn push(db: &Connection, id: PushId) -> Result<Option<PushRecord>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT id, app, sender, accepted, expires, devices, open FROM push WHERE id = ?1",
    )?;
    let mut rows = statement.query([id.as_bytes()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(PushRecord {
        id: column::push(row, 0)?,
        app: app("push", row.get(1)?)?,
        sender: client_name("push", row.get(2)?)?,
        accepted: wall("push", row.get(3)?)?,
        expires: wall("push", row.get(4)?)?,
        devices: small("push", row.get(5)?)?,
        open: small("push", row.get(6)?)?,
    }))
}

pub(super) fn targets(
    db: &Connection,
    push: PushId,
    after: Option<DeviceId>,
    limit: u32,
) -> Result<TargetPage, Fault> {
    let after = after.map_or_else(Vec::new, |id| id.as_bytes().to_vec());
    let mut statement = db.prepare_cached(
        "SELECT device, stage, run, attempt, starts FROM target
         WHERE push = ?1 AND device > ?2 ORDER BY device LIMIT ?3",
    )?;
    let mut rows = statement.query(params![push.as_bytes(), after, i64::from(limit) + 1])?;
    let mut targets = Vec::new();
    while let Some(row) = rows.next()? {
        targets.push(TargetRecord {
            device: column::device(row, 0)?,
            stage: column::stage(row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)?,
        });
    }
    let more = targets.len() > limit as usize;
    targets.truncate(limit as usize);
    Ok(TargetPage { targets, more })
}

pub(super) fn receipts(
    db: &Connection,
    id: PushId,
    after: ReceiptCursor,
    limit: u32,
) -> Result<ReceiptPage, Fault> {
    let mut page = ReceiptPage {
        next: after,
        ..ReceiptPage::default()
    };
    // One snapshot: receipts recorded meanwhile belong to the next page.
    let snapshot = db.unchecked_transaction()?;
    let mut ordinal = 0;
    match after.0 {
        Place::Recorded(n) => ordinal = n,
        Place::Start => accepted(&snapshot, id, None, limit, &mut page)?,
        Place::Accepted(device) => accepted(&snapshot, id, Some(device), limit, &mut page)?,
    }
    if !page.more {
        recorded(&snapshot, id, ordinal, limit, &mut page)?;
    }
    Ok(page)
}

/// The acceptance of a push is the first receipt of each of its devices.
fn accepted(
    db: &Connection,
    id: PushId,
    after: Option<DeviceId>,
    limit: u32,
    page: &mut ReceiptPage,
) -> Result<(), Fault> {
    let Some(record) = push(db, id)? else {
        return Ok(());
    };
    let found = targets(db, id, after, limit)?;
    page.more = found.more;
    for target in found.targets {
        page.next = ReceiptCursor(Place::Accepted(target.device));
        let receipt = Receipt {
            hop: Hop::Accepted,
            at: record.accepted,
        };
        page.receipts.push((target.device, receipt));
    }
    Ok(())
}

fn recorded(
    db: &Connection,
    id: PushId,
    after: u64,
    limit: u32,
    page: &mut ReceiptPage,
) -> Result<(), Fault> {
    let room = (limit as usize).saturating_sub(page.receipts.len());
    let mut statement = db.prepare_cached(
        "SELECT ordinal, device, hop, at, run, attempt, word FROM receipt
         WHERE push = ?1 AND ordinal > ?2 ORDER BY ordinal LIMIT ?3",
    )?;
    let mut rows = statement.query(params![id.as_bytes(), int(after), int(room as u64 + 1)])?;
    let mut taken = 0;
    while let Some(row) = rows.next()? {
        if taken == room {
            page.more = true;
            break;
        }
        taken += 1;
        let ordinal = natural("receipt", row.get(0)?)?;
        page.next = ReceiptCursor(Place::Recorded(ordinal));
        page.receipts
            .push((column::device(row, 1)?, column::receipt(row, 2)?));
    }
    Ok(())
}

pub(super) fn earlier(
    db: &Connection,
    sender: &ClientName,
    app: &AppId,
    key: &DeduplicationKey,
    now: Wall,
) -> Result<Option<Earlier>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT p.id, p.accepted, p.devices FROM deduplication d JOIN push p ON p.id = d.push
         WHERE d.sender = ?1 AND d.app = ?2 AND d.key = ?3 AND d.until > ?4",
    )?;
    let mut rows = statement.query(params![
        sender.as_str(),
        app.as_str(),
        key.as_str(),
        at(now)
    ])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    Ok(Some(Earlier {
        push: column::push(row, 0)?,
        accepted: wall("push", row.get(1)?)?,
        devices: small("push", row.get(2)?)?,
    }))
}

pub(super) fn token(db: &Connection, hash: TokenHash) -> Result<Option<TokenRecord>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT expires, labels, key, device, recoveries FROM token WHERE hash = ?1",
    )?;
    let mut rows = statement.query([hash.0])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let bound = match row.get::<_, Option<[u8; 32]>>(2)? {
        None => None,
        Some(_) => Some(Bound {
            key: column::key(row, 2)?,
            device: column::device(row, 3)?,
            recoveries: row.get(4)?,
        }),
    };
    let labels: String = row.get(1)?;
    Ok(Some(TokenRecord {
        token: Token {
            expires: wall("token", row.get(0)?)?,
            bound,
        },
        labels: json("token", &labels)?,
    }))
}

pub(super) fn certificate(
    db: &Connection,
    serial: &[u8],
) -> Result<Option<CertificateRecord>, Fault> {
    let mut statement =
        db.prepare_cached("SELECT device, client, expires FROM certificate WHERE serial = ?1")?;
    let mut rows = statement.query([serial])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let device: Option<[u8; 16]> = row.get(0)?;
    let client: Option<String> = row.get(1)?;
    let holder = match (device, client) {
        (Some(device), None) => Holder::Device(DeviceId::from_bytes(device)),
        (None, Some(name)) => Holder::Client(client_name("certificate", name)?),
        (None, None) | (Some(_), Some(_)) => return Err(bad("certificate", "no one holder")),
    };
    Ok(Some(CertificateRecord {
        holder,
        expires: wall("certificate", row.get(2)?)?,
    }))
}

pub(super) fn client(db: &Connection, name: &ClientName) -> Result<Option<ClientRecord>, Fault> {
    let mut statement = db.prepare_cached("SELECT role, apps FROM client WHERE name = ?1")?;
    let mut rows = statement.query([name.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let apps: String = row.get(1)?;
    let role = match row.get::<_, i64>(0)? {
        1 => ClientRole::Publisher(json("client", &apps)?),
        2 => ClientRole::Operator,
        other => return Err(bad("client", format!("role {other}"))),
    };
    Ok(Some(ClientRecord {
        name: name.clone(),
        role,
    }))
}

pub(super) fn due(db: &Connection, now: Wall, limit: u32) -> Result<Vec<DuePush>, Fault> {
    let mut statement = db.prepare_cached(
        "SELECT id, expires, closed FROM push WHERE due <= ?1 ORDER BY due LIMIT ?2",
    )?;
    let mut rows = statement.query(params![at(now), limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let closed: Option<i64> = row.get(2)?;
        found.push(DuePush {
            push: column::push(row, 0)?,
            life: Life {
                expires: wall("push", row.get(1)?)?,
                closed: closed.map(|n| wall("push", n)).transpose()?,
            },
        });
    }
    Ok(found)
}
