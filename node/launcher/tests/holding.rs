//! What holds a run while it goes on: frozen, another memory cap, no network, devices closed, its class.

use std::path::Path;
use std::process::Command;

use lull_launcher::wire::{Class, Event, Exit, Launch, Request};

use crate::drill::{Drill, needs_root, shell, status, until};

/// Looks that all have to see the same.
const LOOKS: usize = 200;

/// A folder that every user may write to.
fn open_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), all).unwrap();
    folder
}

/// Waits until the launcher has obeyed everything before.
fn obeyed(drill: &Drill, run: u64) -> Option<u64> {
    drill.send(&Request::Usage { run });
    loop {
        match drill.next() {
            (Event::Usage { limit, .. }, _) => return limit,
            (Event::Refused { message }, _) => panic!("{message}"),
            _ => {}
        }
    }
}

fn count(file: &Path) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[test]
fn a_frozen_run_stands_still_goes_on_and_can_be_killed() {
    let drill = Drill::new();
    let folder = open_folder();
    let file = folder.path().join("count");
    let script = format!(
        "i=0; while :; do i=$((i+1)); echo $i > {0}.new; mv {0}.new {0}; done",
        file.display()
    );
    drill.start(shell(1, &script));
    until("a first count", || (count(&file) > 0).then_some(()));
    for round in 0..2 {
        let frozen = true;
        drill.send(&Request::Freeze { run: 1, frozen });
        obeyed(&drill, 1);
        // A process in the middle of a system call takes a moment.
        let (mut seen, mut same) = (0, 0);
        until("a standstill", || {
            let now = count(&file);
            same = if now == seen { same + 1 } else { 0 };
            seen = now;
            (same >= LOOKS).then_some(())
        });
        if round == 0 {
            let frozen = false;
            drill.send(&Request::Freeze { run: 1, frozen });
            until("a further count", || (count(&file) > seen).then_some(()));
        }
    }
    drill.send(&Request::Kill { run: 1 });
    assert_eq!(drill.end(1).exit, Exit::Signal { signal: 9 });
}

/// Waits for a file, then holds so many bytes.
fn hungry(run: u64, go: &Path, bytes: u64) -> Launch {
    let script = format!(
        "while [ ! -e {} ]; do sleep 0.02; done; head -c {bytes} /dev/zero | tail -c {bytes} | wc -c",
        go.display()
    );
    shell(run, &script)
}

#[test]
fn a_memory_cap_is_lifted_and_put_back() {
    let drill = Drill::new();
    let folder = open_folder();
    let go = folder.path().join("go");
    let small = Some(16 << 20);
    let mut capped = hungry(1, &go, 64 << 20);
    capped.memory = small;
    drill.start(capped);
    drill.start(hungry(2, &go, 64 << 20));
    let (run, cap, data) = (1, None, None);
    drill.send(&Request::Memory { run, cap, data });
    assert_eq!(obeyed(&drill, 1), None);
    let (run, cap) = (2, small);
    drill.send(&Request::Memory { run, cap, data });
    assert_eq!(obeyed(&drill, 2), small);
    std::fs::write(&go, "").unwrap();
    let free = drill.end(1);
    assert_eq!(free.exit, status(0), "{}", free.output);
    assert_eq!(free.output.trim(), (64 << 20).to_string());
    assert_eq!(drill.end(2).exit, Exit::MemoryExceeded);
}

/// A network of this test's own: two devices that take everything, and the loopback.
pub(crate) fn network_of_its_own() {
    needs_root();
    #[expect(
        deprecated,
        reason = "this thread alone moves, and starts everything that follows"
    )]
    rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNET).unwrap();
    let commands = [
        "link set lo up",
        "link add cable0 type veth peer name cable1",
        "link add wwan9 type veth peer name wwan8",
        "addr add 192.0.2.1/24 dev cable0",
        "addr add 198.51.100.1/24 dev wwan9",
        "link set cable0 up",
        "link set cable1 up",
        "link set wwan9 up",
        "link set wwan8 up",
    ];
    for command in commands {
        let done = Command::new("ip").args(command.split(' ')).status();
        assert!(done.unwrap().success(), "ip {command}");
    }
}

/// Says by which of three ways a datagram went out.
const SEND: &str = "
import socket
for name, host in [('cable', '192.0.2.9'), ('mobile', '198.51.100.9'), ('loopback', '127.0.0.1')]:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', (host, 9))
        print(name, 'sent')
    except PermissionError:
        print(name, 'refused')
";

