//! Pushes on the device (PSH, rule book 0a).

use super::*;

/// A case: its name, what happens, what is expected.
type Case<T> = (&'static str, fn(&mut Bench), T);

fn finished(run: u64, outcome: Outcome) -> Hop {
    Hop::Finished {
        run: RunId(run),
        attempt: 1,
        outcome,
    }
}

fn started(run: u64, attempt: u32) -> Hop {
    Hop::Started {
        run: RunId(run),
        attempt,
    }
}

fn dropped(reason: DropReason) -> Hop {
    Hop::Dropped { reason }
}

fn of(push: &str, hops: &[Hop]) -> Vec<(String, Hop)> {
    hops.iter()
        .map(|hop| (push.to_owned(), hop.clone()))
        .collect()
}

fn pushed() -> Bench {
    let mut bench = Bench::new();
    bench.register(request("p", Trigger::Push));
    bench
}

#[test]
fn the_chain_of_one_push() {
    let mut bench = pushed();
    bench.push("p1");
    assert_eq!(bench.hops(), of("p1", &[Hop::Delivered]));
    bench.start(1);
    bench.end(1, Exit::Status(0));
    let chain = [
        Hop::Delivered,
        started(1, 1),
        finished(1, Outcome::Completed),
    ];
    assert_eq!(bench.hops(), of("p1", &chain));
    assert_eq!(bench.verdicts("p"), [(Verdict::Ran, 1)]);
    // The link was down: all are sent again when it is up, until they are acknowledged.
    bench.send(Event::LinkUp);
    let sent = bench
        .effects
        .iter()
        .filter(|e| matches!(e, Effect::SendReceipt(_)))
        .count();
    assert_eq!(sent, 3);
    bench.send(Event::ReceiptsAcknowledged {
        through: ReceiptSeq(2),
    });
    assert_eq!(bench.hops(), of("p1", &chain[2..]));
    bench.send(Event::ReceiptsAcknowledged {
        through: ReceiptSeq(99),
    });
    assert_eq!(bench.hops(), []);
}

#[test]
fn a_copy_changes_a_count_only() {
    let mut bench = pushed();
    bench.push("p1");
    bench.push("p1");
    bench.end(1, Exit::Status(0));
    bench.push("p1");
    bench.restart(Vec::new());
    bench.push("p1");
    assert_eq!(bench.device.runs().count(), 0);
    assert_eq!(bench.verdicts("p"), [(Verdict::Ran, 1)]);
    assert_eq!(
        bench.verdicts(":push"),
        [(Verdict::Dropped(DropReason::Duplicate), 3)]
    );
    assert_eq!(bench.hops().len(), 3, "no second chain: {:?}", bench.hops());
}

#[test]
fn a_copy_is_known_until_none_can_come() {
    let day = 24 * 60 * MINUTE;
    // Life of the push, when a copy comes, whether it is known.
    let rows = [
        (day, 3 * day - 1, true),
        (day, 3 * day, false),
        (5 * day, 6 * day - 1, true),
        (5 * day, 6 * day, false),
    ];
    for (life, copy, known) in rows {
        let mut bench = pushed();
        let expires = bench.now.wall.after(Span::millis(life));
        bench.push_until("p1", expires);
        bench.end(1, Exit::Status(0));
        bench.send(Event::ReceiptsAcknowledged {
            through: ReceiptSeq(9),
        });
        bench.pass(copy);
        bench.send(Event::DeadlineReached);
        bench.push_until("p1", expires);
        let duplicates = bench.verdicts(":push").len();
        assert_eq!(duplicates == 1, known, "life {life}, copy {copy}");
        assert_eq!(bench.device.runs().count(), 0, "never a second run");
    }
}

#[test]
fn pushes_run_one_after_the_other() {
    let mut bench = pushed();
    for push in ["p1", "p2", "p3"] {
        bench.push(push);
    }
    let waiting = (Verdict::Waiting(WaitReason::Slot), 2);
    assert_eq!(bench.verdicts("p"), [(Verdict::Ran, 1), waiting]);
    for run in 1..=3 {
        let push = bench.device.runs().next().unwrap().push.clone();
        assert_eq!(push, Some(push_id(&format!("p{run}"))), "in order");
        bench.end(run, Exit::Status(0));
    }
    assert_eq!(bench.verdicts("p"), [(Verdict::Ran, 3)]);
}

#[test]
fn each_registration_is_fired_and_one_terminal_receipt_is_written() {
    let mut bench = pushed();
    bench.register(request("q", Trigger::Push));
    bench.push("p1");
    bench.push("p2");
    assert_eq!(bench.device.runs().count(), 1, "serial per app (PSH-12)");
    let mut order = Vec::new();
    for run in 1..=4 {
        let under_way = bench.device.runs().next().unwrap();
        let push = under_way.push.as_ref().unwrap().as_str().to_owned();
        order.push((push, under_way.task.as_str().to_owned()));
        bench.end(
            run,
            if run == 2 {
                Exit::Status(1)
            } else {
                Exit::Status(0)
            },
        );
    }
    let expected = [("p1", "p"), ("p1", "q"), ("p2", "p"), ("p2", "q")];
    assert_eq!(
        order,
        expected.map(|(push, task)| (push.to_owned(), task.to_owned()))
    );
    let terminal: Vec<_> = bench
        .hops()
        .into_iter()
        .filter(|(_, hop)| !matches!(hop, Hop::Delivered | Hop::Started { .. }))
        .collect();
    let expected = [
        ("p1".to_owned(), finished(2, Outcome::UnhandledException)),
        ("p2".to_owned(), finished(4, Outcome::Completed)),
    ];
    assert_eq!(terminal, expected);
}

#[test]
fn a_run_counts_more_than_a_drop_elsewhere() {
    let mut bench = pushed();
    let id = bench.register(request("q", Trigger::Push));
    bench.push("p1");
    bench.end(1, Exit::Status(0));
    // The second registration's run is under way; the push is decided with its end.
    bench.push("p2");
    bench.end(2, Exit::Status(0));
    bench.end(3, Exit::Status(0));
    assert_eq!(bench.device.runs().next().unwrap().task, task("q"));
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: true,
    });
    bench.end(4, Exit::Signal(15));
    assert_eq!(
        bench.hops().last(),
        Some(&("p2".to_owned(), finished(4, Outcome::Cancelled)))
    );

    let mut bench = pushed();
    let id = bench.register(RegistrationRequest {
        conditions: vec![Condition::UserPresent],
        ..request("q", Trigger::Push)
    });
    bench.push("p1");
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.hops().len(), 2, "q still waits: {:?}", bench.hops());
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: false,
    });
    assert_eq!(
        bench.hops().last(),
        Some(&("p1".to_owned(), finished(1, Outcome::Completed)))
    );
}

