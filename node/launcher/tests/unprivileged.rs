//! A launcher without root and without a cgroup of its own: says what it cannot enforce, and runs agents all the same.

use std::os::unix::process::CommandExt;
use std::process::Command;

use lull_launcher::wire::{Event, Exit, Request};

use crate::drill::{Drill, UID, living_with, mark, shell, status, until};

/// As root, runs the test a second time as a user that owns nothing; says whether the caller is that user.
fn is_nobody(test: &str) -> bool {
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("unprivileged::{test}"), "--nocapture"])
        .uid(UID)
        .gid(UID)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&inner.stdout);
    assert!(
        inner.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&inner.stderr)
    );
    assert!(said.contains("1 passed"), "{said}");
    false
}

#[test]
fn what_cannot_be_enforced_is_said_and_agents_run() {
    if !is_nobody("what_cannot_be_enforced_is_said_and_agents_run") {
        return;
    }
    let drill = Drill::of_this_user();
    let said = drill.greeting.cannot_enforce.join("\n");
    for limit in [
        "memory caps",
        "the bound on an agent's processes",
        "a small share of the CPU",
        "the count of an agent's CPU time",
        "the kill of everything an agent has started",
        "a user of its own for each app",
        "the distance to displays and sessions",
    ] {
        assert!(said.contains(limit), "{limit:?} is not in\n{said}");
    }
    let mut launch = shell(1, "id -u; exit 7");
    launch.memory = Some(1 << 20);
    launch.uid = 0;
    let end = drill.complete(launch);
    let own = rustix::process::geteuid().as_raw();
    assert_eq!((end.exit, end.output), (status(7), format!("{own}\n")));
}

#[test]
fn daemons_of_an_agent_are_found_and_killed_without_a_cage() {
    if !is_nobody("daemons_of_an_agent_are_found_and_killed_without_a_cage") {
        return;
    }
    let drill = Drill::of_this_user();
    let (hides, stays) = (mark(), mark());
    let hidden = format!(
        "(setsid sh -c '(trap \"\" TERM; exec setsid sleep {hides}1) &' &) ; \
         env -i setsid sleep {hides}2 & (sleep {hides}3 &) ; exec sleep {hides}4"
    );
    drill.start(shell(1, &hidden));
    let (process, _socket) = drill.start(shell(
        2,
        &format!("(setsid sleep {stays} &); read line <&3"),
    ));
    until("the hidden ones", || {
        (living_with(&hides).len() == 4).then_some(())
    });
    // Its shell, and what that started.
    until("the neighbour's", || {
        (living_with(&stays).len() == 2).then_some(())
    });
    drill.send(&Request::Kill { run: 1 });
    assert_eq!(drill.end(1).exit, Exit::Signal { signal: 9 });
    assert_eq!(living_with(&hides), Vec::<u32>::new());
    assert_eq!(
        living_with(&stays).len(),
        2,
        "the neighbour's is not its own"
    );
    drill.send(&Request::Usage { run: 2 });
    let (Event::Usage { memory, limit, .. }, _) = drill.next() else {
        panic!("no usage");
    };
    assert_eq!((memory, limit), (None, None));
    assert!(crate::drill::lives(process.pid));
    drill.send(&Request::Kill { run: 2 });
    drill.end(2);
    assert_eq!(living_with(&stays), Vec::<u32>::new());
}
