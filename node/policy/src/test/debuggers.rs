//! Debuggers: what they hold and what they do not (RES-22, PER-08, AMB-06).

use super::*;

fn debugger(bench: &mut Bench, name: &str, attached: bool) {
    bench.occurs(Occurrence::Debugger {
        app: app_id("mail"),
        task: task(name),
        attached,
    });
}

fn capped() -> Bench {
    let mut bench = Bench::full();
    bench.policy(Policy {
        task_memory: Some(Bytes::mib(32)),
        ..Policy::default()
    });
    bench.eligible();
    bench.go(10 * SECOND);
    bench
}

fn limits(bench: &Bench) -> (Option<Running>, Option<Running>, Option<Bytes>) {
    let run = bench.only_run();
    (run.cancel_at, run.kill_at, run.memory)
}

#[test]
fn a_debugger_holds_time_and_memory_while_it_is_attached() {
    let rows = [
        ("t", Some(25), 30, 32),
        ("periodic", None, 25, 20),
        ("resource-intensive", None, 600, 20),
    ];
    for (name, cancel, kill, memory) in rows {
        let mut bench = capped();
        match name {
            "periodic" => {
                bench.add("mail", PERIODIC);
                bench.next_run();
            }
            "resource-intensive" => {
                bench.add("mail", INTENSIVE);
            }
            _ => {
                bench.register(request("t", Trigger::Push));
                bench.push("p1");
            }
        }
        bench.start(1);
        bench.go(20 * SECOND);
        debugger(&mut bench, name, true);
        assert_eq!(limits(&bench), (None, None, None), "RES-22: {name}");
        assert!(bench.effects.contains(&Effect::Limit {
            run: RunId(1),
            memory: None,
            kill_at: None,
        }));
        bench.go(3 * HOUR);
        assert_eq!(bench.cancels(), [], "{name}");
        debugger(&mut bench, name, false);
        let from_now = |seconds| Some(bench.now.running.after(Span::seconds(seconds)));
        let cancel = cancel.and_then(from_now);
        let expected = (cancel, from_now(kill), Some(Bytes::mib(memory)));
        assert_eq!(limits(&bench), expected, "AMB-06: {name}");
        assert_eq!(kills(&bench.go(kill * SECOND - 1)), [0; 0], "{name}");
        assert_eq!(kills(&bench.go(1)), [1], "{name}");
    }
}

#[test]
fn a_run_that_starts_under_a_debugger_is_free_and_the_next_is_not() {
    let mut bench = capped();
    bench.register(request("t", Trigger::Push));
    debugger(&mut bench, "t", true);
    bench.push("p1");
    assert_eq!(limits(&bench), (None, None, None));
    bench.end(1, Exit::Status(0));
    debugger(&mut bench, "t", false);
    bench.push("p2");
    assert!(limits(&bench).1.is_some(), "restored for the next run");
}

#[test]
fn policy_may_keep_the_limits() {
    let mut bench = capped();
    bench.policy(Policy {
        debugger_keeps_limits: true,
        ..Policy::default()
    });
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    let before = limits(&bench);
    debugger(&mut bench, "t", true);
    assert_eq!(limits(&bench), before, "AMB-06");
}

#[test]
fn conditions_of_a_resource_intensive_run_hold_under_a_debugger() {
    let mut bench = capped();
    bench.add("mail", INTENSIVE);
    debugger(&mut bench, "resource-intensive", true);
    bench.read(&[Reading::Call(Level::Known(Call::Active))]);
    assert_eq!(kills(&bench.effects), [1], "AMB-06: memory and time only");
}

#[test]
fn a_debugger_pauses_the_periodic_schedule_of_its_app() {
    let mut bench = Bench::with(&["mail", "news"]);
    let id = bench.add("mail", PERIODIC);
    bench.add("news", PERIODIC);
    bench.register(request("t", Trigger::Push));
    debugger(&mut bench, "t", true);
    bench.go(45 * MINUTE);
    assert_eq!(bench.starts("mail", "periodic"), [0; 0], "PER-08");
    assert_eq!(bench.waits_for(id), [WaitReason::Debugger]);
    assert_eq!(
        bench.starts("news", "periodic").len(),
        1,
        "of its own app only"
    );
    let (app, kind, delay) = (app_id("mail"), PERIODIC, Span::ZERO);
    bench.ask(Request::LaunchForTest { app, kind, delay });
    assert_eq!(
        bench.starts("mail", "periodic").len(),
        1,
        "only this starts it"
    );
}

#[test]
fn a_debugger_that_left_over_a_restart_holds_nothing() {
    for told in [true, false] {
        let mut bench = capped();
        bench.register(request("t", Trigger::Push));
        bench.push("p1");
        bench.start(1);
        debugger(&mut bench, "t", true);
        bench.restart(vec![RunId(1)]);
        if told {
            debugger(&mut bench, "t", false);
        }
        let effects = bench.go(MINUTE);
        assert_eq!(kills(&effects), [1], "AMB-06: told {told}");
    }
}

#[test]
fn debug_sessions_are_bounded() {
    let mut bench = capped();
    for number in 0..bounds::DEBUGGED {
        debugger(&mut bench, &format!("t{number}"), true);
    }
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    bench.start(1);
    let before = limits(&bench);
    debugger(&mut bench, "t", true);
    assert_eq!(limits(&bench), before, "one too many");
    debugger(&mut bench, "t0", false);
    debugger(&mut bench, "t", true);
    assert_eq!(limits(&bench), (None, None, None), "there is room again");
}
