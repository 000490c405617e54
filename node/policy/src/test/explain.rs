//! Explanations: every reason, since when, what would have to change, when next (rule book, 14).

use super::*;

fn why(bench: &Bench, name: &str) -> Explanation {
    let found = bench
        .device
        .explain(bench.now, &app_id("mail"), &task(name));
    assert_eq!(found.len(), 1);
    found.into_iter().next().unwrap()
}

#[test]
fn every_reason_in_gate_order() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![
            Condition::UserPresent,
            Condition::InternetAvailable,
            Condition::SessionConnected,
        ],
        ..request("t", timer(15))
    });
    bench.saver(true);
    bench.pass(MINUTE);
    bench.read(&[
        Reading::Internet(Level::Known(false)),
        Reading::Session(Level::Assumed(Session::None)),
    ]);
    bench.until(15 * MINUTE);
    insta::assert_json_snapshot!(why(&bench, "t"));
    // What stops a firing is the first of what is said.
    let first = why(&bench, "t").reasons[0].reason;
    assert_eq!(bench.verdicts("t"), [(Verdict::Waiting(first), 1)]);
}

#[test]
fn the_verdict_is_the_first_reason() {
    use Condition as C;
    let all = [
        C::UserPresent,
        C::UserNotPresent,
        C::InternetAvailable,
        C::InternetNotAvailable,
        C::SessionConnected,
        C::SessionDisconnected,
    ];
    for condition in all {
        for saver in [false, true] {
            let mut bench = Bench::new();
            let conditions = vec![condition];
            bench.register(RegistrationRequest {
                conditions,
                ..request("t", once(15))
            });
            bench.saver(saver);
            bench.until(15 * MINUTE);
            let said = why(&bench, "t").reasons;
            let expected = Verdict::Waiting(said[0].reason);
            assert_eq!(
                bench.verdicts("t"),
                [(expected, 1)],
                "{condition:?} {saver}"
            );
            assert_eq!(said.len(), 1 + usize::from(saver), "{said:?}");
        }
    }
}

#[test]
fn a_timer_that_is_not_due() {
    let mut bench = Bench::new();
    bench.until(MINUTE);
    bench.register(request("t", timer(20)));
    let said = why(&bench, "t");
    assert_eq!(said.waiting_since, None);
    assert_eq!(said.reasons.len(), 1);
    assert_eq!(said.reasons[0].reason, WaitReason::Interval);
    let tick = Wall::from_millis(EPOCH + 30 * MINUTE);
    assert_eq!((said.next, said.reasons[0].until), (Some(tick), Some(tick)));
    assert_eq!(said.fires, "every 20 minutes");
}

#[test]
fn what_has_never_fired_says_what_would_fire_it() {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    bench.register(request("i", INTERNET));
    bench.register(request("w", Trigger::Application));
    let rows = [
        ("p", "a push for mail"),
        ("i", "the Internet becoming available, after it was not"),
        ("w", "mail asking for it from the foreground"),
    ];
    for (name, expected) in rows {
        let said = why(&bench, name);
        assert_eq!(
            (said.fires.as_str(), said.reasons.len(), said.next),
            (expected, 0, None)
        );
    }
    assert_eq!(
        bench
            .device
            .explain(bench.now, &app_id("mail"), &task("none")),
        []
    );
}

#[test]
fn a_run_that_holds_the_place() {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    bench.register(request("q", Trigger::Push));
    bench.push("p1");
    bench.pass(2_000);
    bench.push("p2");
    let said = why(&bench, "q");
    assert_eq!(said.waiting, 2);
    assert_eq!(said.running, None);
    let slot = &said.reasons[0];
    assert_eq!(slot.reason, WaitReason::Slot);
    assert_eq!(slot.seen, "run 1 of p is under way");
    assert_eq!(slot.since, Some(Wall::from_millis(EPOCH)));
    assert_eq!(slot.until, Some(Wall::from_millis(EPOCH + 30_000)));
    assert_eq!(why(&bench, "p").running, Some(RunId(1)));
}

#[test]
fn what_can_never_run_as_things_stand() {
    let mut bench = Bench::new();
    bench.register(request("t", once(15)));
    bench.ask(Request::SetAccess {
        app: app_id("mail"),
        choice: Some(AccessChoice::Never),
    });
    let said = why(&bench, "t");
    assert_eq!(said.blocked, Some(DropReason::Access));
    let words = "the operator decided that mail never runs in the background";
    assert!(said.fires.contains(words), "{}", said.fires);
    bench.until(15 * MINUTE);
    bench.ask(Request::SetAccess {
        app: app_id("mail"),
        choice: None,
    });
    assert!(
        why(&bench, "t").fires.contains("was dropped"),
        "{}",
        why(&bench, "t").fires
    );

    let mut bench = Bench::new();
    bench.register(request("t", once(15)));
    bench.until(15 * MINUTE);
    assert!(
        why(&bench, "t").fires.contains("has run"),
        "{}",
        why(&bench, "t").fires
    );
}

#[test]
fn the_newest_verdicts_come_first() {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    for n in 1..=10 {
        bench.push(&format!("p{n}"));
        bench.end(n, Exit::Status(0));
    }
    let firings: Vec<_> = why(&bench, "p")
        .recent
        .iter()
        .map(|entry| entry.firing)
        .collect();
    assert_eq!(firings, [10, 9, 8, 7, 6, 5, 4, 3]);
    let runs: Vec<_> = why(&bench, "p")
        .recent
        .iter()
        .map(|entry| entry.run)
        .collect();
    assert_eq!(runs[0], Some(RunId(10)));
}

#[test]
fn explaining_changes_nothing() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(15)));
    let before = bench.device.clone();
    drop(why(&bench, "t"));
    assert_eq!(bench.device, before);
}

#[test]
fn battery_saver_says_whose_hand_it_was_and_whom_that_concerns() {
    let mut bench = Bench::full();
    bench.register(request("t", INTERNET));
    let id = bench.add("mail", PERIODIC);
    let seen = |bench: &Bench, name: &str| {
        let said = why(bench, name).reasons;
        let saver = |why: &&Why| why.reason == WaitReason::BatterySaver;
        said.iter().find(saver).map(|why| why.seen.clone())
    };
    let saver = |manual: bool| {
        [
            Reading::ExternalPower(Level::Known(false)),
            Reading::Battery(Level::Known(PerMille::percent(10))),
            Reading::BatterySaver(Level::Known(true)),
            Reading::SaverManual(Level::Known(manual)),
        ]
    };
    bench.read(&saver(false));
    let automatic = seen(&bench, "periodic").unwrap();
    assert!(!automatic.contains("by hand"), "{automatic}");
    assert_eq!(seen(&bench, "t").as_ref(), Some(&automatic));
    bench.read(&saver(true));
    let by_hand = "battery saver was switched on by hand".to_owned();
    assert_eq!(seen(&bench, "periodic"), Some(by_hand), "AMB-05: {id:?}");
    assert_eq!(seen(&bench, "t"), Some(automatic), "of agents only");
}

#[test]
fn a_start_of_the_daemon_waits_for_power_in_words() {
    let mut bench = Bench::new();
    bench.register(request("t", timer(15)));
    bench.read(&[Reading::ExternalPower(Level::Known(false))]);
    bench.restart(Vec::new());
    let said = why(&bench, "t").reasons;
    let saver = |why: &&Why| why.reason == WaitReason::BatterySaver;
    let found = said.iter().find(saver).unwrap();
    assert!(found.seen.contains("just started"), "{found:?}");
    assert!(found.needs.contains("first reading of power"), "{found:?}");
}