#[test]
fn what_reaches_nobody_is_told() {
    let rows: [Case<DropReason>; 4] = [
        ("no registration", |_| {}, DropReason::NoHandler),
        (
            "no access",
            |bench| {
                bench.register(request("p", Trigger::Push));
                bench.ask(Request::RemoveAccess {
                    app: app_id("mail"),
                });
            },
            DropReason::Access,
        ),
        (
            "entry point gone",
            |bench| {
                bench.register(request("p", Trigger::Push));
                bench.send(Event::Apps(vec![App {
                    agents: Vec::new(),
                    ..app("mail")
                }]));
            },
            DropReason::Invalid,
        ),
        (
            "app gone",
            |bench| bench.send(Event::Apps(Vec::new())),
            DropReason::NoHandler,
        ),
    ];
    for (what, prepare, reason) in rows {
        let mut bench = Bench::new();
        prepare(&mut bench);
        bench.push("p1");
        assert_eq!(
            bench.hops(),
            of("p1", &[Hop::Delivered, dropped(reason)]),
            "{what}"
        );
        assert_eq!(bench.device.firings(), 1, "{what}");
    }
}

#[test]
fn time_to_live() {
    // Arrives with so much life left: does it run?
    for (life, runs) in [(0, false), (1, true)] {
        let mut bench = pushed();
        let expires = bench.now.wall.after(Span::millis(life));
        bench.push_until("p1", expires);
        assert_eq!(bench.device.runs().count() == 1, runs, "{life} ms left");
    }
    let mut bench = pushed();
    bench.push("p1");
    let expires = bench.now.wall.after(Span::seconds(10));
    bench.push_until("p2", expires);
    assert_eq!(bench.device.deadline().wall, Some(expires));
    bench.pass(9_999);
    bench.send(Event::DeadlineReached);
    assert_eq!(bench.hops().len(), 2);
    bench.pass(1);
    bench.send(Event::DeadlineReached);
    assert_eq!(bench.hops().last(), Some(&("p2".to_owned(), Hop::Expired)));
    assert_eq!(
        bench.device.deadline().wall,
        None,
        "p1 runs and is not looked for"
    );
    let expired = (Verdict::Dropped(DropReason::Expired), 1);
    assert_eq!(bench.verdicts("p"), [(Verdict::Ran, 1), expired]);
}

