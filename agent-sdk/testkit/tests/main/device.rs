//! The rule book on a virtual device, written from the book: what an agent author may rely on.

#![expect(
    clippy::unwrap_used,
    reason = "in a test a wrong name should stop it here"
)]

use lull_policy::{
    Answer, Bytes, Caller, CancelReason, Condition, DropReason, Hop, Level, Notice, Outcome,
    PerMille, Policy, Reading, Refusal, Request, Span, SystemEvent, TaskName, Trigger, invariants,
};
use lull_testkit::{Behaviour, Ending, Happening, OnCancel, VirtualDevice};

const ONCE_IN_25: Trigger = Trigger::Timer {
    minutes: 25,
    one_shot: true,
};

/// A device with the app `mail`, allowed to run, whose entry point `sync` may be used for everything.
fn device() -> VirtualDevice {
    let mut device = VirtualDevice::new();
    device.install("mail", "1.0", &["sync"]);
    device.allow("mail");
    device
}

fn registered(
    device: &mut VirtualDevice,
    trigger: Trigger,
    conditions: &[Condition],
) -> lull_policy::RegistrationId {
    match device.register("mail", "sync", "sync", trigger, conditions) {
        Answer::Registered { id, .. } => id,
        other => panic!("not registered: {other:?}"),
    }
}

fn start_times(device: &VirtualDevice) -> Vec<Span> {
    let starts = device
        .timeline()
        .iter()
        .filter(|entry| matches!(entry.what, Happening::Started(_)));
    starts.map(|entry| entry.at).collect()
}

fn sound(device: &VirtualDevice) {
    assert_eq!(invariants::check(device.machine()), []);
}

fn raise(device: &mut VirtualDevice) -> Answer {
    let app = lull_policy::AppId::new("mail").unwrap();
    let name = TaskName::new("sync").unwrap();
    device.call_front(&app.clone(), Request::RequestRun { app, name })
}

/// TRGD-03: a one-shot of 25 minutes starts between 25 and 40 minutes after its registration, once.
#[test]
fn a_one_shot_timer_starts_once_within_its_window() {
    let mut device = device();
    registered(&mut device, ONCE_IN_25, &[]);
    device.advance(Span::days(2));
    let starts = start_times(&device);
    assert_eq!(starts.len(), 1);
    assert!(
        (Span::minutes(25)..=Span::minutes(40)).contains(&starts[0]),
        "{starts:?}"
    );
    sound(&device);
}

/// AMB-44: a recurring timer of n minutes keeps n on average, and never starts twice within 15 minutes.
#[test]
fn a_recurring_timer_neither_skips_nor_bunches() {
    let mut device = device();
    registered(
        &mut device,
        Trigger::Timer {
            minutes: 20,
            one_shot: false,
        },
        &[],
    );
    device.advance(Span::days(7));
    let starts = start_times(&device);
    assert_eq!(starts.len(), 7 * 24 * 3);
    let least = starts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .min();
    assert!(least >= Some(Span::minutes(15)), "{least:?}");
    sound(&device);
}

/// TRGD-01, TRGD-02, TRGD-04, AMB-18: 15 and 43,199 minutes are accepted, their neighbours outside are refused by name.
#[test]
fn the_floor_and_the_ceiling_of_a_timer_are_exact() {
    for (minutes, accepted) in [
        (14, false),
        (15, true),
        (43_199, true),
        (43_200, false),
        (0, false),
    ] {
        let mut device = device();
        let answer = device.register(
            "mail",
            "sync",
            "sync",
            Trigger::Timer {
                minutes,
                one_shot: true,
            },
            &[],
        );
        match answer {
            Answer::Registered { .. } => assert!(accepted, "{minutes}"),
            Answer::Refused(Refusal::InvalidArgument { .. }) => assert!(!accepted, "{minutes}"),
            other => panic!("{minutes}: {other:?}"),
        }
        assert_eq!(
            device.machine().registrations().count(),
            usize::from(accepted)
        );
    }
}

