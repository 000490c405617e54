//! When periodic agents start and how long they run (PER-01 to PER-05, PER-10, AMB-04, AMB-05).

use proptest::prelude::*;

use super::*;

fn manual_saver(bench: &mut Bench, on: bool) {
    bench.read(&[
        Reading::BatterySaver(Level::Known(on)),
        Reading::SaverManual(Level::Known(on)),
    ]);
}

#[test]
fn alone_a_periodic_agent_starts_every_half_an_hour() {
    for powered in [true, false] {
        let mut bench = Bench::full();
        bench.read(&[Reading::ExternalPower(Level::Known(powered))]);
        bench.add("mail", PERIODIC);
        for _ in 0..3 {
            let run = bench.next_run();
            bench.go(7 * SECOND);
            bench.finish(run, End::Done);
        }
        let starts = bench.starts("mail", "periodic");
        assert_eq!(
            starts,
            [30, 60, 90].map(|n| n * MINUTE),
            "powered: {powered}"
        );
    }
}

#[test]
fn another_wake_up_is_joined_from_ten_minutes_before() {
    let rows = [
        (20 * MINUTE - 1, 30 * MINUTE),
        (20 * MINUTE, 20 * MINUTE),
        (20 * MINUTE + 1, 20 * MINUTE + 1),
        (30 * MINUTE - 1, 30 * MINUTE - 1),
        (30 * MINUTE, 30 * MINUTE),
    ];
    for powered in [true, false] {
        for (other, expected) in rows {
            let mut bench = Bench::full();
            bench.read(&[Reading::ExternalPower(Level::Known(powered))]);
            bench.register(request("p", Trigger::Push));
            bench.add("mail", PERIODIC);
            bench.until(other);
            bench.push("p1");
            bench.until(40 * MINUTE);
            let starts = bench.starts("mail", "periodic");
            assert_eq!(starts, [expected], "{other} ms, powered: {powered}");
        }
    }
}

#[test]
fn the_next_window_counts_from_the_start() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.add("mail", PERIODIC);
    bench.until(22 * MINUTE);
    bench.push("p1");
    for run in bench.device.runs().map(|run| run.id.0).collect::<Vec<_>>() {
        bench.finish(run, End::Done);
    }
    bench.until(42 * MINUTE - 1);
    bench.push("p2");
    let run = bench.only_run().id.0;
    bench.finish(run, End::Done);
    bench.until(80 * MINUTE);
    let starts = bench.starts("mail", "periodic");
    assert_eq!(starts, [22 * MINUTE, 52 * MINUTE], "AMB-04");
}

proptest! {
    /// AMB-04: whatever else wakes the device, every gap is between 20 and 40 minutes.
    #[test]
    fn every_gap_is_between_20_and_40_minutes(
        pushes in proptest::collection::vec(1..40_u64, 0..20),
        timer in 15..60_u32,
        powered in any::<bool>(),
    ) {
        let mut bench = Bench::with(&["mail", "news"]);
        bench.read(&[Reading::ExternalPower(Level::Known(powered))]);
        bench.register(request("p", Trigger::Push));
        bench.register(request("t", super::timer(timer)));
        bench.add("mail", PERIODIC);
        bench.go(3 * MINUTE);
        bench.add("news", PERIODIC);
        let mut numbers = 0..;
        let mut wakes: Vec<u64> = Vec::new();
        for minutes in pushes {
            wakes.push(wakes.last().copied().unwrap_or_default() + minutes);
        }
        for minute in 4..6 * 60 {
            bench.until(minute * MINUTE);
            if wakes.contains(&minute) {
                bench.push(&format!("p{}", numbers.next().unwrap()));
            }
            for run in bench.device.runs().map(|run| run.id.0).collect::<Vec<_>>() {
                bench.finish(run, End::Done);
            }
        }
        for (app, added) in [("mail", 0), ("news", 3 * MINUTE)] {
            let starts = bench.starts(app, "periodic");
            prop_assert!(starts[0] - added <= 40 * MINUTE, "{starts:?}");
            for pair in starts.windows(2) {
                let gap = pair[1] - pair[0];
                prop_assert!((20 * MINUTE..=40 * MINUTE).contains(&gap), "{app} {starts:?}");
            }
        }
    }
}

