//! The open file: checked before it is believed, read whole, written batch by batch.

use std::fs::File as PlainFile;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use lull_policy::{Key, Record, Wall};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use uuid::Uuid;

use super::header::{self, refuse_newer};
use super::rows::{Come, how_far, journal_bytes, read, write};
use super::schema::{STEPS, migrate, newest, version};
use super::set_aside::{any_file, set_aside, sync_folder, with_suffix};
use super::tally::{self, Tally, TallyFile, Told};
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
    /// The disk is full: there is room for what ends, and for nothing that begins.
    pub scarce: bool,
}

/// A damaged store that was moved away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// What was found.
    pub found: String,
}

/// Pages in the log after which it is moved into the file while the disk is full: a quarter of the reserve.
const SCARCE_LOG_PAGES: u32 = 64;

/// The file, open and believed.
#[derive(Debug)]
pub(super) struct File {
    connection: Connection,
    path: PathBuf,
    journal_limit: i64,
    journal_bytes: i64,
    log_pages: u32,
    /// How far it has come, and where that is noted.
    tally: Tally,
    noted: TallyFile,
}

/// Why a file was not believed.
#[derive(Debug)]
pub(super) enum Trouble {
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
        let files = |source| {
            Trouble::Other(StoreError::Files {
                path: path.clone(),
                source,
            })
        };
        let told = Told::read(path).map_err(files)?;
        match &told {
            Told::Nothing | Told::Tally(_) => {}
            Told::Nonsense(found) => {
                tracing::warn!(store = %path.display(), found, "the store's tally cannot be understood; the store is believed without it");
            }
            Told::Foreign(found) => {
                return Err(Trouble::Damaged(format!("the tally beside it: {found}")));
            }
        }
        if !path.exists() {
            if any_file(path) {
                return Err(Trouble::Damaged(
                    "its companions are there, the file itself is not".into(),
                ));
            }
            create(path, steps).map_err(Trouble::Other)?;
        }
        let newest = newest(steps);
        header::check(path, newest, &told)?;
        let mut connection = connect(config)?;
        let found = version(&connection).map_err(|e| judge("opening", path, e))?;
        // Again, with what the log holds: the header is older after a cut between a migration and its checkpoint.
        refuse_newer(path, found, newest, &told)?;
        check_pages(&connection, path)?;
        let come = how_far(&connection, found).map_err(|e| judge("reading", path, e))?;
        if let Some(missing) = told.known().and_then(|noted| noted.missing(&come)) {
            return Err(Trouble::Damaged(missing));
        }
        // What is damaged is found before anything is written: it is kept as it was found.
        let read_first = read(&connection, path)?;
        if found < newest {
            tally::announce(path, &told, newest).map_err(files)?;
        }
        let migrated = migrate(&mut connection, steps).map_err(|e| judge("migrating", path, e))?;
        configure(&connection, config, migrated)?;
        let contents = if migrated {
            read(&connection, path)?
        } else {
            read_first
        };
        // The log's name is durable before anything in it is promised: the database does not say when it cannot sync its folder.
        sync_folder(path).map_err(files)?;
        let tally = how_far(&connection, newest).map_err(|e| judge("reading", path, e))?;
        let journal_bytes = journal_bytes(&connection).map_err(|e| judge("reading", path, e))?;
        let file = Self {
            connection,
            path: path.clone(),
            journal_limit: config.journal_bytes,
            journal_bytes,
            log_pages: config.log_pages,
            noted: TallyFile::open(path, &told, &tally).map_err(files)?,
            tally,
        };
        Ok((file, contents))
    }

    /// Commits a batch: durable when this returns. After an error the file must be dropped and opened anew.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let rows = self.rows(batch)?;
        if batch.journal.is_empty() {
            self.changes_without_an_entry()?;
        }
        let mut come = Come {
            journal_bytes: self.journal_bytes,
            entry: self.tally.entry,
            // Known since it was opened.
            total: self.tally.total.unwrap_or_default(),
        };
        let written = write(
            &mut self.connection,
            &rows,
            &batch.journal,
            self.journal_limit,
            &mut come,
        );
        written.map_err(|source| StoreError::Database {
            doing: "committing to",
            path: self.path.clone(),
            source,
        })?;
        self.journal_bytes = come.journal_bytes;
        self.tally.entry = come.entry;
        self.tally.total = Some(come.total);
        self.noted.note(&self.tally);
        self.move_log().map_err(|source| StoreError::Database {
            doing: "moving the log of",
            path: self.path.clone(),
            source,
        })
    }

    /// Moves the log into the file when it is long. What was committed is durable where this fails; the file is not used again.
    fn move_log(&self) -> rusqlite::Result<()> {
        let length = "PRAGMA wal_checkpoint(NOOP)";
        let mut length = self.connection.prepare_cached(length)?;
        let pages: u32 = length.query_row([], |row| row.get(1))?;
        if pages < self.log_pages {
            return Ok(());
        }
        self.connection
            .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(()))
    }

    /// Between such a commit and its note, records are others than the tally would say.
    fn changes_without_an_entry(&mut self) -> Result<(), StoreError> {
        let changing = Tally {
            total: None,
            ..self.tally
        };
        let written = self.noted.write(&changing);
        written.map_err(|source| StoreError::Files {
            path: self.path.clone(),
            source,
        })
    }

    /// From now on the file grows as little as it can: its journal no more, its log not beyond some pages.
    pub(super) fn save_room(&mut self) {
        self.journal_limit = self.journal_limit.min(self.journal_bytes);
        self.log_pages = self.log_pages.min(SCARCE_LOG_PAGES);
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
    for suffix in ["", "-journal", "-wal", "-shm"] {
        let leftover = with_suffix(&new, suffix);
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
    // Closing does not tell when it could not move the log into the file.
    if with_suffix(&new, "-wal").exists() {
        return Err(files(io::Error::other(
            "its log could not be moved into it",
        )));
    }
    std::fs::rename(&new, path).map_err(files)?;
    sync_folder(path).map_err(files)
}

/// Written by a log from the start, so that no rollback journal is ever beside a store.
fn fill(path: &Path, steps: &[&str]) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    write_by_log(&connection)?;
    migrate(&mut connection, steps)?;
    let incarnation = Uuid::now_v7().to_string();
    connection.execute(
        "INSERT INTO meta (name, value) VALUES ('incarnation', ?1)",
        [incarnation],
    )?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
    connection.close().map_err(|(_connection, error)| error)
}

