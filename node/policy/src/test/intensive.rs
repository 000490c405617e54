//! Resource-intensive agents: what has to hold, for how long, for whom, and how a loss ends a run (rule book, 7).

use super::*;

fn known<T>(value: T) -> Level<T> {
    Level::Known(value)
}

fn charge(tenths: u16) -> Reading {
    Reading::Battery(known(PerMille::new(tenths)))
}

/// One change to a device on which everything else holds, and what is missing then.
fn rows() -> Vec<(Reading, Option<WaitReason>)> {
    use WaitReason::{BatteryLevel, Call as InCall, ExternalPower, NetworkType, ScreenLocked};
    vec![
        (Reading::ExternalPower(known(true)), None),
        (Reading::ExternalPower(known(false)), Some(ExternalPower)),
        (Reading::ExternalPower(Level::Assumed(true)), None),
        (charge(899), Some(BatteryLevel)),
        (charge(900), Some(BatteryLevel)),
        (charge(901), None),
        (charge(1000), None),
        (Reading::Network(known(Network::Wifi)), None),
        (Reading::Network(known(Network::Ethernet)), None),
        (
            Reading::Network(known(Network::Cellular)),
            Some(NetworkType),
        ),
        (Reading::Network(known(Network::None)), Some(NetworkType)),
        (Reading::Internet(known(false)), None),
        (Reading::Metered(known(true)), None),
        (Reading::ScreenLocked(known(true)), None),
        (Reading::ScreenLocked(known(false)), Some(ScreenLocked)),
        (Reading::Call(known(Call::None)), None),
        (Reading::Call(known(Call::Ringing)), None),
        (Reading::Call(known(Call::Active)), Some(InCall)),
    ]
}

#[test]
fn every_condition_has_to_hold() {
    for (reading, missing) in rows() {
        let mut bench = Bench::full();
        bench.eligible();
        bench.read(&[reading]);
        let id = bench.add("mail", INTENSIVE);
        bench.go(MINUTE);
        let expected = usize::from(missing.is_none());
        assert_eq!(
            bench.starts("mail", "resource-intensive").len(),
            expected,
            "{reading:?}"
        );
        if let Some(missing) = missing {
            assert!(bench.waits_for(id).contains(&missing), "{reading:?}");
        }
    }
}

#[test]
fn what_nobody_knows_lets_nothing_start_and_ends_nothing() {
    let unknown = [
        Reading::ExternalPower(Level::Unknown),
        Reading::Battery(Level::Unknown),
        Reading::Network(Level::Unknown),
        Reading::ScreenLocked(Level::Unknown),
        Reading::Call(Level::Unknown),
    ];
    for reading in unknown {
        let mut bench = Bench::full();
        bench.eligible();
        bench.read(&[reading]);
        bench.add("mail", INTENSIVE);
        bench.go(HOUR);
        assert_eq!(bench.device.runs().count(), 0, "{reading:?}");
        bench.eligible();
        bench.go(10 * SECOND);
        let run = bench.only_run().id.0;
        bench.start(run);
        bench.read(&[reading]);
        assert_eq!(kills(&bench.effects), [0; 0], "{reading:?}");
    }
}

#[test]
fn a_loss_ends_the_run_at_once() {
    for (reading, missing) in rows() {
        let mut bench = Bench::full();
        bench.eligible();
        bench.add("mail", INTENSIVE);
        let run = bench.next_run();
        bench.start(run);
        bench.go(7 * SECOND);
        bench.read(&[reading]);
        let expected = if missing.is_some() { vec![run] } else { vec![] };
        assert_eq!(kills(&bench.effects), expected, "{reading:?}");
        assert_eq!(bench.cancels(), [], "INT-07, RUN-45");
        if let Some(missing) = missing {
            bench.end(run, Exit::Signal(9));
            assert_eq!(bench.last_outcome(), Outcome::Terminated);
            let termination = bench.device.finished().last().unwrap().termination;
            assert_eq!(termination, Some(Termination::Gate(missing)));
            assert_eq!(bench.schedule_of(INTENSIVE).crashes, 0, "AMB-13");
        }
    }
}

