//! Damages to a small, real store by the thousand: none is believed.
//!
//! The state is the records and the incarnation. A damage is *detected* when the store is set aside whole; one that changes nothing of
//! the state (a free page, slack, the index to the log, which is made anew) may be harmless: then what is read is what was
//! committed, and what is written to the store later is there, too. What never is: another state that nobody is told of, an
//! error that keeps the daemon from starting, a panic, a byte deleted. Not to be noticed is an older copy of *all* files at once.

use std::collections::BTreeMap;
use std::fs::File as PlainFile;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::clock::{self, Clock as _};

/// How many damages: `tests/run` has ten thousand, `tests/run --long` as many as a state of 64 KiB has bits.
const MUTATIONS: &str = "LULL_MUTATIONS";
const USUAL: usize = 1_000;

const NAME: &str = "store.sqlite3";
const LOG: &str = "store.sqlite3-wal";
const JOURNAL: &str = "store.sqlite3-journal";
const TALLY: &str = "store.sqlite3-tally";

/// Files by name, as they are on the disk at one moment.
type Files = BTreeMap<String, Vec<u8>>;

/// A moment in the life of a store, an earlier one, and what was committed by then.
struct Moment {
    name: &'static str,
    files: Files,
    earlier: Files,
    contents: Contents,
}

struct Mutation {
    moment: usize,
    what: String,
    edit: Edit,
}

/// Made when it is its turn: ten thousand copies would fill the memory.
enum Edit {
    /// All files are these.
    Whole(Files),
    /// One file becomes what this makes of it, given what it was earlier.
    Part(String, Box<Alter>),
}

type Alter = dyn Fn(&mut Vec<u8>, &[u8]) + Send + Sync;

impl Mutation {
    fn of(&self, moment: &Moment) -> Files {
        match &self.edit {
            Edit::Whole(files) => files.clone(),
            Edit::Part(name, alter) => {
                let mut files = moment.files.clone();
                let earlier = moment.earlier.get(name).map_or(&[][..], Vec::as_slice);
                alter(files.get_mut(name).unwrap(), earlier);
                files
            }
        }
    }
}

/// Where syncs cost nothing, if there is such a place.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

fn config_in(folder: &Path) -> StoreConfig {
    StoreConfig {
        journal_bytes: 6_000,
        ..StoreConfig::at(folder.join(NAME))
    }
}

fn files(folder: &Path) -> Files {
    let named = |(name, bytes): (std::ffi::OsString, Vec<u8>)| (name.into_string().unwrap(), bytes);
    let index = |(name, _): &(String, Vec<u8>)| !name.ends_with("-shm");
    snapshot(folder)
        .into_iter()
        .map(named)
        .filter(index)
        .collect()
}

fn entries(n: u64) -> Vec<String> {
    (0..3)
        .map(|k| format!("entry {n}.{k} {}", "e".repeat(60)))
        .collect()
}

/// Commit `n` of a life in which records come, change and go.
fn step(n: u64) -> Batch {
    let mut batch = put((0..4).map(|k| {
        Record::SeenPush(SeenPush {
            id: PushId::new(format!("{:-<56}{}", "p", (n * 4 + k) % 90)).unwrap(),
            forget: Wall::from_millis(n * 1_000 + k),
        })
    }));
    if n > 3 {
        let gone = PushId::new(format!("{:-<56}{}", "p", (n * 4 + 50) % 90)).unwrap();
        batch.changes.insert(Key::SeenPush(gone), None);
    }
    batch.journal = entries(n);
    batch
}

