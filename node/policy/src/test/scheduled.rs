//! Scheduled agents: who may schedule one, within which limits, and how its life, its crashes and the operator end or
//! hold it (rule book, 1c, 6, 8 and 9).

use super::*;

fn expiring(bench: &mut Bench, expires: Option<Wall>) -> Answer {
    bench.ask(Request::AddScheduled {
        app: app_id("mail"),
        kind: PERIODIC,
        description: "keeps things in step".to_owned(),
        expires,
    })
}

fn in_the_state(end: &[End]) -> (Bench, Scheduling) {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    for end in end {
        let run = bench.next_run();
        bench.finish(run, *end);
    }
    let scheduling = bench.scheduling(PERIODIC);
    (bench, scheduling)
}

/// The periodic limits of each memory class: hard 6 and warning 4, else 18 and 12 (AMB-21).
const CLASSES: [(Option<u64>, usize, usize); 3] = [
    (Some(999_999_999), 4, 6),
    (Some(1_000_000_000), 12, 18),
    (None, 12, 18),
];

fn many(memory: Option<u64>, hard: usize) -> (Bench, Vec<String>) {
    let mut bench = Bench::bare();
    bench.profile(Profile {
        memory: memory.map(Bytes),
        ..Profile::default()
    });
    let names: Vec<String> = (0..=hard).map(|n| format!("app-{n:02}")).collect();
    bench.install(names.iter().map(|name| full_app(name)).collect());
    (bench, names)
}

fn warnings(bench: &Bench) -> Vec<(u32, u32)> {
    let warning = |told: &(u64, Observation)| match told.1 {
        Observation::PeriodicAgents { count, limit } => Some((count, limit)),
        _ => None,
    };
    bench.told.iter().filter_map(warning).collect()
}

#[test]
fn periodic_warning_once_for_each_crossing() {
    for (memory, warning, hard) in CLASSES {
        let (mut bench, names) = many(memory, hard);
        let number = |n: usize| u32::try_from(n).unwrap();
        let crossing = (number(warning + 1), number(warning));
        for (n, name) in names.iter().take(hard).enumerate() {
            bench.add(name, PERIODIC);
            let expected = if n < warning { vec![] } else { vec![crossing] };
            assert_eq!(warnings(&bench), expected, "{} of {hard}", n + 1);
        }
        for name in &names[warning + 1..hard] {
            bench.remove(name, PERIODIC);
        }
        bench.add(&names[hard], PERIODIC);
        assert_eq!(warnings(&bench).len(), 1, "it never was back at the limit");
        bench.remove(&names[hard], PERIODIC);
        bench.remove(&names[warning], PERIODIC);
        assert_eq!(warnings(&bench).len(), 1, "back at the limit");
        bench.add(&names[warning], PERIODIC);
        assert_eq!(warnings(&bench), [crossing, crossing]);
    }
}

#[test]
fn beyond_the_hard_limit_an_add_fails_and_changes_nothing() {
    for (memory, _, hard) in CLASSES {
        let (mut bench, names) = many(memory, hard);
        for name in &names[..hard] {
            bench.add(name, PERIODIC);
        }
        let before = bench.device.records();
        let answer = bench.try_add(&names[hard], PERIODIC);
        assert_eq!(refusal(&answer), "limit-reached", "{memory:?}");
        assert_eq!(bench.device.records(), before, "nothing is stored (PER-06)");
        // INT-12: no such limit for the other kind.
        for name in &names {
            assert_eq!(refusal(&bench.try_add(name, INTENSIVE)), "ok");
        }
        // AMB-19: a place is free when its agent is unscheduled.
        let run = bench.next_run();
        let app = bench.device.runs().next().unwrap().app.clone();
        bench.finish(run, End::Abort);
        assert_eq!(refusal(&bench.try_add(&names[hard], PERIODIC)), "ok");
        let again = bench.try_add(app.as_str(), PERIODIC);
        assert_eq!(refusal(&again), "limit-reached", "AMB-19");
    }
}

#[test]
fn a_limit_of_policy_is_never_below_six_and_the_warning_below_it() {
    let rows = [
        (Some(0), None, (6, 4)),
        (Some(5), None, (6, 4)),
        (Some(6), Some(6), (6, 5)),
        (Some(7), Some(6), (7, 6)),
        (Some(7), Some(7), (7, 6)),
        (Some(4), Some(0), (6, 0)),
    ];
    let profile = Profile {
        memory: Some(Bytes::mib(512)),
        ..Profile::default()
    };
    for (periodic_hard_limit, periodic_warning_limit, expected) in rows {
        let policy = Policy {
            periodic_hard_limit,
            periodic_warning_limit,
            ..Policy::default()
        };
        let found = (
            policy.periodic_hard_limit(&profile),
            policy.periodic_warning_limit(&profile),
        );
        assert_eq!(
            found, expected,
            "{periodic_hard_limit:?} {periodic_warning_limit:?}"
        );
    }
}

