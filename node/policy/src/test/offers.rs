//! A push meets its app in the foreground first (PSH-09, PSH-10); priorities, retention and collapse keys (PSH-20, rule
//! book 0a).

use super::*;

fn arrives(bench: &mut Bench, id: &str, change: impl FnOnce(&mut Push)) {
    let mut push = Push {
        id: push_id(id),
        app: app_id("mail"),
        payload: b"hello".to_vec(),
        expires: bench.now.wall.after(Span::days(3)),
        retention: Retention::Queue,
        priority: Priority::Low,
        collapse_key: None,
    };
    change(&mut push);
    bench.send(Event::PushArrived(push));
}

fn answered(bench: &mut Bench, id: &str, handled: bool) {
    let push = push_id(id);
    bench.send(Event::PushAnswered { push, handled });
}

/// The pushes that run, one after the other.
fn deliveries(bench: &mut Bench) -> Vec<String> {
    let mut delivered = Vec::new();
    loop {
        let next = bench.device.runs().next().cloned();
        let Some(run) = next else {
            return delivered;
        };
        delivered.push(run.push.unwrap().as_str().to_owned());
        bench.end(run.id.0, Exit::Status(0));
    }
}

fn offered() -> Bench {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.front(FrontState::Foreground);
    bench.push("p1");
    bench
}

#[test]
fn the_app_in_the_foreground_is_asked_first() {
    for (handled, runs) in [(true, 0), (false, 1)] {
        let mut bench = offered();
        assert!(
            bench
                .effects
                .iter()
                .any(|e| matches!(e, Effect::OfferPush(_)))
        );
        assert_eq!(bench.device.runs().count(), 0);
        answered(&mut bench, "p1", handled);
        assert_eq!(bench.device.runs().count(), runs, "PSH-10");
        let shown = bench.hops().contains(&("p1".to_owned(), Hop::ShownToApp));
        assert_eq!(shown, handled);
        answered(&mut bench, "p1", handled);
        assert_eq!(bench.device.runs().count(), runs, "an answer counts once");
    }
}

#[test]
fn an_app_that_does_not_answer_has_five_seconds() {
    let mut bench = offered();
    bench.go(4_999);
    assert_eq!(bench.device.runs().count(), 0);
    bench.go(1);
    assert_eq!(
        bench.device.runs().count(),
        1,
        "by default the task runs (PSH-10)"
    );
    answered(&mut bench, "p1", true);
    assert_eq!(bench.device.runs().count(), 1, "too late");
}

#[test]
fn an_offer_outlives_neither_restart_nor_time_to_live() {
    let mut bench = offered();
    bench.device = bench.restored();
    bench.boot("boot-1");
    bench.send(Event::RunsHeld { runs: Vec::new() });
    bench.read(&[Reading::ExternalPower(Level::Known(true))]);
    bench.go(10 * SECOND);
    assert_eq!(bench.starts("mail", "p").len(), 1, "its tasks get it");
}

/// PSH-09, PSH-11: nobody says that an app saw what no client of it took.
#[test]
fn no_task_and_an_app_that_runs() {
    let nobody = PushFate::Dropped(DropReason::NoHandler);
    for state in [FrontState::Foreground, FrontState::Background] {
        for (handled, expected) in [(true, PushFate::ShownToApp), (false, nobody.clone())] {
            let mut bench = Bench::full();
            bench.front(state);
            bench.push("p1");
            assert_eq!(bench.fates("p1"), [], "{state:?}");
            answered(&mut bench, "p1", handled);
            assert_eq!(bench.fates("p1"), [expected], "{state:?}");
        }
    }
    for state in [FrontState::None, FrontState::Suspended] {
        let mut bench = Bench::full();
        bench.front(FrontState::Background);
        bench.front(state);
        bench.push("p1");
        assert_eq!(
            bench.fates("p1"),
            std::slice::from_ref(&nobody),
            "{state:?}"
        );
    }
}