pub(crate) fn python(run: u64, program: &str) -> Launch {
    let mut launch = shell(run, "");
    launch.program = "/usr/bin/python3".to_owned();
    launch.args = vec!["-c".to_owned(), program.to_owned()];
    launch
}

#[test]
fn a_run_without_network_has_the_loopback_only() {
    network_of_its_own();
    let drill = Drill::new();
    let all = "cable sent\nmobile sent\nloopback sent\n";
    assert_eq!(drill.complete(python(1, SEND)).output, all);
    let mut offline = python(2, SEND);
    offline.offline = true;
    let none = "cable refused\nmobile refused\nloopback sent\n";
    assert_eq!(drill.complete(offline).output, none, "RUN-31");
}

#[test]
fn the_network_of_a_run_under_way_is_cut_and_given_back() {
    network_of_its_own();
    let drill = Drill::new();
    let folder = open_folder();
    let path = folder.path().display();
    let program = format!(
        "
import os, time
for step in ['one', 'two']:
    while not os.path.exists('{path}/' + step):
        time.sleep(0.01)
    exec({SEND:?})
    open('{path}/' + step + '-done', 'w').close()
"
    );
    drill.start(python(1, &program));
    for (name, allowed) in [("one", false), ("two", true)] {
        drill.send(&Request::Network { run: 1, allowed });
        obeyed(&drill, 1);
        std::fs::write(folder.path().join(name), "").unwrap();
        let done = folder.path().join(format!("{name}-done"));
        until(name, || done.exists().then_some(()));
    }
    let end = drill.end(1);
    let expected = "cable refused\nmobile refused\nloopback sent\n\
                    cable sent\nmobile sent\nloopback sent\n";
    assert_eq!(end.output, expected, "RUN-31");
}

/// Binds to devices by name, with and without its end, and by number.
const BIND: &str = "
import socket, struct
for name in ['cable0', 'wwan9', 'wwan']:
    number = struct.pack('i', socket.if_nametoindex(name)) if name != 'wwan' else b'1234'
    for option, value in [(25, name.encode()), (25, name.encode() + b'\\0'), (62, number)]:
        try:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).setsockopt(socket.SOL_SOCKET, option, value)
            print(name, option, 'bound')
        except PermissionError:
            print(name, option, 'refused')
        except OSError as error:
            print(name, option, error.strerror)
";

#[test]
fn a_closed_device_is_neither_bound_to_nor_sent_by_and_others_are() {
    network_of_its_own();
    let drill = Drill::new();
    let free = drill.complete(python(1, BIND)).output;
    assert!(free.contains("wwan9 25 bound"), "{free}");
    assert!(!free.contains("refused"), "{free}");
    let closed = |run, program| {
        let mut launch = python(run, program);
        launch.closed = vec!["wwan9".to_owned(), "not-there".to_owned()];
        drill.complete(launch)
    };
    let bound = closed(2, BIND);
    assert_eq!(bound.exit, status(0), "the call fails, the agent goes on");
    let expected = free.replace("wwan9 25 bound", "wwan9 25 refused");
    let expected = expected.replace("wwan9 62 bound", "wwan9 62 refused");
    assert_eq!(bound.output, expected, "INT-09");
    let sent = closed(3, SEND).output;
    assert_eq!(sent, "cable sent\nmobile refused\nloopback sent\n");
}

#[test]
fn classes_are_scheduled_apart() {
    let drill = Drill::new();
    // Field 41 of stat is the scheduling policy: 0 other, 3 batch, 5 idle.
    let script = "cut -d')' -f2 /proc/self/stat | cut -d' ' -f40; ionice -p $$; \
                  grep -E ':cpu:' /proc/self/cgroup";
    let rows = [
        (Class::Background, "5", "idle", ""),
        (Class::Intensive, "3", "best-effort: prio 7", ""),
        (Class::Critical, "0", "none: prio 0", "-critical"),
    ];
    for (number, (class, policy, disks, folder)) in (1..).zip(rows) {
        let mut launch = shell(number, script);
        launch.class = class;
        let output = drill.complete(launch).output;
        let lines: Vec<&str> = output.lines().collect();
        assert_eq!(lines.first(), Some(&policy), "{class:?}: {output}");
        assert_eq!(lines.get(1), Some(&disks), "{class:?}: {output}");
        if let Some(cgroup) = lines.get(2) {
            let expected = format!("{}{folder}", drill.cages);
            assert!(cgroup.ends_with(&expected), "{class:?}: {output}");
        }
    }
}
