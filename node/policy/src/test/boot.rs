//! Starts of the daemon: adoption, losses, clocks (AMB-36, AMB-44; architecture, 5).

use super::*;

/// A new boot after so long without power.
fn reboot(bench: &mut Bench, down: u64) {
    bench.device = bench.restored();
    bench.now.wall = bench.now.wall.after(Span::millis(down));
    bench.now.running = Running::from_millis(2_000);
    bench.now.elapsed = Elapsed::from_millis(2_000);
    bench.boot("boot-2");
}

fn pushed() -> Bench {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    bench
}

#[test]
fn runs_that_the_launcher_holds_go_on() {
    let mut bench = pushed();
    bench.push("p1");
    bench.device = bench.restored();
    bench.boot("boot-1");
    assert_eq!(bench.device.runs().count(), 1, "waits for the launcher");
    bench.send(Event::RunsHeld {
        runs: vec![RunId(1)],
    });
    let run = bench.device.runs().next().unwrap();
    assert_eq!(run.state, RunState::Running, "held means begun");
    assert_eq!(
        bench.hops().last().unwrap().1,
        Hop::Started {
            run: RunId(1),
            attempt: 1
        }
    );
    assert_eq!(bench.launched(), [0; 0]);
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.last_outcome(), Outcome::Completed);
}

#[test]
fn a_run_that_the_records_do_not_know_is_killed_and_its_number_not_given_again() {
    let mut bench = pushed();
    bench.send(Event::RunsHeld {
        runs: vec![RunId(7)],
    });
    bench.push("p1");
    assert_eq!(bench.launched(), [8]);
}

#[test]
fn a_launch_that_may_not_have_happened_is_lost() {
    let mut bench = pushed();
    bench.push("p1");
    bench.restart(Vec::new());
    assert_eq!(bench.last_outcome(), Outcome::Lost);
    // The attempt waits for the first reading of power only.
    bench.saver(false);
    assert_eq!(bench.launched(), [2]);
    assert_eq!(bench.device.runs().next().unwrap().attempt, 2);
}

#[test]
fn runs_launched_since_the_start_are_not_lost() {
    let mut bench = pushed();
    bench.device = bench.restored();
    bench.boot("boot-1");
    bench.saver(false);
    bench.push("p1");
    assert_eq!(bench.launched(), [1]);
    bench.send(Event::RunsHeld { runs: Vec::new() });
    assert_eq!(bench.device.runs().next().unwrap().id, RunId(1));
    assert_eq!(bench.device.finished().count(), 0);
}

#[test]
fn a_run_that_the_launcher_holds_no_more_is_lost() {
    let mut bench = pushed();
    bench.push("p1");
    bench.start(1);
    bench.send(Event::RunsHeld {
        runs: vec![RunId(1)],
    });
    assert_eq!(bench.device.runs().count(), 1, "held");
    bench.send(Event::RunsHeld { runs: Vec::new() });
    assert_eq!(bench.last_outcome(), Outcome::Lost, "it had begun");
}

#[test]
fn runs_that_nobody_knows_are_killed() {
    let mut bench = pushed();
    bench.restart(vec![RunId(77)]);
    assert_eq!(bench.effects, [Effect::Kill { run: RunId(77) }]);
}

#[test]
fn pending_orders_are_given_again() {
    let mut bench = pushed();
    bench.push("p1");
    bench.start(1);
    bench.pass(25_000);
    bench.send(Event::DeadlineReached);
    bench.restart(vec![RunId(1)]);
    assert!(
        bench
            .effects
            .iter()
            .any(|e| matches!(e, Effect::AskToCancel { .. }))
    );
    bench.pass(5_000);
    bench.send(Event::DeadlineReached);
    bench.restart(vec![RunId(1)]);
    assert!(bench.effects.contains(&Effect::Kill { run: RunId(1) }));
    assert_eq!(bench.device.runs().next().unwrap().state, RunState::Killing);
}

#[test]
fn watchers_are_ordered_again_and_readings_unknown() {
    let mut bench = Bench::new();
    bench.register(request("t", INTERNET));
    bench.internet(true);
    bench.device = bench.restored();
    bench.boot("boot-1");
    assert_eq!(
        bench.effects,
        [Effect::Watch(Source::Power), Effect::Watch(Source::Network)]
    );
    assert_eq!(bench.device.readings(), &Readings::default());
    assert_eq!(bench.device.interests(), [Source::Power, Source::Network]);
}

#[test]
fn a_boot_loses_every_run_and_retries_pushes() {
    let mut bench = pushed();
    bench.register(request("t", timer(15)));
    bench.until(15 * MINUTE);
    bench.push("p1");
    bench.push("p2");
    reboot(&mut bench, MINUTE);
    assert_eq!(bench.device.runs().count(), 2, "the launcher has the word");
    assert_eq!(bench.device.deadline().running, None);
    bench.send(Event::RunsHeld { runs: Vec::new() });
    assert_eq!(bench.device.runs().count(), 0);
    let lost: Vec<_> = bench
        .device
        .finished()
        .map(|run| (run.outcome, run.ran))
        .collect();
    assert_eq!(lost, [(Outcome::Lost, Span::ZERO); 2]);
    bench.saver(false);
    let run = bench.device.runs().next().unwrap();
    assert_eq!((run.push.clone(), run.attempt), (Some(push_id("p1")), 2));
    assert_eq!(
        bench.device.registrations().next().unwrap().queue.len(),
        1,
        "p2 stays"
    );
}

