//! The open file: checked before it is believed, read whole, written batch by batch.

use std::fs::File as PlainFile;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lull_policy::{Key, Record, Wall};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, params};
use uuid::Uuid;

use super::schema::{APPLICATION, STEPS, migrate, newest, version};
use super::set_aside::{any_file, set_aside, sync_folder, with_suffix};
use super::{Batch, Incarnation, StoreConfig, StoreError};

/// What the store held when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// Every record.
    pub records: Vec<Record>,
    /// Which store this is.
    pub incarnation: Incarnation,
    /// Where the damaged one before it was moved to, and what was found.
    pub set_aside: Option<SetAside>,
}

/// A damaged store that was moved away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was found.
    pub found: String,
}

/// The file, open and believed.
#[derive(Debug)]
pub(super) struct File {
    connection: Connection,
    path: PathBuf,
    journal_limit: i64,
    journal_bytes: i64,
}

/// Why a file was not believed.
#[derive(Debug)]
enum Trouble {
    /// It is damaged: what was found.
    Damaged(String),
    /// Something else went wrong; the file may be sound.
    Other(StoreError),
}

impl File {
    /// Opens the store. A damaged one is moved aside and an empty one is made in its place.
    pub(super) fn open(config: &StoreConfig, wall: Wall) -> Result<(Self, Contents), StoreError> {
        Self::open_with(config, wall, STEPS)
    }

    pub(super) fn open_with(
        config: &StoreConfig,
        wall: Wall,
        steps: &[&str],
    ) -> Result<(Self, Contents), StoreError> {
        let found = match Self::try_open(config, steps) {
            Ok(opened) => return Ok(opened),
            Err(Trouble::Other(error)) => return Err(error),
            Err(Trouble::Damaged(found)) => found,
        };
        let files = |source| StoreError::Files {
            path: config.path.clone(),
            source,
        };
        let path = set_aside(&config.path, wall).map_err(files)?;
        tracing::error!(
            store = %config.path.display(), set_aside = %path.display(), found,
            "the store is damaged; it was moved aside, nothing was deleted, and an empty one takes its place"
        );
        match Self::try_open(config, steps) {
            Ok((file, mut contents)) => {
                contents.set_aside = Some(SetAside { path, found });
                Ok((file, contents))
            }
            Err(Trouble::Other(error)) => Err(error),
            Err(Trouble::Damaged(found)) => Err(files(io::Error::other(format!(
                "a store just made reads as damaged ({found}); the disk does not keep what is written"
            )))),
        }
    }

    fn try_open(config: &StoreConfig, steps: &[&str]) -> Result<(Self, Contents), Trouble> {
        let path = &config.path;
        if !path.exists() {
            if any_file(path) {
                return Err(Trouble::Damaged(
                    "its log is there, the file itself is not".into(),
                ));
            }
            create(path, steps).map_err(Trouble::Other)?;
        }
        check_header(path, newest(steps))?;
        let mut connection = connect(config)?;
        check_version(&connection, path, newest(steps))?;
        check_pages(&connection, path)?;
        let migrated = migrate(&mut connection, steps).map_err(|e| judge("migrating", path, e))?;
        configure(&connection, config, migrated)?;
        let contents = read(&connection, path)?;
        let journal_bytes = connection
            .query_row("SELECT coalesce(sum(bytes), 0) FROM journal", [], |row| {
                row.get(0)
            })
            .map_err(|e| judge("reading", path, e))?;
        let file = Self {
            connection,
            path: path.clone(),
            journal_limit: config.journal_bytes,
            journal_bytes,
        };
        Ok((file, contents))
    }

