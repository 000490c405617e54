//! A disk that is full, of bytes or of files: a small one of its own, in memory.

use std::ffi::CStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix::Arbiter;
use lull_policy::{Event, Request, RunId, Trigger};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use tempfile::TempDir;

use super::life::{Life, Said, config, id};
use crate::clock::{self, Clock as _};
use crate::engine::rig::{self, PATIENCE, app, on_runtime, register};
use crate::ports::EngineError;

/// Within what time pushes are taken again once there is room.
const RECOVERED: Duration = Duration::from_secs(10);

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(20);

/// Unmounted when dropped.
struct Disk(TempDir);

impl Disk {
    fn of(options: &CStr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        mount(
            "lull-test",
            folder.path(),
            "tmpfs",
            MountFlags::empty(),
            options,
        )
        .expect("this test needs root: it mounts a small disk");
        Self(folder)
    }

    fn filler(&self, n: usize) -> PathBuf {
        self.0.path().join(format!("filler-{n}"))
    }

    /// Takes every byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.filler(0)).unwrap();
        for size in [1 << 16, 1 << 12, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
    }

    /// Takes every file that there could be.
    fn fill_files(&self) -> usize {
        let more = |n: &usize| std::fs::File::create(self.filler(*n)).is_ok();
        (0..1_000).take_while(more).count()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still has a file open on it goes on until it is closed.
        unmount(self.0.path(), UnmountFlags::DETACH).ok();
    }
}

fn large_push(id: &str) -> Event {
    let Event::PushArrived(mut push) = rig::push(id) else {
        unreachable!("a push is a push")
    };
    push.payload = vec![7; lull_policy::bounds::PUSH_PAYLOAD];
    Event::PushArrived(push)
}

/// A device with a run under way.
async fn working(arbiter: &Arbiter, folder: &Path) -> (Life, RunId) {
    let mut life = Life::begin(arbiter, &config(folder), Said::nothing(), false).await;
    life.call(Request::RequestAccess { app: app() }).await;
    life.call(register("pushed", Trigger::Push)).await;
    life.accept("runs").await;
    let launch = life.start().await;
    assert_eq!(id(&launch), "runs");
    (life, launch.run)
}

/// Pushes until one is refused; answers those that were taken.
async fn push_until_refused(life: &Life) -> Vec<String> {
    let mut taken = Vec::new();
    for n in 0..50 {
        let id = format!("push-{n}");
        match life.try_tell(large_push(&id)).await {
            Ok(()) => taken.push(id),
            Err(refused) => {
                assert_eq!(refused, EngineError::Unavailable);
                return taken;
            }
        }
    }
    panic!("a full disk takes pushes");
}

/// Until a push is taken, within the time that recovery may take.
async fn taken_again(life: &Life, event: &Event) {
    let clock = clock::System::new().unwrap();
    let begun = clock.now().running;
    let taken = async {
        while life.try_tell(event.clone()).await.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.unwrap();
    let took = Duration::from_millis(clock.now().running.since(begun).as_millis());
    assert!(took <= RECOVERED, "{took:?}");
}

async fn told(life: &Life, what: &str) {
    let told = async {
        while !life.trouble().contains(what) {
            tokio::time::sleep(AGAIN).await;
        }
    };
    let told = tokio::time::timeout(PATIENCE, told).await;
    assert!(told.is_ok(), "{:?} does not say {what:?}", life.trouble());
}

#[test]
fn on_a_full_disk_what_runs_ends_and_nothing_begins_until_there_is_room() {
    let disk = Disk::of(c"size=6m,nr_inodes=64,mode=700");
    let folder = disk.0.path().to_owned();
    on_runtime(async |arbiter| {
        let (mut life, run) = working(&arbiter, &folder).await;
        disk.fill();
        let mut taken = push_until_refused(&life).await;
        told(&life, "full").await;
        assert!(life.runs().await.contains_key("runs"));
        assert!(!life.stops_something(), "what runs lives on");
        // Ends are written, one after the other, and none of them makes room for a beginning.
        life.finish(run, "runs").await;
        let ran = life.run_all().await;
        assert_eq!(ran.len(), taken.len());
        let refused = life.try_tell(large_push("late")).await;
        assert_eq!(refused, Err(EngineError::Unavailable));
        told(&life, "full").await;
        std::fs::remove_file(disk.filler(0)).unwrap();
        taken_again(&life, &large_push("late")).await;
        assert_eq!(life.trouble(), "");
        life.run_all().await;
        taken.extend(["runs".to_owned(), "late".to_owned()]);
        let mut finished = life.finished().await;
        finished.sort();
        taken.sort();
        assert_eq!(finished, taken);
        // And all of it is there after a restart.
        life.end(&config(&folder)).await;
        let life = Life::begin(&arbiter, &config(&folder), Said::nothing(), false).await;
        assert_eq!(life.finished().await.len(), taken.len());
        life.end(&config(&folder)).await;
        arbiter.stop();
    });
}

#[test]
fn without_a_free_inode_the_engine_works_and_starts() {
    let disk = Disk::of(c"size=8m,nr_inodes=24,mode=700");
    let folder = disk.0.path().to_owned();
    on_runtime(async |arbiter| {
        let (mut life, run) = working(&arbiter, &folder).await;
        disk.fill_files();
        // All files that it needs are there.
        life.accept("meanwhile").await;
        life.finish(run, "runs").await;
        life.end(&config(&folder)).await;
        // Those that closing removed.
        let fillers = disk.fill_files();
        let mut life = Life::begin(&arbiter, &config(&folder), Said::nothing(), false).await;
        told(&life, "full").await;
        let refused = life.try_tell(rig::push("late")).await;
        assert_eq!(refused, Err(EngineError::Unavailable));
        assert_eq!(life.run_all().await, [("meanwhile".to_owned(), 2)]);
        for n in 0..fillers {
            std::fs::remove_file(disk.filler(n)).unwrap();
        }
        taken_again(&life, &rig::push("late")).await;
        life.end(&config(&folder)).await;
        arbiter.stop();
    });
}
