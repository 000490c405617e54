//! The schema and its migrations, forward only. The version is the file's `user_version`.
//!
//! A step, once released, is never edited: a later one is added behind it.

use rusqlite::{Connection, Transaction, TransactionBehavior};

/// Marks the file as ours in its header: "LULL".
pub(super) const APPLICATION: u32 = 0x4c55_4c4c;

/// Step `n` (from 0) leads from version `n` to version `n + 1`.
pub(super) const STEPS: &[&str] = &["
    CREATE TABLE meta (
        name TEXT PRIMARY KEY NOT NULL,
        value TEXT NOT NULL
    ) STRICT;
    CREATE TABLE records (
        key TEXT PRIMARY KEY NOT NULL,
        value TEXT NOT NULL,
        sum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY NOT NULL,
        bytes INTEGER NOT NULL,
        entry TEXT NOT NULL
    ) STRICT;
"];

/// The version that `steps` lead to.
pub(super) fn newest(steps: &[&str]) -> u32 {
    u32::try_from(steps.len()).unwrap_or(u32::MAX)
}

/// The version of an open file.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes an open file to the newest version, in one transaction; answers whether anything was done.
pub(super) fn migrate(connection: &mut Connection, steps: &[&str]) -> rusqlite::Result<bool> {
    let from = version(connection)?;
    let missing = steps
        .iter()
        .skip(usize::try_from(from).unwrap_or(usize::MAX));
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut count = 0;
    for step in missing {
        transaction.execute_batch(step)?;
        count += 1;
    }
    finish(transaction, count, steps)
}

fn finish(transaction: Transaction<'_>, count: u32, steps: &[&str]) -> rusqlite::Result<bool> {
    if count == 0 {
        transaction.rollback()?;
        return Ok(false);
    }
    transaction.pragma_update(None, "user_version", newest(steps))?;
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.commit()?;
    Ok(true)
}