#[test]
fn an_app_in_the_background_with_a_task_is_not_asked() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.front(FrontState::Background);
    bench.push("p1");
    assert_eq!(bench.device.runs().count(), 1, "PSH-10");
}

#[test]
fn an_answer_counts_once_in_time_and_from_its_own_app() {
    let answer = |bench: &mut Bench, app: &str, id: &str| {
        let request = Request::AnswerPush {
            app: app_id(app),
            push: push_id(id),
            handled: true,
        };
        let caller = Caller::Front {
            app: app_id("mail"),
            foreground: true,
        };
        let answer = bench.ask_as(caller, request);
        refusal(&answer)
    };
    let mut bench = offered();
    assert_eq!(answer(&mut bench, "maps", "p1"), "permission-denied");
    assert_eq!(answer(&mut bench, "mail", "p2"), "not-found");
    let agent = Caller::Agent { run: RunId(1) };
    let request = Request::AnswerPush {
        app: app_id("mail"),
        push: push_id("p1"),
        handled: true,
    };
    assert_eq!(
        refusal(&bench.ask_as(agent, request)),
        "permission-denied",
        "ACC-50"
    );
    assert_eq!(answer(&mut bench, "mail", "p1"), "ok");
    assert_eq!(bench.fates("p1"), [PushFate::ShownToApp]);
    assert_eq!(answer(&mut bench, "mail", "p1"), "not-found");
    let mut bench = offered();
    bench.go(5_000);
    assert_eq!(answer(&mut bench, "mail", "p1"), "not-found", "too late");
    assert_eq!(bench.device.runs().count(), 1);
}

/// PSH-20's table: who is delivered at once.
#[test]
fn priority_screen_power_and_exemption() {
    use Priority::{High, Low, Medium, VeryLow};
    let all = [true; 4];
    let none = [false; 4];
    // (screen on, external power, saver on, exempt), then high, medium, low, very low.
    let rows = [
        ((true, true, false, false), all),
        ((true, false, false, false), all),
        ((false, true, false, false), all),
        ((false, false, false, false), [true, false, false, false]),
        ((false, false, false, true), [true, true, true, false]),
        ((false, false, true, false), none),
        ((false, false, true, true), [true, true, true, false]),
        ((true, false, true, true), [true, true, true, false]),
        ((true, false, true, false), none),
        ((false, true, true, false), all),
    ];
    for ((screen, power, saver, exempt), expected) in rows {
        for (priority, delivered) in [High, Medium, Low, VeryLow].into_iter().zip(expected) {
            let mut bench = Bench::full();
            bench.register(request("p", Trigger::Push));
            if exempt {
                let choice = Some(AccessChoice::Always);
                bench.ask(Request::SetAccess {
                    app: app_id("mail"),
                    choice,
                });
            }
            bench.read(&[
                Reading::ScreenOn(Level::Known(screen)),
                Reading::ExternalPower(Level::Known(power)),
                Reading::Battery(Level::Known(PerMille::percent(10))),
                Reading::BatterySaver(Level::Known(saver)),
                Reading::SaverManual(Level::Known(false)),
            ]);
            arrives(&mut bench, "p1", |push| push.priority = priority);
            let found = bench.device.runs().count() == 1;
            let case = format!("screen {screen} power {power} saver {saver} exempt {exempt}");
            assert_eq!(found, delivered, "PSH-20: {priority:?}, {case}");
            // What was held comes when power does.
            bench.read(&[Reading::ExternalPower(Level::Known(true))]);
            assert_eq!(bench.starts("mail", "p").len(), 1, "{priority:?}, {case}");
        }
    }
}

