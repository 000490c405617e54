//! The state under other processes, kills, damage, and other users. Each test that needs processes runs itself a second time.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::sync_channel;

use super::*;

/// Names the folder for a test that runs as a further process.
const ROLE: &str = "LULL_TEST_STATE";

/// How often each of two writers counts.
const COUNTS: u64 = 150;

/// How often a writer is killed.
const KILLS: u64 = 40;

fn count(contents: &Contents, key: &str) -> u64 {
    let bytes = contents
        .get(key)
        .map(|bytes| bytes[..8].try_into().unwrap());
    bytes.map_or(0, u64::from_le_bytes)
}

/// A count, with so much behind it that writing takes a while.
fn counted(n: u64, filler: usize) -> Vec<u8> {
    let mut value = n.to_le_bytes().to_vec();
    value.resize(8 + filler, 7);
    value
}

fn process(test: &str, folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("state::tests::{test}"), "--nocapture"])
        .env(ROLE, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn opened() -> (tempfile::TempDir, State) {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(folder.path()).unwrap();
    (folder, state)
}

#[test]
fn what_is_put_is_there_for_both_sides() {
    let (folder, app) = opened();
    assert_eq!(app.get("cursor").unwrap(), None);
    assert!(app.read().unwrap().is_empty());
    app.put("cursor", b"12").unwrap();
    let agent = State::open(folder.path()).unwrap();
    assert_eq!(
        agent.get("cursor").unwrap().as_deref(),
        Some(b"12".as_slice())
    );
    assert_eq!(
        agent.remove("cursor").unwrap().as_deref(),
        Some(b"12".as_slice())
    );
    assert_eq!(app.remove("cursor").unwrap(), None);
    let mode = folder.path().join(FILE).metadata().unwrap().mode();
    assert_eq!(mode & 0o777, 0o600);
    let names = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(names, 1, "nothing is left beside");
}

#[test]
fn a_swap_happens_where_it_is_expected_to() {
    let (_folder, state) = opened();
    let swap = |expected: Option<&str>, new: Option<&str>| {
        let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
        let (expected, new) = (bytes(expected), bytes(new));
        let swapped = state.compare_and_swap("k", expected.as_deref(), new.as_deref());
        (swapped.unwrap(), state.get("k").unwrap())
    };
    let is = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(swap(Some("1"), Some("2")), (false, None));
    assert_eq!(swap(None, Some("1")), (true, is("1")));
    assert_eq!(swap(None, Some("2")), (false, is("1")));
    assert_eq!(swap(Some("1"), Some("2")), (true, is("2")));
    assert_eq!(swap(Some("2"), None), (true, None));
}

#[test]
fn a_transaction_that_fails_or_panics_changes_nothing() {
    let (folder, state) = opened();
    state.put("kept", b"1").unwrap();
    let failed: Result<(), io::Error> = state.transaction(|contents| {
        contents.put("kept", b"2")?;
        Err(io::Error::other("no"))
    });
    assert_eq!(failed.unwrap_err().to_string(), "no");
    let panicking = state.clone();
    let panicked = std::thread::spawn(move || {
        panicking.transaction(|contents| {
            contents.remove("kept");
            assert!(!contents.is_empty(), "wanted by the test");
            Ok::<_, StateError>(())
        })
    });
    panicked.join().unwrap_err();
    assert_eq!(state.get("kept").unwrap().as_deref(), Some(b"1".as_slice()));
    let before = folder.path().join(FILE).metadata().unwrap().ino();
    state.put("kept", b"1").unwrap();
    let after = folder.path().join(FILE).metadata().unwrap().ino();
    assert_eq!(after, before, "what changes nothing writes nothing");
}

#[test]
fn every_bound_is_told_and_changes_nothing() {
    let (_folder, state) = opened();
    let long = "k".repeat(KEY + 1);
    for key in ["", "a\nb", long.as_str()] {
        let refused = state.put(key, b"v").unwrap_err();
        assert!(matches!(refused, StateError::Key { .. }), "{refused}");
    }
    state.put(&long[..KEY], b"v").unwrap();
    let refused = state.put("v", vec![0; VALUE + 1]).unwrap_err();
    assert!(
        matches!(refused, StateError::Value { bytes: 65_537, .. }),
        "{refused}"
    );
    let full = state.transaction(|contents| {
        for n in 0.. {
            contents.put(&format!("value-{n}"), vec![0; VALUE])?;
        }
        Ok::<_, StateError>(())
    });
    assert!(
        matches!(full, Err(StateError::Full { keys: 9, .. })),
        "{full:?}"
    );
    let many = state.transaction(|contents| {
        for n in 0.. {
            contents.put(&format!("key-{n}"), b"")?;
        }
        Ok::<_, StateError>(())
    });
    assert!(
        matches!(many, Err(StateError::Full { keys: 1_025, .. })),
        "{many:?}"
    );
    assert_eq!(state.read().unwrap().len(), 1);
    let largest = |contents: &mut Contents| {
        for n in 0..7 {
            contents.put(&format!("value-{n}"), vec![0; VALUE])?;
        }
        Ok::<_, StateError>(())
    };
    state.transaction(largest).unwrap();
    assert_eq!(
        state.read().unwrap().len(),
        8,
        "what may be kept is read again"
    );
}

#[test]
fn two_processes_lose_no_change_of_each_other() {
    if let Some(folder) = std::env::var_os(ROLE) {
        let state = State::open(folder).unwrap();
        for n in 0..COUNTS {
            if n % 2 == 0 {
                let counting = |contents: &mut Contents| {
                    let next = count(contents, "sum") + 1;
                    contents.put("sum", counted(next, 0))
                };
                state.transaction(counting).unwrap();
                continue;
            }
            loop {
                let before = state.get("sum").unwrap();
                let sum = before
                    .as_deref()
                    .map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
                let next = counted(sum + 1, 0);
                let swapped = state.compare_and_swap("sum", before.as_deref(), Some(&next));
                if swapped.unwrap() {
                    break;
                }
            }
        }
        return;
    }
    let (folder, state) = opened();
    let test = "two_processes_lose_no_change_of_each_other";
    let writers = [(); 2].map(|()| process(test, folder.path()));
    for writer in writers {
        let ended = writer.wait_with_output().unwrap();
        assert!(ended.status.success(), "{ended:?}");
    }
    assert_eq!(count(&state.read().unwrap(), "sum"), 2 * COUNTS);
}

#[test]
fn a_kill_at_any_moment_leaves_one_whole_state_with_all_that_was_confirmed() {
    if let Some(folder) = std::env::var_os(ROLE) {
        let state = State::open(folder).unwrap();
        // Until it is killed.
        loop {
            let both = |contents: &mut Contents| {
                let next = count(contents, "a") + 1;
                contents.put("a", counted(next, 20_000))?;
                contents.put("b", counted(next, 20_000))?;
                Ok::<_, StateError>(next)
            };
            let next = state.transaction(both).unwrap();
            writeln!(io::stdout(), "kept {next}").unwrap();
        }
    }
    let (folder, state) = opened();
    let test = "a_kill_at_any_moment_leaves_one_whole_state_with_all_that_was_confirmed";
    for kill in 0..KILLS {
        let mut writer = process(test, folder.path());
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut kept =
            || lines.find_map(|line| line.ok()?.strip_prefix("kept ")?.parse::<u64>().ok());
        for _ in 0..=kill % 4 {
            kept().unwrap();
        }
        // Let it come so or so far into the next one, by reading what it has written: no two kills are alike.
        for _ in 0..kill * 7 % 31 {
            let seen = state.read().unwrap();
            assert_eq!(
                count(&seen, "a"),
                count(&seen, "b"),
                "a reader sees one state"
            );
        }
        // SIGKILL.
        writer.kill().unwrap();
        let confirmed = std::iter::from_fn(kept).last();
        writer.wait().unwrap();
        let seen = state.read().unwrap();
        assert_eq!(count(&seen, "a"), count(&seen, "b"));
        assert!(
            count(&seen, "a") >= confirmed.unwrap_or(kill),
            "{confirmed:?}"
        );
    }
    state.put("c", b"").unwrap();
    assert!(!folder.path().join(".lull-state.new").exists());
    assert_eq!(state.set_aside().unwrap(), [""; 0].map(PathBuf::from));
}

#[test]
fn who_waits_longer_than_the_deadline_is_told_and_nobody_is_left_locked_out() {
    let (_folder, mut state) = opened();
    let holder = state.clone();
    let (holds, held) = sync_channel(1);
    let (release, released) = sync_channel::<()>(1);
    let holding = std::thread::spawn(move || {
        holder.transaction(|contents| {
            holds.send(()).unwrap();
            released.recv().unwrap();
            contents.put("k", b"1")
        })
    });
    held.recv().unwrap();
    state.wait = Duration::from_millis(20);
    let busy = state.put("k", b"2").unwrap_err();
    assert!(matches!(busy, StateError::Busy { .. }), "{busy}");
    assert_eq!(state.get("k").unwrap(), None, "reading waits for nobody");
    release.send(()).unwrap();
    holding.join().unwrap().unwrap();
    state.wait = LOCK_WAIT;
    // The lock that came too late for the first attempt was let go.
    state.put("k", b"3").unwrap();
    assert_eq!(state.get("k").unwrap().as_deref(), Some(b"3".as_slice()));
}

#[test]
fn a_torn_file_is_set_aside_told_once_and_never_deleted() {
    let (folder, state) = opened();
    let file = folder.path().join(FILE);
    let mut kept = BTreeMap::new();
    for n in 1..=3_usize {
        state.put("k", vec![b'x'; 100 * n]).unwrap();
        let whole = std::fs::read(&file).unwrap();
        let torn = &whole[..whole.len() / n - 1];
        std::fs::write(&file, torn).unwrap();
        let told = if n == 2 {
            state.get("k").unwrap_err()
        } else {
            state.put("k", b"new").unwrap_err()
        };
        let StateError::Damaged { set_aside, .. } = &told else {
            panic!("{told:?}");
        };
        assert!(
            told.to_string().contains(set_aside.to_str().unwrap()),
            "{told}"
        );
        kept.insert(set_aside.clone(), torn.to_vec());
        assert_eq!(state.get("k").unwrap(), None, "it begins anew");
    }
    let found = state.set_aside().unwrap();
    assert_eq!(found, kept.keys().cloned().collect::<Vec<_>>());
    for (path, torn) in kept {
        assert_eq!(std::fs::read(path).unwrap(), torn);
    }
}

#[test]
fn a_newer_file_is_left_alone() {
    let (folder, state) = opened();
    let file = folder.path().join(FILE);
    std::fs::write(&file, "lull-state 2\nwhatever").unwrap();
    for refused in [
        state.put("k", b"").unwrap_err(),
        state.get("k").unwrap_err(),
    ] {
        assert!(
            matches!(refused, StateError::Newer { version: 2, .. }),
            "{refused}"
        );
    }
    assert_eq!(std::fs::read(file).unwrap(), b"lull-state 2\nwhatever");
}

#[test]
fn nothing_outside_of_the_folder_is_touched() {
    let (folder, state) = opened();
    let elsewhere = tempfile::tempdir().unwrap();
    let precious = elsewhere.path().join("precious");
    std::fs::write(&precious, "untouched").unwrap();
    for name in [FILE, ".lull-state.new"] {
        std::os::unix::fs::symlink(&precious, folder.path().join(name)).unwrap();
    }
    let told = state.put("k", b"v").unwrap_err();
    assert!(matches!(told, StateError::Damaged { .. }), "{told}");
    state.put("k", b"v").unwrap();
    assert_eq!(std::fs::read_to_string(precious).unwrap(), "untouched");
    let there = folder.path().join(FILE).symlink_metadata().unwrap();
    assert!(there.is_file());
}

/// An operator acts in an app's place: the app's own user reads and writes on.
#[test]
fn what_root_writes_belongs_to_the_app() {
    const APP: u32 = 60_001;
    assert!(rustix::process::geteuid().is_root(), "this test needs root");
    let (folder, state) = opened();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(APP), Some(APP)).unwrap();
    state.put("k", b"of root").unwrap();
    assert_eq!(folder.path().join(FILE).metadata().unwrap().uid(), APP);
    let path = folder.path().to_owned();
    let as_app = std::thread::spawn(move || {
        let uid = rustix::process::Uid::from_raw(APP);
        rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
        let state = State::open(path).unwrap();
        assert_eq!(
            state.get("k").unwrap().as_deref(),
            Some(b"of root".as_slice())
        );
        state.put("k", b"of the app").unwrap();
    });
    as_app.join().unwrap();
    assert_eq!(
        state.get("k").unwrap().as_deref(),
        Some(b"of the app".as_slice())
    );
    let stranger = tempfile::tempdir().unwrap().path().join("missing");
    let refused = State::open(stranger).unwrap_err();
    assert!(matches!(refused, StateError::Folder { .. }), "{refused}");
}
