//! The app's own process: what it is told and when, and what runs in it (RUN-01 to RUN-05, RUN-17 to RUN-20, TRGD-33).

use super::*;

const PROGRESS: fn(u32) -> Happening = Happening::Progress;
const COMPLETED: Happening = Happening::Completion(Outcome::Completed);
const FAILED: Happening = Happening::Completion(Outcome::UnhandledException);

/// Two runs under way, of `a` and `b`.
fn two_runs() -> Bench {
    let mut bench = Bench::full();
    bench.register(request("a", INTERNET));
    bench.register(request("b", INTERNET));
    bench.internet(false);
    bench.internet(true);
    bench.start(1);
    bench.start(2);
    bench
}

/// An in-process run under way.
fn in_the_app(state: FrontState) -> Bench {
    let mut bench = Bench::full();
    bench.register(in_process("in", INTERNET));
    bench.register(in_process("too", INTERNET));
    bench.register(request("out", INTERNET));
    bench.internet(false);
    bench.front(state);
    bench.internet(true);
    for run in 1..=3 {
        bench.start(run);
    }
    bench
}

fn fronts(bench: &Bench) -> Vec<(FrontState, FrontReason)> {
    let front = |told: &(u64, Observation)| match &told.1 {
        Observation::Front { state, reason, .. } => Some((*state, *reason)),
        _ => None,
    };
    bench.told.iter().filter_map(front).collect()
}

#[test]
fn progress_reaches_the_foreground_only() {
    let rows = [
        (FrontState::None, vec![]),
        (FrontState::Background, vec![]),
        (FrontState::Suspended, vec![]),
        (
            FrontState::Foreground,
            vec![(1, PROGRESS(3)), (1, PROGRESS(u32::MAX))],
        ),
    ];
    for (state, expected) in rows {
        let mut bench = two_runs();
        bench.front(state);
        bench.report(1, Report::Progress(3));
        bench.report(1, Report::Progress(u32::MAX));
        assert_eq!(bench.news(), expected, "RUN-18: {state:?}");
    }
    // What went by in the background is lost.
    let mut bench = two_runs();
    bench.front(FrontState::Background);
    bench.report(1, Report::Progress(3));
    bench.front(FrontState::Foreground);
    assert_eq!(bench.news(), []);
}

#[test]
fn completion_follows_the_state_of_the_front_client() {
    let done = vec![(1, COMPLETED)];
    let rows = [
        (FrontState::Foreground, done.clone(), vec![]),
        (FrontState::Background, vec![], done.clone()),
        (FrontState::Suspended, vec![], done),
        (FrontState::None, vec![], vec![]),
    ];
    for (state, at_once, later) in rows {
        let mut bench = two_runs();
        bench.front(state);
        bench.end(1, Exit::Status(0));
        assert_eq!(bench.news(), at_once, "RUN-19: {state:?}");
        bench.front(FrontState::Foreground);
        assert_eq!(
            bench.news(),
            [at_once, later].concat(),
            "{state:?}, resumed"
        );
        assert_eq!(bench.last_outcome(), Outcome::Completed, "the log has it");
    }
}

#[test]
fn suspended_app_gets_progress_and_completion_on_resume() {
    let mut bench = two_runs();
    bench.front(FrontState::Foreground);
    bench.front(FrontState::Suspended);
    for (run, value) in [(2, 1), (1, 5), (2, 2), (1, 9)] {
        bench.report(run, Report::Progress(value));
    }
    bench.end(2, Exit::Signal(11));
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.news(), [], "TRGD-33");
    bench.restart(Vec::new());
    bench.front(FrontState::Foreground);
    let mut news = bench.news();
    news[..2].sort_by_key(|(run, _)| *run);
    let expected = [
        (1, PROGRESS(9)),
        (2, PROGRESS(2)),
        (2, FAILED),
        (1, COMPLETED),
    ];
    assert_eq!(
        news, expected,
        "the newest progress, then completions, oldest first"
    );
    bench.front(FrontState::Suspended);
    bench.front(FrontState::Foreground);
    assert_eq!(bench.news().len(), 4, "once");
}

#[test]
fn no_completion_after_exit_but_the_log_has_it() {
    for state in [FrontState::Suspended, FrontState::Background] {
        let mut bench = two_runs();
        bench.front(state);
        bench.report(1, Report::Progress(3));
        bench.end(1, Exit::Status(0));
        bench.front(FrontState::None);
        bench.front(FrontState::Foreground);
        assert_eq!(bench.news(), [], "AMB-20: {state:?}");
        assert_eq!(bench.last_outcome(), Outcome::Completed);
    }
}

#[test]
fn progress_completion_and_cancellation_reach_the_app() {
    let mut bench = two_runs();
    bench.front(FrontState::Foreground);
    bench.report(1, Report::Progress(40));
    bench.end(1, Exit::Status(0));
    let id = bench.only_run().registration;
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id,
        cancel: true,
    });
    bench.end(2, Exit::Status(0));
    let cancelled = Happening::Completion(Outcome::Cancelled);
    let expected = [(1, PROGRESS(40)), (1, COMPLETED), (2, cancelled)];
    assert_eq!(bench.news(), expected, "RUN-17");
    let log: Vec<_> = bench
        .device
        .finished()
        .map(|run| (run.id.0, run.progress, run.outcome, run.cancel_reason))
        .collect();
    let abort = Some(CancelReason::Abort);
    let expected = [
        (1, Some(40), Outcome::Completed, None),
        (2, None, Outcome::Cancelled, abort),
    ];
    assert_eq!(log, expected);
}

