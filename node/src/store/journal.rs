//! Reading the flight recorder beside the writer: from the first snapshot that can be used to the last entry, piece by piece.
//!
//! The writer is not held up: each piece is a short read of its own. Entries are handed on as they are, damaged ones
//! too; who replays them says which. Deliberately absent: what an entry means, but for the first and the last.

use std::path::{Path, PathBuf};

use lull_policy::Wall;
use lull_recording::{Entry, SNAPSHOT_BEGINS};
use rusqlite::{Connection, OpenFlags, params};

use super::PATIENCE;

/// Bytes of a piece, more or less: a snapshot may be larger, and comes whole.
const PIECE: usize = 256 << 10;

/// Where the journal is.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
}

/// Why the journal cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is no snapshot to begin with.
    #[error(
        "the flight recorder of {path} holds no snapshot to begin with; one is written at the next start of the daemon"
    )]
    Empty {
        /// The store's file.
        path: PathBuf,
    },
    /// The oldest entries were trimmed faster than they were read.
    #[error("entries were trimmed before they were read; try again")]
    Overtaken,
    /// The database refused.
    #[error("reading the flight recorder of {path}")]
    Database {
        /// The store's file.
        path: PathBuf,
        /// What the database said.
        #[source]
        source: rusqlite::Error,
    },
}

/// The journal as it was when it was opened, being read.
#[derive(Debug)]
pub struct Recorded {
    connection: Connection,
    path: PathBuf,
    next: i64,
    last: i64,
    /// When the first entry was written.
    pub from: Wall,
    /// When the last was.
    pub until: Wall,
}

impl Journal {
    /// The journal of the store at `path`.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Finds where to begin and where to end. Blocks.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn open(&self) -> Result<Recorded, JournalError> {
        let path = &self.path;
        let refused = |source| JournalError::Database {
            path: path.clone(),
            source,
        };
        let connection = connect(path).map_err(refused)?;
        let first = first(&connection).map_err(refused)?;
        let (next, from) = first.ok_or_else(|| JournalError::Empty { path: path.clone() })?;
        let (last, until) = last(&connection).map_err(refused)?;
        Ok(Recorded {
            connection,
            path: path.clone(),
            next,
            last: last.max(next),
            from,
            until: until.unwrap_or(from),
        })
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// The first snapshot that can be read.
fn first(connection: &Connection) -> rusqlite::Result<Option<(i64, Wall)>> {
    let mut statement = connection.prepare(
        "SELECT seq, entry FROM journal WHERE substr(entry, 1, length(?1)) = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([SNAPSHOT_BEGINS])?;
    while let Some(row) = rows.next()? {
        let entry = row.get_ref(1)?.as_str().ok().map(Entry::read);
        if let Some(Ok(entry)) = entry {
            return Ok(Some((row.get(0)?, entry.now().wall)));
        }
    }
    Ok(None)
}

fn last(connection: &Connection) -> rusqlite::Result<(i64, Option<Wall>)> {
    let newest = "SELECT seq, entry FROM journal ORDER BY seq DESC LIMIT 1";
    connection.query_row(newest, [], |row| {
        let entry = row.get_ref(1)?.as_str().ok().map(Entry::read);
        let wall = entry.and_then(Result::ok).map(|entry| entry.now().wall);
        Ok((row.get(0)?, wall))
    })
}

impl Recorded {
    /// The next entries, a line each; nothing after the last. Blocks.
    ///
    /// # Errors
    /// Why it cannot be read on.
    pub fn piece(&mut self) -> Result<Option<Vec<u8>>, JournalError> {
        let mut piece = Vec::new();
        let read = read_piece(&self.connection, &mut self.next, self.last, &mut piece);
        match read {
            Ok(true) => Ok((!piece.is_empty()).then_some(piece)),
            Ok(false) => Err(JournalError::Overtaken),
            Err(source) => Err(JournalError::Database {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

/// Reads on from `next`, without a hole; whether there was none.
fn read_piece(
    connection: &Connection,
    next: &mut i64,
    last: i64,
    piece: &mut Vec<u8>,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, entry FROM journal WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![*next, last])?;
    while piece.len() < PIECE
        && let Some(row) = rows.next()?
    {
        if row.get::<_, i64>(0)? != *next {
            return Ok(false);
        }
        *next += 1;
        piece.extend_from_slice(row.get_ref(1)?.as_bytes()?);
        piece.push(b'\n');
    }
    Ok(!piece.is_empty() || *next > last)
}
