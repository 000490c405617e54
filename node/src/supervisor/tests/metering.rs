//! What runs use is counted, and what follows from it happens: on a whole device, with real processes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use lull_policy::meter::SHORTEST;
use lull_policy::*;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::device::WholeDevice;
use crate::engine::rig::on_runtime;

/// Uses all that it gets of a processor.
const BURN: &str = "while :; do :; done";

/// What a daemon and a launcher may take to read a cage and to freeze it on a machine whose processors are all busy with other
/// tests, in microseconds of one processor.
const LATE: u64 = 1_000_000;

fn windows8() -> Policy {
    Policy {
        quota_profile: QuotaProfile::Windows8,
        quota_cpu: Span::millis(100),
        quota_window: Span::seconds(3),
        ..Policy::default()
    }
}

async fn suspended(device: &WholeDevice, run: RunId, by: Option<Resource>) {
    device
        .see("the change of a run", move |device, _now| {
            let mut runs = device.runs();
            let run = runs.find(|of| of.id == run).expect("it is under way");
            (run.suspended == by).then_some(())
        })
        .await;
}

#[test]
fn a_spent_cpu_quota_freezes_until_the_refill_and_spares_what_is_critical() {
    on_runtime(|arbiter| async move {
        let device = WholeDevice::new(&arbiter, windows8()).await;
        device.register("pushed", Trigger::Push, BURN).await;
        let pushed = device.push("pushed").await;
        let work = device.raise("work", BURN).await;
        suspended(&device, work, Some(Resource::Cpu)).await;
        // What it uses while it is on its way into the freezer is its own, too.
        let mut used = device.cpu_micros(work);
        let still = loop {
            tokio::task::yield_now().await;
            let now = device.cpu_micros(work);
            let frozen = device.board.read().processes[&work].cgroup.clone();
            let events = std::fs::read_to_string(format!("{frozen}/cgroup.events")).unwrap();
            if now == used && events.contains("frozen 1") {
                break now;
            }
            used = now;
        };
        let processors =
            u64::try_from(std::thread::available_parallelism().unwrap().get()).unwrap();
        let most = 100_000 + SHORTEST.as_millis() * 1_000 * processors + LATE;
        assert!(
            (100_000..=most).contains(&still),
            "RES-13, I4: {still} of {most}"
        );
        suspended(&device, work, None).await;
        super::stage::until("more use after the refill", || {
            device.cpu_micros(work) > still
        })
        .await;
        super::stage::until("a critical run beyond the quota", || {
            device.cpu_micros(pushed) > 200_000
        })
        .await;
        suspended(&device, pushed, None).await;
        suspended(&device, work, Some(Resource::Cpu)).await;
    });
}

/// A network of the launcher's own, with one device that takes everything.
fn in_a_network_of_its_own(command: Vec<String>) -> Vec<String> {
    let set_up = "ip link set lo up && ip link add cable0 type veth peer name cable1 && \
                  ip addr add 192.0.2.1/24 dev cable0 && ip link set cable0 up && ip link set cable1 up && exec \"$@\"";
    let shell = ["/usr/bin/unshare", "-n", "/bin/sh", "-c", set_up, "sh"];
    shell
        .map(str::to_owned)
        .into_iter()
        .chain(command)
        .collect()
}

/// Sends a kilobyte a hundred times a second.
const SEND: &str = "exec python3 -c \"
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    out.sendto(b'x' * 1000, ('192.0.2.9', 9))
    time.sleep(0.01)
\"";

#[test]
fn a_spent_network_quota_freezes_on_battery_only() {
    on_runtime(|arbiter| async move {
        let policy = Policy {
            quota_cpu: Span::hours(1),
            quota_window: Span::hours(2),
            quota_network: Bytes(20_000),
            ..windows8()
        };
        let device = WholeDevice::with_launcher(&arbiter, policy, in_a_network_of_its_own).await;
        let work = device.raise("work", SEND).await;
        super::stage::until("a long time at external power", || {
            device.cpu_micros(work) > 50_000
        })
        .await;
        suspended(&device, work, None).await;
        device.external_power(false).await;
        suspended(&device, work, Some(Resource::Network)).await;
        device.external_power(true).await;
        suspended(&device, work, None).await;
    });
}

fn watchful() -> Policy {
    Policy {
        idle_time: Span::seconds(2),
        idle_cpu: Span::millis(1),
        device_use_idle: Span::seconds(2),
        ..Policy::default()
    }
}

/// It has run for three times what a watchdog needs, and nobody asked it to cancel.
async fn is_spared(device: &WholeDevice, run: RunId) {
    let spared = device.see("a run that is spared", move |device, now| {
        let mut runs = device.runs();
        let run = runs.find(|of| of.id == run).expect("it is under way");
        let long = now.running.since(run.started_running) > Span::seconds(6);
        (long || run.cancel_reason.is_some()).then_some(run.cancel_reason)
    });
    assert_eq!(spared.await, None);
}

#[test]
fn a_run_that_does_nothing_is_asked_to_cancel_and_one_at_work_is_not() {
    on_runtime(|arbiter| async move {
        let device = WholeDevice::new(&arbiter, watchful()).await;
        let work = device.raise("work", BURN).await;
        let sleeper = device.raise("other", "exec sleep 1000").await;
        let end = device.end(sleeper).await;
        let reason = Some(CancelReason::IdleTask);
        assert_eq!(
            (end.outcome, end.cancel_reason),
            (Outcome::Cancelled, reason)
        );
        assert!(end.ran >= Span::seconds(2), "RUN-15: {:?}", end.ran);
        is_spared(&device, work).await;
    });
}

/// A device of this test's own that is read and written, and never asked anything else.
struct Node(PathBuf);

impl Node {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(format!("/dev/lull-test-{}-{name}", std::process::id()));
        // As /dev/full.
        let (kind, all) = (FileType::CharacterDevice, Mode::from_raw_mode(0o666));
        mknodat(CWD, &path, kind, all, makedev(1, 7)).unwrap();
        let all = std::fs::Permissions::from_mode(0o666);
        std::fs::set_permissions(&path, all).unwrap();
        Self(path)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

#[test]
fn a_device_use_run_without_io_is_asked_to_cancel_and_one_with_it_is_not() {
    on_runtime(|arbiter| async move {
        let device = WholeDevice::new(&arbiter, watchful()).await;
        let (used, unused) = (Node::new("used"), Node::new("unused"));
        let script = format!(
            "while :; do head -c 8 {} | wc -c; sleep 0.2; done",
            used.0.display()
        );
        let user = device.use_device("work", &used.0, &script).await;
        // At work, and not on its device.
        let silent = device.use_device("other", &unused.0, BURN).await;
        let end = device.end(silent).await;
        let reason = Some(CancelReason::IdleTask);
        assert_eq!(
            (end.outcome, end.cancel_reason),
            (Outcome::Cancelled, reason)
        );
        assert!(end.ran >= Span::seconds(2), "TRGD-31: {:?}", end.ran);
        is_spared(&device, user).await;
    });
}
