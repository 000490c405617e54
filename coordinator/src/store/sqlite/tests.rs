//! The embedded store passes the contract, and keeps its own promises about its file.

use std::fs;
use std::sync::Arc;

use lull_fleet_policy::Wall;
use rusqlite::Connection;
use tempfile::TempDir;

use super::*;
use crate::store::StoreError;
use crate::store::contract::{self, Place};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn options(&self, name: &str) -> Options {
        Options {
            path: self.0.path().join(name),
            incarnation: format!("incarnation of {name}"),
            now: Wall::from_millis(1_000),
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

impl Place for Folder {
    fn open(&self, name: &str) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open(&self.options(name)).unwrap())
    }
}

mod keeps_the_contract {
    use super::Folder;

    crate::store::contract::suite!(Folder::new());
}

#[test]
fn only_one_process_uses_a_store() {
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.options("db")).unwrap();
    assert!(matches!(
        SqliteStore::open(&folder.options("db")),
        Err(OpenError::InUse { .. })
    ));
    drop(store);
    SqliteStore::open(&folder.options("db")).unwrap();
}

#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = Folder::new();
    let store = SqliteStore::open(&folder.options("db")).unwrap();
    contract::run(async {
        store.claim_shard(ShardId(0)).await.unwrap();
    });
    for name in folder.names() {
        let mode = fs::metadata(folder.0.path().join(&name)).unwrap();
        assert_eq!(mode.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_newer_store_is_refused_and_not_touched() {
    let folder = Folder::new();
    let options = folder.options("db");
    drop(SqliteStore::open(&options).unwrap());
    let db = Connection::open(&options.path).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    let before = fs::read(&options.path).unwrap();
    let error = SqliteStore::open(&options).unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("schema 99"));
    assert_eq!(fs::read(&options.path).unwrap(), before);
}

#[test]
fn a_damaged_store_is_set_aside_and_kept() {
    type Damage = fn(Vec<u8>) -> Vec<u8>;
    let damages: [(&str, Damage); 5] = [
        ("no database at all", |_| b"hello, this is text".repeat(99)),
        ("a zeroed header", |mut bytes| {
            bytes[..512].fill(0);
            bytes
        }),
        ("zeroed pages", |mut bytes| {
            bytes[4_096..].fill(0);
            bytes
        }),
        ("cut in the middle", |mut bytes| {
            bytes.truncate(bytes.len() / 2);
            bytes
        }),
        ("a foreign database", |_| {
            let folder = TempDir::new().unwrap();
            let path = folder.path().join("foreign");
            let db = Connection::open(&path).unwrap();
            db.execute_batch("CREATE TABLE t (a)").unwrap();
            drop(db);
            fs::read(path).unwrap()
        }),
    ];
    for (what, damage) in damages {
        let folder = Folder::new();
        let options = folder.options("db");
        drop(SqliteStore::open(&options).unwrap());
        let damaged = damage(fs::read(&options.path).unwrap());
        fs::write(&options.path, &damaged).unwrap();
        let again = Options {
            incarnation: "anew".to_owned(),
            ..options
        };
        let store = SqliteStore::open(&again).unwrap();
        let aside = store.set_aside().unwrap_or_else(|| panic!("{what}"));
        assert_eq!(aside, folder.0.path().join("db.damaged-1000"), "{what}");
        assert_eq!(fs::read(aside).unwrap(), damaged, "{what}");
        assert_eq!(store.incarnation(), "anew", "{what}");
        drop(store);
        // The next opening finds a whole store, and another damage does not overwrite the first.
        assert_eq!(SqliteStore::open(&again).unwrap().set_aside(), None);
        fs::write(&again.path, b"damaged once more").unwrap();
        let store = SqliteStore::open(&again).unwrap();
        let second = folder.0.path().join("db.damaged-1001");
        assert_eq!(store.set_aside(), Some(second.as_path()), "{what}");
    }
}

#[test]
fn an_empty_file_is_a_store_that_begins() {
    let folder = Folder::new();
    let options = folder.options("db");
    fs::write(&options.path, b"").unwrap();
    let store = SqliteStore::open(&options).unwrap();
    assert_eq!(store.set_aside(), None);
    assert_eq!(store.incarnation(), "incarnation of db");
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let folder = Folder::new();
    let error = SqliteStore::open(&folder.options("missing/db")).unwrap_err();
    assert!(error.to_string().contains("missing/db"), "{error}");
}

/// A log whose tail was torn by a power cut: the transactions before it are there.
#[test]
fn a_torn_log_keeps_what_was_durable_before_it() {
    let folder = Folder::new();
    let options = folder.options("db");
    let store = SqliteStore::open(&options).unwrap();
    contract::run(async {
        for shard in 0..20 {
            store.claim_shard(ShardId(shard)).await.unwrap();
        }
    });
    // A copy of the files as they are while the store runs is what a power cut leaves.
    let log = fs::read(folder.0.path().join("db-wal")).unwrap();
    let base = fs::read(&options.path).unwrap();
    drop(store);
    for cut in [0, 1, 100, 5_000, log.len() / 2] {
        let copy = Folder::new();
        let path = copy.0.path().join("db");
        fs::write(&path, &base).unwrap();
        let mut torn = log[..log.len() - cut].to_vec();
        torn.extend(vec![0xa5; cut.min(64)]);
        fs::write(copy.0.path().join("db-wal"), torn).unwrap();
        let store = SqliteStore::open(&copy.options("db")).unwrap();
        assert_eq!(store.set_aside(), None, "cut {cut}");
        if cut == 0 {
            let epoch = contract::run(store.claim_shard(ShardId(19))).unwrap();
            assert_eq!(epoch, Epoch(2));
        }
    }
}

/// A commit that fails is told to all that wait on it; the file is opened anew and the next one succeeds.
#[test]
fn after_a_failed_commit_the_store_goes_on() {
    let folder = Folder::new();
    let options = folder.options("db");
    let store = SqliteStore::open(&options).unwrap();
    contract::run(async {
        let epoch = store.claim_shard(ShardId(1)).await.unwrap();
        // Another connection holds the write lock: the commit cannot begin.
        let other = Connection::open(&options.path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let error = store.claim_shard(ShardId(1)).await.unwrap_err();
        assert!(matches!(error, StoreError::CommitFailed { .. }), "{error}");
        assert!(error.to_string().contains("db failed"), "{error}");
        other.execute_batch("ROLLBACK").unwrap();
        let next = store.claim_shard(ShardId(1)).await.unwrap();
        assert_eq!(next, Epoch(epoch.0 + 1));
    });
}

/// A full disk is told as such, and is over as soon as there is room: no restart.
#[test]
fn a_full_disk_is_named_and_not_for_ever() {
    let folder = Folder::new();
    let options = folder.options("db");
    let opened = file::open(&options).unwrap();
    let pages: i64 = opened
        .connection
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    opened
        .connection
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
    // The bound is the connection's own: the one that is opened after the failure has none.
    let writer = Writer::start(&options.path, opened.connection).unwrap();
    contract::run(async {
        let big = |n: u8| {
            Change::AddCertificate(crate::store::NewCertificate {
                serial: vec![n; 100_000],
                holder: crate::store::Holder::Device(DeviceId::from_bytes([n; 16])),
                expires: Wall::from_millis(1),
            })
        };
        let error = writer.commit(vec![big(1)]).await.unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        let outcomes = writer.commit(vec![big(2)]).await.unwrap();
        assert!(matches!(outcomes[0], Outcome::Applied(_)));
    });
}

/// A list that asks for what cannot be fails alone; those that were in its transaction are committed.
#[test]
fn one_bad_list_does_not_fail_its_neighbours() {
    let folder = Folder::new();
    let opened = file::open(&folder.options("db")).unwrap();
    opened
        .connection
        .execute_batch("CREATE TRIGGER bad BEFORE INSERT ON certificate WHEN new.expires = 13 BEGIN SELECT raise(ABORT, 'bad'); END")
        .unwrap();
    let writer = Writer::start(&folder.0.path().join("db"), opened.connection).unwrap();
    let list = |n: u64| {
        vec![Change::AddCertificate(crate::store::NewCertificate {
            serial: n.to_be_bytes().to_vec(),
            holder: crate::store::Holder::Device(DeviceId::from_bytes([1; 16])),
            expires: Wall::from_millis(n),
        })]
    };
    // All are handed over before the first is answered, so that most share a transaction.
    let answers: Vec<_> = (1..=20).map(|n| writer.commit(list(n))).collect();
    contract::run(async {
        for (n, answer) in (1..).zip(answers) {
            assert_eq!(answer.await.is_ok(), n != 13, "{n}");
        }
    });
}

/// A file that is taken away while the store runs is not replaced by an empty one.
#[test]
fn a_file_that_vanished_is_not_made_anew() {
    let folder = Folder::new();
    let options = folder.options("db");
    let opened = file::open(&options).unwrap();
    let writer = Writer::start(&options.path, opened.connection).unwrap();
    for name in folder.names() {
        fs::remove_file(folder.0.path().join(name)).unwrap();
    }
    assert!(file::writer(&options.path).is_err());
    assert!(!options.path.exists());
    drop(writer);
}

/// The files as they are at any moment are what a killed process leaves: what was answered is in them.
#[test]
fn what_was_answered_is_in_the_files_at_once() {
    let folder = Folder::new();
    let options = folder.options("db");
    let store = SqliteStore::open(&options).unwrap();
    let base = fs::read(&options.path).unwrap();
    contract::run(async {
        for round in 1..=30_u64 {
            // The last one is under way while the files are copied.
            let answered = store.claim_shard(ShardId(1)).await.unwrap();
            let under_way = store.claim_shard(ShardId(2));
            let copy = Folder::new();
            fs::write(copy.0.path().join("db"), &base).unwrap();
            let log = fs::read(folder.0.path().join("db-wal")).unwrap();
            fs::write(copy.0.path().join("db-wal"), log).unwrap();
            let left = SqliteStore::open(&copy.options("db")).unwrap();
            assert_eq!(left.set_aside(), None);
            let next = left.claim_shard(ShardId(1)).await.unwrap();
            assert_eq!((answered.0, next.0), (round, round + 1));
            under_way.await.unwrap();
        }
    });
}