#[test]
fn the_end_of_a_run_starts_no_expired_push() {
    let mut bench = pushed();
    bench.push("p1");
    let expires = bench.now.wall.after(Span::seconds(10));
    bench.push_until("p2", expires);
    bench.pass(10_000);
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.launched(), [0; 0]);
    assert!(bench.hops().contains(&("p2".to_owned(), Hop::Expired)));
}

#[test]
fn a_clock_step_expires() {
    let mut bench = pushed();
    bench.push("p1");
    bench.push("p2");
    bench.now.wall = bench.now.wall.after(Span::days(4));
    bench.send(Event::ClockStepped);
    assert_eq!(bench.hops().last(), Some(&("p2".to_owned(), Hop::Expired)));
    assert_eq!(bench.device.runs().count(), 1, "the run goes on");
}

#[test]
fn the_queue_is_bounded_by_credit() {
    let mut bench = pushed();
    bench.push("p0");
    assert_eq!(bench.device.push_credit(&app_id("mail")), 64);
    for n in 1..=64 {
        assert_eq!(bench.device.push_credit(&app_id("mail")), 65 - n);
        bench.push(&format!("p{n}"));
    }
    assert_eq!(bench.device.push_credit(&app_id("mail")), 0);
    assert_eq!(bench.device.push_credit(&app_id("news")), 64, "of its own");
    bench.push("over");
    assert_eq!(
        bench.hops().last(),
        Some(&("over".to_owned(), dropped(DropReason::QueueFull)))
    );
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.device.push_credit(&app_id("mail")), 1);
}

#[test]
fn bodies_out_of_bounds_are_not_kept() {
    for (size, kept) in [(0, false), (1, true), (5_000, true), (5_001, false)] {
        let mut bench = pushed();
        let expires = bench.now.wall.after(Span::days(1));
        let (id, app) = (push_id("p1"), app_id("mail"));
        bench.send(Event::PushArrived(Push {
            id,
            app,
            payload: vec![7; size],
            expires,
            retention: Retention::default(),
            priority: Priority::default(),
            collapse_key: None,
        }));
        assert_eq!(bench.device.runs().count() == 1, kept, "{size} bytes");
    }
}

#[test]
fn a_lost_run_is_tried_again() {
    let mut bench = pushed();
    bench.push("p1");
    bench.push("p2");
    for attempt in 1..=3 {
        let run = bench.device.runs().next().unwrap().clone();
        assert_eq!(
            (run.attempt, run.push),
            (attempt, Some(push_id("p1"))),
            "ahead of p2"
        );
        bench.start(run.id.0);
        bench.end(run.id.0, Exit::Lost);
        assert_eq!(bench.last_outcome(), Outcome::Lost);
    }
    let p1: Vec<_> = bench
        .hops()
        .into_iter()
        .filter(|(push, _)| push == "p1")
        .collect();
    let exhausted = dropped(DropReason::AttemptsExhausted);
    let chain = [
        Hop::Delivered,
        started(1, 1),
        started(2, 2),
        started(3, 3),
        exhausted,
    ];
    assert_eq!(p1, of("p1", &chain));
    assert_eq!(
        bench.device.runs().next().unwrap().push,
        Some(push_id("p2"))
    );
    assert_eq!(
        bench.verdicts("p"),
        [(Verdict::Ran, 2)],
        "an attempt is no firing"
    );
}

