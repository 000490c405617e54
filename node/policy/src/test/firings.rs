//! From a firing to a run: conditions, latching, edges, Battery Saver, the app's own trigger.

use super::*;

fn present(yes: bool) -> Reading {
    Reading::UserPresent(Level::Known(yes))
}

fn raise(bench: &mut Bench) -> Answer {
    bench.ask(Request::RequestRun {
        app: app_id("mail"),
        name: task("work"),
    })
}

#[test]
fn edges_come_from_levels() {
    let (yes, no, unknown) = (Level::Known(true), Level::Known(false), Level::Unknown);
    let rows: [(&[Level<bool>], usize); 11] = [
        (&[yes], 0),
        (&[no], 0),
        (&[no, yes], 1),
        (&[yes, no], 0),
        (&[yes, no, yes], 1),
        (&[yes, unknown, yes], 0),
        (&[no, unknown, no], 0),
        (&[no, unknown, yes], 1),
        (&[unknown, yes], 0),
        (&[no, yes, yes], 1),
        (&[no, Level::Assumed(true)], 1),
    ];
    for (levels, expected) in rows {
        let mut bench = Bench::new();
        bench.register(request("t", INTERNET));
        let mut fired = 0;
        for level in levels {
            let before = bench.device.firings();
            bench.read(&[Reading::Internet(*level)]);
            fired += usize::try_from(bench.device.firings() - before).unwrap();
        }
        assert_eq!(fired, expected, "{levels:?}");
    }
}

#[test]
fn a_level_that_holds_already_is_no_edge() {
    let mut bench = Bench::new();
    bench.register(request("first", INTERNET));
    bench.internet(true);
    bench.register(request("second", INTERNET));
    assert_eq!(bench.device.firings(), 0);
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.launched(), [1, 2]);
    // The first reading after a restart is a baseline (TRGC-03).
    bench.restart(vec![RunId(1), RunId(2)]);
    bench.internet(false);
    assert_eq!(bench.device.firings(), 2);
}

#[test]
fn a_one_shot_event_fires_once() {
    let mut bench = Bench::new();
    let event = SystemEvent::InternetAvailable;
    bench.register(request(
        "t",
        Trigger::System {
            event,
            one_shot: true,
        },
    ));
    for _ in 0..3 {
        bench.internet(false);
        bench.internet(true);
    }
    assert_eq!(bench.verdicts("t"), [(Verdict::Ran, 1)]);
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.device.interests(), [], "nobody listens any more");
}

#[test]
fn a_trigger_waits_for_all_conditions_and_conditions_start_nothing() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable, Condition::UserPresent],
        ..request("t", once(15))
    });
    bench.read(&[present(true), Reading::Internet(Level::Known(true))]);
    assert_eq!(bench.device.firings(), 0, "CND-02");
    bench.read(&[present(false), Reading::Internet(Level::Known(false))]);
    bench.until(15 * MINUTE);
    assert_eq!(
        bench.verdicts("t"),
        [(Verdict::Waiting(WaitReason::UserPresent), 1)]
    );
    bench.read(&[present(true)]);
    assert_eq!(
        bench.verdicts("t"),
        [(Verdict::Waiting(WaitReason::Internet), 1)],
        "moved"
    );
    bench.read(&[present(false)]);
    bench.internet(true);
    assert_eq!(
        bench.launched(),
        [0; 0],
        "each held once, never together (CND-03)"
    );
    bench.read(&[Reading::UserPresent(Level::Unknown)]);
    assert_eq!(bench.launched(), [0; 0], "unknown satisfies nothing");
    bench.read(&[Reading::UserPresent(Level::Assumed(true))]);
    assert_eq!(bench.launched(), [1]);
    assert_eq!(bench.verdicts("t"), [(Verdict::Ran, 1)]);
}

#[test]
fn further_bare_triggers_join_the_one_that_waits() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::UserPresent],
        ..request("t", INTERNET)
    });
    for _ in 0..3 {
        bench.internet(false);
        bench.internet(true);
    }
    let coalesced = (Verdict::Dropped(DropReason::Coalesced), 2);
    assert_eq!(
        bench.verdicts("t"),
        [(Verdict::Waiting(WaitReason::UserPresent), 1), coalesced]
    );
    bench.read(&[present(true)]);
    assert_eq!(bench.launched(), [1], "one run for three");
}