#[test]
fn only_the_app_in_the_foreground_schedules() {
    let mut bench = Bench::with(&["mail", "news"]);
    bench.add("mail", INTENSIVE);
    bench.add("news", PERIODIC);
    let run = bench.next_run();
    let front = |id: &str, foreground| Caller::Front {
        app: app_id(id),
        foreground,
    };
    let agent = Caller::Agent { run: RunId(run) };
    for caller in [front("mail", false), front("news", true), agent] {
        let app = app_id("mail");
        let add = Request::AddScheduled {
            app: app.clone(),
            kind: PERIODIC,
            description: "d".to_owned(),
            expires: None,
        };
        let kind = INTENSIVE;
        for request in [add, Request::RemoveScheduled { app, kind }] {
            let answer = bench.ask_as(caller.clone(), request.clone());
            assert_eq!(
                refusal(&answer),
                "permission-denied",
                "{caller:?} {request:?}"
            );
        }
    }
    // No grant is needed.
    bench.ask(Request::RemoveAccess {
        app: app_id("mail"),
    });
    assert_eq!(refusal(&bench.try_add("mail", PERIODIC)), "ok");
    assert_eq!(refusal(&bench.remove("mail", PERIODIC)), "ok");
    assert_eq!(refusal(&bench.remove("mail", PERIODIC)), "not-found");
}

#[test]
fn the_first_refusal_that_applies_is_given() {
    let (mut bench, names) = many(Some(1), 6);
    for name in &names[..6] {
        bench.add(name, PERIODIC);
    }
    let off = Choice {
        agents_disabled: Some(true),
        ..Choice::default()
    };
    let choose = |bench: &mut Bench, id: &str, choice| {
        let app = app_id(id);
        bench.ask(Request::Choose { app, choice })
    };
    for id in [&names[0], &names[6]] {
        choose(&mut bench, id, off);
    }
    let add = |bench: &mut Bench, id: &str, description: &str| {
        let answer = bench.ask(Request::AddScheduled {
            app: app_id(id),
            kind: PERIODIC,
            description: description.to_owned(),
            expires: None,
        });
        refusal(&answer)
    };
    assert_eq!(add(&mut bench, &names[0], ""), "invalid-argument", "ACC-46");
    assert_eq!(add(&mut bench, &names[0], "d"), "already-exists", "ACC-41");
    assert_eq!(
        add(&mut bench, &names[6], "d"),
        "failed-precondition",
        "ACC-44"
    );
    let on = Choice {
        agents_disabled: Some(false),
        ..Choice::default()
    };
    choose(&mut bench, &names[6], on);
    assert_eq!(add(&mut bench, &names[6], "d"), "limit-reached", "ACC-43");
}

#[test]
fn an_app_without_a_scheduled_agent_schedules_nothing() {
    let mut bench = Bench::new();
    for kind in [PERIODIC, INTENSIVE] {
        assert_eq!(refusal(&bench.try_add("mail", kind)), "invalid-argument");
    }
}

#[test]
fn an_expiry_lies_within_two_weeks() {
    let rows: [(i64, &str); 7] = [
        (-1, "invalid-argument"),
        (0, "invalid-argument"),
        (1, "ok"),
        (14 * 86_400_000 - 1, "ok"),
        (14 * 86_400_000, "ok"),
        (14 * 86_400_000 + 1_000, "ok"),
        (14 * 86_400_000 + 1_001, "invalid-argument"),
    ];
    for (from_now, expected) in rows {
        let mut bench = Bench::full();
        let wall = bench.now.wall.as_millis().saturating_add_signed(from_now);
        let answer = expiring(&mut bench, Some(Wall::from_millis(wall)));
        assert_eq!(refusal(&answer), expected, "{from_now} ms from now");
    }
    let mut bench = Bench::full();
    expiring(&mut bench, None);
    let (found, latest) = (
        bench.schedule_of(PERIODIC).expires,
        bench.now.wall.after(Span::days(14)),
    );
    assert_eq!(found, latest, "EXP-02");
}

