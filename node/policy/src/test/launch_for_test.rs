//! `LaunchForTest` (MNG-14, AMB-38) and firing by hand (MNG-13).

use super::*;

fn launch(bench: &mut Bench, kind: ScheduledKind, delay: u64) -> Answer {
    bench.ask(Request::LaunchForTest {
        app: app_id("mail"),
        kind,
        delay: Span::millis(delay),
    })
}

#[test]
fn a_test_runs_after_its_delay_whatever_the_schedule_and_conditions() {
    for kind in [PERIODIC, INTENSIVE] {
        for delay in [0, 1, 90 * SECOND] {
            let mut bench = Bench::full();
            bench.add("mail", kind);
            bench.read(&[
                Reading::BatterySaver(Level::Known(true)),
                Reading::SaverManual(Level::Known(true)),
            ]);
            assert_eq!(launch(&mut bench, kind, delay), Answer::Done);
            if delay > 0 {
                bench.go(delay - 1);
                assert_eq!(bench.device.runs().count(), 0, "{kind:?} {delay}");
                bench.go(1);
            }
            assert_eq!(bench.device.runs().count(), 1, "{kind:?} {delay}");
        }
    }
}

#[test]
fn a_test_counts_for_exit_reasons_and_not_for_the_phase() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    bench.until(15 * MINUTE);
    launch(&mut bench, PERIODIC, 0);
    let run = bench.only_run().id.0;
    bench.finish(run, End::Crash);
    assert_eq!(
        bench.schedule_of(PERIODIC).last_exit,
        Some(Outcome::UnhandledException)
    );
    let run = bench.next_run();
    let starts = bench.starts("mail", "periodic");
    assert_eq!(starts, [15 * MINUTE, 30 * MINUTE], "AMB-38");
    bench.finish(run, End::Crash);
    assert_eq!(
        bench.scheduling(PERIODIC),
        Scheduling::Crashed,
        "it counts for crashes"
    );
    let refused = launch(&mut bench, PERIODIC, 0);
    assert_eq!(refusal(&refused), "failed-precondition");
}

#[test]
fn only_what_held_at_the_start_of_a_test_can_be_lost() {
    let mut bench = Bench::full();
    bench.add("mail", INTENSIVE);
    bench.eligible();
    bench.read(&[
        Reading::ScreenLocked(Level::Known(false)),
        Reading::Call(Level::Known(Call::Active)),
    ]);
    launch(&mut bench, INTENSIVE, 0);
    let run = bench.only_run().id.0;
    bench.start(run);
    bench.read(&[Reading::Call(Level::Known(Call::None))]);
    bench.read(&[Reading::Call(Level::Known(Call::Active))]);
    assert_eq!(
        kills(&bench.effects),
        [0; 0],
        "it did not hold at the start"
    );
    bench.read(&[Reading::Network(Level::Known(Network::Cellular))]);
    assert_eq!(kills(&bench.effects), [run], "this held");
}

#[test]
fn a_test_keeps_its_time_and_memory() {
    for (kind, limit) in [(PERIODIC, 25 * SECOND), (INTENSIVE, 600 * SECOND)] {
        let mut bench = Bench::full();
        bench.add("mail", kind);
        launch(&mut bench, kind, 0);
        assert_eq!(bench.launch().memory, Some(Bytes::mib(20)));
        assert_eq!(kills(&bench.go(limit - 1)), [0; 0], "{kind:?}");
        assert_eq!(kills(&bench.go(1)), [1], "{kind:?}");
    }
}

#[test]
fn who_may_launch_for_test() {
    let mut bench = Bench::full();
    assert_eq!(
        refusal(&launch(&mut bench, PERIODIC, 0)),
        "failed-precondition",
        "unknown"
    );
    bench.add("mail", PERIODIC);
    let run = bench.next_run();
    let request = |delay| Request::LaunchForTest {
        app: app_id("mail"),
        kind: PERIODIC,
        delay: Span::minutes(delay),
    };
    let agent = Caller::Agent { run: RunId(run) };
    assert_eq!(
        bench.ask_as(agent, request(1)),
        Answer::Done,
        "its agent may"
    );
    let front = Caller::Front {
        app: app_id("mail"),
        foreground: false,
    };
    assert_eq!(bench.ask_as(front, request(1)), Answer::Done, "its app may");
    let other = Caller::Front {
        app: app_id("news"),
        foreground: true,
    };
    assert_eq!(
        refusal(&bench.ask_as(other, request(1))),
        "permission-denied"
    );
    bench.profile(Profile::default());
    assert_eq!(
        refusal(&launch(&mut bench, PERIODIC, 0)),
        "failed-precondition",
        "no developer mode"
    );
}

#[test]
fn debug_fire_refuses_what_cannot_be_fired_by_hand() {
    let event = SystemEvent::InternetAvailable;
    let channel = Trigger::ControlChannel {
        id: subject("c"),
        keep_alive_minutes: 15,
        slot: Slot::Software,
    };
    let rows = [
        (timer(15), "ok"),
        (once(15), "ok"),
        (
            Trigger::Maintenance {
                minutes: 15,
                one_shot: false,
            },
            "ok",
        ),
        (system(event), "ok"),
        (Trigger::Application, "failed-precondition"),
        (Trigger::Media, "failed-precondition"),
        (channel, "failed-precondition"),
        (Trigger::Push, "failed-precondition"),
        (system(SystemEvent::SmsReceived), "failed-precondition"),
    ];
    for (trigger, expected) in rows {
        let mut bench = Bench::full();
        bench.install(vec![App {
            capabilities: [Capability::Internet, Capability::Media, Capability::Sms].into(),
            ..full_app("mail")
        }]);
        let id = bench.register(request("t", trigger.clone()));
        let app = app_id("mail");
        let fire = Request::DebugFire { app, id };
        assert_eq!(refusal(&bench.ask(fire)), expected, "{trigger:?}");
        let started = usize::from(expected == "ok");
        assert_eq!(bench.device.runs().count(), started, "{trigger:?}");
    }
}

#[test]
fn debug_fire_refuses_a_spent_one_shot_and_strangers() {
    let mut bench = Bench::full();
    let event = SystemEvent::InternetAvailable;
    let trigger = Trigger::System {
        event,
        one_shot: true,
    };
    let id = bench.register(request("t", trigger));
    let fire = Request::DebugFire {
        app: app_id("mail"),
        id,
    };
    let front = Caller::Front {
        app: app_id("mail"),
        foreground: true,
    };
    let strange = bench.ask_as(front, fire.clone());
    assert_eq!(refusal(&strange), "permission-denied");
    assert_eq!(refusal(&bench.ask(fire.clone())), "ok");
    let again = bench.ask(fire);
    assert_eq!(refusal(&again), "failed-precondition", "AMB-35, MNG-13");
}

#[test]
fn a_one_shot_timer_fired_by_hand_is_spent() {
    let mut bench = Bench::full();
    let id = bench.register(request("t", once(15)));
    let fire = Request::DebugFire {
        app: app_id("mail"),
        id,
    };
    let front = Caller::Front {
        app: app_id("mail"),
        foreground: true,
    };
    assert_eq!(
        refusal(&bench.ask_as(front, fire.clone())),
        "permission-denied"
    );
    assert_eq!(refusal(&bench.ask(fire.clone())), "ok");
    assert_eq!(
        refusal(&bench.ask(fire)),
        "failed-precondition",
        "AMB-35, MNG-13"
    );
}