/// Has the file written by a log. What keeps the database from it is not said, and the answer can be the wish; so it is asked.
fn write_by_log(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let way: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    if way == "wal" {
        return Ok(());
    }
    let refused = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR);
    let words = format!("it is written by {way}, and not by a log");
    Err(rusqlite::Error::SqliteFailure(refused, Some(words)))
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

fn check_pages(connection: &Connection, path: &Path) -> Result<(), Trouble> {
    let mut found = Vec::new();
    connection
        .pragma_query(None, "integrity_check", |row| {
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
    write_by_log(connection).map_err(configuring)?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .and_then(|()| connection.pragma_update(None, "trusted_schema", false))
        .map_err(configuring)?;
    // It would not say when it fails, and go on with a file whose sync has failed.
    connection
        .pragma_update_and_check(None, "wal_autocheckpoint", 0, |_row| Ok(()))
        .map_err(configuring)?;
    connection
        .pragma_update_and_check(None, "max_page_count", config.max_pages, |_row| Ok(()))
        .map_err(configuring)?;
    // Else the statistics (`STAT4` is in the build) have a statement planned anew each time a value is bound.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(configuring)?;
    // What an earlier process, or an fsync that failed, left in the log may be in memory only. Moved into the file and synced
    // there, it is durable; the log starts anew. The header's version is then the true one, too.
    let log_is_empty =
        !migrated && std::fs::metadata(with_suffix(path, "-wal")).map_or(true, |m| m.len() == 0);
    if !log_is_empty {
        connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))
            .map_err(configuring)?;
    }
    // Not before: closing would sync a file again whose sync has just failed.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)
        .map(drop)
        .map_err(configuring)
}

/// Whether an error says that the file itself is wrong.
pub(super) fn judge(doing: &'static str, path: &Path, error: rusqlite::Error) -> Trouble {
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