/// RES-01, RUN-12, RUN-13, AMB-01: asked at 25 s, killed at 30 s; what leaves before the kill is cancelled, not hung.
#[test]
fn a_run_is_asked_at_25_seconds_and_killed_at_30() {
    let leaves = |after| Behaviour::stubborn().with_on_cancel(OnCancel::LeavesAfter(after));
    for (behaviour, outcome, lasts) in [
        (
            Behaviour::takes(Span::millis(24_999)),
            Outcome::Completed,
            Span::millis(24_999),
        ),
        (
            leaves(Span::millis(4_999)),
            Outcome::Cancelled,
            Span::millis(29_999),
        ),
        (Behaviour::stubborn(), Outcome::Hung, Span::seconds(30)),
    ] {
        let mut device = device();
        device.behave("sync", behaviour);
        registered(&mut device, Trigger::Push, &[]);
        device.push("mail", "p1", b"x");
        device.advance(Span::minutes(2));
        assert_eq!(device.outcomes("mail", "sync"), [outcome]);
        let run = device.machine().finished().next().unwrap();
        assert_eq!(run.ran, lasts);
        let asked = outcome != Outcome::Completed;
        assert_eq!(
            run.cancel_reason,
            asked.then_some(CancelReason::ExecutionTimeExceeded)
        );
        sound(&device);
    }
}

/// TRGD-24, AMB-03: an application-triggered run has 600 s, and is asked at 595.
#[test]
fn a_run_that_the_app_asked_for_has_ten_minutes() {
    let mut device = device();
    device.behave("sync", Behaviour::stubborn());
    registered(&mut device, Trigger::Application, &[]);
    assert_eq!(
        raise(&mut device),
        Answer::Raised(lull_policy::Raised::Allowed)
    );
    assert_eq!(
        raise(&mut device),
        Answer::Raised(lull_policy::Raised::CurrentlyRunning)
    );
    device.advance(Span::millis(594_999));
    assert!(
        !device
            .timeline()
            .iter()
            .any(|entry| matches!(entry.what, Happening::AskedToCancel(..)))
    );
    device.advance(Span::minutes(2));
    assert_eq!(
        device.machine().finished().next().unwrap().ran,
        Span::seconds(600)
    );
    sound(&device);
}

/// RES-04: past its cap a run is ended at once, with no request to cancel; at the cap it is not.
#[test]
fn the_memory_cap_ends_a_run_at_once() {
    for (memory, outcome) in [
        (Bytes::mib(32), Outcome::Completed),
        (Bytes(Bytes::mib(32).0 + 1), Outcome::MemoryQuotaExceeded),
    ] {
        let mut device = device();
        device.set_policy(Policy {
            task_memory: Some(Bytes::mib(32)),
            ..Policy::default()
        });
        device.behave("sync", Behaviour::default().with_memory(memory));
        registered(&mut device, Trigger::Push, &[]);
        device.push("mail", "p1", b"x");
        device.advance(Span::minutes(1));
        assert_eq!(device.outcomes("mail", "sync"), [outcome]);
        assert!(
            !device
                .timeline()
                .iter()
                .any(|entry| matches!(entry.what, Happening::AskedToCancel(..)))
        );
        sound(&device);
    }
}

/// CND-01 to CND-03: conditions hold a firing back, do not lose it, and start nothing by themselves.
#[test]
fn a_latched_firing_runs_when_its_conditions_come_to_hold() {
    let mut device = device();
    device.set(&[Reading::Internet(Level::Known(false))]);
    registered(&mut device, Trigger::Push, &[Condition::InternetAvailable]);
    device.set(&[Reading::Internet(Level::Known(true))]);
    device.set(&[Reading::Internet(Level::Known(false))]);
    device.advance(Span::hours(1));
    assert_eq!(
        device.starts("mail", "sync"),
        0,
        "conditions alone start nothing"
    );
    device.push("mail", "p1", b"x");
    device.advance(Span::hours(1));
    assert_eq!(device.starts("mail", "sync"), 0, "held back");
    device.set(&[Reading::Internet(Level::Unknown)]);
    assert_eq!(
        device.starts("mail", "sync"),
        0,
        "unknown satisfies nothing"
    );
    device.set(&[Reading::Internet(Level::Known(true))]);
    assert_eq!(device.starts("mail", "sync"), 1);
    sound(&device);
}

