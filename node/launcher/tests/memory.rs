//! Two layers of a memory cap: asking for more fails, and having more is a kill (RES-04, AMB-15).

use lull_launcher::wire::{Event, Exit, Launch, Request};

use crate::drill::{Drill, shell, status};

const MIB: u64 = 1 << 20;

/// A run that may ask for 16 MiB and have 20.
fn layered(run: u64, script: &str) -> Launch {
    Launch {
        data: Some(16 * MIB),
        memory: Some(20 * MIB),
        ..shell(run, script)
    }
}

/// Asks for 64 MiB at once, says what became of it, and goes on.
const ASKS: &str = "dd if=/dev/zero of=/dev/null bs=64M count=1 || echo refused; echo went on";

#[test]
fn asking_for_more_than_the_cap_fails_and_the_run_goes_on() {
    let drill = Drill::new();
    let end = drill.complete(layered(1, ASKS));
    assert_eq!(end.exit, status(0), "{}", end.output);
    assert!(end.output.contains("memory exhausted"), "{}", end.output);
    assert!(end.output.ends_with("refused\nwent on\n"), "{}", end.output);
    // The same without the layer that fails.
    let mut killed = layered(2, ASKS);
    killed.data = None;
    assert_eq!(drill.complete(killed).exit, Exit::MemoryExceeded);
}

#[test]
fn what_goes_round_the_layer_that_fails_meets_the_one_that_kills() {
    let drill = Drill::new();
    // Each of four holds 8 MiB, which it may.
    let script = "for i in 1 2 3 4; do (head -c 8M /dev/zero; sleep 100) | tail -c 8M & done; wait";
    let end = drill.complete(layered(1, script));
    assert_eq!(end.exit, Exit::MemoryExceeded, "{}", end.output);
}

#[test]
fn both_layers_are_lifted_for_a_debugger_and_put_back() {
    let drill = Drill::new();
    let script = format!("read line <&3; {ASKS}");
    for (run, layers) in [(1, &[None][..]), (2, &[None, Some(16 * MIB)])] {
        let (_process, socket) = drill.start(layered(run, &script));
        for data in layers.iter().copied() {
            let cap = data.map(|data| data + 4 * MIB);
            drill.send(&Request::Memory { run, cap, data });
            drill.send(&Request::Usage { run });
            let (Event::Usage { limit, .. }, _) = drill.next() else {
                panic!("no usage");
            };
            assert_eq!(limit, data, "the cap that an agent is told");
        }
        rustix::io::write(&socket, b"go\n").unwrap();
        let end = drill.end(run);
        assert_eq!(end.exit, status(0), "{}", end.output);
        assert_eq!(end.output.contains("refused"), run == 2, "{}", end.output);
    }
}
