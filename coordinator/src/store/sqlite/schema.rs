//! The tables, and the steps that bring an older file forward. A step is never changed once released.
//!
//! Few indexes: every row is written once or twice and found by its key. Times are milliseconds since the epoch.

use rusqlite::Connection;

/// Marks a file as a coordinator's store: "LULC".
pub(super) const APPLICATION: i32 = 0x4c55_4c43;

/// Step `n` brings a file of version `n` to `n + 1`.
const STEPS: &[&str] = &[FIRST];

/// The version that this build writes.
pub(super) fn version() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// The version of a file; 0 = empty.
pub(super) fn version_of(db: &Connection) -> rusqlite::Result<u32> {
    db.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Brings an older file forward, each step in a transaction of its own. Gives the version it had.
pub(super) fn migrate(db: &mut Connection, incarnation: &str) -> rusqlite::Result<u32> {
    let found = version_of(db)?;
    for (version, step) in (0_u32..).zip(STEPS).skip(found as usize) {
        let transaction = db.transaction()?;
        transaction.execute_batch(step)?;
        if version == 0 {
            transaction.execute("INSERT INTO store (incarnation) VALUES (?1)", [incarnation])?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
        }
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
    }
    Ok(found)
}

const FIRST: &str = "
CREATE TABLE store (incarnation TEXT NOT NULL) STRICT;

CREATE TABLE shard (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL) STRICT;

CREATE TABLE device (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    key BLOB NOT NULL,
    operator_labels TEXT NOT NULL,
    own_labels TEXT NOT NULL,
    enrolled INTEGER NOT NULL,
    last_seen INTEGER,
    node_version TEXT NOT NULL,
    apps TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The figures of a device that change with every push: apart from the rest, which is wide and rarely changes.
CREATE TABLE mailbox (
    device BLOB PRIMARY KEY,
    next INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    store TEXT NOT NULL,
    receipts_through INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE push (
    id BLOB PRIMARY KEY,
    app TEXT NOT NULL,
    sender TEXT NOT NULL,
    key TEXT,
    accepted INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    devices INTEGER NOT NULL,
    open INTEGER NOT NULL,
    closed INTEGER,
    due INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX push_due ON push (due);

CREATE TABLE body (push BLOB PRIMARY KEY, payload BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- The resolved target set of a push. stage: 0 accepted, 1 delivered, 2 started, 3 closed.
CREATE TABLE target (
    push BLOB NOT NULL,
    device BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    stage INTEGER NOT NULL,
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    starts INTEGER NOT NULL,
    PRIMARY KEY (push, device)
) STRICT, WITHOUT ROWID;

-- What waits for a device, in order. A row leaves when the device has it, or when it expires unoffered.
CREATE TABLE mail (
    device BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    push BLOB NOT NULL,
    app TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    offered INTEGER NOT NULL,
    PRIMARY KEY (device, sequence)
) STRICT, WITHOUT ROWID;

-- hop: the numbers of lull.push.v1.Hop. word: the outcome or the reason.
CREATE TABLE receipt (
    push BLOB NOT NULL,
    ordinal INTEGER NOT NULL,
    device BLOB NOT NULL,
    hop INTEGER NOT NULL,
    at INTEGER NOT NULL,
    run INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    word TEXT NOT NULL,
    PRIMARY KEY (push, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE deduplication (
    sender TEXT NOT NULL,
    app TEXT NOT NULL,
    key TEXT NOT NULL,
    push BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (sender, app, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    hash BLOB PRIMARY KEY,
    expires INTEGER NOT NULL,
    labels TEXT NOT NULL,
    key BLOB,
    device BLOB,
    recoveries INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX token_expires ON token (expires);

CREATE TABLE certificate (
    serial BLOB PRIMARY KEY,
    device BLOB,
    client TEXT,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificate_expires ON certificate (expires);

-- role: 1 publisher, 2 operator (lull.fleet.v1.Role). apps: of a publisher.
CREATE TABLE client (name TEXT PRIMARY KEY, role INTEGER NOT NULL, apps TEXT NOT NULL) STRICT, WITHOUT ROWID;
";
