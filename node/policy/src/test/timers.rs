//! Timers (TRGD-01 to TRGD-07, AMB-44).

use super::*;

/// Minutes at which a registration's runs start, when each ends at once.
fn starts(trigger: Trigger, registered: u64, until: u64) -> Vec<u64> {
    let mut bench = Bench::new();
    bench.until(registered * MINUTE);
    bench.register(request("t", trigger));
    let mut starts = Vec::new();
    for minute in registered..=until {
        for run in launches(&bench.until(minute * MINUTE)) {
            starts.push(minute);
            bench.start(run);
            bench.end(run, Exit::Status(0));
        }
    }
    starts
}

#[test]
fn start_on_the_tick_at_or_after_the_due_time() {
    let rows: [(Trigger, u64, &[u64]); 9] = [
        (once(15), 0, &[15]),
        (once(15), 1, &[30]),
        (once(15), 14, &[30]),
        (once(25), 0, &[30]),
        (once(25), 10, &[45]),
        (timer(15), 0, &[15, 30, 45, 60, 75, 90, 105, 120]),
        (timer(20), 0, &[30, 45, 60, 90, 105, 120]),
        (timer(25), 10, &[45, 60, 90, 120]),
        (timer(60), 1, &[75]),
    ];
    for (trigger, registered, expected) in rows {
        assert_eq!(
            starts(trigger.clone(), registered, 120),
            expected,
            "{trigger:?} at {registered}"
        );
    }
}

#[test]
fn a_one_shot_is_spent_at_its_start() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable],
        ..request("t", once(15))
    });
    bench.internet(false);
    bench.until(120 * MINUTE);
    let registration = bench.device.registrations().next().unwrap().clone();
    assert!(
        !registration.spent && registration.latch.is_some(),
        "latched is not yet spent"
    );
    bench.internet(true);
    assert_eq!(bench.launched(), [1]);
    assert!(bench.device.registrations().next().unwrap().spent);
    bench.end(1, Exit::Signal(11));
    assert_eq!(
        launches(&bench.until(240 * MINUTE)),
        [0; 0],
        "a crash does not bring it back"
    );
    assert_eq!(bench.verdicts("t"), [(Verdict::Ran, 1)]);
}

#[test]
fn the_host_is_told_the_very_tick() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(20)));
    assert_eq!(
        bench.device.deadline().elapsed,
        Some(Elapsed::from_millis(30 * MINUTE))
    );
    bench.pass(30 * MINUTE - 1);
    bench.send(Event::DeadlineReached);
    assert_eq!(bench.launched(), [0; 0], "an early call decides nothing");
    bench.pass(1);
    bench.send(Event::DeadlineReached);
    assert_eq!(bench.launched(), [1]);
    assert_eq!(
        bench.device.deadline().elapsed,
        Some(Elapsed::from_millis(45 * MINUTE))
    );
}

#[test]
fn a_tick_slept_through_passes() {
    let rows = [(15 * MINUTE + 30_000, true), (15 * MINUTE + 30_001, false)];
    for (now, starts) in rows {
        let mut bench = Bench::new();
        bench.register(request("t", timer(15)));
        bench.pass(now);
        bench.send(Event::DeadlineReached);
        assert_eq!(!bench.launched().is_empty(), starts, "at {now}");
        let next = bench.device.deadline().elapsed;
        assert_eq!(next, Some(Elapsed::from_millis(30 * MINUTE)), "at {now}");
    }
    // Hours away are one firing, and the phase stays: due at 140 after 120 was made up at 135.
    let mut bench = Bench::new();
    bench.register(request("t", timer(20)));
    bench.pass(125 * MINUTE);
    bench.send(Event::DeadlineReached);
    assert_eq!(bench.launched(), [0; 0]);
    assert_eq!(launches(&bench.until(135 * MINUTE)), [1]);
    assert_eq!(
        bench.device.registrations().next().unwrap().due,
        Some(Elapsed::from_millis(140 * MINUTE))
    );
    assert_eq!(bench.device.firings(), 1);
}

#[test]
fn no_two_starts_are_closer_than_the_floor() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable],
        ..request("t", timer(15))
    });
    bench.internet(false);
    bench.until(15 * MINUTE);
    bench.until(20 * MINUTE);
    bench.internet(true);
    assert_eq!(
        bench.launched(),
        [1],
        "the latched firing of the tick at 15 starts at 20"
    );
    bench.end(1, Exit::Status(0));
    assert_eq!(launches(&bench.until(30 * MINUTE)), [0; 0]);
    let waiting = (Verdict::Waiting(WaitReason::Interval), 1);
    assert_eq!(bench.verdicts("t"), [(Verdict::Ran, 1), waiting]);
    assert_eq!(
        bench.device.deadline().elapsed,
        Some(Elapsed::from_millis(35 * MINUTE))
    );
    let why = &bench.device.explain(bench.now, &app_id("mail"), &task("t"))[0];
    assert_eq!(why.next, Some(Wall::from_millis(EPOCH + 35 * MINUTE)));
    assert_eq!(launches(&bench.until(35 * MINUTE - 1)), [0; 0]);
    assert_eq!(launches(&bench.until(35 * MINUTE)), [2]);
}

#[test]
fn the_hosts_jitter_costs_no_tick() {
    let rows = [(0, true), (999, true), (1_000, true), (1_001, false)];
    for (late, starts) in rows {
        let mut bench = Bench::new();
        bench.register(request("t", timer(15)));
        bench.pass(15 * MINUTE + late);
        bench.send(Event::DeadlineReached);
        bench.end(1, Exit::Status(0));
        bench.pass(15 * MINUTE - late);
        bench.send(Event::DeadlineReached);
        assert_eq!(
            bench.launched(),
            if starts { vec![2] } else { vec![] },
            "{late} ms late"
        );
    }
}

#[test]
fn timers_never_accumulate() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(15)));
    bench.until(15 * MINUTE);
    // A run that never ends takes the tick at 30 as the one that waits; further ones join it.
    bench.until(15 * MINUTE + 1);
    bench.send(Event::PolicyChanged(Policy {
        task_time: Span::hours(9),
        ..Policy::default()
    }));
    bench.until(60 * MINUTE);
    let run = bench.device.runs().next().unwrap().clone();
    assert_eq!(run.state, RunState::Killing);
    let verdicts = bench.verdicts("t");
    let expected = [
        (Verdict::Ran, 1),
        (Verdict::Waiting(WaitReason::Slot), 1),
        (Verdict::Dropped(DropReason::Coalesced), 2),
    ];
    assert_eq!(verdicts, expected);
    bench.end(1, Exit::Signal(9));
    assert_eq!(bench.launched(), [2]);
}

#[test]
fn timers_of_all_apps_share_the_tick() {
    let mut bench = Bench::new();
    bench.register(request("a", timer(16)));
    bench.until(7 * MINUTE);
    bench.register(request("b", timer(22)));
    assert_eq!(launches(&bench.until(30 * MINUTE)), [1, 2]);
    assert_eq!(bench.now.elapsed, Elapsed::from_millis(30 * MINUTE));
}
