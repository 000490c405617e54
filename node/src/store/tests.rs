//! The store against real files: what it keeps, what it refuses, what it sets aside.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use lull_policy::{
    App, AppId, BootId, Bytes, Choices, Consent, Device, DeviceRecord, Elapsed, Event, Front,
    FrontState, Key, Now, Policy, Profile, PushId, Quota, Record, SeenPush, Signer, Subject,
    Update, UpdateStage, Wall, usual_capabilities,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::file::File;
use super::schema::{STEPS, newest};
use super::*;
use crate::clock::{ClockRef, Manual};

mod damage;
pub(crate) mod upgrade;

const WALL: Wall = Wall::from_millis(1_763_700_000_000);

fn clock() -> ClockRef {
    let now = Now {
        wall: WALL,
        ..Now::default()
    };
    Arc::new(Manual::new(BootId::new("boot").unwrap(), now))
}

fn folder() -> (TempDir, StoreConfig) {
    let folder = tempfile::tempdir().unwrap();
    let config = StoreConfig {
        patience: Duration::from_millis(50),
        ..StoreConfig::at(folder.path().join("store.sqlite3"))
    };
    (folder, config)
}

fn open(config: &StoreConfig) -> Opened {
    Store::open(config.clone(), clock()).unwrap()
}

/// Opens the file without a thread; the answer of the damaged path is in the contents.
fn contents(config: &StoreConfig) -> Contents {
    File::open(config, WALL).unwrap().1
}

fn seen(n: u64) -> Record {
    Record::SeenPush(SeenPush {
        id: PushId::new(format!("push-{n}")).unwrap(),
        forget: Wall::from_millis(n),
    })
}

fn put(records: impl IntoIterator<Item = Record>) -> Batch {
    Batch {
        changes: records.into_iter().map(|r| (r.key(), Some(r))).collect(),
        journal: Vec::new(),
    }
}

fn commit(store: &Store, batch: Batch) -> Result<(), StoreError> {
    store.commit(batch).blocking_recv().unwrap()
}

fn sorted(mut records: Vec<Record>) -> Vec<String> {
    let mut texts: Vec<String> = records
        .drain(..)
        .map(|r| serde_json::to_string(&r).unwrap())
        .collect();
    texts.sort();
    texts
}

#[test]
fn what_was_committed_is_there_after_a_restart_and_what_was_removed_is_not() {
    let (_folder, config) = folder();
    let opened = open(&config);
    assert_eq!(opened.contents.records, []);
    assert_eq!(opened.contents.set_aside, None);
    commit(
        &opened.store,
        put([seen(1), seen(2), Record::Device(DeviceRecord::default())]),
    )
    .unwrap();
    let mut change = put([seen(3)]);
    change.changes.insert(seen(1).key(), None);
    commit(&opened.store, change).unwrap();
    let incarnation = opened.contents.incarnation;
    drop(opened);
    let again = contents(&config);
    assert_eq!(again.incarnation, incarnation);
    let expected = vec![Record::Device(DeviceRecord::default()), seen(2), seen(3)];
    assert_eq!(sorted(again.records), sorted(expected));
}

#[test]
fn a_store_of_a_newer_release_is_refused_and_not_one_byte_of_it_changes() {
    let (folder, config) = folder();
    let opened = open(&config);
    commit(&opened.store, put([seen(1)])).unwrap();
    drop(opened);
    wait_until_closed(&config);
    let newer = newest(STEPS) + 1;
    let steps = [STEPS[0], "CREATE TABLE later (n INTEGER) STRICT;"];
    drop(File::open_with(&config, WALL, &steps).unwrap());
    let before = snapshot(folder.path());
    let error = File::open(&config, WALL).unwrap_err();
    assert!(
        matches!(error, StoreError::Newer { found, known, .. } if found == newer && known == newest(STEPS))
    );
    assert!(error.to_string().contains("was left untouched"), "{error}");
    assert_eq!(snapshot(folder.path()), before);
}

