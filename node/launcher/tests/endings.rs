//! How runs end, and what is told of it.

use std::os::unix::fs::PermissionsExt;

use lull_launcher::OUTPUT;
use lull_launcher::wire::{Exit, Request};

use crate::drill::{Drill, lives, living_with, mark, readable, shell, status, until};

#[test]
fn exit_status_output_and_usage_are_told() {
    let drill = Drill::new();
    let end = drill.complete(shell(1, "echo to stdout; echo to stderr >&2; exit 75"));
    assert_eq!(end.exit, status(75));
    assert_eq!(end.output, "to stdout\nto stderr\n");
    assert!(end.memory_peak.is_some_and(|peak| peak > 0), "{end:?}");
    assert!(end.cpu_micros.is_some_and(|micros| micros > 0), "{end:?}");
}

#[test]
fn only_the_last_bytes_of_the_output_are_kept() {
    let drill = Drill::new();
    let end = drill.complete(shell(1, "seq 1 100000; echo the end"));
    assert_eq!(end.exit, status(0));
    assert_eq!(end.output.len(), OUTPUT);
    assert!(
        end.output.ends_with("\n100000\nthe end\n"),
        "{}",
        &end.output[OUTPUT - 40..]
    );
}

#[test]
fn output_that_is_no_text_stays_within_the_bound() {
    let drill = Drill::new();
    let end = drill.complete(shell(
        1,
        "head -c 20000 /dev/zero | tr '\\0' '\\377'; echo end",
    ));
    assert!(end.output.len() <= OUTPUT);
    assert!(end.output.ends_with("\u{fffd}end\n"));
}

#[test]
fn a_program_that_is_not_there_fails_with_its_name() {
    let drill = Drill::new();
    let mut launch = shell(1, "");
    launch.program = "/usr/lib/no-such-app/no-such-agent".to_owned();
    let end = drill.complete(launch);
    let message = "cannot execute \"/usr/lib/no-such-app/no-such-agent\": No such file or directory (os error 2)";
    assert_eq!(
        end.exit,
        Exit::LaunchFailed {
            message: message.to_owned()
        }
    );
}

#[test]
fn a_folder_of_somebody_else_fails_with_its_name() {
    let drill = Drill::new();
    let mut launch = shell(1, "");
    let folder = drill.folder.path().join("private");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
    launch.folder = folder.to_str().unwrap().to_owned();
    let Exit::LaunchFailed { message } = drill.complete(launch).exit else {
        panic!("it was started");
    };
    assert!(
        message.starts_with("user 61234 cannot enter the agent's folder"),
        "{message}"
    );
    assert!(message.contains("Permission denied"), "{message}");
}

#[test]
fn a_relative_program_and_root_are_refused() {
    let drill = Drill::new();
    let mut relative = shell(1, "");
    relative.program = "sh".to_owned();
    let mut root = shell(2, "");
    root.uid = 0;
    for launch in [relative, root] {
        let end = drill.complete(launch);
        assert!(matches!(end.exit, Exit::LaunchFailed { .. }), "{end:?}");
    }
}

#[test]
fn a_signal_is_told_and_is_no_memory_exit() {
    let drill = Drill::new();
    let mut launch = shell(1, "kill -9 $$");
    launch.memory = Some(64 << 20);
    assert_eq!(drill.complete(launch).exit, Exit::Signal { signal: 9 });
}

#[test]
fn terminate_reaches_the_main_process_and_kill_needs_no_consent() {
    let drill = Drill::new();
    let polite = "trap 'echo leaving; exit 3' TERM; echo up >&3; while :; do sleep 0.01; done";
    let stubborn = "trap '' TERM INT HUP; echo up >&3; while :; do sleep 100; done";
    let (_process, socket) = drill.start(shell(1, polite));
    assert!(readable(&socket));
    let (_process, socket) = drill.start(shell(2, stubborn));
    assert!(readable(&socket));
    drill.send(&Request::Terminate { run: 2 });
    drill.send(&Request::Terminate { run: 1 });
    let end = drill.end(1);
    assert_eq!((end.exit, end.output.as_str()), (status(3), "leaving\n"));
    drill.send(&Request::Kill { run: 2 });
    assert_eq!(drill.end(2).exit, Exit::Signal { signal: 9 });
}

#[test]
fn a_memory_cap_kills_the_whole_cage_and_leaves_the_neighbour_alone() {
    let drill = Drill::new();
    let mut neighbour = shell(1, "read line; echo \"$line\"");
    neighbour.args[1] = "read line <&3; echo \"got $line\"".to_owned();
    neighbour.memory = Some(32 << 20);
    let (_process, socket) = drill.start(neighbour);
    let mark = mark();
    // The one that eats is a child; the main process only waits for it.
    let mut glutton = shell(2, &format!("tail /dev/zero & sleep {mark} & wait"));
    glutton.memory = Some(32 << 20);
    let end = drill.complete(glutton);
    assert_eq!(end.exit, Exit::MemoryExceeded);
    assert!(
        end.memory_peak.is_some_and(|peak| peak <= 32 << 20),
        "{end:?}"
    );
    assert_eq!(living_with(&mark), Vec::<u32>::new());
    rustix::io::write(&socket, b"hello\n").unwrap();
    let end = drill.end(1);
    assert_eq!((end.exit, end.output.as_str()), (status(0), "got hello\n"));
}

#[test]
fn what_a_main_process_leaves_behind_is_killed_with_it() {
    let drill = Drill::new();
    let mark = mark();
    let script =
        format!("setsid sh -c 'trap \"\" TERM HUP INT; while :; do sleep {mark}; done' & exit 0");
    assert_eq!(drill.complete(shell(1, &script)).exit, status(0));
    assert_eq!(living_with(&mark), Vec::<u32>::new());
}

#[test]
fn nobody_of_a_tree_survives_its_kill() {
    let drill = Drill::new();
    let (bombs, hides) = (mark(), mark());
    let bomb = format!("b() {{ trap '' TERM; b | b & sleep {bombs}1; }}; b & exec sleep {bombs}2");
    let hidden = format!(
        "(setsid sh -c '(trap \"\" TERM; exec setsid sleep {hides}1) &' &) ; \
         env -i setsid sleep {hides}2 & exec sleep {hides}3"
    );
    drill.start(shell(1, &bomb));
    drill.start(shell(2, &hidden));
    until("the bomb", || {
        (living_with(&bombs).len() > 20).then_some(())
    });
    until("the hidden ones", || {
        (living_with(&hides).len() == 3).then_some(())
    });
    drill.send(&Request::Kill { run: 1 });
    drill.send(&Request::Kill { run: 2 });
    for run in [1, 2] {
        assert_eq!(drill.end(run).exit, Exit::Signal { signal: 9 });
    }
    assert_eq!(living_with(&bombs), Vec::<u32>::new());
    assert_eq!(living_with(&hides), Vec::<u32>::new());
}

#[test]
fn a_run_is_started_once_and_its_end_told_until_it_is_forgotten() {
    let drill = Drill::new();
    let script = "echo $$";
    let end = drill.complete(shell(1, script));
    let again = drill.complete(shell(1, script));
    assert_eq!(end.output, again.output);
    let pid = end.output.trim().parse().unwrap();
    assert!(!lives(pid));
    drill.send(&Request::Forget { run: 1 });
    assert_ne!(drill.complete(shell(1, script)).output, end.output);
}