/// CND-05: losing a condition cancels a run only where its registration asked for it.
#[test]
fn a_lost_condition_cancels_only_where_it_was_asked_for() {
    for cancels in [false, true] {
        let mut device = device();
        device.set(&[Reading::Internet(Level::Known(true))]);
        device.behave("sync", Behaviour::takes(Span::seconds(20)));
        let app = lull_policy::AppId::new("mail").unwrap();
        let registration = lull_policy::RegistrationRequest {
            conditions: vec![Condition::InternetAvailable],
            cancel_on_condition_loss: cancels,
            ..lull_policy::RegistrationRequest::new(
                TaskName::new("sync").unwrap(),
                lull_policy::EntryPoint::new("sync").ok(),
                Trigger::Push,
            )
        };
        device.call_front(&app.clone(), Request::Register { app, registration });
        device.push("mail", "p1", b"x");
        device.advance(Span::seconds(5));
        device.set(&[Reading::Internet(Level::Known(false))]);
        device.advance(Span::minutes(1));
        let expected = if cancels {
            Outcome::Cancelled
        } else {
            Outcome::Completed
        };
        assert_eq!(device.outcomes("mail", "sync"), [expected]);
        let reason = device.machine().finished().next().unwrap().cancel_reason;
        assert_eq!(reason, cancels.then_some(CancelReason::ConditionLoss));
        sound(&device);
    }
}

/// TRG-01, TRGC-03: the Internet becoming available is an edge; the first reading is a baseline; unknown in between is no change.
#[test]
fn internet_available_fires_on_its_edge_only() {
    let internet = |value| [Reading::Internet(Level::Known(value))];
    let mut device = device();
    device.set(&internet(true));
    let trigger = Trigger::System {
        event: SystemEvent::InternetAvailable,
        one_shot: false,
    };
    registered(&mut device, trigger, &[]);
    device.advance(Span::hours(1));
    assert_eq!(
        device.starts("mail", "sync"),
        0,
        "the first reading is a baseline"
    );
    device.set(&[Reading::Internet(Level::Unknown)]);
    device.set(&internet(true));
    device.advance(Span::hours(1));
    assert_eq!(
        device.starts("mail", "sync"),
        0,
        "unknown and back is no change"
    );
    for round in 1..=3 {
        device.set(&internet(false));
        device.set(&internet(true));
        device.advance(Span::hours(1));
        assert_eq!(device.starts("mail", "sync"), round);
    }
    sound(&device);
}

/// RES-09, AMB-34, ACC-07: Battery Saver holds back below its level on battery, strictly, and not the exempt.
#[test]
fn battery_saver_holds_back_strictly_below_its_level() {
    for (power, tenths, starts) in [
        (false, 199, 0),
        (false, 200, 1),
        (true, 199, 1),
        (false, 201, 1),
    ] {
        let mut device = device();
        device.set(&[
            Reading::ExternalPower(Level::Known(power)),
            Reading::Battery(Level::Known(PerMille::new(tenths))),
            Reading::BatterySaver(Level::Known(true)),
        ]);
        registered(&mut device, Trigger::Push, &[]);
        device.push("mail", "p1", b"x");
        device.advance(Span::minutes(1));
        assert_eq!(
            device.starts("mail", "sync"),
            starts,
            "power {power}, {tenths} tenths of a percent"
        );
        device.set(&[Reading::ExternalPower(Level::Known(true))]);
        device.advance(Span::minutes(1));
        assert_eq!(device.starts("mail", "sync"), 1, "held back, not lost");
        sound(&device);
    }
}

/// AMB-12: payload-free triggers coalesce while one waits; pushes queue in order.
#[test]
fn pushes_queue_in_order_and_run_one_at_a_time() {
    let mut device = device();
    device.behave("sync", Behaviour::takes(Span::seconds(10)));
    registered(&mut device, Trigger::Push, &[]);
    for id in ["a", "b", "c"] {
        device.push("mail", id, b"x");
    }
    device.push("mail", "a", b"again");
    assert_eq!(device.starts("mail", "sync"), 1, "one at a time");
    device.advance(Span::minutes(1));
    let order: Vec<_> = device
        .machine()
        .finished()
        .filter_map(|run| run.push.as_ref().map(ToString::to_string))
        .collect();
    assert_eq!(
        order,
        ["a", "b", "c"],
        "in order, and the double started nothing"
    );
    assert_eq!(
        start_times(&device),
        [Span::ZERO, Span::seconds(10), Span::seconds(20)]
    );
    sound(&device);
}