#[test]
fn what_is_not_tried_again() {
    let rows: [Case<Hop>; 5] = [
        (
            "it could not be started",
            |bench| {
                let message = "no such file".to_owned();
                bench.end(1, Exit::LaunchFailed { message });
            },
            finished(1, Outcome::NotStarted),
        ),
        (
            "it crashed",
            |bench| bench.end(1, Exit::Signal(11)),
            finished(1, Outcome::UnhandledException),
        ),
        (
            "it had said that it was done",
            |bench| {
                bench.send(Event::RunReported {
                    run: RunId(1),
                    report: Report::Completed,
                });
                bench.end(1, Exit::Lost);
            },
            finished(1, Outcome::Completed),
        ),
        (
            "its registration is gone",
            |bench| {
                let id = RegistrationId(1);
                bench.ask(Request::Unregister {
                    app: app_id("mail"),
                    id,
                    cancel: false,
                });
                bench.end(1, Exit::Lost);
            },
            finished(1, Outcome::Lost),
        ),
        (
            "its time to live is over",
            |bench| {
                bench.pass(4 * 24 * 60 * MINUTE);
                bench.end(1, Exit::Lost);
            },
            Hop::Expired,
        ),
    ];
    for (what, happens, expected) in rows {
        let mut bench = pushed();
        bench.push("p1");
        happens(&mut bench);
        assert_eq!(
            bench.hops().last(),
            Some(&("p1".to_owned(), expected)),
            "{what}"
        );
        assert_eq!(bench.device.runs().count(), 0, "{what}");
    }
}

#[test]
fn a_push_waits_for_conditions_and_holds_no_place() {
    let mut bench = pushed();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::InternetAvailable],
        ..request("q", Trigger::Push)
    });
    bench.push("p1");
    bench.push("p2");
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.launched(), [2], "p goes on past q, which waits");
    bench.end(2, Exit::Status(0));
    bench.internet(true);
    assert_eq!(bench.launched(), [3]);
    bench.end(3, Exit::Status(0));
    assert_eq!(bench.launched(), [4]);
}

#[test]
fn at_their_bound_receipts_leave_room_for_terminal_ones() {
    let mut bench = pushed();
    let seq = |n: usize| ReceiptSeq(1_000_000 + n as u64);
    let filler = |n| {
        Record::Receipt(Receipt {
            seq: seq(n),
            push: push_id("old"),
            hop: Hop::Delivered,
            at: Wall::default(),
        })
    };
    let records = bench
        .device
        .records()
        .into_iter()
        .chain((0..bounds::RECEIPTS).map(filler));
    let mut device = Device::restore(records);
    assert_eq!(device.push_credit(&app_id("mail")), 0);
    let push = Push {
        id: push_id("p1"),
        app: app_id("news"),
        payload: b"hello".to_vec(),
        expires: bench.now.wall.after(Span::days(1)),
        retention: Retention::default(),
        priority: Priority::default(),
        collapse_key: None,
    };
    device.handle(bench.now, Event::PushArrived(push), &mut bench.effects);
    let hops: Vec<_> = device
        .receipts()
        .filter(|r| r.push == push_id("p1"))
        .map(|r| &r.hop)
        .collect();
    assert_eq!(hops, [&dropped(DropReason::NoHandler)]);
}

#[test]
fn a_run_without_registration_gives_its_place_back() {
    let mut bench = pushed();
    bench.register(request("q", Trigger::Push));
    bench.push("p1");
    let id = RegistrationId(1);
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: false,
    });
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.launched(), [2]);
    assert_eq!(bench.device.runs().next().unwrap().task, task("q"));
}
