//! Daemons come and go, the launcher stays.

use std::io::BufRead;
use std::process::{Command, Stdio};

use lull_launcher::wire::{Event, Request};
use lull_launcher::{Client, ClientError, MESSAGE_LIMIT, answers, spawn};
use rustix::net::{AddressFamily, SendFlags, SocketAddrUnix, SocketType};
use rustix::process::{Pid, Signal, kill_process};

use crate::drill::{
    Drill, cages_name, command, connect, lives, needs_root, next, shell, status, until,
};

#[test]
fn the_next_daemon_gets_what_runs_and_what_has_ended() {
    let mut drill = Drill::new();
    let (first, socket) = drill.start(shell(1, "read line <&3; echo \"got $line\"; exit 4"));
    drop(socket);
    drill.launch(shell(2, "echo done"));
    drill.end(2);
    drill.send(&Request::Note {
        run: 1,
        note: "it spoke".to_owned(),
    });
    let mut held = drill.reconnect();
    let runs: Vec<(u64, &str)> = held.iter().map(|h| (h.run, h.note.as_str())).collect();
    assert_eq!(runs, [(1, "it spoke"), (2, "note of 2")]);
    assert_eq!(held[0].process, Some(first));
    assert_eq!(
        (drill.end(2).exit, drill.greeting.pid > 0),
        (status(0), true)
    );
    let socket = held.remove(0).socket.unwrap();
    rustix::io::write(&socket, b"this\n").unwrap();
    let end = drill.end(1);
    assert_eq!((end.exit, end.output.as_str()), (status(4), "got this\n"));
    for run in [1, 2] {
        drill.send(&Request::Forget { run });
    }
    assert!(drill.reconnect().is_empty());
}

const ROLE: &str = "LULL_TEST_DAEMON";

/// Runs a second time as a process of its own, which plays the daemon that is killed.
#[test]
fn the_launcher_and_its_runs_survive_the_kill_of_the_daemon() {
    needs_root();
    if let Some(socket) = std::env::var_os(ROLE) {
        return play_daemon(socket.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("launcher.sock");
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "connection::the_launcher_and_its_runs_survive_the_kill_of_the_daemon",
            "--nocapture",
        ])
        .env(ROLE, &socket)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(daemon.stdout.take().unwrap()).lines();
    let cages = lines
        .find_map(|l| Some(l.unwrap().strip_prefix("cages ")?.to_owned()))
        .unwrap();
    // SIGKILL.
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let (client, greeting, mut held) = connect(&socket, &cages);
    assert_eq!(held.len(), 1);
    let run = held.remove(0);
    assert!(lives(run.process.unwrap().pid));
    rustix::io::write(run.socket.unwrap(), b"go on\n").unwrap();
    let (Event::Ended { exit, output, .. }, _) = next(&client) else {
        panic!("no end");
    };
    assert_eq!((exit, output.as_str()), (status(9), "before\ngo on\n"));
    client.send(&Request::Forget { run: 1 }, None).unwrap();
    client.send(&Request::Quit {}, None).unwrap();
    until("the launcher's end", || {
        (!lives(greeting.pid)).then_some(())
    });
    assert!(!socket.exists());
}

#[expect(
    clippy::print_stdout,
    reason = "how the test hears from its other process"
)]
fn play_daemon(socket: &std::path::Path) {
    spawn(&command(socket), socket).unwrap();
    let cages = cages_name();
    let (client, _greeting, _held) = Client::connect(socket, &cages).unwrap();
    let script = "echo before; read line <&3; echo \"$line\"; exit 9";
    client
        .send(&Request::Launch(Box::new(shell(1, script))), None)
        .unwrap();
    assert!(matches!(next(&client), (Event::Started { .. }, Some(_))));
    println!("cages {cages}");
    // Until it is killed: nothing comes.
    drop(client.receive());
}

#[test]
fn a_second_daemon_is_refused_while_the_first_lives() {
    let drill = Drill::new();
    let refused = Client::connect(&drill.socket(), &drill.cages);
    let Err(ClientError::Refused { message }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        message,
        "the launcher already serves a daemon that is running"
    );
    assert_eq!(drill.complete(shell(1, "exit 5")).exit, status(5));
}

