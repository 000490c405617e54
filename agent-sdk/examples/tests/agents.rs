//! Each agent's part in its run.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::node_end::{Process, Start, until};

const PHOTO_SYNC: &str = env!("CARGO_BIN_EXE_photo-sync");
const STUBBORN: &str = env!("CARGO_BIN_EXE_stubborn");
const GLUTTON: &str = env!("CARGO_BIN_EXE_glutton");
const NEIGHBOUR: &str = env!("CARGO_BIN_EXE_neighbour");
const INBOX: &str = env!("CARGO_BIN_EXE_inbox");

fn start(program: &str) -> Start<'_> {
    Start {
        program,
        payload: "",
        push: "p-1",
        environment: &[],
    }
}

#[test]
fn photo_sync_copies_and_completes_over_an_inherited_descriptor() {
    let from = tempfile::tempdir().unwrap();
    fs::write(from.path().join("a.jpg"), b"alpha").unwrap();
    let mut node = Start {
        environment: &[("PHOTOS_FROM", from.path())],
        ..start(PHOTO_SYNC)
    }
    .go_with_descriptor();
    let said = node.rest();
    assert_eq!(said.last(), Some(&json!({"type": "complete"})));
    assert!(
        said.contains(&json!({"type": "progress", "value": 100})),
        "{said:?}"
    );
    let (status, printed) = node.end();
    assert_eq!(status, 0);
    assert!(
        printed.starts_with("copied and verified 1 files (5 bytes)"),
        "{printed}"
    );
    assert_eq!(node.read("photos/a.jpg"), "alpha");
}

#[test]
fn photo_sync_obeys_a_cancel_in_the_middle_of_a_file() {
    let from = tempfile::tempdir().unwrap();
    let to = tempfile::tempdir().unwrap();
    fs::write(from.path().join("big"), vec![7; 8 << 20]).unwrap();
    let mut node = Start {
        environment: &[
            ("PHOTOS_FROM", from.path()),
            ("PHOTOS_TO", to.path()),
            // An hour for the file.
            ("PHOTOS_BYTES_PER_SECOND", Path::new("2330")),
        ],
        ..start(PHOTO_SYNC)
    }
    .go();
    until("a part is written", || {
        to.path().join(".photo-sync.part").exists()
    });
    node.cancel();
    let last = node.rest().pop().unwrap();
    let message = last["message"].as_str().unwrap();
    assert_eq!(last["type"], "abort");
    assert!(
        message.contains("cancelled (execution-time-exceeded)"),
        "{message}"
    );
    assert_eq!(node.end().0, 75);
    assert_eq!(fs::read_dir(to.path()).unwrap().count(), 0);
}

#[test]
fn photo_sync_obeys_sigterm_too() {
    let from = tempfile::tempdir().unwrap();
    fs::write(from.path().join("big"), vec![7; 1 << 20]).unwrap();
    let mut node = Start {
        environment: &[
            ("PHOTOS_FROM", from.path()),
            ("PHOTOS_BYTES_PER_SECOND", Path::new("1")),
        ],
        ..start(PHOTO_SYNC)
    }
    .go();
    let part = node.state("photos/.photo-sync.part");
    until("a part is written", || part.exists());
    node.signal(Signal::TERM);
    let last = node.rest().pop().unwrap();
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with("cancelled (terminating)"), "{message}");
    assert_eq!(node.end().0, 75);
    assert!(!part.exists());
}

#[test]
fn photo_sync_aborts_with_the_way_out_when_no_folder_is_named() {
    let mut node = start(PHOTO_SYNC).go();
    let last = node.rest().pop().unwrap();
    let message = last["message"].as_str().unwrap();
    assert!(message.starts_with("PHOTOS_FROM is not set"), "{message}");
    assert_eq!(node.end().0, 75);
}