/// The writer thread closes the file after its handle is dropped; the log is gone then.
fn wait_until_closed(config: &StoreConfig) {
    let log = set_aside::with_suffix(&config.path, "-wal");
    for _ in 0..1_000_000 {
        if !log.exists() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{} is still there", log.display());
}

fn snapshot(folder: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn an_older_store_is_migrated_and_keeps_its_records() {
    let (_folder, config) = folder();
    let (mut file, _) = File::open(&config, WALL).unwrap();
    file.commit(&put([seen(1)])).unwrap();
    drop(file);
    let steps = [
        STEPS[0],
        "CREATE TABLE later (n INTEGER) STRICT; INSERT INTO later VALUES (7);",
    ];
    let (file, contents) = File::open_with(&config, WALL, &steps).unwrap();
    assert_eq!(contents.records, [seen(1)]);
    assert_eq!(contents.set_aside, None);
    drop(file);
    let refused = File::open(&config, WALL).unwrap_err();
    assert!(
        matches!(refused, StoreError::Newer { found: 2, .. }),
        "{refused}"
    );
}

#[test]
fn a_migration_that_fails_leaves_the_store_as_it_was() {
    let (_folder, config) = folder();
    drop(File::open(&config, WALL).unwrap());
    let mut db = Connection::open(&config.path).unwrap();
    let steps = [
        STEPS[0],
        "CREATE TABLE later (n INTEGER) STRICT; INSERT INTO nothing VALUES (7);",
    ];
    schema::migrate(&mut db, &steps).unwrap_err();
    drop(db);
    assert_eq!(contents(&config).set_aside, None);
}

/// What release 0.1 wrote: each line a key and its record.
const VERSION_0_1: &str = include_str!("tests/version_0_1.records");

#[test]
fn the_records_of_release_0_1_are_read_and_written_anew() {
    let (_folder, config) = folder();
    drop(File::open(&config, WALL).unwrap());
    let db = Connection::open(&config.path).unwrap();
    for line in VERSION_0_1.lines() {
        let (key, value) = line.split_once('\t').unwrap();
        db.execute(
            "INSERT INTO records (key, value, sum) VALUES (?1, ?2, ?3)",
            rusqlite::params![key, value, rows::sum(key, value)],
        )
        .unwrap();
    }
    db.close().unwrap();
    // Which kept no tally.
    std::fs::remove_file(set_aside::with_suffix(&config.path, tally::SUFFIX)).unwrap();
    let (mut file, found) = File::open(&config, WALL).unwrap();
    assert_eq!(found.set_aside, None);
    assert_eq!(found.records.len(), VERSION_0_1.lines().count());
    let device = Device::restore(found.records.clone());
    let names: Vec<String> = device.registrations().map(|r| r.name.to_string()).collect();
    assert_eq!(names, ["latched", "pushed"]);
    let agents = device.registrations().map(|r| r.entry_point.clone());
    assert!(agents.flatten().all(|agent| agent.as_str() == "sync"));
    assert_eq!(device.runs().count(), 1);
    assert_eq!(device.policy().task_memory, Some(Bytes(67_108_864)));
    assert_eq!(
        device.policy().periodic_time,
        Policy::default().periodic_time
    );
    file.commit(&put(found.records.clone())).unwrap();
    drop(file);
    assert_eq!(sorted(contents(&config).records), sorted(found.records));
}

#[test]
fn records_that_came_after_release_0_1_have_keys_of_their_own() {
    let (_folder, config) = folder();
    let app = AppId::new("photos").unwrap();
    let device = Subject::new("usb:1234").unwrap();
    let records = [
        Record::Profile(Profile::default()),
        Record::Front(Front {
            app: app.clone(),
            state: FrontState::Background,
            unheard: Vec::new(),
        }),
        Record::Choices(Choices {
            app: app.clone(),
            pinned: true,
            lock_screen: false,
            auto_upload: false,
            agents_disabled: false,
        }),
        Record::Update(Update {
            app: app.clone(),
            to: installed(app.clone()),
            stage: UpdateStage::Draining,
        }),
        Record::App(installed(app.clone())),
        Record::Quota(Quota {
            app: app.clone(),
            refill: Elapsed::from_millis(5),
            cpu_spent: true,
            network_spent: false,
        }),
        Record::Consent(Consent {
            app: app.clone(),
            device: device.clone(),
        }),
    ];
    let (mut file, _) = File::open(&config, WALL).unwrap();
    file.commit(&put(records.clone())).unwrap();
    drop(file);
    assert_eq!(
        sorted(contents(&config).records),
        sorted(records.clone().into())
    );
    let (mut file, _) = File::open(&config, WALL).unwrap();
    let mut gone = Batch::default();
    for record in &records {
        gone.changes.insert(record.key(), None);
    }
    file.commit(&gone).unwrap();
    drop(file);
    assert_eq!(contents(&config).records, []);
}

fn installed(id: AppId) -> App {
    App {
        id,
        version: "1.0".into(),
        agents: Vec::new(),
        capabilities: usual_capabilities(),
        signed_by: Signer::None,
    }
}

type Damage = fn(&StoreConfig);

/// Ways to damage a sound, closed store.
fn damages() -> Vec<(&'static str, Damage)> {
    fn file(config: &StoreConfig) -> std::fs::File {
        OpenOptions::new().write(true).open(&config.path).unwrap()
    }
    fn sql(config: &StoreConfig, text: &str) {
        Connection::open(&config.path)
            .unwrap()
            .execute_batch(text)
            .unwrap();
    }
    vec![
        ("empty", |c| file(c).set_len(0).unwrap()),
        ("cut in the header", |c| file(c).set_len(60).unwrap()),
        ("cut in a page", |c| file(c).set_len(5_000).unwrap()),
        ("cut to one page", |c| file(c).set_len(4_096).unwrap()),
        ("another file", |c| {
            std::fs::write(&c.path, "id = \"photos\"\n".repeat(1_000)).unwrap();
        }),
        ("another database", |c| {
            std::fs::remove_file(&c.path).unwrap();
            sql(c, "CREATE TABLE x (y)");
        }),
        ("a page of zeros", |c| {
            file(c).write_all_at(&[0; 4_096], 4_096).unwrap();
        }),
        ("a page of ones", |c| {
            file(c).write_all_at(&[255; 4_096], 2 * 4_096).unwrap();
        }),
        ("no table", |c| sql(c, "DROP TABLE records")),
        ("no incarnation", |c| sql(c, "DELETE FROM meta")),
        ("no version", |c| sql(c, "PRAGMA user_version = 0")),
        ("no record", |c| {
            sql(c, "UPDATE records SET value = '{\"seen-push\":{}}'");
        }),
        ("another value", |c| {
            sql(c, "UPDATE records SET value = replace(value, '1', '2')");
        }),
        ("no text", |c| {
            sql(c, "UPDATE records SET value = CAST(x'ff00ff' AS TEXT)");
        }),
        ("another key", |c| {
            sql(c, "UPDATE records SET key = '\"device\"'");
        }),
        ("only a log", |c| {
            std::fs::rename(&c.path, set_aside::with_suffix(&c.path, "-wal")).unwrap();
        }),
    ]
}

#[test]
fn a_damaged_store_is_set_aside_whole_and_an_empty_one_works_in_its_place() {
    for (name, damage) in damages() {
        let (folder, config) = folder();
        let (mut file, contents) = File::open(&config, WALL).unwrap();
        file.commit(&put([seen(1)])).unwrap();
        drop(file);
        damage(&config);
        let before = snapshot(folder.path());
        let (mut file, found) = File::open(&config, WALL).unwrap();
        let aside = found
            .set_aside
            .unwrap_or_else(|| panic!("{name}: not noticed"));
        assert!(
            aside
                .path
                .to_string_lossy()
                .ends_with(".damaged-1763700000"),
            "{name}"
        );
        assert_eq!(found.records, [], "{name}");
        assert_ne!(found.incarnation, contents.incarnation, "{name}");
        let after = snapshot(folder.path());
        for (_name, bytes) in &before {
            assert!(
                after.iter().any(|(_, kept)| kept == bytes),
                "{name}: bytes were lost"
            );
        }
        file.commit(&put([seen(2)])).unwrap();
        drop(file);
        assert_eq!(
            File::open(&config, WALL).unwrap().1.records,
            [seen(2)],
            "{name}"
        );
    }
}

#[test]
fn two_stores_damaged_in_one_second_are_both_kept() {
    let (_folder, config) = folder();
    for _ in 0..2 {
        drop(File::open(&config, WALL).unwrap());
        std::fs::write(&config.path, "damaged").unwrap();
    }
    let second = contents(&config).set_aside.unwrap();
    std::fs::write(&config.path, "damaged again").unwrap();
    let third = contents(&config).set_aside.unwrap();
    assert_ne!(second.path, third.path);
    assert!(second.path.exists() && third.path.exists());
}

#[test]
fn a_flipped_bit_is_noticed_or_harms_no_record() {
    let (_folder, config) = folder();
    let (mut file, _) = File::open(&config, WALL).unwrap();
    file.commit(&put((0..20).map(seen))).unwrap();
    drop(file);
    let sound = std::fs::read(&config.path).unwrap();
    let whole: Vec<Record> = contents(&config).records;
    for at in (0..sound.len()).step_by(41) {
        let (_folder, config) = folder();
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        std::fs::write(&config.path, bytes).unwrap();
        match File::open(&config, WALL) {
            Ok((_, found)) if found.set_aside.is_some() => {}
            Ok((_, found)) => assert_eq!(found.records, whole, "bit at byte {at}"),
            Err(StoreError::Newer { .. }) => assert!((60..64).contains(&at), "byte {at}"),
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn a_full_store_answers_with_an_error_and_keeps_what_it_had() {
    let (_folder, config) = folder();
    let config = StoreConfig {
        max_pages: 16,
        ..config
    };
    let opened = open(&config);
    commit(&opened.store, put([seen(1)])).unwrap();
    let full = commit(&opened.store, put((0..5_000).map(seen))).unwrap_err();
    assert!(
        full.to_string().starts_with("committing to the store"),
        "{full}"
    );
    let closed = commit(&opened.store, put([seen(2)])).unwrap_err();
    assert!(matches!(closed, StoreError::Closed), "{closed}");
    let back = opened.store.reopen().blocking_recv().unwrap().unwrap();
    assert_eq!(back.records, [seen(1)]);
    commit(&opened.store, put([seen(2)])).unwrap();
}

#[test]
fn a_held_file_is_waited_for_no_longer_than_the_patience() {
    let (_folder, config) = folder();
    let opened = open(&config);
    let other = Connection::open(&config.path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    commit(&opened.store, put([seen(1)])).unwrap_err();
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(
        opened
            .store
            .reopen()
            .blocking_recv()
            .unwrap()
            .unwrap()
            .records,
        []
    );
    commit(&opened.store, put([seen(1)])).unwrap();
}

#[test]
fn the_journal_stays_within_its_bytes_and_keeps_the_newest() {
    let (_folder, config) = folder();
    let config = StoreConfig {
        journal_bytes: 1_000,
        ..config
    };
    let (mut file, _) = File::open(&config, WALL).unwrap();
    for n in 0..50 {
        let entry = serde_json::to_string(&(n, Event::DeadlineReached)).unwrap();
        let batch = Batch {
            journal: vec![entry; 3],
            ..Batch::default()
        };
        file.commit(&batch).unwrap();
    }
    drop(file);
    let db = Connection::open(&config.path).unwrap();
    let (bytes, newest): (i64, String) = db
        .query_row(
            "SELECT sum(bytes), (SELECT entry FROM journal ORDER BY seq DESC LIMIT 1) FROM journal",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    assert!((900..=1_000).contains(&bytes), "{bytes}");
    assert!(newest.starts_with("[49,"), "{newest}");
}

#[test]
fn nobody_else_reads_the_store() {
    let (folder, config) = folder();
    let (mut file, _) = File::open(&config, WALL).unwrap();
    file.commit(&put([seen(1)])).unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = std::os::unix::fs::MetadataExt::mode(&entry.metadata().unwrap());
        assert_eq!(mode & 0o777, 0o600, "{}", entry.path().display());
    }
}

#[test]
fn keys_are_told_apart() {
    let (_folder, config) = folder();
    let (mut file, _) = File::open(&config, WALL).unwrap();
    let mut batch = put([seen(1)]);
    batch
        .changes
        .insert(Key::Push(PushId::new("push-1").unwrap()), None);
    file.commit(&batch).unwrap();
    drop(file);
    assert_eq!(contents(&config).records, [seen(1)]);
}