#[test]
fn what_fell_due_first_is_why_it_ended() {
    for (late, outcome) in [
        (0, Outcome::Terminated),
        (1, Outcome::ExecutionTimeExceeded),
    ] {
        let mut bench = Bench::full();
        bench.eligible();
        bench.add("mail", INTENSIVE);
        let run = bench.next_run();
        bench.start(run);
        // The host looks in too late, and by a reading.
        bench.pass(600 * SECOND + late);
        bench.read(&[Reading::ExternalPower(known(false))]);
        assert_eq!(kills(&bench.effects), [run]);
        bench.end(run, Exit::Signal(9));
        assert_eq!(bench.last_outcome(), outcome, "4e, {late} ms late");
    }
}

#[test]
fn a_ringing_call_counts_where_policy_says_so() {
    let mut bench = Bench::full();
    bench.policy(Policy {
        intensive_ringing_counts: true,
        ..Policy::default()
    });
    bench.eligible();
    bench.add("mail", INTENSIVE);
    let run = bench.next_run();
    bench.read(&[Reading::Call(known(Call::Ringing))]);
    assert_eq!(kills(&bench.effects), [run], "AMB-24");
}

#[test]
fn the_conditions_settle_for_ten_seconds() {
    let mut bench = Bench::full();
    let id = bench.add("mail", INTENSIVE);
    bench.eligible();
    assert_eq!(bench.waits_for(id), [WaitReason::Settling]);
    bench.go(9_999);
    assert_eq!(bench.device.runs().count(), 0);
    bench.read(&[Reading::ScreenLocked(known(false))]);
    bench.read(&[Reading::ScreenLocked(known(true))]);
    bench.go(9_999);
    assert_eq!(bench.device.runs().count(), 0, "it began anew (AMB-27)");
    bench.go(1);
    assert_eq!(bench.device.runs().count(), 1);
}

#[test]
fn settled_conditions_let_a_new_agent_start_at_its_add() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    assert_eq!(bench.launched(), [1]);
}

#[test]
fn agents_of_all_apps_run_one_at_a_time_in_the_order_of_their_waiting() {
    let ids = ["cam", "mail", "news"];
    let mut bench = Bench::with(&ids);
    for id in ["news", "cam", "mail"] {
        bench.add(id, INTENSIVE);
        bench.go(SECOND);
    }
    bench.eligible();
    bench.go(10 * SECOND);
    let mut order = Vec::new();
    for _ in ids {
        let run = bench.only_run();
        order.push(run.app.as_str().to_owned());
        bench.go(SECOND);
        bench.finish(run.id.0, End::Done);
    }
    assert_eq!(order, ["news", "cam", "mail"], "INT-08, AMB-28");
    bench.go(12 * HOUR);
    assert_eq!(bench.device.runs().count(), 0, "once a stretch");
}

#[test]
fn once_for_each_stretch() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.add("mail", INTENSIVE);
    for (n, end) in [End::Done, End::Crash, End::Done].into_iter().enumerate() {
        bench.go(10 * SECOND);
        let run = bench.only_run().id.0;
        bench.finish(run, end);
        bench.go(HOUR);
        assert_eq!(
            bench.starts("mail", "resource-intensive").len(),
            n + 1,
            "AMB-28"
        );
        bench.read(&[Reading::ScreenLocked(known(false))]);
        bench.read(&[Reading::ScreenLocked(known(true))]);
    }
}

#[test]
fn a_turn_that_policy_denied_does_not_come_back_after_a_launch_for_test() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.add("mail", INTENSIVE);
    let run = bench.next_run();
    bench.finish(run, End::Done);
    let denied = |denied| Policy {
        apps_in_background: if denied {
            AppsInBackground::ForceDeny
        } else {
            AppsInBackground::UserInControl
        },
        ..Policy::default()
    };
    bench.read(&[Reading::ScreenLocked(known(false))]);
    bench.policy(denied(true));
    bench.read(&[Reading::ScreenLocked(known(true))]);
    bench.go(HOUR);
    bench.policy(denied(false));
    let (app, kind, delay) = (app_id("mail"), INTENSIVE, Span::ZERO);
    bench.ask(Request::LaunchForTest { app, kind, delay });
    let run = bench.only_run().id.0;
    bench.finish(run, End::Done);
    bench.go(HOUR);
    let starts = bench.starts("mail", "resource-intensive").len();
    assert_eq!(starts, 2, "AMB-28: its turn was dropped");
}

#[test]
fn one_that_lost_its_conditions_is_due_in_the_next_stretch() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.add("mail", INTENSIVE);
    let run = bench.next_run();
    bench.start(run);
    bench.read(&[Reading::Call(known(Call::Active))]);
    bench.end(run, Exit::Signal(9));
    bench.read(&[Reading::Call(known(Call::None))]);
    bench.go(9_999);
    assert_eq!(bench.device.runs().count(), 0);
    bench.go(1);
    assert_eq!(bench.device.runs().count(), 1, "AMB-28");
}