    /// Commits a batch: durable when this returns. After an error the file must be dropped and opened anew.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let rows = self.rows(batch)?;
        let result = write(
            &mut self.connection,
            &rows,
            &batch.journal,
            self.journal_limit,
            self.journal_bytes,
        );
        match result {
            Ok(journal_bytes) => {
                self.journal_bytes = journal_bytes;
                Ok(())
            }
            Err(source) => Err(StoreError::Database {
                doing: "committing to",
                path: self.path.clone(),
                source,
            }),
        }
    }

    /// Closes the file after a failed commit, without the sync that closing would do.
    pub(super) fn abandon(self) {
        let skip = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = skip {
            tracing::warn!(%error, "closing the store after a failed commit");
        }
    }

    fn rows(&self, batch: &Batch) -> Result<Vec<(String, Option<String>)>, StoreError> {
        let record = |source| StoreError::Record {
            path: self.path.clone(),
            source,
        };
        let row = |(key, value): (&Key, &Option<Record>)| {
            let value = value.as_ref().map(serde_json::to_string).transpose();
            Ok((
                serde_json::to_string(key).map_err(record)?,
                value.map_err(record)?,
            ))
        };
        batch.changes.iter().map(row).collect()
    }
}

/// Makes an empty store under another name and renames it into place, so that a file under the store's own name is
/// either whole or damaged.
fn create(path: &Path, steps: &[&str]) -> Result<(), StoreError> {
    let new = with_suffix(path, ".new");
    let files = |source| StoreError::Files {
        path: new.clone(),
        source,
    };
    for leftover in [new.clone(), with_suffix(&new, "-journal")] {
        match std::fs::remove_file(&leftover) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(files(error)),
        }
    }
    // Payloads of pushes are the apps' own: nobody else reads them. Log and index take the mode of the file.
    let mut options = PlainFile::options();
    let made = options.write(true).create_new(true).mode(0o600).open(&new);
    drop(made.map_err(files)?);
    fill(&new, steps).map_err(|source| StoreError::Database {
        doing: "making",
        path: new.clone(),
        source,
    })?;
    std::fs::rename(&new, path).map_err(files)?;
    sync_folder(path).map_err(files)
}

fn fill(path: &Path, steps: &[&str]) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    migrate(&mut connection, steps)?;
    let incarnation = Uuid::now_v7().to_string();
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('incarnation', ?1)",
        [incarnation],
    )?;
    connection.close().map_err(|(_connection, error)| error)
}

/// Reads version and mark from the file's first 100 bytes, before anything opens it that could write.
fn check_header(path: &Path, known: u32) -> Result<(), Trouble> {
    let mut header = [0; 100];
    let read = PlainFile::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(Trouble::Damaged("it is shorter than a header".into()));
        }
        Err(source) => {
            return Err(Trouble::Other(StoreError::Files {
                path: path.into(),
                source,
            }));
        }
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(Trouble::Damaged(
            "its first bytes are not those of a database".into(),
        ));
    }
    if field(&header, 68) != APPLICATION {
        return Err(Trouble::Damaged(
            "its header does not name it a store of this daemon".into(),
        ));
    }
    refuse_newer(path, field(&header, 60), known)
}

/// A big-endian number of the header.
fn field(header: &[u8; 100], at: usize) -> u32 {
    let bytes = header.iter().skip(at).take(4);
    bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn refuse_newer(path: &Path, found: u32, known: u32) -> Result<(), Trouble> {
    if found > known {
        return Err(Trouble::Other(StoreError::Newer {
            path: path.into(),
            found,
            known,
        }));
    }
    if found == 0 {
        return Err(Trouble::Damaged("it has no schema version".into()));
    }
    Ok(())
}

fn connect(config: &StoreConfig) -> Result<Connection, Trouble> {
    let path = &config.path;
    let opening = |e| judge("opening", path, e);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(opening)?;
    connection.busy_timeout(config.patience).map_err(opening)?;
    // Until the version is known, nothing may be written on the way out.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(opening)?;
    Ok(connection)
}

/// The version again, with what the log holds: the header is older after a cut between a migration and its checkpoint.
fn check_version(connection: &Connection, path: &Path, known: u32) -> Result<(), Trouble> {
    let found = version(connection).map_err(|e| judge("opening", path, e))?;
    refuse_newer(path, found, known)
}

fn check_pages(connection: &Connection, path: &Path) -> Result<(), Trouble> {
    let mut found = Vec::new();
    connection
        .pragma_query(None, "quick_check", |row| {
            found.push(row.get::<_, String>(0)?);
            Ok(())
        })
        .map_err(|e| judge("checking", path, e))?;
    match found.as_slice() {
        [ok] if ok == "ok" => Ok(()),
        other => Err(Trouble::Damaged(other.join("; "))),
    }
}

fn configure(connection: &Connection, config: &StoreConfig, migrated: bool) -> Result<(), Trouble> {
    let path = &config.path;
    let configuring = |e| judge("configuring", path, e);
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| connection.pragma_update(None, "trusted_schema", false))
        .map_err(configuring)?;
    connection
        .pragma_update_and_check(None, "max_page_count", config.max_pages, |_row| Ok(()))
        .map_err(configuring)?;
    // Else the statistics (`STAT4` is in the build) have a statement planned anew each time a value is bound.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(configuring)?;
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map_err(configuring)?;
    // What an earlier process, or an fsync that failed, left in the log may be in memory only. Moved into the file and synced
    // there, it is durable; the log starts anew. The header's version is then the true one, too.
    let log_is_empty =
        !migrated && std::fs::metadata(with_suffix(path, "-wal")).map_or(true, |m| m.len() == 0);
    if log_is_empty {
        return Ok(());
    }
    connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
        .map_err(configuring)
}

