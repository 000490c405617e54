//! Access (ACC-01 to ACC-17, AMB-07, AMB-08) and what it does to what waits and runs.

use super::*;
use crate::AccessStatus as S;

fn mail() -> AppId {
    app_id("mail")
}

fn update(bench: &mut Bench, version: &str) {
    bench.send(Event::Apps(vec![App {
        version: version.to_owned(),
        ..app("mail")
    }]));
}

#[test]
fn the_operator_overrules_and_an_update_makes_stale() {
    #[derive(Debug)]
    enum Do {
        Ask,
        Drop,
        Choose(Option<AccessChoice>),
        Update(&'static str),
    }
    use Do::{Ask, Choose, Drop, Update};
    let (always, never) = (Some(AccessChoice::Always), Some(AccessChoice::Never));
    let allowed = S::AllowedSubjectToSystemPolicy;
    let rows: [(&[Do], S); 16] = [
        (&[], S::Unspecified),
        (&[Ask], allowed),
        (&[Ask, Ask], allowed),
        (&[Ask, Drop], S::Unspecified),
        (&[Ask, Choose(always)], S::AlwaysAllowed),
        (&[Choose(always)], S::Unspecified),
        (&[Choose(always), Ask], S::AlwaysAllowed),
        (&[Choose(always), Ask, Drop, Ask], S::AlwaysAllowed),
        (&[Ask, Choose(never)], S::DeniedByUser),
        (&[Choose(never), Ask], S::DeniedByUser),
        (&[Ask, Choose(never), Choose(None)], allowed),
        (&[Choose(never), Ask, Choose(None)], S::Unspecified),
        (&[Ask, Update("2.0")], S::Unspecified),
        (&[Ask, Update("2.0"), Ask], S::Unspecified),
        (&[Ask, Update("2.0"), Drop, Ask], allowed),
        (&[Ask, Update("2.0"), Update("1.0")], allowed),
    ];
    for (steps, expected) in rows {
        let mut bench = Bench::bare();
        bench.send(Event::Apps(vec![app("mail")]));
        let mut answered = None;
        for step in steps {
            let answer = match step {
                Ask => bench.ask(Request::RequestAccess { app: mail() }),
                Drop => bench.ask(Request::RemoveAccess { app: mail() }),
                Choose(choice) => bench.ask(Request::SetAccess {
                    app: mail(),
                    choice: *choice,
                }),
                Update(version) => {
                    update(&mut bench, version);
                    Answer::Access(bench.device.access(&mail()))
                }
            };
            answered = Some(answer);
        }
        assert_eq!(bench.device.access(&mail()), expected, "{steps:?}");
        assert_eq!(
            answered.unwrap_or(Answer::Access(expected)),
            Answer::Access(expected)
        );
    }
}

#[test]
fn who_may_ask() {
    let front = |id: &str| Caller::Front {
        app: app_id(id),
        foreground: false,
    };
    let mut bench = Bench::new();
    bench.register(request("sync", Trigger::Push));
    bench.push("p1");
    let own_agent = Caller::Agent { run: RunId(1) };
    let rows = [
        (front("mail"), Request::RequestAccess { app: mail() }, true),
        (front("news"), Request::RequestAccess { app: mail() }, false),
        (
            own_agent.clone(),
            Request::RequestAccess { app: mail() },
            true,
        ),
        (
            Caller::Agent { run: RunId(9) },
            Request::RequestAccess { app: mail() },
            false,
        ),
        (front("news"), Request::RemoveAccess { app: mail() }, false),
        (
            front("mail"),
            Request::SetAccess {
                app: mail(),
                choice: None,
            },
            false,
        ),
        (
            own_agent,
            Request::SetAccess {
                app: mail(),
                choice: None,
            },
            false,
        ),
        (
            Caller::Operator,
            Request::SetAccess {
                app: mail(),
                choice: None,
            },
            true,
        ),
    ];
    for (caller, request, allowed) in rows {
        let answer = bench.ask_as(caller.clone(), request.clone());
        let denied = matches!(answer, Answer::Refused(Refusal::PermissionDenied { .. }));
        assert_eq!(!denied, allowed, "{caller:?} {request:?}: {answer:?}");
    }
    let answer = bench.ask(Request::RequestAccess {
        app: app_id("ghost"),
    });
    assert!(
        matches!(answer, Answer::Refused(Refusal::NotFound { .. })),
        "{answer:?}"
    );
}

#[test]
fn removing_access_drops_what_waits_and_lets_runs_finish() {
    let mut bench = Bench::new();
    bench.register(RegistrationRequest {
        conditions: vec![Condition::UserPresent],
        ..request("latched", INTERNET)
    });
    bench.register(request("pushed", Trigger::Push));
    bench.internet(false);
    bench.internet(true);
    bench.push("p1");
    bench.push("p2");
    bench.ask(Request::RemoveAccess { app: mail() });
    let removed = Verdict::Dropped(DropReason::AccessRemoved);
    assert_eq!(bench.verdicts("latched"), [(removed, 1)]);
    assert_eq!(bench.verdicts("pushed"), [(Verdict::Ran, 1), (removed, 1)]);
    assert_eq!(bench.device.runs().next().unwrap().cancel_reason, None);
    let dropped = Hop::Dropped {
        reason: DropReason::AccessRemoved,
    };
    assert!(bench.hops().contains(&("p2".to_owned(), dropped)));

    // Inert, and alive again with a new request (AMB-08).
    bench.push("p3");
    let dropped = Hop::Dropped {
        reason: DropReason::Access,
    };
    assert!(bench.hops().contains(&("p3".to_owned(), dropped)));
    bench.end(1, Exit::Status(0));
    bench.ask(Request::RequestAccess { app: mail() });
    bench.push("p4");
    assert_eq!(bench.launched(), [2]);
}

#[test]
fn the_operators_never_cancels_runs() {
    let mut bench = Bench::new();
    bench.register(request("sync", Trigger::Push));
    bench.push("p1");
    bench.start(1);
    bench.ask(Request::SetAccess {
        app: mail(),
        choice: Some(AccessChoice::Never),
    });
    let run = bench.device.runs().next().unwrap();
    assert_eq!(run.cancel_reason, Some(CancelReason::ResourceRevocation));
    assert_eq!(run.kill_at, Some(bench.now.running.after(Span::seconds(5))));
    bench.end(1, Exit::Signal(15));
    assert_eq!(bench.last_outcome(), Outcome::Cancelled);
}

#[test]
fn an_update_cancels_runs_and_drops_what_waits() {
    let mut bench = Bench::new();
    bench.register(request("sync", Trigger::Push));
    bench.push("p1");
    bench.push("p2");
    update(&mut bench, "2.0");
    let run = bench.device.runs().next().unwrap();
    assert_eq!(run.cancel_reason, Some(CancelReason::ServicingUpdate));
    let dropped = Hop::Dropped {
        reason: DropReason::AccessRemoved,
    };
    assert!(bench.hops().contains(&("p2".to_owned(), dropped)));
    assert_eq!(
        bench.device.registrations().count(),
        1,
        "registrations stay (AMB-07)"
    );
}

#[test]
fn an_uninstall_takes_everything_with_it() {
    let mut bench = Bench::new();
    bench.register(request("sync", Trigger::Push));
    bench.register(request("tick", timer(15)));
    bench.push("p1");
    bench.push("p2");
    bench.send(Event::Apps(Vec::new()));
    assert_eq!(bench.device.registrations().count(), 0);
    assert_eq!(bench.device.access(&mail()), S::Unspecified);
    let run = bench.device.runs().next().unwrap();
    assert_eq!(run.cancel_reason, Some(CancelReason::Uninstall));
    let dropped = Hop::Dropped {
        reason: DropReason::Uninstalled,
    };
    assert!(bench.hops().contains(&("p2".to_owned(), dropped)));
    bench.end(1, Exit::Signal(9));
    let outcome = Outcome::Cancelled;
    let finished = Hop::Finished {
        run: RunId(1),
        attempt: 1,
        outcome,
    };
    assert!(bench.hops().contains(&("p1".to_owned(), finished)));
    assert_eq!(bench.device.interests(), []);
    // Nothing of the grant comes back with a new installation.
    bench.send(Event::Apps(vec![app("mail")]));
    assert_eq!(bench.device.access(&mail()), S::Unspecified);
}

#[test]
fn apps_beyond_the_bound_are_not_installed() {
    let apps = |count: usize| {
        (0..count)
            .map(|n| app(&format!("a{n:04}")))
            .collect::<Vec<_>>()
    };
    let mut bench = Bench::bare();
    bench.send(Event::Apps(apps(bounds::APPS)));
    assert_eq!(bench.device.apps().count(), bounds::APPS);
    let mut more = apps(bounds::APPS);
    more.push(app("a"));
    bench.send(Event::Apps(more));
    assert_eq!(bench.device.apps().count(), bounds::APPS);
    assert_eq!(
        bench.device.app(&app_id("a")),
        None,
        "those known already stay"
    );
}
