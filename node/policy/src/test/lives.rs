//! The life of a scheduled task: two weeks, renewals, and the crashes and aborts that end it early (rule book, 8 and 9).

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
