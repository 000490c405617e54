//! Between the policy's types and the columns. A column that holds what no build of ours wrote is a [`Fault::Row`].

use lull_fleet_policy::{
    AppId, ClientName, DeviceId, Hop, KeyFingerprint, Labels, PushId, Receipt, Stage, Wall, Word,
};
use rusqlite::Row;
use serde::de::DeserializeOwned;

/// What can go wrong between a statement and a value.
#[derive(Debug)]
pub(super) enum Fault {
    /// `SQLite` says no.
    Sql(rusqlite::Error),
    /// A row cannot be read.
    Row { table: &'static str, what: String },
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// A fault of one row.
pub(super) fn bad(table: &'static str, what: impl std::fmt::Display) -> Fault {
    Fault::Row {
        table,
        what: format!("{what}"),
    }
}

/// A number for a column. Ordered columns hold at most what an `i64` can, which times and places never reach.
pub(super) fn int(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// An instant for a column.
pub(super) fn at(wall: Wall) -> i64 {
    int(wall.as_millis())
}

/// A number of a column that is never negative.
pub(super) fn natural(table: &'static str, n: i64) -> Result<u64, Fault> {
    u64::try_from(n).map_err(|error| bad(table, error))
}

/// A small number of a column.
pub(super) fn small(table: &'static str, n: i64) -> Result<u32, Fault> {
    u32::try_from(n).map_err(|error| bad(table, error))
}

/// An instant of a column.
pub(super) fn wall(table: &'static str, n: i64) -> Result<Wall, Fault> {
    natural(table, n).map(Wall::from_millis)
}

/// A device id of a column.
pub(super) fn device(row: &Row<'_>, column: usize) -> rusqlite::Result<DeviceId> {
    row.get(column).map(DeviceId::from_bytes)
}

/// A push id of a column.
pub(super) fn push(row: &Row<'_>, column: usize) -> rusqlite::Result<PushId> {
    row.get(column).map(PushId::from_bytes)
}

/// A key fingerprint of a column.
pub(super) fn key(row: &Row<'_>, column: usize) -> rusqlite::Result<KeyFingerprint> {
    row.get(column).map(KeyFingerprint)
}

/// An app of a column.
pub(super) fn app(table: &'static str, text: String) -> Result<AppId, Fault> {
    AppId::new(text).map_err(|error| bad(table, error))
}

/// A client's name of a column.
pub(super) fn client(table: &'static str, text: String) -> Result<ClientName, Fault> {
    ClientName::new(text).map_err(|error| bad(table, error))
}

/// A JSON column.
pub(super) fn json<T: DeserializeOwned>(table: &'static str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text).map_err(|error| bad(table, error))
}

/// Labels, as JSON.
pub(super) fn labels(labels: &Labels) -> Result<String, Fault> {
    to_json("device", labels)
}

/// A value as JSON.
pub(super) fn to_json(table: &'static str, value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|error| bad(table, error))
}

/// The columns `stage, run, attempt, starts`.
pub(super) fn stage_columns(stage: Stage) -> (i64, i64, u32, u32) {
    match stage {
        Stage::Accepted => (0, 0, 0, 0),
        Stage::Delivered => (1, 0, 0, 0),
        Stage::Started {
            run,
            attempt,
            starts,
        } => (2, run.cast_signed(), attempt, starts),
        Stage::Closed => (3, 0, 0, 0),
    }
}

/// The stage of the columns `stage, run, attempt, starts`.
pub(super) fn stage(stage: i64, run: i64, attempt: u32, starts: u32) -> Result<Stage, Fault> {
    match stage {
        0 => Ok(Stage::Accepted),
        1 => Ok(Stage::Delivered),
        2 => Ok(Stage::Started {
            run: run.cast_unsigned(),
            attempt,
            starts,
        }),
        3 => Ok(Stage::Closed),
        other => Err(bad("target", format!("stage {other}"))),
    }
}

/// The columns `hop, run, attempt, word`.
pub(super) fn hop_columns(hop: &Hop) -> (i64, i64, u32, &str) {
    match hop {
        Hop::Accepted => (1, 0, 0, ""),
        Hop::Delivered => (2, 0, 0, ""),
        Hop::Started { run, attempt } => (3, run.cast_signed(), *attempt, ""),
        Hop::Finished {
            run,
            attempt,
            outcome,
        } => (4, run.cast_signed(), *attempt, outcome.as_str()),
        Hop::Expired => (5, 0, 0, ""),
        Hop::Dropped { reason } => (6, 0, 0, reason.as_str()),
    }
}

/// The receipt of the columns `hop, at, run, attempt, word`, from `first` on.
pub(super) fn receipt(row: &Row<'_>, first: usize) -> Result<Receipt, Fault> {
    let run = row.get::<_, i64>(first + 2)?.cast_unsigned();
    let attempt: u32 = row.get(first + 3)?;
    let word = || -> Result<Word, Fault> {
        let text: String = row.get(first + 4)?;
        Word::new(text).map_err(|error| bad("receipt", error))
    };
    let hop = match row.get::<_, i64>(first)? {
        1 => Hop::Accepted,
        2 => Hop::Delivered,
        3 => Hop::Started { run, attempt },
        4 => Hop::Finished {
            run,
            attempt,
            outcome: word()?,
        },
        5 => Hop::Expired,
        6 => Hop::Dropped { reason: word()? },
        other => return Err(bad("receipt", format!("hop {other}"))),
    };
    let at = wall("receipt", row.get(first + 1)?)?;
    Ok(Receipt { hop, at })
}