#[test]
fn an_expired_task_never_runs_again() {
    let mut bench = Bench::full();
    let expires = bench.now.wall.after(Span::hours(1));
    expiring(&mut bench, Some(expires));
    let run = bench.next_run();
    bench.finish(run, End::Done);
    // The second occurrence is missed before the expiry.
    bench.read(&[
        Reading::BatterySaver(Level::Known(true)),
        Reading::SaverManual(Level::Known(true)),
    ]);
    bench.until(HOUR - 1);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Scheduled);
    bench.go(2);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Expired);
    bench.read(&[Reading::SaverManual(Level::Known(false))]);
    bench.go(3 * HOUR);
    assert_eq!(bench.starts("mail", "periodic").len(), 1, "EXP-02");
    let id = bench
        .device
        .scheduled(&app_id("mail"), PERIODIC)
        .unwrap()
        .id;
    assert_eq!(
        bench.device.state_of(id),
        TaskState::Expired,
        "it is still found"
    );
    let (app, kind, delay) = (app_id("mail"), PERIODIC, Span::ZERO);
    let answer = bench.ask(Request::LaunchForTest { app, kind, delay });
    assert_eq!(refusal(&answer), "failed-precondition", "EXP-08");
    // AMB-30: not revived but by the foreground (EXP-03).
    assert_eq!(refusal(&bench.try_add("mail", PERIODIC)), "ok");
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Scheduled);
}

#[test]
fn an_expiry_follows_the_wall_clock() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    bench.now.wall = bench
        .now
        .wall
        .after(Span::days(14).saturating_add(Span::millis(1)));
    bench.send(Event::ClockStepped);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Expired, "AMB-32");
}

#[test]
fn a_card_that_the_user_chose_renews_both_kinds() {
    let choice = |pinned, lock_screen| Choice {
        pinned: Some(pinned),
        lock_screen: Some(lock_screen),
        ..Choice::default()
    };
    let rows = [
        (choice(false, false), false),
        (choice(true, false), true),
        (choice(false, true), true),
        (choice(true, true), true),
    ];
    for (choice, renewed) in rows {
        let mut bench = Bench::full();
        let before = bench.now.wall.after(Span::days(14));
        bench.add("mail", PERIODIC);
        bench.add("mail", INTENSIVE);
        bench.choose(choice);
        let run = bench.next_run();
        bench.start(run);
        bench.report(run, Report::CardUpdated);
        let expected = if renewed {
            bench.now.wall.after(Span::days(14))
        } else {
            before
        };
        for kind in [PERIODIC, INTENSIVE] {
            assert_eq!(
                bench.schedule_of(kind).expires,
                expected,
                "{choice:?} {kind:?}"
            );
        }
    }
}

#[test]
fn nothing_else_renews() {
    let mut bench = Bench::full();
    let before = bench.now.wall.after(Span::days(14));
    bench.add("mail", PERIODIC);
    bench.choose(Choice {
        pinned: Some(true),
        ..Choice::default()
    });
    bench.register(request("p", Trigger::Push));
    bench.go(MINUTE);
    bench.push("p1");
    let run = bench.only_run().id.0;
    bench.start(run);
    bench.report(run, Report::CardUpdated);
    let front = Caller::Front {
        app: app_id("mail"),
        foreground: true,
    };
    bench.ask_as(
        front,
        Request::UpdateCard {
            app: app_id("mail"),
        },
    );
    bench.end(run, Exit::Status(0));
    let run = bench.next_run();
    bench.finish(run, End::Done);
    assert_eq!(
        bench.schedule_of(PERIODIC).expires,
        before,
        "EXP-04, EXP-07"
    );
}

#[test]
fn a_renewal_never_shortens_and_never_revives() {
    let mut bench = Bench::full();
    let soon = bench.now.wall.after(Span::minutes(50));
    expiring(&mut bench, Some(soon));
    bench.add("mail", INTENSIVE);
    bench.choose(Choice {
        pinned: Some(true),
        ..Choice::default()
    });
    bench.eligible();
    for _ in [INTENSIVE, PERIODIC] {
        let run = bench.next_run();
        bench.finish(run, End::Done);
    }
    bench.until(50 * MINUTE + 1);
    bench.read(&[Reading::ScreenLocked(Level::Known(false))]);
    bench.eligible();
    bench.go(10 * SECOND);
    let run = bench.only_run();
    assert_eq!(run.kind, TriggerKind::ResourceIntensive);
    bench.report(run.id.0, Report::CardUpdated);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Expired, "AMB-30");
    let renewed = bench.schedule_of(INTENSIVE).expires;
    // The wall clock goes back: two weeks from then are less.
    bench.now.wall = bench.now.wall.before(Span::days(1));
    bench.send(Event::ClockStepped);
    bench.report(run.id.0, Report::CardUpdated);
    assert_eq!(bench.schedule_of(INTENSIVE).expires, renewed, "AMB-30");
}

#[test]
fn automatic_upload_keeps_the_resource_intensive_task_alive() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    bench.add("mail", INTENSIVE);
    let upload = |on| Choice {
        auto_upload: Some(on),
        ..Choice::default()
    };
    bench.choose(upload(true));
    bench.now.wall = bench.now.wall.after(Span::days(20));
    bench.send(Event::ClockStepped);
    assert_eq!(
        bench.scheduling(PERIODIC),
        Scheduling::Expired,
        "only that one (EXP-06)"
    );
    assert_eq!(bench.scheduling(INTENSIVE), Scheduling::Scheduled);
    bench.choose(upload(false));
    assert_eq!(bench.scheduling(INTENSIVE), Scheduling::Expired, "AMB-31");
}

