//! The file: who may use it, what version it has, and what happens to a damaged one.
//!
//! A damaged file is set aside under a name that says when, never deleted; a newer one is refused and not touched.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lull_fleet_policy::Wall;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use rustix::fs::FlockOperation;

use super::{OpenError, Options, schema};

/// Statements kept prepared on each connection: all that there are, with room.
const STATEMENTS: usize = 96;

/// Page cache of the writer, in KiB: the inner pages of all tables and the day's leaves.
const WRITER_CACHE: i64 = -32 * 1024;

/// Pages in the log before they are carried into the file: 32 MiB, so that bursts pay for it seldom.
const CHECKPOINT: i64 = 8_192;

/// Bytes to which the log is cut back after a burst.
const LOG_LIMIT: i64 = 64 << 20;

/// How long a writer of another process (an operator's shell) may stand in the way of a commit.
const PATIENCE: Duration = Duration::from_secs(1);

/// Only one process uses a store: held as long as it is open.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Unusable {
            path: path.to_owned(),
            source,
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(beside(path, ".lock"))
            .map_err(unusable)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse {
                path: path.to_owned(),
            }),
            Err(error) => Err(unusable(error.into())),
        }
    }
}

/// A store that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) incarnation: String,
    pub(super) set_aside: Option<PathBuf>,
}

/// Opens the file for writing, once it is known to be whole and not newer than this build.
pub(super) fn open(options: &Options) -> Result<Opened, OpenError> {
    let path = &options.path;
    let mut set_aside = None;
    if !usable(path)? {
        set_aside = Some(put_aside(path, options.now)?);
    }
    let (connection, incarnation) = match make(path, &options.incarnation) {
        Ok(made) => made,
        Err(error) if is_damage(&error) && set_aside.is_none() => {
            set_aside = Some(put_aside(path, options.now)?);
            make(path, &options.incarnation).map_err(|source| refused(path, source))?
        }
        Err(error) => return Err(refused(path, error)),
    };
    Ok(Opened {
        connection,
        incarnation,
        set_aside,
    })
}

/// Opens the file as the writer does; it was open before.
pub(super) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    // Never made here: a file that vanished must not come back empty.
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(PATIENCE)?;
    prepare_once(&db)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "foreign_keys", false)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    db.pragma_update(None, "cache_size", WRITER_CACHE)?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT)?;
    db.pragma_update(None, "journal_size_limit", LOG_LIMIT)?;
    Ok(db)
}

/// Opens the file for reading.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let db = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    db.busy_timeout(PATIENCE)?;
    prepare_once(&db)?;
    db.pragma_update(None, "query_only", true)?;
    Ok(db)
}

/// Statements are kept, and their plans too: else the statistics (`STAT4` is in the build) have a statement planned anew
/// each time a value is bound, which costs as much as running it (measured: 48 against 23 thousand accepts a second).
fn prepare_once(db: &Connection) -> rusqlite::Result<()> {
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn make(path: &Path, incarnation: &str) -> rusqlite::Result<(Connection, String)> {
    if !path.exists() {
        // Owner only: it holds pushes. SQLite gives its companions the same mode.
        create(path).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    }
    let mut db = writer(path)?;
    schema::migrate(&mut db, incarnation)?;
    let incarnation = db.query_row("SELECT incarnation FROM store", [], |row| row.get(0))?;
    Ok((db, incarnation))
}

fn create(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600))
}

/// Looks without writing: `false` = damaged. A file that is absent or empty is usable.
fn usable(path: &Path) -> Result<bool, OpenError> {
    match std::fs::metadata(path) {
        Ok(data) if data.len() == 0 => return Ok(true),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true),
        Err(source) => {
            return Err(OpenError::Unusable {
                path: path.to_owned(),
                source,
            });
        }
    }
    match look(path) {
        Ok(Found::Whole) => Ok(true),
        Ok(Found::Damaged) => Ok(false),
        Ok(Found::Newer(found)) => Err(OpenError::Newer {
            path: path.to_owned(),
            found,
            known: schema::version(),
        }),
        Err(error) if is_damage(&error) => Ok(false),
        Err(error) => Err(refused(path, error)),
    }
}

enum Found {
    Whole,
    Damaged,
    Newer(u32),
}

fn look(path: &Path) -> rusqlite::Result<Found> {
    let db = reader(path)?;
    let application: i32 = db.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version = schema::version_of(&db)?;
    if application != schema::APPLICATION {
        let tables: i64 =
            db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        let begun = tables == 0 && version == 0;
        return Ok(if begun { Found::Whole } else { Found::Damaged });
    }
    if version > schema::version() {
        return Ok(Found::Newer(version));
    }
    let check: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if check == "ok" {
        Found::Whole
    } else {
        Found::Damaged
    })
}

/// Whether the file itself is at fault, not the disk or another process.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

fn refused(path: &Path, source: rusqlite::Error) -> OpenError {
    OpenError::Refused {
        path: path.to_owned(),
        source,
    }
}

/// Moves the file and its companions to `<file>.damaged-<time>`, so that together they can still be opened.
fn put_aside(path: &Path, now: Wall) -> Result<PathBuf, OpenError> {
    let mut time = now.as_millis();
    let mut target = beside(path, &format!(".damaged-{time}"));
    while target.exists() {
        time = time.saturating_add(1);
        target = beside(path, &format!(".damaged-{time}"));
    }
    for companion in ["", "-wal", "-shm"] {
        let from = beside(path, companion);
        match std::fs::rename(&from, beside(&target, companion)) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(OpenError::Unusable { path: from, source }),
        }
    }
    Ok(target)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
