//! Kills and errors at every call that makes files durable.
//!
//! A journey is made by this very program again, with `tests/faults/calls.c` preloaded: once to count the calls, then once for each
//! of them, which is the last one (SIGKILL) or fails. What the journey was told, it writes down outside of the store's
//! folder; what is in the store afterwards is held against it.

pub(crate) mod check;
mod full;
mod journeys;
pub(crate) mod life;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// Which journey this process makes, if it is one that was started to make one.
pub(crate) const JOURNEY: &str = "LULL_FAULT_JOURNEY";
/// Where it writes down what it was told.
pub(crate) const SAID: &str = "LULL_FAULT_SAID";
/// The folder whose calls count.
pub(crate) const UNDER: &str = "LULL_FAULT_UNDER";

/// Every so many points, one is tried: `tests/run` tries all of them.
const STRIDE: &str = "LULL_FAULT_STRIDE";
const USUAL_STRIDE: usize = 5;

/// Set, every point is tried with each error; else they take turns.
const ALL_ERRORS: &str = "LULL_FAULT_ALL_ERRORS";

/// Threads that try points; each waits for a process most of the time.
const THREADS: usize = 2;

/// What happens at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// SIGKILL instead of the call.
    Kill,
    /// SIGKILL after half of a write.
    Torn,
    /// The call fails with this.
    Fails(rustix::io::Errno),
}

impl Hit {
    fn text(self) -> String {
        match self {
            Self::Kill => "kill".into(),
            Self::Torn => "torn".into(),
            Self::Fails(errno) => errno.raw_os_error().to_string(),
        }
    }
}

/// A journey that was made, whole or not.
pub(crate) struct Made {
    pub(crate) status: ExitStatus,
    /// What it was told, a line each.
    pub(crate) said: Vec<String>,
    /// Its calls.
    pub(crate) log: Vec<String>,
    pub(crate) output: String,
}

impl Made {
    pub(crate) fn was_killed(&self) -> bool {
        self.status.signal() == Some(9)
    }

    /// Number, call and file of each counted call.
    pub(crate) fn calls(&self) -> impl Iterator<Item = (usize, &str, &str)> {
        self.log.iter().filter_map(|line| {
            let mut words = line.splitn(3, ' ');
            let (number, call, file) = (words.next()?, words.next()?, words.next()?);
            Some((number.parse().ok()?, call, file))
        })
    }
}

/// A place for one journey: the store's folder and, beside it, what is written down.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// A copy of `base`, in memory where there is such a place: a kill leaves what was written there, too.
    pub(crate) fn with(base: &Path) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            tempfile::tempdir_in(memory).unwrap()
        } else {
            tempfile::tempdir().unwrap()
        };
        let place = Self { folder };
        copy(base, place.folder.path());
        place
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn make(&self, journey: &str, at: usize, hit: Hit) -> Made {
        let file = |name: &str| self.folder.path().join(name);
        let lines = |name: &str| {
            let text = std::fs::read_to_string(file(name)).unwrap_or_default();
            text.lines().map(str::to_owned).collect()
        };
        std::fs::remove_file(file("log")).ok();
        let done = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "faults::journeys::a_journey_without_faults",
                "--nocapture",
            ])
            .env("LD_PRELOAD", shim())
            .env(JOURNEY, journey)
            .env(SAID, file("said"))
            .env(UNDER, self.state())
            .env("LULL_FAULT_LOG", file("log"))
            .env("LULL_FAULT_AT", at.to_string())
            .env("LULL_FAULT_DO", hit.text())
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let output = [done.stdout, done.stderr].concat();
        Made {
            status: done.status,
            said: lines("said"),
            log: lines("log"),
            output: String::from_utf8_lossy(&output).into_owned(),
        }
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The preloaded object, compiled once a process.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_folder, object) = SHIM.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let object = folder.path().join("calls.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/faults/calls.c");
        let compiled = Command::new("cc")
            .args([
                "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-o",
            ])
            .args([&object, Path::new(source)])
            .arg("-ldl")
            .status()
            .unwrap();
        assert!(compiled.success(), "{source} does not compile");
        (folder, object)
    });
    object
}

/// How many points were tried, how many of them were reached, and what is wrong.
#[derive(Default)]
pub(crate) struct Tried {
    points: usize,
    reached: usize,
    wrong: Vec<String>,
}

/// Tries every point of a journey from `base` with each of `hits`, and has each judged.
pub(crate) fn try_all(
    journey: &str,
    base: &Path,
    hits: &[Hit],
    judge: impl Fn(&Place, &Made, Hit, usize) -> Result<(), String> + Sync,
) -> Tried {
    let whole = Place::with(base);
    let made = whole.make(journey, 0, Hit::Kill);
    assert!(made.status.success(), "{journey}: {}", made.output);
    judge(&whole, &made, Hit::Kill, 0).unwrap_or_else(|problem| panic!("{journey}: {problem}"));
    let stride = std::env::var(STRIDE).map_or(USUAL_STRIDE, |text| text.parse().unwrap());
    let all = std::env::var_os(ALL_ERRORS).is_some();
    let mut points = Vec::new();
    for (at, call, _file) in made.calls().step_by(stride) {
        let turn = hits.len() - 1 - (at / stride) % hits.len();
        for (number, hit) in hits.iter().enumerate() {
            let wanted = match hit {
                Hit::Kill => true,
                Hit::Torn => matches!(call, "write" | "pwrite"),
                Hit::Fails(_) => all || number == turn,
            };
            if wanted {
                points.push((at, *hit));
            }
        }
    }
    let next = AtomicUsize::new(0);
    let reached = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some((at, hit)) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
            let place = Place::with(base);
            let made = place.make(journey, *at, *hit);
            let fallen = made.calls().filter(|(number, ..)| number == at).last();
            let fallen = fallen.map(|(_, call, file)| format!("{call} {file}"));
            reached.fetch_add(usize::from(fallen.is_some()), Ordering::Relaxed);
            if let Err(problem) = judge(&place, &made, *hit, *at) {
                wrong.push(format!(
                    "{journey}, call {at} {fallen:?}, {hit:?}: {problem}"
                ));
            }
        }
        wrong
    };
    let wrong = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join().unwrap());
        joined.flatten().collect()
    });
    Tried {
        points: points.len(),
        reached: reached.into_inner(),
        wrong,
    }
}

/// Prints what came of the journeys, and fails if anything is wrong.
#[expect(
    clippy::print_stdout,
    reason = "how many there were is part of the result"
)]
pub(crate) fn tell(what: &str, tried: BTreeMap<&str, Tried>) {
    let mut wrong = Vec::new();
    for (journey, tried) in tried {
        println!(
            "{what}: {journey}: {} points, {} reached",
            tried.points, tried.reached
        );
        assert!(tried.reached > 0 && 10 * tried.reached >= 9 * tried.points);
        wrong.extend(tried.wrong);
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
