//! Registering and unregistering (ACC-20 to ACC-33, MAN-01, MAN-03, TRGD-20, MNG-04).

use super::*;

fn refused(answer: Answer) -> Refusal {
    match answer {
        Answer::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

fn unregister(bench: &mut Bench, id: RegistrationId, cancel: bool) -> Answer {
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel,
    })
}

#[test]
fn arguments_are_checked_and_leave_nothing_behind() {
    let entry = |name: &str| EntryPoint::new(name).unwrap();
    let rows = [
        (request("t", timer(14)), "trigger.timer.minutes"),
        (request("t", timer(43_200)), "trigger.timer.minutes"),
        (request("t", once(14)), "trigger.timer.minutes"),
        (
            RegistrationRequest {
                entry_point: Some(entry("Sync")),
                ..request("t", timer(15))
            },
            "entry_point",
        ),
        (
            RegistrationRequest {
                entry_point: Some(entry("gone")),
                ..request("t", timer(15))
            },
            "entry_point",
        ),
        (
            RegistrationRequest {
                entry_point: Some(entry("bare")),
                ..request("t", Trigger::Push)
            },
            "trigger",
        ),
        (
            RegistrationRequest {
                entry_point: Some(entry("bare")),
                ..request("t", INTERNET)
            },
            "trigger",
        ),
        (
            RegistrationRequest {
                entry_point: Some(entry("bare")),
                ..request("t", Trigger::Application)
            },
            "trigger",
        ),
        (
            RegistrationRequest {
                conditions: vec![Condition::UserPresent; bounds::CONDITIONS + 1],
                ..request("t", timer(15))
            },
            "conditions",
        ),
    ];
    let mut bench = Bench::new();
    let mut mail = app("mail");
    mail.agents.push(AgentDeclaration {
        entry_point: entry("bare"),
        types: vec![TaskType::Timer],
        memory: None,
        time: None,
        multiple_instances: false,
        resource_group: None,
    });
    bench.send(Event::Apps(vec![mail]));
    for (request, expected) in rows {
        let records = bench.device.records();
        match refused(bench.try_register(request.clone())) {
            Refusal::InvalidArgument { field, .. } => assert_eq!(field, expected, "{request:?}"),
            other => panic!("{request:?}: {other:?}"),
        }
        assert_eq!(bench.device.records(), records, "{request:?}");
    }
    for minutes in [15, 43_199] {
        bench.register(request("t", timer(minutes)));
    }
}

#[test]
fn access_comes_first() {
    let mut bench = Bench::bare();
    bench.send(Event::Apps(vec![app("mail")]));
    let bad = request("t", timer(1));
    assert!(matches!(
        refused(bench.try_register(bad)),
        Refusal::AccessDenied { .. }
    ));
    // Battery Saver is not asked (ACC-17).
    bench.ask(Request::RequestAccess {
        app: app_id("mail"),
    });
    bench.register(request("t", timer(15)));
    bench.saver(true);
    bench.register(request("u", timer(15)));
}

#[test]
fn odd_registrations_are_made_with_a_warning() {
    use Condition as C;
    let rows: [(&[C], usize); 6] = [
        (&[], 0),
        (
            &[C::UserPresent, C::InternetAvailable, C::SessionConnected],
            0,
        ),
        (&[C::UserPresent, C::UserNotPresent], 1),
        (&[C::InternetNotAvailable, C::InternetAvailable], 1),
        (&[C::SessionConnected, C::SessionDisconnected], 1),
        (
            &[
                C::UserPresent,
                C::UserNotPresent,
                C::SessionConnected,
                C::SessionDisconnected,
            ],
            2,
        ),
    ];
    for (conditions, expected) in rows {
        let mut bench = Bench::new();
        let conditions = conditions.to_vec();
        let answer = bench.try_register(RegistrationRequest {
            conditions,
            ..request("t", INTERNET)
        });
        let Answer::Registered { warnings, .. } = answer else {
            panic!("{answer:?}")
        };
        assert_eq!(warnings.len(), expected, "{warnings:?}");
    }
    let mut bench = Bench::new();
    bench.register(request("t", INTERNET));
    let answer = bench.try_register(request("t", timer(15)));
    let Answer::Registered {
        id: RegistrationId(2),
        warnings,
    } = answer
    else {
        panic!("{answer:?}")
    };
    assert!(warnings[0].contains("both will run"), "{warnings:?}");
    // Each runs on its own (ACC-26).
    assert_eq!(bench.device.registrations().count(), 2);
}

#[test]
fn conditions_are_kept_sorted_and_once() {
    use Condition as C;
    let mut bench = Bench::new();
    let conditions = vec![C::InternetAvailable, C::UserPresent, C::InternetAvailable];
    bench.register(RegistrationRequest {
        conditions,
        ..request("t", INTERNET)
    });
    let kept = &bench.device.registrations().next().unwrap().conditions;
    assert_eq!(kept, &[C::UserPresent, C::InternetAvailable]);
}

