//! Sockets of apps: kept over daemons, and handed to a run.

use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;

use lull_launcher::KeptSocket;
use lull_launcher::wire::{Exit, KEPT, Launch, NOTE, Request};
use rustix::net::getsockname;

use crate::drill::{Drill, shell, status};

fn keep(drill: &Drill, socket: u64, note: &str, listener: &TcpListener) {
    let request = Request::Keep {
        socket,
        note: note.to_owned(),
    };
    let client = drill.client();
    client.send(&request, Some(listener.as_fd())).unwrap();
}

fn kept(drill: &mut Drill) -> Vec<KeptSocket> {
    drill.reconnect();
    drill.greeting.kept.take().unwrap()
}

/// What it was told to keep, by number and note.
fn names(kept: &[KeptSocket]) -> Vec<(u64, &str)> {
    kept.iter().map(|k| (k.socket, k.note.as_str())).collect()
}

/// Says what a program finds that knows nothing of Lull but `sd_listen_fds(3)`.
fn told(run: u64, socket: u64) -> Launch {
    let script = "[ \"$LISTEN_PID\" = $$ ] && [ -S /proc/self/fd/3 ] && [ -S /proc/self/fd/4 ] && readlink /proc/self/fd/3";
    let mut launch = shell(run, script);
    launch.socket = Some(socket);
    launch
}

#[test]
fn kept_sockets_outlive_the_daemon_until_they_are_released() {
    let mut drill = Drill::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    for socket in [7, 8, 9] {
        keep(&drill, socket, &format!("note of {socket}"), &listener);
    }
    keep(&drill, 9, "replaced", &listener);
    drill.send(&Request::Release { socket: 8 });
    drill.send(&Request::Release { socket: 8 });
    drop(listener);
    let held = kept(&mut drill);
    assert_eq!(names(&held), [(7, "note of 7"), (9, "replaced")]);
    let name = getsockname(&held[0].descriptor).unwrap();
    assert_eq!(std::net::SocketAddr::try_from(name).unwrap(), address);
    // Somebody still listens.
    TcpStream::connect(address).unwrap();
    drop(held);
    drill.send(&Request::Release { socket: 7 });
    drill.send(&Request::Release { socket: 9 });
    assert!(kept(&mut drill).is_empty());
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn a_run_finds_its_socket_where_plain_programs_look_and_it_is_kept_no_more() {
    let mut drill = Drill::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    keep(&drill, 7, "n", &listener);
    drop(listener);
    let end = drill.complete(told(1, 7));
    assert_eq!(end.exit, status(0), "{}", end.output);
    assert!(end.output.starts_with("socket:"), "{}", end.output);
    // It closed with the run that did not hand it back (TRGD-18).
    assert!(kept(&mut drill).is_empty());
    assert!(TcpStream::connect(address).is_err());
    let end = drill.complete(told(2, 7));
    let Exit::LaunchFailed { message } = end.exit else {
        panic!("{end:?}");
    };
    assert_eq!(
        message,
        "the socket's descriptor did not come with the order"
    );
}

#[test]
fn a_socket_that_comes_with_the_order_needs_not_be_kept() {
    let mut drill = Drill::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    keep(&drill, 7, "n", &listener);
    let request = Request::Launch(Box::new(told(1, 7)));
    let client = drill.client();
    client.send(&request, Some(listener.as_fd())).unwrap();
    assert_eq!(drill.end(1).exit, status(0));
    assert!(kept(&mut drill).is_empty(), "nor is it afterwards");
}

#[test]
fn what_is_kept_is_bounded() {
    let mut drill = Drill::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    keep(&drill, 1_000, &"x".repeat(NOTE + 1), &listener);
    let request = Request::Keep {
        socket: 1_001,
        note: String::new(),
    };
    drill.send(&request);
    for socket in 0..=u64::try_from(KEPT).unwrap() {
        keep(&drill, socket, "n", &listener);
    }
    for _refused in 0..3 {
        let refused = format!("{:?}", drill.next());
        assert!(refused.contains("cannot be kept"), "{refused}");
    }
    let held = kept(&mut drill);
    assert_eq!(held.len(), KEPT);
    assert!(held.iter().all(|kept| kept.socket < 1_000));
}