#[test]
fn progress_completion_and_cancellation_reach_the_front_client() {
    let mut bench = two_runs();
    bench.front(FrontState::Foreground);
    bench.report(1, Report::Progress(40));
    let message = "no server".to_owned();
    bench.report(1, Report::Aborted { message });
    bench.end(1, Exit::Status(0));
    bench.end(2, Exit::Signal(11));
    let aborted = Happening::Completion(Outcome::Aborted);
    assert_eq!(
        bench.news(),
        [(1, PROGRESS(40)), (1, aborted), (2, FAILED)],
        "MNG-05"
    );
    let errors: Vec<_> = bench
        .device
        .finished()
        .map(|run| run.message.clone())
        .collect();
    assert_eq!(errors[0].as_deref(), Some("no server"), "RUN-20");
    assert!(errors[1].is_some(), "RUN-20, RUN-21");
}

#[test]
fn news_kept_for_an_app_are_bounded_and_the_oldest_give_way() {
    let mut bench = Bench::full();
    bench.register(request("p", Trigger::Push));
    bench.front(FrontState::Suspended);
    for run in 1..=65 {
        bench.push(&format!("p{run}"));
        bench.end(run, Exit::Status(0));
    }
    bench.front(FrontState::Foreground);
    let runs: Vec<u64> = bench.news().iter().map(|(run, _)| *run).collect();
    assert_eq!(runs, (2..=65).collect::<Vec<_>>());
    assert_eq!(bench.device.finished().count(), 65, "the log has them all");
}

#[test]
fn in_process_activation_names_task_and_group() {
    let mut bench = Bench::full();
    let group = GroupId::new("maps").unwrap();
    let id = bench.register(RegistrationRequest {
        group: Some(group.clone()),
        ..in_process("tiles", Trigger::Push)
    });
    bench.push("p1");
    let launch = bench.launch();
    assert_eq!(
        (launch.task, launch.host),
        (task("tiles"), HostKind::InProcess)
    );
    assert_eq!(
        (launch.registration, launch.entry_point),
        (id, None),
        "RUN-03"
    );
    let registration = bench.device.registration(id).unwrap();
    assert_eq!(registration.group, Some(group), "MNG-03");
}

#[test]
fn an_app_that_does_not_run_is_started_in_the_background() {
    let rows = [
        (FrontState::None, true),
        (FrontState::Background, false),
        (FrontState::Suspended, false),
        (FrontState::Foreground, false),
    ];
    for (state, started) in rows {
        let mut bench = Bench::full();
        bench.register(in_process("in", timer(15)));
        bench.front(state);
        let effects = bench.go(15 * MINUTE);
        let app = app_id("mail");
        let order = effects.contains(&Effect::StartFront { app: app.clone() });
        assert_eq!(order, started, "RUN-04: {state:?}");
        let expected = if started {
            FrontState::Background
        } else {
            state
        };
        assert_eq!(bench.device.front(&app), expected);
        bench.end(1, Exit::Status(0));
        assert_eq!(bench.device.front(&app), expected, "where it stays");
    }
}

#[test]
fn an_in_process_crash_takes_the_app_with_it() {
    for exit in [Exit::Signal(11), Exit::Status(1), Exit::Vanished] {
        let mut bench = in_the_app(FrontState::Foreground);
        bench.end(1, exit);
        assert_eq!(bench.last_outcome(), Outcome::UnhandledException);
        assert_eq!(
            bench.device.front(&app_id("mail")),
            FrontState::None,
            "RUN-02"
        );
        assert_eq!(
            fronts(&bench).last(),
            Some(&(FrontState::None, FrontReason::Crashed))
        );
        assert_eq!(
            kills(&bench.effects),
            [2],
            "its other in-process run, not the third"
        );
        bench.end(2, Exit::Signal(9));
        assert_eq!(bench.last_outcome(), Outcome::Terminated);
    }
}

#[test]
fn an_out_of_process_crash_leaves_the_app_alone() {
    let mut bench = in_the_app(FrontState::Foreground);
    bench.end(3, Exit::Signal(11));
    assert_eq!(
        bench.device.front(&app_id("mail")),
        FrontState::Foreground,
        "RUN-02"
    );
    assert_eq!(kills(&bench.effects), [0; 0]);
}

#[test]
fn an_in_process_run_that_does_not_leave_takes_the_app_with_it() {
    let mut bench = in_the_app(FrontState::Foreground);
    let registration = bench.device.runs().next().unwrap().registration;
    bench.ask(Request::Unregister {
        app: app_id("mail"),
        id: registration,
        cancel: true,
    });
    bench.go(5 * SECOND - 1);
    assert_eq!(bench.device.front(&app_id("mail")), FrontState::Foreground);
    let effects = bench.go(1);
    let app = app_id("mail");
    assert!(
        effects.contains(&Effect::KillFront { app: app.clone() }),
        "RUN-05"
    );
    assert_eq!(bench.device.front(&app), FrontState::None);
    assert_eq!(
        fronts(&bench).last(),
        Some(&(FrontState::None, FrontReason::Killed))
    );
}

#[test]
fn closing_the_app_ends_its_in_process_runs_only() {
    let mut bench = in_the_app(FrontState::Foreground);
    for state in [FrontState::Background, FrontState::Suspended] {
        bench.front(state);
        assert_eq!(bench.cancels(), [], "RUN-24: {state:?}");
    }
    bench.front(FrontState::None);
    let terminating = CancelReason::Terminating;
    assert_eq!(
        bench.cancels(),
        [(1, terminating), (2, terminating)],
        "RUN-24"
    );
}

#[test]
fn a_front_client_of_nobody_is_passed_over() {
    let mut bench = Bench::full();
    let (app, state) = (app_id("ghost"), FrontState::Foreground);
    let before = bench.device.records();
    bench.send(Event::FrontChanged { app, state });
    assert_eq!(bench.device.records(), before);
}
