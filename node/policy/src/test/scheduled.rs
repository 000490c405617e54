//! Scheduled agents: who may schedule one, within which limits, and how the operator holds it (rule book, 1c and 6).

use super::*;

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