/// PSH-16, I1: a push that outlives its time waiting expires with a receipt, exactly one terminal one.
#[test]
fn every_push_has_exactly_one_terminal_receipt() {
    let mut device = device();
    device.set(&[Reading::Internet(Level::Known(false))]);
    registered(&mut device, Trigger::Push, &[Condition::InternetAvailable]);
    device.push("mail", "waits", b"x");
    device.push("other", "nobody", b"x");
    device.advance(Span::days(4));
    let terminal = |id: &str| -> Vec<Hop> {
        let receipts = device
            .timeline()
            .iter()
            .filter_map(|entry| match &entry.what {
                Happening::Receipt(receipt) if receipt.push.as_str() == id => {
                    Some(receipt.hop.clone())
                }
                _ => None,
            });
        receipts
            .filter(|hop| {
                matches!(
                    hop,
                    Hop::Finished { .. } | Hop::Expired | Hop::Dropped { .. }
                )
            })
            .collect()
    };
    assert_eq!(terminal("waits"), [Hop::Expired]);
    assert_eq!(terminal("nobody").len(), 1);
    assert!(matches!(terminal("nobody")[0], Hop::Dropped { .. }));
    sound(&device);
}

/// ACC-01, ACC-15: nothing is registered without access, and nothing fires once it is dropped (AMB-08).
#[test]
fn access_stands_before_everything() {
    let mut device = VirtualDevice::new();
    device.install("mail", "1.0", &["sync"]);
    let refused = device.register("mail", "sync", "sync", Trigger::Push, &[]);
    assert!(
        matches!(refused, Answer::Refused(Refusal::AccessDenied { .. })),
        "{refused:?}"
    );
    device.allow("mail");
    registered(&mut device, Trigger::Push, &[]);
    let app = lull_policy::AppId::new("mail").unwrap();
    device.call_front(&app.clone(), Request::RemoveAccess { app: app.clone() });
    device.push("mail", "p1", b"x");
    device.advance(Span::minutes(1));
    assert_eq!(device.starts("mail", "sync"), 0);
    assert_eq!(
        device.machine().registrations().count(),
        1,
        "kept and inert"
    );
    device.call_front(&app.clone(), Request::RequestAccess { app });
    device.push("mail", "p2", b"x");
    device.advance(Span::minutes(1));
    assert_eq!(device.starts("mail", "sync"), 1);
    sound(&device);
}

/// ACC-02, AMB-07: after an update the grant is stale; dropping it and asking again renews it.
#[test]
fn an_update_makes_the_grant_stale() {
    let mut device = device();
    registered(&mut device, Trigger::Push, &[]);
    device.install("mail", "2.0", &["sync"]);
    device.push("mail", "p1", b"x");
    device.advance(Span::minutes(1));
    assert_eq!(device.starts("mail", "sync"), 0);
    let app = lull_policy::AppId::new("mail").unwrap();
    device.call_front(&app.clone(), Request::RemoveAccess { app });
    device.allow("mail");
    device.push("mail", "p2", b"x");
    device.advance(Span::minutes(1));
    assert_eq!(device.starts("mail", "sync"), 1);
    sound(&device);
}

/// MNG-04, AMB-14: unregistering without cancel lets the run finish and drops what waits; with cancel it is asked to abort.
#[test]
fn unregistering_ends_what_waits_and_only_cancels_when_asked() {
    for cancel in [false, true] {
        let mut device = device();
        device.behave("sync", Behaviour::takes(Span::seconds(10)));
        let id = registered(&mut device, Trigger::Push, &[]);
        device.push("mail", "runs", b"x");
        device.push("mail", "waits", b"x");
        let app = lull_policy::AppId::new("mail").unwrap();
        device.call_front(&app.clone(), Request::Unregister { app, id, cancel });
        device.advance(Span::minutes(1));
        let expected = if cancel {
            Outcome::Cancelled
        } else {
            Outcome::Completed
        };
        assert_eq!(device.outcomes("mail", "sync"), [expected]);
        let dropped = device.timeline().iter().any(|entry| {
            matches!(&entry.what, Happening::Receipt(receipt)
                if receipt.push.as_str() == "waits" && receipt.hop == Hop::Dropped { reason: DropReason::Unregistered })
        });
        assert!(dropped, "what waited is dropped, and said so");
        sound(&device);
    }
}