#[test]
fn one_agent_of_an_app_runs_at_a_time_over_both_kinds() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    let id = bench.add("mail", INTENSIVE);
    bench.until(30 * MINUTE - 5 * SECOND);
    bench.eligible();
    bench.until(30 * MINUTE + 5 * SECOND);
    let run = bench.only_run();
    assert_eq!(run.kind, TriggerKind::Periodic);
    assert_eq!(bench.waits_for(id), [WaitReason::Slot]);
    bench.go(SECOND);
    bench.finish(run.id.0, End::Done);
    assert_eq!(
        bench.only_run().kind,
        TriggerKind::ResourceIntensive,
        "RUN-41"
    );
}

#[test]
fn cpu_pressure_is_a_gate_to_start_only() {
    let pressure = |tenths| Reading::CpuPressure(known(PerMille::new(tenths)));
    let rows = [
        (None, 1000, true),
        (Some(400), 399, true),
        (Some(400), 400, false),
        (Some(400), 401, false),
    ];
    for (below, tenths, starts) in rows {
        let mut bench = Bench::full();
        bench.policy(Policy {
            intensive_pressure_below: below.map(PerMille::new),
            ..Policy::default()
        });
        bench.add("mail", INTENSIVE);
        bench.eligible();
        bench.read(&[pressure(tenths)]);
        bench.go(MINUTE);
        assert_eq!(
            bench.device.runs().count() == 1,
            starts,
            "{below:?} {tenths}"
        );
        bench.read(&[pressure(1000)]);
        assert_eq!(kills(&bench.effects), [0; 0], "AMB-25");
    }
}

#[test]
fn a_least_gap_may_be_set() {
    let mut bench = Bench::full();
    bench.policy(Policy {
        intensive_gap: Span::hours(6),
        ..Policy::default()
    });
    bench.eligible();
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    let run = bench.only_run().id.0;
    let first = bench.age;
    bench.finish(run, End::Done);
    bench.read(&[Reading::ScreenLocked(known(false))]);
    bench.read(&[Reading::ScreenLocked(known(true))]);
    bench.go(6 * HOUR - 2 * SECOND);
    assert_eq!(bench.device.runs().count(), 0, "AMB-28");
    bench.go(2 * SECOND);
    let starts = bench.starts("mail", "resource-intensive");
    assert_eq!(starts.len(), 2, "{starts:?} after {first}");
}

#[test]
fn battery_saver_is_no_gate_of_it() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.read(&[
        Reading::BatterySaver(known(true)),
        Reading::SaverManual(known(true)),
    ]);
    bench.add("mail", INTENSIVE);
    bench.go(10 * SECOND);
    assert_eq!(bench.device.runs().count(), 1, "INT-13");
}

#[test]
fn cellular_bind_is_denied_to_intensive_runs_only() {
    let mut bench = Bench::full();
    bench.eligible();
    bench.go(10 * SECOND);
    bench.add("mail", INTENSIVE);
    assert!(!bench.launch().cellular, "INT-09");
    bench.finish(1, End::Done);
    bench.register(request("p", Trigger::Push));
    bench.push("p1");
    assert!(bench.launch().cellular);
    bench.end(2, Exit::Status(0));
    bench.add("mail", PERIODIC);
    let effects = bench.go(30 * MINUTE);
    let launch = effects.iter().find_map(|effect| match effect {
        Effect::Launch(launch) => Some(launch.cellular),
        _ => None,
    });
    assert_eq!(launch, Some(true));
}

#[test]
fn agent_is_told_its_kind() {
    for (kind, trigger) in [
        (PERIODIC, Trigger::Periodic),
        (INTENSIVE, Trigger::ResourceIntensive),
    ] {
        let mut bench = Bench::full();
        bench.eligible();
        bench.go(10 * SECOND);
        bench.add("mail", kind);
        let delay = Span::ZERO;
        let app = app_id("mail");
        if kind == PERIODIC {
            bench.ask(Request::LaunchForTest { app, kind, delay });
        }
        let launch = bench.launch();
        assert_eq!((launch.trigger, launch.details), (trigger, None), "RUN-40");
        assert_eq!(launch.host, HostKind::OutOfProcess, "RUN-09");
    }
}