#[test]
fn a_run_of_each_kind_is_ended_at_its_time_without_notice() {
    let rows = [(PERIODIC, 25 * SECOND), (INTENSIVE, 600 * SECOND)];
    for (kind, limit) in rows {
        let mut bench = Bench::full();
        bench.eligible();
        bench.add("mail", kind);
        let run = bench.next_run();
        bench.start(run);
        assert_eq!(kills(&bench.go(limit - 1)), [0; 0], "{kind:?}");
        let effects = bench.go(1);
        assert_eq!(kills(&effects), [run], "{kind:?}");
        assert_eq!(bench.cancels(), [], "RUN-45");
        bench.end(run, Exit::Signal(9));
        assert_eq!(bench.last_outcome(), Outcome::ExecutionTimeExceeded);
        assert_eq!(bench.scheduling(kind), Scheduling::Scheduled, "CRS-07");
    }
}

#[test]
fn an_end_before_the_limit_is_its_own() {
    for (kind, limit) in [(PERIODIC, 25 * SECOND), (INTENSIVE, 600 * SECOND)] {
        let mut bench = Bench::full();
        bench.eligible();
        bench.add("mail", kind);
        let run = bench.next_run();
        bench.start(run);
        bench.go(limit - 1);
        bench.finish(run, End::Done);
        assert_eq!(bench.last_outcome(), Outcome::Completed, "{kind:?}");
    }
}

#[test]
fn battery_saver_holds_periodic_agents() {
    let known = |saver, manual, powered, tenths| {
        [
            Reading::BatterySaver(Level::Known(saver)),
            Reading::SaverManual(Level::Known(manual)),
            Reading::ExternalPower(Level::Known(powered)),
            Reading::Battery(Level::Known(PerMille::new(tenths))),
        ]
    };
    let rows = [
        (known(true, false, false, 199), true),
        (known(true, false, false, 200), false),
        (known(true, false, false, 201), false),
        (known(true, false, true, 199), false),
        (known(false, false, false, 10), false),
        (known(true, true, true, 1000), true),
        (known(true, true, false, 1000), true),
    ];
    for (readings, held) in rows {
        let mut bench = Bench::full();
        let id = bench.add("mail", PERIODIC);
        bench.read(&readings);
        bench.go(35 * MINUTE);
        assert_eq!(
            bench.starts("mail", "periodic").is_empty(),
            held,
            "{readings:?}"
        );
        if held {
            assert_eq!(bench.waits_for(id), [WaitReason::BatterySaver]);
        }
    }
}

#[test]
fn after_a_blocked_stretch_one_run_and_a_new_phase() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    bench.until(5 * MINUTE);
    manual_saver(&mut bench, true);
    bench.until(187 * MINUTE);
    manual_saver(&mut bench, false);
    let run = bench.only_run().id.0;
    bench.finish(run, End::Done);
    bench.until(230 * MINUTE);
    let starts = bench.starts("mail", "periodic");
    assert_eq!(starts, [187 * MINUTE, 217 * MINUTE], "PER-04, AMB-04");
}

#[test]
fn a_saver_that_comes_on_lets_a_periodic_run_finish() {
    for (ends, expected) in [(false, vec![]), (true, vec![1])] {
        let mut bench = Bench::full();
        bench.policy(Policy {
            periodic_ends_on_saver: ends,
            ..Policy::default()
        });
        bench.add("mail", PERIODIC);
        let run = bench.next_run();
        bench.start(run);
        manual_saver(&mut bench, true);
        assert_eq!(kills(&bench.effects), expected, "AMB-05");
        assert_eq!(bench.cancels(), []);
        if ends {
            bench.end(run, Exit::Signal(9));
            assert_eq!(bench.last_outcome(), Outcome::Terminated);
        }
    }
}

#[test]
fn nothing_of_the_other_kinds_conditions_holds_a_periodic_agent() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    bench.read(&[
        Reading::ExternalPower(Level::Known(false)),
        Reading::Battery(Level::Known(PerMille::percent(50))),
        Reading::BatterySaver(Level::Known(false)),
        Reading::Network(Level::Known(Network::Cellular)),
        Reading::ScreenLocked(Level::Known(false)),
        Reading::Call(Level::Known(Call::Active)),
    ]);
    bench.until(30 * MINUTE);
    assert_eq!(bench.starts("mail", "periodic"), [30 * MINUTE], "PER-10");
}

#[test]
fn time_without_power_is_made_up_by_one_run() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    bench.until(10 * MINUTE);
    bench.device = bench.restored();
    bench.pass(5 * HOUR);
    bench.now.elapsed = Elapsed::from_millis(0);
    bench.now.running = Running::from_millis(0);
    bench.boot("boot-2");
    bench.send(Event::RunsHeld { runs: Vec::new() });
    bench.read(&[Reading::ExternalPower(Level::Known(true))]);
    bench.go(25 * MINUTE);
    assert_eq!(bench.starts("mail", "periodic").len(), 1);
}