#[test]
fn after_a_start_firings_wait_for_the_first_reading_of_power() {
    // What comes within the time, and how many runs it lets go.
    let report = |level| Some(vec![Reading::ExternalPower(level)]);
    let rows = [
        (None, 4_999, 0),
        (None, 5_000, 1),
        (report(Level::Known(true)), 1, 1),
        (report(Level::Unknown), 1, 1),
        (Some(vec![Reading::Internet(Level::Known(true))]), 1, 0),
    ];
    for (readings, wait, expected) in rows {
        let mut bench = pushed();
        bench.restart(Vec::new());
        bench.push("p1");
        let why = &bench.device.explain(bench.now, &app_id("mail"), &task("p"))[0];
        assert_eq!(why.reasons[0].reason, WaitReason::BatterySaver);
        bench.pass(wait);
        match readings.clone() {
            Some(readings) => bench.read(&readings),
            None => bench.send(Event::DeadlineReached),
        }
        assert_eq!(
            bench.device.runs().count(),
            expected,
            "{readings:?} after {wait}"
        );
    }
    let mut bench = pushed();
    bench.restart(Vec::new());
    bench.push("p1");
    bench.saver(true);
    assert_eq!(bench.device.runs().count(), 0, "and Battery Saver holds");
}

#[test]
fn due_times_move_to_the_new_boot_clock() {
    // Left at the last record, down for, due after the boot.
    let rows = [
        (20, 0, 20),
        (20, 5, 15),
        (20, 19, 1),
        (20, 20, 0),
        (20, 500, 0),
    ];
    for (left, down, expected) in rows {
        let mut bench = Bench::new();
        bench.until(3 * MINUTE);
        bench.register(request("t", timer(left)));
        reboot(&mut bench, down * MINUTE);
        let due = bench.device.registrations().next().unwrap().due.unwrap();
        let expected = bench.now.elapsed.after(Span::millis(expected * MINUTE));
        assert_eq!(due, expected, "left {left}, down {down}");
    }
}

#[test]
fn what_fell_due_while_down_starts_at_the_first_tick_once() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(20)));
    reboot(&mut bench, 500 * MINUTE);
    assert_eq!(launches(&bench.until(2_000 + 15 * MINUTE - 1)), [0; 0]);
    assert_eq!(launches(&bench.until(2_000 + 15 * MINUTE)), [1]);
    assert_eq!(bench.device.firings(), 1);
}

#[test]
fn a_clock_that_ran_backwards_moves_nothing() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(20)));
    bench.now.wall = Wall::from_millis(0);
    reboot(&mut bench, 0);
    let due = bench.device.registrations().next().unwrap().due.unwrap();
    assert_eq!(
        due,
        bench.now.elapsed.after(Span::minutes(20)),
        "never negative"
    );
}

#[test]
fn latches_survive_a_boot() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable],
        ..request("t", once(15))
    });
    bench.until(15 * MINUTE);
    reboot(&mut bench, MINUTE);
    assert!(
        bench.device.registrations().next().unwrap().latch.is_some(),
        "AMB-36"
    );
    bench.saver(false);
    bench.internet(true);
    assert_eq!(bench.launched(), [1]);
    assert_eq!(bench.verdicts("t"), [(Verdict::Ran, 1)]);
}

#[test]
fn limits_go_on_over_a_restart() {
    let mut bench = pushed();
    bench.push("p1");
    bench.start(1);
    bench.pass(40_000);
    bench.restart(vec![RunId(1)]);
    assert!(bench.effects.contains(&Effect::Kill { run: RunId(1) }));
    bench.end(1, Exit::Signal(9));
    assert_eq!(bench.last_outcome(), Outcome::Hung);
}

#[test]
fn a_boot_drops_latches_about_presence_and_session_only() {
    let rows = [
        (
            SystemEvent::UserPresent,
            Reading::UserPresent(Level::Known(true)),
            true,
        ),
        (
            SystemEvent::UserAway,
            Reading::UserPresent(Level::Known(false)),
            true,
        ),
        (
            SystemEvent::SessionConnected,
            Reading::Session(Level::Known(Session::Connected)),
            true,
        ),
        (
            SystemEvent::InternetAvailable,
            Reading::Internet(Level::Known(true)),
            false,
        ),
    ];
    for (event, edge, dropped) in rows {
        let mut bench = Bench::full();
        bench.register(RegistrationRequest {
            conditions: vec![Condition::BackgroundWorkCostNotHigh],
            ..request("t", system(event))
        });
        bench.read(&[
            Reading::UserPresent(Level::Known(event == SystemEvent::UserAway)),
            Reading::Session(Level::Known(Session::None)),
            Reading::Internet(Level::Known(false)),
            Reading::ExternalPower(Level::Known(false)),
            Reading::ScreenOn(Level::Known(false)),
        ]);
        bench.read(&[edge]);
        reboot(&mut bench, MINUTE);
        let expected = if dropped {
            vec![DropReason::Reboot]
        } else {
            vec![]
        };
        assert_eq!(bench.drops("t"), expected, "AMB-36: {event:?}");
    }
}