/// The moments: new, closed, killed with a log, killed with a log that is in the file already.
fn moments() -> Vec<Moment> {
    let folder = scratch();
    let config = config_in(folder.path());
    let contents = || {
        let copy = scratch();
        write_files(copy.path(), &files(folder.path()));
        contents(&config_in(copy.path()))
    };
    let moment = |name, earlier: &Files| Moment {
        name,
        files: files(folder.path()),
        earlier: earlier.clone(),
        contents: contents(),
    };
    drop(File::open(&config, WALL).unwrap());
    let mut moments = vec![moment("new", &Files::new())];
    let mut earlier = files(folder.path());
    let (mut file, _) = File::open(&config, WALL).unwrap();
    for n in 0..60 {
        file.commit(&step(n)).unwrap();
    }
    drop(file);
    moments.push(moment("closed", &earlier));
    earlier = files(folder.path());
    let (mut file, _) = File::open(&config, WALL).unwrap();
    for n in 60..66 {
        file.commit(&step(n)).unwrap();
    }
    let before_last = files(folder.path());
    file.commit(&step(66)).unwrap();
    moments.push(moment("killed", &earlier));
    moments.push(moment("killed after one commit more", &before_last));
    let other = Connection::open(&config.path).unwrap();
    other
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_row| Ok(()))
        .unwrap();
    moments.push(moment("killed after a checkpoint", &earlier));
    drop(other);
    file.commit(&step(67)).unwrap();
    moments.push(moment("killed with old frames in the log", &before_last));
    file.abandon();
    moments
}

