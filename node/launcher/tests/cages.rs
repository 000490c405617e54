//! Cages by themselves, and what earlier launchers leave behind.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lull_launcher::cage::{Cages, Hierarchies, Limits, ProbeError, Version};
use lull_launcher::wire::Class;
use lull_launcher::{Client, spawn};
use rustix::process::{Pid, Signal};

use crate::drill::{
    Drill, cages_name, command, lives, living_with, mark, needs_root, shell, status, until,
};

const LIMITS: Limits = Limits {
    memory: Some(64 << 20),
    data: None,
    pids: 64,
    class: Class::Background,
};

fn sleeper(mark: &str) -> Child {
    Command::new("sleep")
        .arg(mark)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn v1_only() -> Hierarchies {
    let all = Hierarchies::read().0;
    Hierarchies(
        all.into_iter()
            .filter(|h| h.version == Version::V1)
            .collect(),
    )
}

#[test]
fn the_freezer_of_v1_kills_a_whole_tree() {
    needs_root();
    let hierarchies = v1_only();
    let freezer = hierarchies
        .0
        .iter()
        .find(|h| h.controllers.contains("freezer"));
    let name = cages_name();
    let folder = freezer
        .expect("this test needs the v1 freezer")
        .own
        .join(&name)
        .join("run-1");
    let (cages, cannot) = Cages::probe_in(&name, &hierarchies).unwrap();
    // Programs for the network attach to the v2 tree only.
    let limits: Vec<&str> = cannot.iter().map(|cannot| cannot.limit).collect();
    assert_eq!(limits, ["the cut of an agent's network"]);
    let cage = cages.create(1, LIMITS).unwrap();
    assert!(cages.is_empty(&cage, None, &[]).unwrap());
    let mark = mark();
    // Held by the pipe until it is in its cage.
    let mut bomb = Command::new("sh")
        .args([
            "-c",
            &format!("read go; b() {{ trap '' TERM; b | b & sleep {mark}; }}; b"),
        ])
        .stdin(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    for hierarchy in &hierarchies.0 {
        let folder = hierarchy.own.join(&name).join("run-1");
        if folder.exists() {
            std::fs::write(folder.join("cgroup.procs"), bomb.id().to_string()).unwrap();
        }
    }
    drop(bomb.stdin.take());
    until("the bomb", || (living_with(&mark).len() > 10).then_some(()));
    assert!(!cages.is_empty(&cage, None, &[]).unwrap());
    assert_eq!(cages.name(&cage), folder.display().to_string());
    until("the end of the bomb", || {
        cages.kill(&cage, None, &[]).unwrap();
        cages.is_empty(&cage, None, &[]).unwrap().then_some(())
    });
    bomb.wait().unwrap();
    assert_eq!(living_with(&mark), Vec::<u32>::new());
    assert!(cages.cpu_micros(&cage).is_some_and(|micros| micros > 0));
    until("the removal of the cage", || cages.remove(&cage).ok());
    cages.dismantle();
    assert!(!folder.parent().unwrap().exists());
}

#[test]
fn cages_of_an_earlier_launcher_are_cleared_and_told() {
    needs_root();
    let name = cages_name();
    let (cages, _cannot) = Cages::probe(&name).unwrap();
    let cage = cages.create(41, LIMITS).unwrap();
    let _empty = cages.create(42, LIMITS).unwrap();
    let mut left = sleeper(&mark());
    let procs = Path::new(&cages.name(&cage)).join("cgroup.procs");
    std::fs::write(procs, left.id().to_string()).unwrap();
    // The earlier launcher is gone, and with it its lock.
    drop(cages);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("launcher.sock");
    spawn(&command(&socket), &socket).unwrap();
    let (client, greeting, held) = Client::connect(&socket, &name).unwrap();
    assert!(held.is_empty());
    assert_eq!(
        greeting.cleared,
        [
            "run 41: its cage was left behind; 1 processes were killed",
            "run 42: its cage was left behind; 0 processes were killed"
        ]
    );
    assert!(!left.wait().unwrap().success());
    drop(client);
    let pid = i32::try_from(greeting.pid)
        .ok()
        .and_then(Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    until("the launcher's end", || {
        (!lives(greeting.pid)).then_some(())
    });
}

#[test]
fn a_forgotten_run_leaves_no_cage_and_a_launcher_no_folder() {
    let drill = Drill::new();
    let (process, _socket) = drill.start(shell(1, "read line <&3"));
    let cage = Path::new(&process.cage).to_path_buf();
    assert!(
        cage.ends_with(format!("{}/run-1", drill.cages)),
        "{}",
        cage.display()
    );
    let procs = std::fs::read_to_string(cage.join("cgroup.procs")).unwrap();
    assert_eq!(procs.trim(), process.pid.to_string());
    drill.send(&lull_launcher::wire::Request::Kill { run: 1 });
    drill.end(1);
    assert!(cage.exists(), "it is kept until the end is durable");
    drill.send(&lull_launcher::wire::Request::Forget { run: 1 });
    until("the removal of the cage", || (!cage.exists()).then_some(()));
    drop(drill);
    until("the removal of the folder", || {
        (!cage.parent().unwrap().exists()).then_some(())
    });
}

#[test]
fn the_same_id_in_a_store_that_began_anew_is_another_run() {
    let drill = Drill::new();
    drill.complete(shell(1, "exit 1"));
    drill.send(&lull_launcher::wire::Request::Forget { run: 1 });
    assert_eq!(drill.complete(shell(1, "exit 2")).exit, status(2));
}

#[test]
fn names_that_are_no_folder_are_refused() {
    for name in ["", "..", "a/b", "-x", &"x".repeat(65)] {
        let refused = Cages::probe(name);
        assert!(matches!(refused, Err(ProbeError::Name { .. })), "{name:?}");
    }
}