#[test]
fn what_is_held_back_is_retained_as_asked() {
    use Retention::{Latest, None as Nothing, Queue};
    let rows: [(&[Retention], &[&str]); 6] = [
        (&[Queue, Queue, Queue], &["p0", "p1", "p2"]),
        (&[Nothing, Nothing], &[]),
        (&[Latest, Latest, Latest], &["p2"]),
        (&[Queue, Nothing, Latest], &["p0", "p2"]),
        (&[Latest, Queue, Latest], &["p1", "p2"]),
        (&[Latest, Nothing], &["p0"]),
    ];
    for (retentions, expected) in rows {
        let mut bench = Bench::full();
        bench.register(request("p", Trigger::Push));
        bench.saver(true);
        for (n, retention) in retentions.iter().enumerate() {
            arrives(&mut bench, &format!("p{n}"), |push| {
                push.retention = *retention;
            });
        }
        bench.saver(false);
        let delivered = deliveries(&mut bench);
        assert_eq!(delivered, expected, "rule book 0a: {retentions:?}");
    }
}

#[test]
fn a_collapse_key_replaces_what_is_undelivered() {
    let key = |text: &str| Some(Box::<str>::from(text));
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.saver(true);
    arrives(&mut bench, "p0", |push| push.collapse_key = key("a"));
    arrives(&mut bench, "p1", |push| push.collapse_key = key("b"));
    arrives(&mut bench, "p2", |push| push.collapse_key = key("a"));
    arrives(&mut bench, "p3", |_| {});
    assert_eq!(bench.fates("p0"), [PushFate::Queued, PushFate::Collapsed]);
    bench.saver(false);
    let delivered = deliveries(&mut bench);
    assert_eq!(delivered, ["p1", "p2", "p3"], "at the end of the queue");
}

#[test]
fn a_push_under_way_is_not_replaced() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    let key = || Some(Box::<str>::from("a"));
    arrives(&mut bench, "p0", |push| push.collapse_key = key());
    arrives(&mut bench, "p1", |push| push.collapse_key = key());
    bench.end(1, Exit::Status(0));
    bench.end(2, Exit::Status(0));
    assert_eq!(bench.starts("mail", "p").len(), 2);
}

#[test]
fn sixty_four_pushes_wait_and_the_next_is_refused() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.saver(true);
    for n in 0..64 {
        bench.push(&format!("p{n}"));
    }
    assert_eq!(bench.device.push_credit(&app_id("mail")), 0);
    bench.push("p64");
    let full = PushFate::Dropped(DropReason::QueueFull);
    assert_eq!(bench.fates("p64"), [full], "rule book 0a");
    assert_eq!(
        bench.fates("p0"),
        [PushFate::Queued],
        "the oldest is never dropped"
    );
}

#[test]
fn an_offered_push_expires_like_any_other() {
    for answer in [None, Some(true), Some(false)] {
        let mut bench = Bench::full();
        bench.register(request("p", Trigger::Push));
        bench.front(FrontState::Foreground);
        bench.push_until("p1", bench.now.wall.after(Span::seconds(1)));
        bench.go(999);
        assert_eq!(bench.fates("p1"), []);
        bench.go(2);
        if let Some(handled) = answer {
            answered(&mut bench, "p1", handled);
        }
        bench.go(10 * SECOND);
        assert_eq!(bench.fates("p1"), [PushFate::Expired], "PSH-16");
        assert_eq!(bench.device.runs().count(), 0);
        assert!(bench.hops().contains(&("p1".to_owned(), Hop::Expired)));
    }
}

#[test]
fn an_offer_past_its_time_to_live_is_not_delivered_after_a_start() {
    for boot in ["boot-1", "boot-2"] {
        let mut bench = Bench::full();
        bench.register(request("p", Trigger::Push));
        bench.front(FrontState::Foreground);
        bench.push_until("p1", bench.now.wall.after(Span::seconds(1)));
        bench.device = bench.restored();
        bench.pass(20 * MINUTE);
        bench.boot(boot);
        bench.send(Event::RunsHeld { runs: Vec::new() });
        bench.read(&[Reading::ExternalPower(Level::Known(true))]);
        bench.go(10 * SECOND);
        assert_eq!(bench.starts("mail", "p"), [0; 0], "{boot}");
        assert_eq!(bench.fates("p1"), [PushFate::Expired], "PSH-16: {boot}");
    }
}
