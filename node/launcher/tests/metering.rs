//! What a run has used so far, read while it goes on.

use lull_launcher::wire::{Event, Request};

use crate::drill::{Drill, shell, status, until};
use crate::holding::{network_of_its_own, python};

/// CPU time and bytes of a run that lives.
fn sample(drill: &Drill, run: u64, network: bool) -> (Option<u64>, Option<u64>) {
    drill.send(&Request::Sample { run, network });
    loop {
        match drill.next() {
            (
                Event::Sampled {
                    run: of,
                    cpu_micros,
                    network_bytes,
                    ..
                },
                _,
            ) if of == run => return (cpu_micros, network_bytes),
            (Event::Refused { message }, _) => panic!("{message}"),
            _ => {}
        }
    }
}

#[test]
fn the_cpu_time_of_a_whole_tree_is_read_while_it_runs() {
    let drill = Drill::new();
    drill.start(shell(1, "(while :; do :; done) & wait"));
    drill.start(shell(2, "read line <&3"));
    until("a fifth of a CPU-second", || {
        let (cpu, _bytes) = sample(&drill, 1, false);
        cpu.filter(|micros| *micros >= 200_000)
    });
    let (idle, bytes) = sample(&drill, 2, false);
    assert!(idle.is_some_and(|micros| micros < 100_000), "{idle:?}");
    assert_eq!(bytes, None, "nobody wanted them counted");
    for run in [1, 2] {
        drill.send(&Request::Kill { run });
        drill.end(run);
    }
    // Of a run that has ended nothing is told but its end.
    drill.send(&Request::Sample {
        run: 1,
        network: true,
    });
    drill.launch(shell(3, "exit 0"));
    assert!(matches!(drill.next().0, Event::Started { run: 3, .. }));
}

/// Waits for a line, then sends ten datagrams of 1,000 bytes by the cable and a hundred by the loopback, and waits again.
const SENDER: &str = "
import socket
agent = socket.socket(fileno=3)
agent.recv(100)
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for host, count in [('192.0.2.9', 10), ('127.0.0.1', 100)]:
    for _ in range(count):
        try:
            out.sendto(b'x' * 1000, (host, 9))
        except ConnectionRefusedError:
            pass
agent.send(b'sent')
agent.recv(100)
";

#[test]
fn bytes_are_counted_from_when_they_are_wanted_without_the_loopback() {
    network_of_its_own();
    let drill = Drill::new();
    let (_process, socket) = drill.start(python(1, SENDER));
    let mut socket = std::os::unix::net::UnixStream::from(socket);
    socket.set_nonblocking(false).unwrap();
    assert_eq!(sample(&drill, 1, true).1, Some(0));
    std::io::Write::write_all(&mut socket, b"go").unwrap();
    std::io::Read::read_exact(&mut socket, &mut [0; 4]).unwrap();
    // 20 bytes of IP and 8 of UDP to each.
    let all = Some(10 * 1_028);
    assert_eq!(sample(&drill, 1, true).1, all, "RES-14");
    std::io::Write::write_all(&mut socket, b"end").unwrap();
    let end = drill.end(1);
    assert_eq!((end.exit, end.network_bytes), (status(0), all));
    assert_eq!(drill.complete(shell(2, "exit 0")).network_bytes, None);
}
