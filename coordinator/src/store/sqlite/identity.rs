//! Tokens, devices, certificates, clients, sessions.

use std::collections::BTreeSet;

use lull_fleet_policy::enrollment::Token;
use lull_fleet_policy::{DeviceId, Labels, Wall};
use rusqlite::{OptionalExtension as _, params};

use super::books::{Books, Verdict};
use super::column::{Fault, at, labels, to_json};
use super::query;
use crate::store::{
    Applied, ClientRecord, ClientRole, Conflict, Fence, Holder, InstalledApp, NewCertificate,
    NewDevice, TokenHash, TokenRecord,
};

impl Books {
    pub(super) fn add_token(&mut self, hash: TokenHash, token: &TokenRecord) -> Verdict {
        let bound = token.token.bound;
        self.db
            .prepare_cached(
                "INSERT INTO token (hash, expires, labels, key, device, recoveries)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                hash.0,
                at(token.token.expires),
                labels(&token.labels)?,
                bound.map(|b| b.key.0),
                bound.map(|b| *b.device.as_bytes()),
                bound.map_or(0, |b| b.recoveries),
            ])?;
        Ok(Ok(Applied::default()))
    }

    pub(super) fn redeem(
        &mut self,
        hash: TokenHash,
        before: &Token,
        after: &Token,
        device: Option<&NewDevice>,
        certificate: &NewCertificate,
    ) -> Verdict {
        let stored = query::token(&self.db, hash)?.map(|record| record.token);
        let repeat = stored.as_ref() == Some(after) && self.has_certificate(&certificate.serial)?;
        if repeat {
            return Ok(Ok(Applied::default()));
        }
        if stored.as_ref() != Some(before) {
            return Ok(Err(Conflict::Token.into()));
        }
        self.db
            .prepare_cached(
                "UPDATE token SET key = ?2, device = ?3, recoveries = ?4 WHERE hash = ?1",
            )?
            .execute(params![
                hash.0,
                after.bound.map(|b| b.key.0),
                after.bound.map(|b| *b.device.as_bytes()),
                after.bound.map_or(0, |b| b.recoveries),
            ])?;
        if let Some(device) = device {
            self.insert_device(device)?;
        }
        self.insert_certificate(certificate)?;
        Ok(Ok(Applied::default()))
    }

    fn insert_device(&self, device: &NewDevice) -> Result<(), Fault> {
        self.db
            .prepare_cached(
                "INSERT INTO device
                 (id, name, key, operator_labels, own_labels, enrolled, node_version, apps)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, '', '[]')",
            )?
            .execute(params![
                device.id.as_bytes(),
                device.name,
                device.key.0,
                labels(&device.operator_labels)?,
                labels(&device.own_labels)?,
                at(device.enrolled),
            ])?;
        self.db
            .prepare_cached(
                "INSERT INTO mailbox (device, next, count, bytes, store, receipts_through)
                 VALUES (?1, 1, 0, 0, '', 0)",
            )?
            .execute([device.id.as_bytes()])?;
        Ok(())
    }

    fn has_certificate(&self, serial: &[u8]) -> Result<bool, Fault> {
        Ok(self
            .db
            .prepare_cached("SELECT 1 FROM certificate WHERE serial = ?1")?
            .exists([serial])?)
    }

    pub(super) fn add_certificate(&mut self, certificate: &NewCertificate) -> Verdict {
        self.insert_certificate(certificate)?;
        Ok(Ok(Applied::default()))
    }

    fn insert_certificate(&self, certificate: &NewCertificate) -> Result<(), Fault> {
        let (device, client) = match &certificate.holder {
            Holder::Device(device) => (Some(*device.as_bytes()), None),
            Holder::Client(name) => (None, Some(name.as_str())),
        };
        self.db
            .prepare_cached(
                "INSERT INTO certificate (serial, device, client, expires)
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                certificate.serial,
                device,
                client,
                at(certificate.expires)
            ])?;
        Ok(())
    }

    pub(super) fn put_client(&mut self, client: &ClientRecord) -> Verdict {
        let none = BTreeSet::new();
        let (role, apps) = match &client.role {
            ClientRole::Publisher(apps) => (1_i64, apps),
            ClientRole::Operator => (2, &none),
        };
        let stored: Option<i64> = self
            .db
            .prepare_cached("SELECT role FROM client WHERE name = ?1")?
            .query_row([client.name.as_str()], |row| row.get(0))
            .optional()?;
        if stored.is_some_and(|stored| stored != role) {
            return Ok(Err(Conflict::Client {
                name: client.name.clone(),
            }
            .into()));
        }
        self.db
            .prepare_cached(
                "INSERT INTO client (name, role, apps) VALUES (?1, ?2, ?3)
                 ON CONFLICT (name) DO UPDATE SET apps = excluded.apps",
            )?
            .execute(params![
                client.name.as_str(),
                role,
                to_json("client", apps)?
            ])?;
        Ok(Ok(Applied::default()))
    }

    pub(super) fn begin_session(
        &mut self,
        fence: Fence,
        device: DeviceId,
        store: &str,
        version: &str,
        now: Wall,
    ) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        let Some(head) = self.head_mut(device)? else {
            return Ok(Err(Conflict::UnknownDevice { device }.into()));
        };
        if head.store != store {
            store.clone_into(&mut head.store);
            head.receipts_through = 0;
        }
        let receipts_through = head.receipts_through;
        self.db
            .prepare_cached("UPDATE device SET node_version = ?2, last_seen = ?3 WHERE id = ?1")?
            .execute(params![device.as_bytes(), version, at(now)])?;
        Ok(Ok(Applied {
            receipts_through,
            ..Applied::default()
        }))
    }

    pub(super) fn seen(&mut self, fence: Fence, device: DeviceId, now: Wall) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        self.db
            .prepare_cached(
                "UPDATE device SET last_seen = max(coalesce(last_seen, 0), ?2) WHERE id = ?1",
            )?
            .execute(params![device.as_bytes(), at(now)])?;
        Ok(Ok(Applied::default()))
    }

    pub(super) fn set_inventory(
        &mut self,
        fence: Fence,
        device: DeviceId,
        apps: &[InstalledApp],
        own: &Labels,
    ) -> Verdict {
        if let Err(conflict) = self.check_fence(fence) {
            return Ok(Err(conflict.into()));
        }
        self.db
            .prepare_cached("UPDATE device SET apps = ?2, own_labels = ?3 WHERE id = ?1")?
            .execute(params![
                device.as_bytes(),
                to_json("device", &apps)?,
                labels(own)?
            ])?;
        Ok(Ok(Applied::default()))
    }
}