#[test]
fn replacing_by_name_is_one_step() {
    let mut bench = Bench::new();
    let missing = vec![Condition::InternetAvailable];
    bench.register(RegistrationRequest {
        conditions: missing,
        ..request("t", once(15))
    });
    bench.until(15 * MINUTE);
    assert_eq!(
        bench.verdicts("t"),
        [(Verdict::Waiting(WaitReason::Internet), 1)]
    );
    let answer = bench.try_register(RegistrationRequest {
        replace: true,
        ..request("t", timer(15))
    });
    assert_eq!(
        answer,
        Answer::Registered {
            id: RegistrationId(2),
            warnings: Vec::new()
        }
    );
    assert_eq!(bench.device.registrations().count(), 1);
    assert_eq!(
        bench.verdicts("t"),
        [(Verdict::Dropped(DropReason::Unregistered), 1)]
    );
    // A refused replacement replaces nothing.
    let bad = RegistrationRequest {
        replace: true,
        ..request("t", timer(1))
    };
    refused(bench.try_register(bad));
    assert_eq!(
        bench.device.registrations().next().unwrap().id,
        RegistrationId(2)
    );
}

#[test]
fn an_application_trigger_is_registered_once() {
    let mut bench = Bench::new();
    bench.register(request("work", Trigger::Application));
    let second = request("more", Trigger::Application);
    assert!(matches!(
        refused(bench.try_register(second)),
        Refusal::AlreadyExists { .. }
    ));
    let other = RegistrationRequest {
        replace: true,
        ..request("more", Trigger::Application)
    };
    assert!(matches!(
        refused(bench.try_register(other)),
        Refusal::AlreadyExists { .. }
    ));
    // Its own replacement is no second (AMB-41).
    bench.register(RegistrationRequest {
        replace: true,
        ..request("work", Trigger::Application)
    });
    assert_eq!(bench.device.registrations().count(), 1);
    // Other apps have their own.
    bench.send(Event::Apps(vec![app("mail"), app("news")]));
    bench.ask(Request::RequestAccess {
        app: app_id("news"),
    });
    let registration = request("work", Trigger::Application);
    let answer = bench.ask(Request::Register {
        app: app_id("news"),
        registration,
    });
    assert!(matches!(answer, Answer::Registered { .. }), "{answer:?}");
}

#[test]
fn registrations_of_an_app_are_bounded_and_spent_ones_make_room() {
    let mut bench = Bench::new();
    let first = bench.register(request("first", once(15)));
    bench.until(15 * MINUTE);
    bench.end(1, Exit::Status(0));
    for n in 1..bounds::REGISTRATIONS_PER_APP {
        bench.register(request(&format!("t{n}"), timer(60)));
    }
    assert!(bench.device.registrations().any(|r| r.id == first));
    bench.register(request("one-more", timer(60)));
    assert!(
        !bench.device.registrations().any(|r| r.id == first),
        "the spent one went"
    );
    let over = request("over", timer(60));
    assert!(matches!(
        refused(bench.try_register(over)),
        Refusal::LimitReached { .. }
    ));
    let instead = RegistrationRequest {
        replace: true,
        ..request("t1", timer(60))
    };
    bench.register(instead);
    assert_eq!(
        bench.device.registrations().count(),
        bounds::REGISTRATIONS_PER_APP
    );
}

#[test]
fn unregistering() {
    for cancel in [true, false] {
        let mut bench = Bench::new();
        let id = bench.register(request("t", INTERNET));
        bench.internet(false);
        bench.internet(true);
        bench.internet(false);
        bench.internet(true);
        let waiting = [(Verdict::Ran, 1), (Verdict::Waiting(WaitReason::Slot), 1)];
        assert_eq!(bench.verdicts("t"), waiting);
        assert_eq!(unregister(&mut bench, id, cancel), Answer::Unregistered);
        let dropped = [
            (Verdict::Ran, 1),
            (Verdict::Dropped(DropReason::Unregistered), 1),
        ];
        assert_eq!(bench.verdicts("t"), dropped, "AMB-14");
        let run = bench.device.runs().next().unwrap();
        assert_eq!(
            run.cancel_reason,
            cancel.then_some(CancelReason::Abort),
            "MNG-04"
        );
        bench.end(1, Exit::Status(0));
        let outcome = if cancel {
            Outcome::Cancelled
        } else {
            Outcome::Completed
        };
        assert_eq!(bench.last_outcome(), outcome);
        assert_eq!(bench.launched(), [0; 0], "no further run starts");
    }
}

#[test]
fn only_ones_own_can_be_unregistered() {
    let mut bench = Bench::new();
    let id = bench.register(request("t", INTERNET));
    bench.send(Event::Apps(vec![app("mail"), app("news")]));
    let missing = unregister(&mut bench, RegistrationId(99), false);
    assert!(matches!(refused(missing), Refusal::NotFound { .. }));
    let other = bench.ask(Request::Unregister {
        app: app_id("news"),
        id,
        cancel: false,
    });
    assert!(matches!(refused(other), Refusal::NotFound { .. }));
    let front = Caller::Front {
        app: app_id("news"),
        foreground: true,
    };
    let request = Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: false,
    };
    let denied = bench.ask_as(front, request);
    assert!(matches!(refused(denied), Refusal::PermissionDenied { .. }));
    assert_eq!(bench.device.registrations().count(), 1);
}

#[test]
fn a_vanished_entry_point_makes_invalid() {
    let mut bench = Bench::new();
    bench.register(request("t", INTERNET));
    bench.internet(false);
    bench.send(Event::Apps(vec![App {
        agents: Vec::new(),
        ..app("mail")
    }]));
    bench.internet(true);
    let invalid = Verdict::Dropped(DropReason::Invalid);
    assert_eq!(bench.verdicts("t"), [(invalid, 1)]);
    let why = &bench.device.explain(bench.now, &app_id("mail"), &task("t"))[0];
    assert_eq!(why.blocked, Some(DropReason::Invalid));
    // Valid again when it comes back.
    bench.send(Event::Apps(vec![app("mail")]));
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.launched(), [1]);
}
