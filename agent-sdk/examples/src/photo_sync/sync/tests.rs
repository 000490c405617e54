//! Whole runs on folders of their own.

use std::fs;
use std::os::unix::fs::symlink;

use lull_agent::CancelReason;
use lull_agent::agent::{Cancel, Canceller};

use super::*;

/// Four chunks.
const BIG: usize = 256 * 1024;

struct World {
    folder: tempfile::TempDir,
    settings: Settings,
    canceller: Canceller,
    cancellation: Cancellation,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["from", "to", "state"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let (canceller, cancellation) = Cancellation::pair();
        let settings = Settings {
            from: folder.path().join("from"),
            to: folder.path().join("to"),
            bytes_per_second: None,
        };
        Self {
            folder,
            settings,
            canceller,
            cancellation,
        }
    }

    fn from(&self, name: &str) -> PathBuf {
        self.settings.from.join(name)
    }

    fn to(&self, name: &str) -> PathBuf {
        self.settings.to.join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.from(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn cancel(&self) {
        self.canceller.request(Cancel {
            reason: CancelReason::ExecutionTimeExceeded,
            number: 9,
            grace: None,
        });
    }

    /// The same folders, and nobody has asked to cancel.
    fn again(&mut self) {
        (self.canceller, self.cancellation) = Cancellation::pair();
    }

    fn run_with(&self, progress: &mut dyn FnMut(u32)) -> Result<Summary, SyncError> {
        let state = self.folder.path().join("state");
        sync(&self.settings, &state, &self.cancellation, progress)
    }

    fn run(&self) -> Result<Summary, SyncError> {
        self.run_with(&mut |_| {})
    }

    fn stopped(&self) -> Stopped {
        match self.run() {
            Err(SyncError::Stopped(stopped)) => *stopped,
            other => panic!("{other:?}"),
        }
    }

    /// All that the receiving folder holds.
    fn received(&self) -> Vec<String> {
        let root = Folder::open(&self.settings.to).unwrap();
        let listing = Listing::of(&root).unwrap();
        let paths = listing.files.iter();
        let mut names: Vec<String> = paths.map(|f| f.path.display().to_string()).collect();
        // A listing does not name it.
        if self.to(PART).exists() {
            names.push(PART.to_owned());
        }
        names
    }
}

fn summary(copied: usize, bytes: u64, already: usize) -> Summary {
    Summary {
        copied,
        bytes,
        already,
        refused: Refused::default(),
    }
}

#[test]
fn new_files_are_copied_once_with_their_folders() {
    let world = World::new();
    world.put("a.jpg", b"alpha");
    world.put("2024/05/b.jpg", b"beta");
    world.put("empty", b"");
    let mut seen = Vec::new();
    let done = world.run_with(&mut |percent| seen.push(percent)).unwrap();
    assert_eq!(done, summary(3, 9, 0));
    assert_eq!(seen.last(), Some(&100));
    assert!(seen.is_sorted(), "{seen:?}");
    assert_eq!(fs::read(world.to("2024/05/b.jpg")).unwrap(), b"beta");
    assert_eq!(world.run().unwrap(), summary(0, 0, 3));
    world.put("c.jpg", b"gamma");
    world.put("a.jpg", b"alpha, edited");
    assert_eq!(world.run().unwrap(), summary(2, 18, 2));
    assert_eq!(fs::read(world.to("a.jpg")).unwrap(), b"alpha, edited");
}

#[test]
fn a_cancel_in_the_middle_leaves_no_half_file_and_the_next_run_goes_on() {
    let mut world = World::new();
    world.put("a", &vec![1; BIG]);
    world.put("b", &vec![2; BIG]);
    world.put("c", &vec![3; BIG]);
    // 50 % is in the middle of b.
    let result = world.run_with(&mut |percent| {
        if percent >= 50 {
            world.cancel();
        }
    });
    let Err(SyncError::Stopped(stopped)) = result else {
        panic!("{result:?}");
    };
    assert_eq!((stopped.left, &stopped.failure), (2, &None));
    assert_eq!(stopped.done, summary(1, 256 * 1024, 0));
    assert_eq!(world.received(), ["a"]);
    world.again();
    assert_eq!(world.run().unwrap(), summary(2, 512 * 1024, 1));
    assert_eq!(world.received(), ["a", "b", "c"]);
    assert_eq!(fs::read(world.to("b")).unwrap(), vec![2; BIG]);
}

#[test]
fn a_run_that_is_paced_ends_its_pause_with_the_request() {
    let mut world = World::new();
    world.put("a", &vec![1; BIG]);
    // A chunk takes 18 hours at this pace.
    world.settings.bytes_per_second = Some(1);
    let result = world.run_with(&mut |_| world.cancel());
    assert!(matches!(result, Err(SyncError::Stopped(_))), "{result:?}");
    assert_eq!(world.received().len(), 0);
}

#[test]
fn the_rest_of_a_run_that_was_killed_is_cleared_away() {
    let world = World::new();
    world.put("a", b"alpha");
    fs::write(world.to(PART), b"al").unwrap();
    assert_eq!(world.run().unwrap(), summary(1, 5, 0));
    assert_eq!(world.received(), ["a"]);
}

#[test]
fn a_copy_whose_note_was_lost_is_compared_and_known_again() {
    let world = World::new();
    world.put("a", b"alpha");
    world.run().unwrap();
    fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    fs::create_dir(world.folder.path().join("state")).unwrap();
    assert_eq!(world.run().unwrap(), summary(0, 0, 1));
    assert_eq!(world.run().unwrap(), summary(0, 0, 1));
}

#[test]
fn a_copy_that_was_damaged_or_removed_later_is_made_again() {
    let world = World::new();
    world.put("a", b"alpha");
    world.put("b", b"beta");
    world.run().unwrap();
    fs::write(world.to("a"), b"alp").unwrap();
    fs::remove_file(world.to("b")).unwrap();
    assert_eq!(world.run().unwrap(), summary(2, 9, 0));
    assert_eq!(fs::read(world.to("a")).unwrap(), b"alpha");
}

#[test]
fn what_it_did_not_copy_is_kept_and_named() {
    let world = World::new();
    world.put("a", b"ours");
    world.put("b", b"same length");
    world.put("c/d", b"in a folder");
    world.put("e", b"good");
    fs::write(world.to("a"), b"something else").unwrap();
    fs::write(world.to("b"), b"SAME LENGTH").unwrap();
    fs::write(world.to("c"), b"a file").unwrap();
    let stopped = world.stopped();
    assert_eq!((stopped.left, stopped.done.copied), (3, 1));
    let failure = stopped.failure.unwrap();
    assert!(failure.contains("to/a is there already"), "{failure}");
    assert_eq!(fs::read(world.to("a")).unwrap(), b"something else");
    assert_eq!(fs::read(world.to("b")).unwrap(), b"SAME LENGTH");
    assert_eq!(world.received(), ["a", "b", "c", "e"]);
}

#[test]
fn links_and_special_files_are_refused_by_name_and_lead_nowhere() {
    let world = World::new();
    world.put("a", b"alpha");
    let outside = world.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), b"not to be copied").unwrap();
    symlink(outside.join("secret"), world.from("link")).unwrap();
    symlink(&outside, world.from("linked-folder")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(world.from("socket")).unwrap());
    let done = world.run().unwrap();
    assert_eq!((done.copied, done.refused.count), (1, 3));
    let told = done.to_string();
    for named in [
        "link is a symbolic link",
        "linked-folder is a symbolic link",
        "socket is a socket",
    ] {
        assert!(told.contains(named), "{told}");
    }
    assert_eq!(world.received(), ["a"]);
}

#[test]
fn a_link_in_the_receiving_folder_is_not_written_through() {
    let world = World::new();
    world.put("album/a", b"alpha");
    let outside = world.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, world.to("album")).unwrap();
    let failure = world.stopped().failure.unwrap();
    assert!(failure.contains("to/album"), "{failure}");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);
}

#[test]
fn two_runs_take_turns_and_a_cancel_ends_the_waiting() {
    let world = World::new();
    world.put("a", b"alpha");
    let state = world.folder.path().join("state");
    let lock = File::create(state.join("photo-sync.lock")).unwrap();
    lock.lock().unwrap();
    world.cancel();
    assert_eq!(world.stopped().done, Summary::default());
    assert_eq!(world.received().len(), 0);
}

#[test]
fn a_folder_too_deep_is_named() {
    let world = World::new();
    let deep = "d/".repeat(super::super::listing::DEPTH + 1);
    world.put(&format!("{deep}a"), b"alpha");
    let done = world.run().unwrap();
    assert_eq!((done.copied, done.refused.count), (0, 1));
    assert!(done.to_string().contains("more than 32 folders deep"));
}
