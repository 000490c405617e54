//! What an agent finds, and what it does not.

use std::io::{Read, Write};
use std::os::fd::AsFd;

use lull_launcher::wire::{Event, Request};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::drill::{Drill, UID, shell, status};

#[test]
fn an_agent_is_its_apps_user_without_privileges() {
    let drill = Drill::new();
    let mut launch = shell(
        1,
        "grep -E '^(Uid|Gid|Groups|NoNewPrivs|SigIgn|SigBlk|CapEff|CapBnd)' /proc/self/status; \
         echo limits $(ulimit -n) $(ulimit -c); umask; pwd",
    );
    launch.groups = vec![61_300, 61_301];
    let end = drill.complete(launch);
    assert_eq!(end.exit, status(0));
    for line in [
        &format!("Uid:\t{UID}\t{UID}\t{UID}\t{UID}"),
        &format!("Gid:\t{UID}\t{UID}\t{UID}\t{UID}"),
        "Groups:\t61300 61301",
        "NoNewPrivs:\t1",
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "limits 256 0",
        "0022",
        "/",
    ] {
        let found = end.output.lines().any(|l| l.trim_end() == line);
        assert!(found, "{line:?} is not in\n{}", end.output);
    }
}

#[test]
fn an_agent_has_its_own_descriptors_and_no_other() {
    let drill = Drill::new();
    // The last one is the folder that ls reads: the first place that is free.
    let end = drill.complete(shell(1, "exec ls /proc/self/fd"));
    assert_eq!(end.output, "0\n1\n2\n3\n4\n");
    let end = drill.complete(shell(2, "readlink /proc/self/fd/0; env"));
    assert_eq!(end.output.lines().next(), Some("/dev/null"));
    let mut names: Vec<&str> = end
        .output
        .lines()
        .skip(1)
        .filter_map(|l| Some(l.split_once('=')?.0))
        .collect();
    names.sort_unstable();
    // The shell sets PWD by itself.
    assert_eq!(names, ["LULL_RUN", "PATH", "PWD"]);
}

#[test]
fn an_agent_is_in_its_cage_and_leads_its_own_session() {
    let drill = Drill::new();
    let end = drill.complete(shell(7, "cat /proc/self/cgroup; ps -o sid= -p $$; echo $$"));
    let cage = format!("/{}/run-7", drill.cages);
    assert!(
        end.output.lines().any(|l| l.ends_with(&cage)),
        "{}",
        end.output
    );
    let mut tail = end.output.lines().rev();
    assert_eq!(
        tail.next().map(str::trim),
        tail.next().map(str::trim),
        "{}",
        end.output
    );
}

#[test]
fn the_payload_is_on_descriptor_four_and_cannot_be_changed() {
    let drill = Drill::new();
    let payload = memfd_create("payload", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    rustix::io::write(&payload, b"what the push said").unwrap();
    rustix::fs::seek(&payload, rustix::fs::SeekFrom::Start(0)).unwrap();
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&payload, seals).unwrap();
    let mut launch = shell(
        1,
        "cat <&4; echo changed 2>/dev/null >&4 || echo; echo refused",
    );
    launch.payload = true;
    let request = Request::Launch(Box::new(launch));
    drill
        .client()
        .send(&request, Some(payload.as_fd()))
        .unwrap();
    let end = drill.end(1);
    assert!(
        end.output.starts_with("what the push said"),
        "{}",
        end.output
    );
    assert!(end.output.ends_with("refused\n"), "{}", end.output);
    let mut text = [0; 64];
    let length = rustix::io::pread(&payload, &mut text, 0).unwrap();
    assert_eq!(&text[..length], b"what the push said");
}

#[test]
fn a_payload_that_did_not_come_is_no_launch() {
    let drill = Drill::new();
    let mut launch = shell(1, "");
    launch.payload = true;
    let end = drill.complete(launch);
    assert!(format!("{:?}", end.exit).contains("payload"), "{end:?}");
}

#[test]
fn the_socket_is_on_descriptor_three_both_ways() {
    let drill = Drill::new();
    let (_process, socket) = drill.start(shell(1, "read line <&3; echo \"heard $line\" >&3"));
    let mut socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(false).unwrap();
    socket.write_all(b"you\n").unwrap();
    let mut said = [0; 10];
    socket.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"heard you\n");
}

#[test]
fn an_agent_has_no_more_processes_than_its_cage_allows() {
    let drill = Drill::new();
    let mut launch = shell(
        1,
        "n=0; while [ $n -lt 40 ]; do sleep 100 & n=$((n+1)); done; wait",
    );
    launch.pids = 8;
    let end = drill.complete(launch);
    // The shell gives up when it cannot fork.
    assert_eq!(end.exit, status(2), "{end:?}");
    assert!(end.output.contains("Cannot fork"), "{}", end.output);
}

#[test]
fn usage_is_read_from_the_cage() {
    let drill = Drill::new();
    let mut launch = shell(1, "read line <&3");
    launch.memory = Some(48 << 20);
    let (_process, _socket) = drill.start(launch);
    drill.send(&Request::Usage { run: 1 });
    let (Event::Usage { run, memory, limit }, _) = drill.next() else {
        panic!("no usage");
    };
    assert_eq!((run, limit), (1, Some(48 << 20)));
    assert!(
        memory.is_some_and(|bytes| bytes > 0 && bytes < 48 << 20),
        "{memory:?}"
    );
}
