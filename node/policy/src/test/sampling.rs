//! What the watchdogs ask of the host, and when counting for them begins anew (RUN-15, TRGD-31).

use super::*;

/// What the last event asked for.
fn sampling(bench: &Bench) -> Vec<(u64, Option<u64>)> {
    let said = bench.effects.iter().filter_map(|effect| match effect {
        Effect::Sample { run, every } => Some((run.0, every.map(Span::as_millis))),
        _ => None,
    });
    said.collect()
}

fn raise(bench: &mut Bench) {
    bench.register(request("work", Trigger::Application));
    bench.ask(Request::RequestRun {
        app: app_id("mail"),
        name: task("work"),
    });
}

fn debugger(bench: &mut Bench, attached: bool) {
    let (app, task) = (app_id("mail"), task("work"));
    bench.occurs(Occurrence::Debugger {
        app,
        task,
        attached,
    });
}

/// A sample in which nothing was used.
fn nothing(bench: &mut Bench) {
    let (run, sample) = (RunId(1), Sample::default());
    bench.send(Event::RunSampled { run, sample });
}

#[test]
fn a_run_is_sampled_where_a_watchdog_can_bite() {
    let mut bench = Bench::full();
    bench.register(request("t", Trigger::Push));
    bench.push("p1");
    bench.start(1);
    assert_eq!(sampling(&bench), [], "its 30 s end before it can be idle");
    raise(&mut bench);
    bench.start(2);
    let tenth = Some(30_000);
    assert_eq!(sampling(&bench), [(2, tenth)], "a tenth of 5 min");
    debugger(&mut bench, true);
    assert_eq!(sampling(&bench), [(2, None)], "RES-22");
    debugger(&mut bench, false);
    assert_eq!(sampling(&bench), [(2, tenth)]);
    bench.policy(Policy {
        idle_time: Span::seconds(10),
        ..Policy::default()
    });
    assert_eq!(sampling(&bench), [(1, Some(1_000)), (2, Some(1_000))]);
}

#[test]
fn a_run_that_was_frozen_was_not_idle() {
    let mut bench = Bench::full();
    let policy = Policy {
        quota_profile: QuotaProfile::Windows8,
        idle_time: Span::minutes(1),
        ..Policy::default()
    };
    bench.policy(policy.clone());
    raise(&mut bench);
    bench.start(1);
    let (app, resource) = (app_id("mail"), Resource::Cpu);
    bench.send(Event::QuotaSpent { app, resource });
    assert!(bench.only_run().suspended.is_some());
    bench.go(3 * MINUTE);
    nothing(&mut bench);
    assert_eq!(bench.cancels(), [], "it stands still");
    bench.go(3 * MINUTE);
    bench.policy(Policy {
        quota_profile: QuotaProfile::PerActivation,
        ..policy
    });
    nothing(&mut bench);
    assert_eq!(bench.cancels(), [], "it has just been let go on");
    bench.go(MINUTE);
    nothing(&mut bench);
    assert_eq!(bench.cancels(), [(1, CancelReason::IdleTask)]);
}

#[test]
fn what_a_run_did_before_a_restart_is_not_held_against_it() {
    let mut bench = Bench::full();
    raise(&mut bench);
    bench.start(1);
    bench.go(9 * MINUTE);
    bench.restart(vec![RunId(1)]);
    assert_eq!(sampling(&bench), [(1, Some(30_000))]);
    nothing(&mut bench);
    assert_eq!(bench.cancels(), [], "counting begins anew");
}