fn write_files(folder: &Path, files: &Files) {
    for (name, bytes) in files {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
}

/// What is wrong with how the damage was met; nothing, if all is well.
fn judge(damaged: &Files, moment: &Moment, seen: &[AtomicUsize; 2]) -> Result<(), String> {
    let folder = scratch();
    write_files(folder.path(), damaged);
    let config = config_in(folder.path());
    let (mut file, found) =
        File::open(&config, WALL).map_err(|error| format!("it does not open: {error:?}"))?;
    if let Some(aside) = &found.set_aside {
        seen[0].fetch_add(1, Ordering::Relaxed);
        kept(folder.path(), &aside.path, damaged)?;
        if !found.records.is_empty() || found.incarnation == moment.contents.incarnation {
            return Err("what takes its place is not empty and new".into());
        }
        // That it works is told by the damages of `tests.rs`.
        return Ok(());
    }
    seen[1].fetch_add(1, Ordering::Relaxed);
    if found != moment.contents {
        return Err("another state is believed".into());
    }
    let committed = found
        .records
        .into_iter()
        .map(|record| (record.key(), record));
    let mut expected: BTreeMap<Key, Record> = committed.collect();
    let batch = step(68);
    file.commit(&batch)
        .map_err(|error| format!("it takes no commit: {error:?}"))?;
    drop(file);
    for (key, record) in batch.changes {
        match record {
            Some(record) => drop(expected.insert(key, record)),
            None => drop(expected.remove(&key)),
        }
    }
    let (_file, after) =
        File::open(&config, WALL).map_err(|error| format!("it does not open again: {error:?}"))?;
    if let Some(aside) = after.set_aside {
        return Err(format!(
            "the damage shows after the next commit only: {}",
            aside.found
        ));
    }
    let lasting = sorted(after.records) == sorted(expected.into_values().collect());
    lasting
        .then_some(())
        .ok_or_else(|| "what was committed after it is not there".into())
}

/// Every byte of a store that was set aside is there.
fn kept(folder: &Path, aside: &Path, before: &Files) -> Result<(), String> {
    let after = files(folder);
    let aside = aside.file_name().unwrap().to_string_lossy().into_owned();
    for (name, bytes) in before {
        let new = format!("{aside}{}", &name[NAME.len()..]);
        if after.get(&new) != Some(bytes) {
            return Err(format!("{name} was not kept whole as {new}"));
        }
    }
    Ok(())
}

/// Damages by shape: every one that is thought of, and flipped bits for the rest.
fn mutations(moments: &[Moment], count: usize) -> Vec<Mutation> {
    let mut all = Vec::new();
    for (at, moment) in moments.iter().enumerate() {
        let mut whole = |what: String, files: Files| {
            if files != moment.files {
                let edit = Edit::Whole(files);
                all.push(Mutation {
                    moment: at,
                    what,
                    edit,
                });
            }
        };
        whole_files(moment, &mut whole);
        for (name, bytes) in &moment.files {
            let earlier = moment.earlier.get(name).map_or(&[][..], Vec::as_slice);
            parts(bytes.len(), &mut |what, alter| {
                let mut altered = bytes.clone();
                alter(&mut altered, earlier);
                if altered == *bytes {
                    return;
                }
                let what = format!("{name}: {what}");
                let edit = Edit::Part(name.clone(), alter);
                all.push(Mutation {
                    moment: at,
                    what,
                    edit,
                });
            });
        }
    }
    // All damages to whole files, and as many of the others as leave room for flipped bits.
    let kept = all.len().div_ceil(count.div_ceil(2)).max(1);
    let mut number = 0;
    all.retain(|mutation| {
        number += 1;
        matches!(mutation.edit, Edit::Whole(_)) || number % kept == 0
    });
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    while all.len() < count {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let number = usize::try_from(random >> 8).unwrap();
        let (at, number) = (number % moments.len(), number / moments.len());
        let files = &moments[at].files;
        let mut bit = number % (8 * files.values().map(Vec::len).sum::<usize>());
        for (name, bytes) in files {
            if bit < 8 * bytes.len() {
                let (byte, bit) = (bit / 8, bit % 8);
                let flip: Box<Alter> = Box::new(move |bytes, _| bytes[byte] ^= 1 << bit);
                let what = format!("{name}: bit {bit} of byte {byte}");
                let edit = Edit::Part(name.clone(), flip);
                all.push(Mutation {
                    moment: at,
                    what,
                    edit,
                });
                break;
            }
            bit -= 8 * bytes.len();
        }
    }
    all
}

fn with(files: &Files, name: &str, bytes: impl Into<Vec<u8>>) -> Files {
    let mut files = files.clone();
    files.insert(name.to_owned(), bytes.into());
    files
}

/// Files that are empty, gone, swapped, older, foreign, or there though they should not be.
fn whole_files(moment: &Moment, add: &mut impl FnMut(String, Files)) {
    let files = &moment.files;
    let foreign: [(&str, Vec<u8>); 4] = [
        ("text", b"id = \"photos\"\n".repeat(400)),
        ("zeros", vec![0; 8_192]),
        ("a program", own_program()),
        ("another database", other_database()),
    ];
    for name in [NAME, LOG, JOURNAL, TALLY] {
        for (what, bytes) in &foreign {
            add(
                format!("{name} is {what}"),
                with(files, name, bytes.clone()),
            );
        }
        let mut without = files.clone();
        if without.remove(name).is_some() {
            add(format!("{name} is gone"), without);
            add(format!("{name} is empty"), with(files, name, []));
        }
        if let Some(bytes) = moment.earlier.get(name) {
            add(format!("{name} is older"), with(files, name, bytes.clone()));
        }
        for other in [NAME, LOG, JOURNAL, TALLY] {
            let mut swapped = files.clone();
            let (one, two) = (swapped.remove(name), swapped.remove(other));
            swapped.extend(one.map(|bytes| (other.to_owned(), bytes)));
            swapped.extend(two.map(|bytes| (name.to_owned(), bytes)));
            add(format!("{name} and {other} are swapped"), swapped);
        }
    }
    let mut older = moment.earlier.clone();
    older.extend(
        files
            .get(TALLY)
            .map(|bytes| (TALLY.to_owned(), bytes.clone())),
    );
    if !moment.earlier.is_empty() {
        add("all but the tally is older".into(), older);
    }
    let mut without = files.clone();
    without.retain(|name, _| name != NAME && name != LOG);
    add("only the tally is there".into(), without);
    let schema = |version: u8| {
        let mut bytes = files[NAME].clone();
        bytes[63] = version;
        with(files, NAME, bytes)
    };
    add("no schema version".into(), schema(0));
    add("a newer schema version".into(), schema(9));
}

/// The beginning of this very program.
fn own_program() -> Vec<u8> {
    let mut bytes = vec![0; 20_000];
    let program = PlainFile::open("/proc/self/exe").unwrap();
    program.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

fn other_database() -> Vec<u8> {
    let folder = scratch();
    let path = folder.path().join("other");
    let db = Connection::open(&path).unwrap();
    db.execute_batch(
        "CREATE TABLE records (key, value, sum); INSERT INTO records VALUES (1, 2, 3);",
    )
    .unwrap();
    db.close().unwrap();
    std::fs::read(&path).unwrap()
}

/// A file cut or extended, with blocks that are zero, ones, older, or another's.
fn parts(length: usize, add: &mut impl FnMut(String, Box<Alter>)) {
    let cuts = (0..length).step_by(499).chain((0..length).step_by(512));
    for end in cuts.chain(length.saturating_sub(40)..length) {
        add(
            format!("ends after {end} bytes"),
            Box::new(move |bytes, _| bytes.truncate(end)),
        );
    }
    for more in [1, 512, 4_096] {
        for byte in [0, 0xff] {
            let alter = move |bytes: &mut Vec<u8>, _: &[u8]| bytes.resize(length + more, byte);
            add(
                format!("goes on for {more} bytes of {byte}"),
                Box::new(alter),
            );
        }
    }
    for block in [512, 4_096] {
        for at in (0..length).step_by(block) {
            let end = (at + block).min(length);
            for byte in [0, 0xff] {
                let alter = move |bytes: &mut Vec<u8>, _: &[u8]| bytes[at..end].fill(byte);
                add(format!("{at}..{end} are {byte}"), Box::new(alter));
            }
            let from = (at + 2 * block) % (length - (end - at)).max(1);
            let alter = move |bytes: &mut Vec<u8>, _: &[u8]| {
                bytes.copy_within(from..from + (end - at), at);
            };
            add(format!("{at}..{end} are those at {from}"), Box::new(alter));
            let alter = move |bytes: &mut Vec<u8>, earlier: &[u8]| {
                if let Some(older) = earlier.get(at..end) {
                    bytes[at..end].copy_from_slice(older);
                }
            };
            add(format!("{at}..{end} are older"), Box::new(alter));
        }
    }
}

#[test]
#[expect(
    clippy::print_stdout,
    reason = "how many there were is part of the result"
)]
fn no_damage_is_believed() {
    let count = std::env::var(MUTATIONS).map_or(USUAL, |text| text.parse().unwrap());
    let clock = clock::System::new().unwrap();
    let begun = clock.now().running;
    let moments = moments();
    let mutations = mutations(&moments, count);
    let next = AtomicUsize::new(0);
    let seen = [AtomicUsize::new(0), AtomicUsize::new(0)];
    let look = || {
        let mut wrong = Vec::new();
        while let Some(mutation) = mutations.get(next.fetch_add(1, Ordering::Relaxed)) {
            let moment = &moments[mutation.moment];
            let judged = catch_unwind(AssertUnwindSafe(|| {
                judge(&mutation.of(moment), moment, &seen)
            }));
            let judged = judged.unwrap_or_else(|_| Err("it panicked".into()));
            if let Err(problem) = judged {
                wrong.push(format!("{}; {}: {problem}", moment.name, mutation.what));
            }
        }
        wrong
    };
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(look)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    let [detected, harmless] = seen.map(AtomicUsize::into_inner);
    println!(
        "{} damages in {} ms: {detected} detected, {harmless} harmless, {} wrong",
        mutations.len(),
        clock.now().running.since(begun).as_millis(),
        wrong.len()
    );
    assert!(mutations.len() >= count && 4 * detected > count);
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        mutations.len(),
        wrong[..wrong.len().min(60)].join("\n")
    );
}
