//! Quotas of the profile `windows8` (RES-13 to RES-16).

use super::*;

fn windows8() -> Policy {
    Policy {
        quota_profile: QuotaProfile::Windows8,
        ..Policy::default()
    }
}

fn rationed(lock_screen: bool) -> Bench {
    let mut bench = Bench::full();
    bench.policy(windows8());
    bench.choose(Choice {
        lock_screen: Some(lock_screen),
        ..Choice::default()
    });
    bench.register(request("t", INTERNET));
    bench.internet(false);
    bench
}

fn spend(bench: &mut Bench, resource: Resource) {
    let app = app_id("mail");
    bench.send(Event::QuotaSpent { app, resource });
}

fn fire(bench: &mut Bench) {
    bench.internet(false);
    bench.internet(true);
}

fn frozen(bench: &Bench) -> Vec<Option<Resource>> {
    bench.device.runs().map(|run| run.suspended).collect()
}

fn meters(effects: &[Effect]) -> Vec<(Resource, Option<u64>)> {
    let metered = |effect: &Effect| match effect {
        Effect::Meter {
            resource, budget, ..
        } => Some((*resource, *budget)),
        _ => None,
    };
    effects.iter().filter_map(metered).collect()
}

/// Lock screen or not: the window, and CPU time in microseconds a window.
const CLASSES: [(bool, u64, u64); 2] =
    [(true, 15 * MINUTE, 2_000_000), (false, 2 * HOUR, 1_000_000)];

#[test]
fn cpu_time_a_window_by_class() {
    for (lock_screen, window, micros) in CLASSES {
        let mut bench = rationed(lock_screen);
        bench.policy(Policy {
            application_time: Span::hours(9),
            ..windows8()
        });
        bench.register(request("work", Trigger::Application));
        bench.ask(Request::RequestRun {
            app: app_id("mail"),
            name: task("work"),
        });
        let found = meters(&bench.effects);
        assert!(
            found.contains(&(Resource::Cpu, Some(micros))),
            "RES-13: {found:?}"
        );
        bench.start(1);
        bench.go(MINUTE);
        spend(&mut bench, Resource::Cpu);
        assert!(bench.effects.contains(&Effect::Freeze { run: RunId(1) }));
        assert_eq!(frozen(&bench), [Some(Resource::Cpu)]);
        let effects = bench.until(window - 1);
        assert!(
            !effects.contains(&Effect::Thaw { run: RunId(1) }),
            "{lock_screen}"
        );
        let effects = bench.go(1);
        assert!(
            effects.contains(&Effect::Thaw { run: RunId(1) }),
            "{lock_screen}"
        );
        assert_eq!(frozen(&bench), [None]);
        assert!(
            meters(&effects).contains(&(Resource::Cpu, Some(micros))),
            "a new allowance"
        );
    }
}

#[test]
fn what_fires_in_a_spent_window_waits_for_the_refill() {
    for (lock_screen, window, _) in CLASSES {
        let mut bench = rationed(lock_screen);
        fire(&mut bench);
        spend(&mut bench, Resource::Cpu);
        bench.go(SECOND);
        bench.end(1, Exit::Status(0));
        let id = bench.device.registrations().next().unwrap().id;
        fire(&mut bench);
        assert_eq!(bench.waits_for(id), [WaitReason::Quota]);
        bench.until(window - 1);
        assert_eq!(bench.starts("mail", "t").len(), 1);
        bench.go(1);
        assert_eq!(bench.starts("mail", "t").len(), 2, "RES-13: {lock_screen}");
    }
}

#[test]
fn critical_and_scheduled_runs_are_not_rationed() {
    let mut bench = rationed(false);
    let channel = Trigger::ControlChannel {
        id: subject("c"),
        keep_alive_minutes: 15,
        slot: Slot::Software,
    };
    bench.register(request("p", Trigger::Push));
    bench.register(request("c", channel));
    bench.eligible();
    bench.go(10 * SECOND);
    let (app, id, activity) = (app_id("mail"), subject("c"), ChannelActivity::Message);
    bench.push("p1");
    bench.occurs(Occurrence::Channel { app, id, activity });
    bench.add("mail", INTENSIVE);
    fire(&mut bench);
    spend(&mut bench, Resource::Cpu);
    spend(&mut bench, Resource::Network);
    for run in bench.device.runs() {
        let rationed = run.task == task("t");
        assert_eq!(run.suspended.is_some(), rationed, "RES-16: {}", run.task);
    }
    let of_push = bench.device.runs().find(|run| run.push.is_some());
    let run = of_push.unwrap().id.0;
    bench.end(run, Exit::Status(0));
    bench.push("p2");
    let pushes = bench.starts("mail", "p");
    assert_eq!(pushes.len(), 2, "nor do they wait");
}