#[test]
fn a_second_launcher_leaves_the_first_its_place() {
    let drill = Drill::new();
    let socket = drill.socket();
    let status = Command::new(&command(&socket)[0])
        .args(&command(&socket)[1..])
        .status()
        .unwrap();
    assert!(status.success());
    spawn(&command(&socket), &socket).unwrap();
    assert!(answers(&socket));
    assert_eq!(
        drill.complete(shell(1, "exit 6")).exit,
        crate::drill::status(6)
    );
}

#[test]
fn two_launchers_never_share_cages() {
    let drill = Drill::new();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("launcher.sock");
    spawn(&command(&socket), &socket).unwrap();
    let refused = Client::connect(&socket, &drill.cages);
    let Err(ClientError::Refused { message }) = refused else {
        panic!("{refused:?}");
    };
    assert!(message.contains("belong to another launcher"), "{message}");
    let cages = cages_name();
    let (client, greeting, _held) = connect(&socket, &cages);
    client.send(&Request::Quit {}, None).unwrap();
    until("the launcher's end", || {
        (!lives(greeting.pid)).then_some(())
    });
}

#[test]
fn a_message_beyond_the_bound_is_refused_and_nothing_else_happens() {
    let drill = Drill::new();
    let mut launch = shell(1, "exit 0");
    launch.args.push("x".repeat(MESSAGE_LIMIT));
    let refused = drill
        .client()
        .send(&Request::Launch(Box::new(launch.clone())), None);
    assert!(format!("{refused:?}").contains("TooLong"), "{refused:?}");
    // A client that does not look at the bound.
    let bytes = serde_json::to_vec(&Request::Launch(Box::new(launch))).unwrap();
    rustix::net::send(drill.client(), &bytes, SendFlags::NOSIGNAL).unwrap();
    rustix::net::send(drill.client(), b"no message", SendFlags::NOSIGNAL).unwrap();
    for words in ["a packet holds at most 65536", "not a message"] {
        let (Event::Refused { message }, _) = drill.next() else {
            panic!("not refused");
        };
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(drill.complete(shell(2, "exit 0")).exit, status(0));
}

#[test]
fn nothing_is_done_before_hello() {
    let mut drill = Drill::new();
    drill.client = None;
    let socket = until("a connection", || {
        let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        let address = SocketAddrUnix::new(drill.socket()).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        let launch = serde_json::to_vec(&Request::Launch(Box::new(shell(1, "")))).unwrap();
        rustix::net::send(&socket, &launch, SendFlags::NOSIGNAL).unwrap();
        let mut answer = vec![0; 512];
        let (length, _) =
            rustix::net::recv(&socket, &mut answer, rustix::net::RecvFlags::empty()).ok()?;
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        (!answer.contains("already serves")).then_some((answer, socket))
    });
    assert!(socket.0.contains("say hello first"), "{}", socket.0);
    drop(socket);
    assert!(drill.reconnect().is_empty());
}

#[test]
fn a_launcher_told_to_end_takes_everything_with_it() {
    let drill = Drill::new();
    let (process, _socket) = drill.start(shell(1, "trap '' TERM; while :; do sleep 100; done"));
    drill.send(&Request::Quit {});
    let (Event::Refused { message }, _) = drill.next() else {
        panic!("it quit");
    };
    assert_eq!(message, "1 runs are held");
    let launcher = i32::try_from(drill.greeting.pid)
        .ok()
        .and_then(Pid::from_raw)
        .unwrap();
    kill_process(launcher, Signal::TERM).unwrap();
    until("its end", || (!lives(drill.greeting.pid)).then_some(()));
    assert!(!lives(process.pid));
    assert!(!std::path::Path::new(&process.cage).exists());
    assert!(!drill.socket().exists());
}

#[test]
fn a_launcher_that_cannot_listen_says_why() {
    let long = format!("/tmp/{}/launcher.sock", "x".repeat(120));
    let error = spawn(&command(long.as_ref()), long.as_ref()).unwrap_err();
    assert!(error.to_string().contains("did not begin"), "{error}");
    let nowhere = "/no-such-folder/launcher.sock";
    let error = spawn(&command(nowhere.as_ref()), nowhere.as_ref()).unwrap_err();
    assert!(
        error.to_string().contains("No such file or directory"),
        "{error}"
    );
}