#[test]
fn the_inbox_notes_every_start_and_keeps_each_message_once() {
    let letter = Start {
        payload: "letter one",
        push: "p-7",
        ..start(INBOX)
    };
    let mut node = letter.go();
    assert_eq!(node.rest(), [json!({"type": "complete"})]);
    assert_eq!(node.end().0, 0);
    assert_eq!(node.read("inbox.log"), "p-7 1 7 letter\\x20one\n");
    assert_eq!(node.read("messages/push-p-7"), "letter one");
    // The same push again, in the same folder: a double start is seen, the message stays one.
    let mut again = Start {
        environment: &[("LULL_STATE", node.state.path())],
        ..letter
    }
    .go();
    assert_eq!(again.rest(), [json!({"type": "complete"})]);
    assert_eq!(again.end().1, "had already message p-7\n");
    assert_eq!(node.read("inbox.log").lines().count(), 2);
}

#[test]
fn the_neighbour_beats_to_its_end() {
    let mut node = start(NEIGHBOUR).go();
    let said = node.rest();
    assert_eq!(said.last(), Some(&json!({"type": "complete"})));
    assert!(
        said.contains(&json!({"type": "progress", "value": 50})),
        "{said:?}"
    );
    let (status, printed) = node.end();
    assert_eq!(status, 0);
    assert!(printed.starts_with("32 beats"), "{printed}");
    let beats = node.read("beats.log");
    assert_eq!(beats.lines().count(), 32);
    let pid = format!(" {}", node.pid());
    assert!(
        beats
            .lines()
            .all(|line| line.starts_with("7 ") && line.ends_with(&pid)),
        "{beats}"
    );
}

#[test]
fn the_glutton_eats_until_it_is_asked_to_stop() {
    let mut node = start(GLUTTON).go();
    assert_eq!(node.hear(), r#"{"type":"memory-usage"}"#);
    node.say(&json!({"type": "memory-usage", "usage": 1, "limit": 33_554_432}));
    node.hear_until(|message| message["value"].as_u64() >= Some(5));
    let resident = fs::read_to_string(format!("/proc/{}/statm", node.pid())).unwrap();
    let pages: usize = resident.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(
        pages * rustix::param::page_size() > 5 << 20,
        "{pages} pages"
    );
    node.cancel();
    let last = node.rest().pop().unwrap();
    assert_eq!(last["type"], "abort");
    let (status, printed) = node.end();
    assert_eq!(status, 75);
    assert!(printed.contains("my cap is 33554432 bytes"), "{printed}");
}

/// What `tree.json` names; ends with the test, come what may.
struct Tree(Vec<Process>);

impl Drop for Tree {
    fn drop(&mut self) {
        self.0
            .iter()
            .for_each(|process| process.signal(Signal::KILL));
    }
}

#[test]
fn the_stubborn_agent_stays_with_its_tree_until_it_is_killed() {
    let mut node = start(STUBBORN).go();
    node.hear_until(|message| message["type"] == "progress");
    let tree = Tree(serde_json::from_str(&node.read("tree.json")).unwrap());
    let [agent, child, grandchild] = tree.0[..] else {
        panic!("{:?}", tree.0);
    };
    assert_eq!(agent.pid, node.pid());
    until("each is in a session of its own", || {
        let sessions = [agent.session(), child.session(), grandchild.session()];
        sessions[1] == child.pid && sessions[2] == grandchild.pid && sessions[0] != child.pid
    });
    until("the tree has become what it stays", || {
        let command = |process: Process| fs::read_to_string(format!("/proc/{}/comm", process.pid));
        [child, grandchild]
            .iter()
            .all(|one| command(*one).unwrap() == "sleep\n")
    });
    node.cancel();
    until("the request is noted", || {
        node.state("cancelled.json").exists()
    });
    let noted: serde_json::Value = serde_json::from_str(&node.read("cancelled.json")).unwrap();
    assert_eq!((&noted["number"], &noted["run"]), (&json!(9), &json!(7)));
    assert!(
        noted["wall_ms"].as_u64() > Some(1_700_000_000_000),
        "{noted}"
    );
    for process in [agent, child, grandchild] {
        process.signal(Signal::TERM);
        until("the signal was delivered", || {
            !process.has_pending(Signal::TERM)
        });
        assert!(process.lives(), "{process:?}");
    }
    assert!(!node.has_ended());
}

#[test]
fn an_agent_without_a_node_says_how_to_run_it() {
    let mut command = std::process::Command::new(INBOX);
    let output = command.env_remove("LULL_SOCKET_FD").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("LULL_SOCKET_FD is not set") && told.contains(INBOX),
        "{told}"
    );
}