/// I1, I2, I8: a daemon that restarts in the middle of a run keeps it; one that loses power runs its push again as attempt 2.
#[test]
fn a_restart_keeps_a_run_and_a_power_cut_tries_its_push_again() {
    let mut device = device();
    device.behave("sync", Behaviour::takes(Span::seconds(10)));
    registered(&mut device, Trigger::Push, &[]);
    device.push("mail", "p1", b"x");
    device.advance(Span::seconds(5));
    device.restart();
    device.advance(Span::minutes(1));
    assert_eq!(device.outcomes("mail", "sync"), [Outcome::Completed]);
    device.push("mail", "p2", b"x");
    device.advance(Span::seconds(5));
    device.power_cut();
    device.advance(Span::minutes(1));
    assert_eq!(
        device.outcomes("mail", "sync"),
        [Outcome::Completed, Outcome::Lost, Outcome::Completed]
    );
    assert_eq!(device.machine().finished().last().unwrap().attempt, 2);
    let last = device
        .timeline()
        .iter()
        .rev()
        .find_map(|entry| match &entry.what {
            Happening::Receipt(receipt) => Some(receipt.hop.clone()),
            _ => None,
        });
    assert!(
        matches!(last, Some(Hop::Finished { attempt: 2, .. })),
        "{last:?}"
    );
    sound(&device);
}

/// RUN-20, RUN-43 (plain commands): abort and crash are told to the app with what the agent said; the registration stays.
#[test]
fn an_abort_is_told_to_the_app_and_keeps_the_registration() {
    for (ending, outcome) in [
        (Ending::Abort, Outcome::Aborted),
        (Ending::Crash, Outcome::UnhandledException),
    ] {
        let mut device = device();
        device.behave("sync", Behaviour::default().with_ending(ending));
        registered(&mut device, Trigger::Push, &[]);
        device.push("mail", "p1", b"x");
        device.push("mail", "p2", b"x");
        device.advance(Span::minutes(1));
        assert_eq!(
            device.outcomes("mail", "sync"),
            [outcome, outcome],
            "it runs again"
        );
        let told = device.timeline().iter().any(|entry| {
            matches!(&entry.what, Happening::Told(_, Notice::Completion(run)) if run.outcome == outcome)
        });
        assert!(told);
        sound(&device);
    }
}

/// Architecture 2, rule 6: what holds a task back is what `why` says, and nothing else.
#[test]
fn why_names_every_reason_that_holds() {
    let mut device = device();
    device.set(&[
        Reading::Internet(Level::Known(false)),
        Reading::UserPresent(Level::Known(true)),
    ]);
    registered(
        &mut device,
        Trigger::Push,
        &[Condition::InternetAvailable, Condition::UserNotPresent],
    );
    device.push("mail", "p1", b"x");
    let explain = |device: &VirtualDevice| {
        let app = lull_policy::AppId::new("mail").unwrap();
        let task = TaskName::new("sync").unwrap();
        device
            .machine()
            .explain(device.now(), &app, &task)
            .remove(0)
    };
    let explained = explain(&device);
    assert_eq!(explained.waiting, 1);
    let reasons: Vec<_> = explained.reasons.iter().map(|why| why.reason).collect();
    assert_eq!(
        reasons,
        [
            lull_policy::WaitReason::UserNotPresent,
            lull_policy::WaitReason::Internet
        ]
    );
    device.set(&[Reading::UserPresent(Level::Known(false))]);
    let reasons: Vec<_> = explain(&device)
        .reasons
        .iter()
        .map(|why| why.reason)
        .collect();
    assert_eq!(reasons, [lull_policy::WaitReason::Internet]);
}

/// An operator's "never" beats the app's own request; "always" exempts from Battery Saver (ACC-14, RES-11).
#[test]
fn the_operator_has_the_last_word_on_access() {
    let mut device = device();
    registered(&mut device, Trigger::Push, &[]);
    let app = lull_policy::AppId::new("mail").unwrap();
    let choose = |device: &mut VirtualDevice, choice| {
        device.call(
            Caller::Operator,
            Request::SetAccess {
                app: app.clone(),
                choice,
            },
        )
    };
    choose(&mut device, Some(lull_policy::AccessChoice::Never));
    device.push("mail", "p1", b"x");
    device.advance(Span::minutes(1));
    assert_eq!(device.starts("mail", "sync"), 0);
    choose(&mut device, Some(lull_policy::AccessChoice::Always));
    device.set(&[
        Reading::ExternalPower(Level::Known(false)),
        Reading::Battery(Level::Known(PerMille::percent(5))),
        Reading::BatterySaver(Level::Known(true)),
    ]);
    device.push("mail", "p2", b"x");
    device.advance(Span::minutes(1));
    assert_eq!(device.starts("mail", "sync"), 1);
    sound(&device);
}