#[test]
fn losing_a_condition_cancels_only_if_asked_for() {
    let gone = Level::Known(false);
    let rows = [
        (true, gone, Some(CancelReason::ConditionLoss)),
        (true, Level::Unknown, None),
        (false, gone, None),
    ];
    for (cancel_on_condition_loss, level, expected) in rows {
        let mut bench = Bench::new();
        bench.register(RegistrationRequest {
            conditions: vec![Condition::InternetAvailable],
            cancel_on_condition_loss,
            ..request("t", once(15))
        });
        bench.internet(true);
        bench.until(15 * MINUTE);
        bench.start(1);
        bench.pass(7_000);
        bench.read(&[Reading::Internet(level)]);
        let run = bench.device.runs().next().unwrap();
        assert_eq!(
            run.cancel_reason, expected,
            "{cancel_on_condition_loss} {level:?}"
        );
        let grace = bench.now.running.after(Span::seconds(5));
        assert_eq!(run.kill_at == Some(grace), expected.is_some());
    }
}

#[test]
fn unknown_that_returns_lost_is_a_loss() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable],
        cancel_on_condition_loss: true,
        ..request("t", once(15))
    });
    bench.internet(true);
    bench.until(15 * MINUTE);
    assert_eq!(
        bench.device.interests(),
        [Source::Power, Source::Network, Source::Screen],
        "spent, and guarded; a run is told of standby"
    );
    bench.read(&[Reading::Internet(Level::Unknown)]);
    bench.internet(false);
    let run = bench.device.runs().next().unwrap();
    assert_eq!(run.cancel_reason, Some(CancelReason::ConditionLoss));
}

#[test]
fn battery_saver_holds_back_and_lets_go() {
    let below = Reading::Battery(Level::Known(PerMille::new(199)));
    let at = Reading::Battery(Level::Known(PerMille::new(200)));
    let mut bench = Bench::new();
    bench.register(request("t", INTERNET));
    bench.register(request("p", Trigger::Push));
    bench.saver(true);
    bench.read(&[below]);
    bench.internet(false);
    bench.internet(true);
    bench.push("p1");
    let waiting = [(Verdict::Waiting(WaitReason::BatterySaver), 1)];
    assert_eq!(
        (bench.verdicts("t"), bench.verdicts("p")),
        (waiting.to_vec(), waiting.to_vec())
    );
    bench.read(&[at]);
    assert_eq!(
        bench.launched(),
        [1, 2],
        "exactly at the level it does not act (AMB-34)"
    );
    bench.start(1);
    bench.read(&[below]);
    let reasons: Vec<_> = bench.device.runs().map(|run| run.cancel_reason).collect();
    assert_eq!(reasons, [Some(CancelReason::EnergySaver); 2]);
}

#[test]
fn the_exempt_run_in_battery_saver() {
    let mut bench = Bench::new();
    bench.register(request("t", INTERNET));
    bench.saver(true);
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.launched(), [0; 0]);
    let choice = Some(AccessChoice::Always);
    bench.ask(Request::SetAccess {
        app: app_id("mail"),
        choice,
    });
    assert_eq!(bench.launched(), [1], "the exemption lets go what waited");
    bench.saver(false);
    bench.saver(true);
    assert_eq!(bench.device.runs().next().unwrap().cancel_reason, None);
    bench.ask(Request::SetAccess {
        app: app_id("mail"),
        choice: None,
    });
    let reason = bench.device.runs().next().unwrap().cancel_reason;
    assert_eq!(
        reason,
        Some(CancelReason::EnergySaver),
        "the exemption was taken back"
    );
}

#[test]
fn unknown_power_holds_nothing_back() {
    let mut bench = Bench::new();
    bench.register(request("t", INTERNET));
    bench.saver(true);
    bench.read(&[Reading::Battery(Level::Unknown)]);
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.launched(), [1]);
    bench.read(&[Reading::ExternalPower(Level::Unknown)]);
    assert_eq!(bench.device.runs().next().unwrap().cancel_reason, None);
}