#[test]
fn frozen_time_counts_for_the_limit() {
    let mut bench = rationed(false);
    fire(&mut bench);
    bench.start(1);
    bench.go(10 * SECOND);
    spend(&mut bench, Resource::Cpu);
    bench.go(15 * SECOND);
    assert_eq!(bench.cancels(), [(1, CancelReason::ExecutionTimeExceeded)]);
    assert_eq!(kills(&bench.go(5 * SECOND)), [1], "AMB-02");
}

#[test]
fn by_default_nothing_is_metered() {
    let mut bench = Bench::full();
    bench.register(request("t", INTERNET));
    fire(&mut bench);
    assert_eq!(meters(&bench.effects), [], "RES-15");
    spend(&mut bench, Resource::Cpu);
    assert_eq!(frozen(&bench), [None]);
}

#[test]
fn without_the_profile_everything_goes_on() {
    let mut bench = rationed(false);
    fire(&mut bench);
    spend(&mut bench, Resource::Cpu);
    bench.policy(Policy::default());
    assert_eq!(frozen(&bench), [None]);
    assert!(bench.effects.contains(&Effect::Thaw { run: RunId(1) }));
}

#[test]
fn frozen_runs_are_frozen_again_after_a_restart() {
    let mut bench = rationed(false);
    fire(&mut bench);
    bench.start(1);
    spend(&mut bench, Resource::Cpu);
    bench.restart(vec![RunId(1)]);
    assert!(bench.effects.contains(&Effect::Freeze { run: RunId(1) }));
    assert_eq!(frozen(&bench), [Some(Resource::Cpu)]);
}

#[test]
fn network_ledger_counts_on_battery_only() {
    for (lock_screen, bytes) in [(true, 469_000), (false, 625_000)] {
        let mut bench = rationed(lock_screen);
        bench.read(&[Reading::ExternalPower(Level::Known(false))]);
        fire(&mut bench);
        let found = meters(&bench.effects);
        assert!(
            found.contains(&(Resource::Network, Some(bytes))),
            "RES-14: {found:?}"
        );
        spend(&mut bench, Resource::Network);
        assert_eq!(frozen(&bench), [Some(Resource::Network)], "{lock_screen}");
        bench.read(&[Reading::ExternalPower(Level::Known(true))]);
        assert_eq!(frozen(&bench), [None], "on power it holds nothing");
        bench.read(&[Reading::ExternalPower(Level::Known(false))]);
        assert_eq!(
            frozen(&bench),
            [Some(Resource::Network)],
            "what was used is used"
        );
    }
}

#[test]
fn on_external_power_no_bytes_are_counted() {
    let mut bench = rationed(false);
    bench.read(&[Reading::ExternalPower(Level::Known(true))]);
    fire(&mut bench);
    let counted = meters(&bench.effects)
        .into_iter()
        .any(|(resource, budget)| resource == Resource::Network && budget.is_some());
    assert!(!counted, "RES-14");
}

#[test]
fn a_spent_quota_says_when_it_is_refilled() {
    let mut bench = rationed(true);
    fire(&mut bench);
    spend(&mut bench, Resource::Cpu);
    bench.go(SECOND);
    bench.end(1, Exit::Status(0));
    fire(&mut bench);
    let found = bench.device.explain(bench.now, &app_id("mail"), &task("t"));
    let quota = |why: &&Why| why.reason == WaitReason::Quota;
    let why = found[0].reasons.iter().find(quota).unwrap();
    assert_eq!(why.seen, "mail has used up its quota");
    assert_eq!(why.needs, "the quota has to be refilled");
    let refill = Wall::from_millis(EPOCH + 15 * MINUTE);
    assert_eq!(why.until, Some(refill), "RES-13");
}

#[test]
fn what_is_counted_is_counted_again_after_a_restart() {
    let mut bench = rationed(true);
    fire(&mut bench);
    bench.start(1);
    bench.restart(vec![RunId(1)]);
    let found = meters(&bench.effects);
    assert!(
        found.contains(&(Resource::Cpu, Some(2_000_000))),
        "{found:?}"
    );
}

#[test]
fn bytes_are_counted_anew_when_power_turns_and_only_then() {
    let mut bench = rationed(true);
    let power = |on| Reading::ExternalPower(Level::Known(on));
    bench.read(&[power(false)]);
    fire(&mut bench);
    bench.read(&[power(false), Reading::Battery(Level::Unknown)]);
    assert_eq!(meters(&bench.effects), [], "nothing turned");
    bench.read(&[power(true)]);
    assert_eq!(meters(&bench.effects), [(Resource::Network, None)]);
    bench.read(&[power(false)]);
    let bytes = Some(469_000);
    assert_eq!(meters(&bench.effects), [(Resource::Network, bytes)]);
}
