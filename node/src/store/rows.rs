//! What stands in the file's rows, read whole and written batch by batch.

use std::path::Path;

use lull_policy::{Key, Record};
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use uuid::Uuid;

use super::file::{Contents, Trouble, judge};
use super::tally::Tally;
use crate::durable_file;

/// How far the store has come.
pub(super) fn how_far(connection: &Connection, schema: u32) -> rusqlite::Result<Tally> {
    let text: String = connection.query_row(INCARNATION, [], |row| row.get(0))?;
    let incarnation = Uuid::parse_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Text, Box::new(error))
    })?;
    let newest = "SELECT coalesce(max(seq), 0) FROM journal";
    let entry = connection.query_row(newest, [], |row| row.get(0))?;
    let mut statement = connection.prepare("SELECT sum FROM records")?;
    let mut sums = statement.query([])?;
    let mut total: i64 = 0;
    while let Some(row) = sums.next()? {
        total = total.wrapping_add(row.get(0)?);
    }
    Ok(Tally {
        incarnation,
        schema,
        entry,
        total: Some(total),
    })
}

const INCARNATION: &str = "SELECT value FROM meta WHERE name = 'incarnation'";

/// Bytes of journal in the file, which every row says of itself.
pub(super) fn journal_bytes(connection: &Connection) -> rusqlite::Result<i64> {
    let bytes = "SELECT coalesce(sum(bytes), 0) FROM journal";
    connection.query_row(bytes, [], |row| row.get(0))
}

pub(super) fn read(connection: &Connection, path: &Path) -> Result<Contents, Trouble> {
    let reading = |e| judge("reading", path, e);
    let incarnation: String = connection
        .query_row(INCARNATION, [], |row| row.get(0))
        .map_err(reading)?;
    let incarnation = Uuid::parse_str(&incarnation)
        .map_err(|error| Trouble::Damaged(format!("its incarnation {incarnation:?}: {error}")))?;
    let mut statement = connection
        .prepare("SELECT key, value, sum FROM records ORDER BY key")
        .map_err(reading)?;
    let mut rows = statement.query([]).map_err(reading)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(reading)? {
        let key: String = row.get(0).map_err(reading)?;
        let value: String = row.get(1).map_err(reading)?;
        records.push(record(&key, &value, row.get(2).map_err(reading)?).map_err(Trouble::Damaged)?);
    }
    Ok(Contents {
        records,
        incarnation,
        set_aside: None,
        scarce: false,
    })
}

fn record(key: &str, value: &str, kept: i64) -> Result<Record, String> {
    if sum(key, value) != kept {
        return Err(format!("the record {key} is not what was written"));
    }
    let named: Key =
        serde_json::from_str(key).map_err(|error| format!("the key {key}: {error}"))?;
    let record: Record =
        serde_json::from_str(value).map_err(|error| format!("the record {key}: {error}"))?;
    if record.key() != named {
        return Err(format!("the record {key} belongs under another key"));
    }
    Ok(record)
}

/// How far a commit takes the store.
#[derive(Debug)]
pub(super) struct Come {
    pub(super) journal_bytes: i64,
    pub(super) entry: i64,
    pub(super) total: i64,
}

pub(super) fn write(
    connection: &mut Connection,
    rows: &[(String, Option<String>)],
    journal: &[String],
    limit: i64,
    come: &mut Come,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut old = transaction.prepare_cached("SELECT sum FROM records WHERE key = ?1")?;
        let mut put = transaction.prepare_cached(
            "INSERT INTO records (key, value, sum) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
        )?;
        let mut remove = transaction.prepare_cached("DELETE FROM records WHERE key = ?1")?;
        for (key, value) in rows {
            let gone: Option<i64> = old.query_row([key], |row| row.get(0)).optional()?;
            come.total = come.total.wrapping_sub(gone.unwrap_or(0));
            match value {
                Some(value) => {
                    let sum = sum(key, value);
                    come.total = come.total.wrapping_add(sum);
                    put.execute(params![key, value, sum])?
                }
                None => remove.execute(params![key])?,
            };
        }
    }
    append(&transaction, journal, limit, come)?;
    transaction.commit()
}

/// Writes entries behind the journal and trims its oldest; the newest stays, for it says how far the store has come.
fn append(
    transaction: &Transaction<'_>,
    journal: &[String],
    limit: i64,
    come: &mut Come,
) -> rusqlite::Result<()> {
    let mut append = transaction
        .prepare_cached("INSERT INTO journal (seq, bytes, entry) VALUES (?1, ?2, ?3)")?;
    for entry in journal {
        let bytes = i64::try_from(entry.len()).unwrap_or(i64::MAX);
        come.entry += 1;
        append.execute(params![come.entry, bytes, entry])?;
        come.journal_bytes = come.journal_bytes.saturating_add(bytes);
    }
    let mut oldest = transaction.prepare_cached(
        "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal) AND seq < ?1 RETURNING bytes",
    )?;
    while come.journal_bytes > limit {
        let mut gone = oldest.query([come.entry])?;
        let Some(row) = gone.next()? else { break };
        come.journal_bytes = come.journal_bytes.saturating_sub(row.get(0)?);
        // The deletion is carried out when the statement has been stepped to its end.
        while gone.next()?.is_some() {}
    }
    Ok(())
}

/// Over a row's texts.
pub(super) fn sum(key: &str, value: &str) -> i64 {
    let bytes = key.bytes().chain([0]).chain(value.bytes());
    durable_file::sum(bytes).cast_signed()
}