#[test]
fn raising_answers_the_caller() {
    let mut bench = Bench::new();
    let conditions = vec![Condition::InternetAvailable];
    bench.register(RegistrationRequest {
        conditions,
        ..request("work", Trigger::Application)
    });
    bench.saver(true);
    assert_eq!(raise(&mut bench), Answer::Raised(Raised::DisabledByPolicy));
    bench.saver(false);
    bench.internet(false);
    assert_eq!(
        raise(&mut bench),
        Answer::Raised(Raised::Allowed),
        "latched"
    );
    assert_eq!(
        raise(&mut bench),
        Answer::Raised(Raised::CurrentlyRunning),
        "never queues"
    );
    bench.internet(true);
    assert_eq!(bench.launched(), [1]);
    assert_eq!(raise(&mut bench), Answer::Raised(Raised::CurrentlyRunning));
    bench.end(1, Exit::Status(0));
    assert_eq!(raise(&mut bench), Answer::Raised(Raised::Allowed));
    assert_eq!(bench.verdicts("work"), [(Verdict::Ran, 2)]);
    bench.end(2, Exit::Status(0));
    bench.ask(Request::RemoveAccess {
        app: app_id("mail"),
    });
    assert_eq!(raise(&mut bench), Answer::Raised(Raised::DisabledByPolicy));
    assert_eq!(
        bench.device.firings(),
        2,
        "what starts nothing is no firing"
    );
}

#[test]
fn only_the_app_in_the_foreground_raises() {
    let mut bench = Bench::new();
    bench.register(request("work", Trigger::Application));
    bench.register(request("other", Trigger::Push));
    bench.push("p1");
    let front = |id: &str, foreground| Caller::Front {
        app: app_id(id),
        foreground,
    };
    let callers = [
        front("mail", false),
        front("news", true),
        Caller::Agent { run: RunId(1) },
        Caller::Operator,
    ];
    for caller in callers {
        let request = Request::RequestRun {
            app: app_id("mail"),
            name: task("work"),
        };
        let answer = bench.ask_as(caller.clone(), request);
        let denied = matches!(answer, Answer::Refused(Refusal::PermissionDenied { .. }));
        assert!(denied, "{caller:?}: {answer:?}");
    }
    for name in ["other", "missing"] {
        let answer = bench.ask(Request::RequestRun {
            app: app_id("mail"),
            name: task(name),
        });
        assert!(
            matches!(answer, Answer::Refused(Refusal::NotFound { .. })),
            "{answer:?}"
        );
    }
}

#[test]
fn sources_are_watched_with_the_first_interest_and_left_with_the_last() {
    let mut bench = Bench::new();
    assert_eq!(bench.device.interests(), []);
    let conditions = vec![Condition::SessionConnected];
    let id = bench.register(RegistrationRequest {
        conditions,
        ..request("t", INTERNET)
    });
    let all = [Source::Power, Source::Network, Source::Session];
    let watched: Vec<_> = bench
        .effects
        .iter()
        .filter(|e| matches!(e, Effect::Watch(_)))
        .collect();
    assert_eq!(watched, all.map(Effect::Watch).iter().collect::<Vec<_>>());
    bench.internet(false);
    let second = bench.register(request("u", timer(15)));
    assert!(!bench.effects.iter().any(|e| matches!(e, Effect::Watch(_))));
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: false,
    });
    let unwatched = [
        Effect::Unwatch(Source::Network),
        Effect::Unwatch(Source::Session),
    ];
    assert!(
        unwatched
            .iter()
            .all(|effect| bench.effects.contains(effect))
    );
    assert_eq!(
        bench.device.readings().internet,
        Level::Unknown,
        "it would grow stale"
    );
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id: second,
        cancel: false,
    });
    assert!(bench.effects.contains(&Effect::Unwatch(Source::Power)));
    // A baseline again, though the last level before was another one.
    bench.register(request("v", INTERNET));
    bench.internet(true);
    assert_eq!(bench.device.firings(), 0);
}

#[test]
fn different_registrations_of_an_app_overlap() {
    let mut bench = Bench::new();
    bench.register(request("a", INTERNET));
    bench.register(request("b", INTERNET));
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.launched(), [1, 2], "AMB-11");
}