#[test]
fn two_crashes_in_a_row_unschedule() {
    use End::{Abort, Crash, Done, Memory, Silent, Status75, Terminated, Time};
    use Scheduling::{Aborted, Crashed, Scheduled};
    let rows: [(&[End], Scheduling); 16] = [
        (&[Done, Done, Done], Scheduled),
        (&[Crash], Scheduled),
        (&[Crash, Crash], Crashed),
        (&[Memory, Memory], Crashed),
        (&[Memory, Crash], Crashed),
        (&[Crash, Memory], Crashed),
        (&[Silent, Silent], Crashed),
        (&[Crash, Done, Crash], Scheduled),
        (&[Crash, Time, Crash], Scheduled),
        (&[Crash, Terminated, Crash], Scheduled),
        (&[Time, Time, Time], Scheduled),
        (&[Terminated, Terminated, Terminated], Scheduled),
        (&[Crash, Done, Crash, Memory], Crashed),
        (&[Abort], Aborted),
        (&[Status75], Aborted),
        (&[Crash, Abort], Aborted),
    ];
    for (ends, expected) in rows {
        assert_eq!(in_the_state(ends).1, expected, "{ends:?}");
    }
}

#[test]
fn a_new_add_clears_the_counter_and_a_boot_does_not() {
    let (mut bench, _) = in_the_state(&[End::Crash]);
    bench.remove("mail", PERIODIC);
    bench.add("mail", PERIODIC);
    let run = bench.next_run();
    bench.finish(run, End::Crash);
    assert_eq!(
        bench.scheduling(PERIODIC),
        Scheduling::Scheduled,
        "a new Add"
    );
    bench.device = bench.restored();
    bench.boot("boot-2");
    bench.send(Event::RunsHeld { runs: Vec::new() });
    bench.read(&[Reading::ExternalPower(Level::Known(true))]);
    let run = bench.next_run();
    bench.finish(run, End::Crash);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Crashed, "AMB-13");
    bench.go(2 * HOUR);
    assert_eq!(bench.device.runs().count(), 0, "CRS-02");
}

#[test]
fn one_crash_changes_no_schedule() {
    let (mut bench, _) = in_the_state(&[End::Crash]);
    bench.next_run();
    let starts = bench.starts("mail", "periodic");
    assert_eq!(starts, [30 * MINUTE, 60 * MINUTE], "CRS-04");
}

#[test]
fn the_kinds_count_apart() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    let run = bench.next_run();
    bench.finish(run, End::Crash);
    bench.eligible();
    bench.add("mail", INTENSIVE);
    let run = bench.next_run();
    bench.finish(run, End::Crash);
    let both = [PERIODIC, INTENSIVE].map(|kind| bench.scheduling(kind));
    assert_eq!(both, [Scheduling::Scheduled; 2], "AMB-16");
}

#[test]
fn agents_switched_off_are_held_and_stay_scheduled() {
    let switch = |off| Choice {
        agents_disabled: Some(off),
        ..Choice::default()
    };
    let mut bench = Bench::full();
    let id = bench.add("mail", PERIODIC);
    bench.choose(switch(true));
    bench.go(3 * HOUR);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Scheduled);
    assert_eq!(bench.waits_for(id), [WaitReason::Operator]);
    assert_eq!(bench.starts("mail", "periodic"), [0; 0]);
    bench.choose(switch(false));
    assert_eq!(bench.starts("mail", "periodic"), [3 * HOUR], "with one run");
}

#[test]
fn scheduled_task_info_has_last_scheduled_time_and_exit_reason() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    let info = |bench: &Bench| {
        let schedule = bench.schedule_of(PERIODIC);
        (schedule.last_scheduled, schedule.last_exit)
    };
    assert_eq!(info(&bench), (None, None), "never ran (CRS-06)");
    for (end, outcome) in [
        (End::Done, Outcome::Completed),
        (End::Crash, Outcome::UnhandledException),
        (End::Time, Outcome::ExecutionTimeExceeded),
        (End::Memory, Outcome::MemoryQuotaExceeded),
        (End::Terminated, Outcome::Terminated),
        (End::Abort, Outcome::Aborted),
    ] {
        let run = bench.next_run();
        let started = bench.now.wall;
        bench.finish(run, end);
        assert_eq!(info(&bench), (Some(started), Some(outcome)), "{end:?}");
        bench.restart(Vec::new());
        bench.read(&[Reading::ExternalPower(Level::Known(true))]);
        assert_eq!(
            info(&bench),
            (Some(started), Some(outcome)),
            "{end:?}, restarted"
        );
    }
}