fn read(connection: &Connection, path: &Path) -> Result<Contents, Trouble> {
    let reading = |e| judge("reading", path, e);
    let incarnation: String = connection
        .query_row(
            "SELECT value FROM meta WHERE name = 'incarnation'",
            [],
            |row| row.get(0),
        )
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

fn write(
    connection: &mut Connection,
    rows: &[(String, Option<String>)],
    journal: &[String],
    limit: i64,
    mut kept: i64,
) -> rusqlite::Result<i64> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut put = transaction.prepare_cached(
            "INSERT INTO records (key, value, sum) VALUES (?1, ?2, ?3)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value, sum = excluded.sum",
        )?;
        let mut remove = transaction.prepare_cached("DELETE FROM records WHERE key = ?1")?;
        for (key, value) in rows {
            match value {
                Some(value) => put.execute(params![key, value, sum(key, value)])?,
                None => remove.execute(params![key])?,
            };
        }
        let mut append =
            transaction.prepare_cached("INSERT INTO journal (bytes, entry) VALUES (?1, ?2)")?;
        for entry in journal {
            let bytes = i64::try_from(entry.len()).unwrap_or(i64::MAX);
            append.execute(params![bytes, entry])?;
            kept = kept.saturating_add(bytes);
        }
        let mut oldest = transaction.prepare_cached(
            "DELETE FROM journal WHERE seq = (SELECT min(seq) FROM journal) RETURNING bytes",
        )?;
        while kept > limit {
            let mut gone = oldest.query([])?;
            let Some(row) = gone.next()? else { break };
            kept = kept.saturating_sub(row.get(0)?);
            // The deletion is carried out when the statement has been stepped to its end.
            while gone.next()?.is_some() {}
        }
    }
    transaction.commit()?;
    Ok(kept)
}

/// FNV-1a over a row's texts: every step is a bijection, so that one changed byte always shows. Against decay, not against people.
pub(super) fn sum(key: &str, value: &str) -> i64 {
    let bytes = key.bytes().chain([0]).chain(value.bytes());
    let sum = bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    sum.cast_signed()
}

/// Whether an error says that the file itself is wrong.
fn judge(doing: &'static str, path: &Path, error: rusqlite::Error) -> Trouble {
    let code = error.sqlite_error_code();
    let damaged = matches!(
        code,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch)
    );
    // Tables that are missing or of another shape: the schema is not the one its version promises.
    let misshaped = code == Some(ErrorCode::Unknown)
        || matches!(
            error,
            rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::SqlInputError { .. }
                | rusqlite::Error::Utf8Error(..)
        );
    if damaged || misshaped {
        Trouble::Damaged(format!("{doing} it: {error}"))
    } else {
        Trouble::Other(StoreError::Database {
            doing,
            path: path.into(),
            source: error,
        })
    }
}
