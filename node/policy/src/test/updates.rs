//! Updates and uninstalls (MNG-08 to MNG-12, TRG-30, TRG-35, ACC-02, AMB-07).

use super::*;

fn version(version: &str) -> App {
    App {
        version: version.to_owned(),
        ..full_app("mail")
    }
}

fn update(bench: &mut Bench, app: App) {
    bench.send(Event::Apps(vec![app]));
}

fn installed(bench: &Bench) -> String {
    bench.device.app(&app_id("mail")).unwrap().version.clone()
}

/// A run of `t`, and a registration that hears of updates.
fn before_an_update() -> Bench {
    let mut bench = Bench::full();
    bench.register(request("t", INTERNET));
    bench.register(request("serviced", system(SystemEvent::ServicingComplete)));
    bench.internet(false);
    bench.internet(true);
    bench.start(1);
    bench
}

fn tasks(bench: &Bench) -> Vec<String> {
    bench
        .device
        .runs()
        .map(|run| run.task.to_string())
        .collect()
}

#[test]
fn drain_then_version_then_update_task_then_event() {
    let mut bench = before_an_update();
    update(&mut bench, version("2.0"));
    assert_eq!(
        bench.cancels(),
        [(1, CancelReason::ServicingUpdate)],
        "MNG-09"
    );
    assert_eq!(
        (installed(&bench), tasks(&bench)),
        ("1.0".to_owned(), vec!["t".to_owned()])
    );
    bench.go(4 * SECOND);
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.last_outcome(), Outcome::Cancelled);
    assert_eq!(installed(&bench), "2.0");
    assert_eq!(tasks(&bench), ["update-task"], "TRG-35");
    assert_eq!(
        bench.only_run().entry_point,
        Some(EntryPoint::new("updater").unwrap())
    );
    bench.end(2, Exit::Status(0));
    assert_eq!(tasks(&bench), ["serviced"], "TRG-30");
}

#[test]
fn a_run_that_ignores_the_update_is_killed_after_its_grace() {
    let mut bench = before_an_update();
    update(&mut bench, version("2.0"));
    assert_eq!(kills(&bench.go(5 * SECOND - 1)), [0; 0]);
    assert_eq!(kills(&bench.go(1)), [1]);
    bench.end(1, Exit::Signal(9));
    assert_eq!(bench.last_outcome(), Outcome::Hung);
    assert_eq!(tasks(&bench), ["update-task"]);
}

#[test]
fn the_update_task_has_thirty_seconds_and_needs_no_access() {
    let mut bench = Bench::bare();
    update(&mut bench, version("1.0"));
    update(&mut bench, version("2.0"));
    assert_eq!(
        tasks(&bench),
        ["update-task"],
        "it was never run and never asked (TRG-35)"
    );
    bench.start(1);
    bench.go(25 * SECOND - 1);
    assert_eq!(bench.cancels(), []);
    bench.go(1);
    assert_eq!(bench.cancels(), [(1, CancelReason::ExecutionTimeExceeded)]);
    assert_eq!(kills(&bench.go(5 * SECOND)), [1], "MNG-12");
    bench.end(1, Exit::Signal(9));
    assert_eq!(
        bench.device.registrations().count(),
        0,
        "declared, not registered"
    );
}

#[test]
fn an_update_task_that_fails_stops_no_update() {
    for exit in [
        Exit::Status(1),
        Exit::Status(75),
        Exit::MemoryExceeded,
        Exit::Lost,
        Exit::LaunchFailed {
            message: "no such file".to_owned(),
        },
    ] {
        let mut bench = before_an_update();
        update(&mut bench, version("2.0"));
        bench.end(1, Exit::Status(0));
        bench.end(2, exit.clone());
        assert_eq!(tasks(&bench), ["serviced"], "{exit:?}");
    }
}

#[test]
fn an_app_without_an_update_task() {
    let mut bench = before_an_update();
    update(
        &mut bench,
        App {
            version: "2.0".to_owned(),
            ..app("mail")
        },
    );
    bench.end(1, Exit::Status(0));
    assert_eq!(tasks(&bench), ["serviced"]);
}

#[test]
fn an_update_survives_restart_and_boot() {
    for boot in ["boot-1", "boot-2"] {
        for stage in [1, 2] {
            let mut bench = before_an_update();
            update(&mut bench, version("2.0"));
            if stage == 2 {
                bench.end(1, Exit::Status(0));
            }
            bench.device = bench.restored();
            bench.boot(boot);
            bench.send(Event::RunsHeld { runs: Vec::new() });
            bench.read(&[Reading::ExternalPower(Level::Known(true))]);
            let story = format!("{boot}, stage {stage}");
            assert_eq!(installed(&bench), "2.0", "{story}");
            if stage == 1 {
                assert_eq!(tasks(&bench), ["update-task"], "{story}");
                bench.end(2, Exit::Status(0));
            }
            assert_eq!(tasks(&bench), ["serviced"], "{story}");
        }
    }
}

#[test]
fn after_an_update_access_is_dropped_and_asked_for_anew() {
    let mut bench = before_an_update();
    update(&mut bench, version("2.0"));
    bench.end(1, Exit::Status(0));
    bench.end(2, Exit::Status(0));
    bench.end(3, Exit::Status(0));
    let app = || app_id("mail");
    assert_eq!(
        bench.device.access(&app()),
        AccessStatus::Unspecified,
        "ACC-02"
    );
    bench.internet(false);
    bench.internet(true);
    assert_eq!(bench.drops("t"), [DropReason::Access], "AMB-07");
    let answer = bench.ask(Request::RequestAccess { app: app() });
    assert_eq!(
        answer,
        Answer::Access(AccessStatus::Unspecified),
        "drop it first"
    );
    bench.ask(Request::RemoveAccess { app: app() });
    bench.ask(Request::RequestAccess { app: app() });
    bench.internet(false);
    bench.internet(true);
    assert_eq!(tasks(&bench), ["t"], "its registrations stayed (ACC-33)");
}

#[test]
fn a_forced_grant_is_never_stale() {
    let mut bench = before_an_update();
    bench.policy(Policy {
        apps_in_background: AppsInBackground::ForceAllow,
        ..Policy::default()
    });
    update(&mut bench, version("2.0"));
    bench.end(1, Exit::Status(0));
    assert_eq!(
        bench.device.access(&app_id("mail")),
        AccessStatus::AlwaysAllowed,
        "AMB-07"
    );
}

#[test]
fn scheduled_tasks_survive_an_update_and_their_run_is_ended() {
    let mut bench = Bench::full();
    bench.add("mail", PERIODIC);
    let run = bench.next_run();
    bench.start(run);
    update(&mut bench, version("2.0"));
    bench.go(5 * SECOND);
    assert_eq!(bench.cancels(), [], "RUN-45");
    bench.end(run, Exit::Signal(9));
    let outcome = bench.last_outcome();
    assert_eq!(outcome, Outcome::Terminated);
    assert_eq!(bench.scheduling(PERIODIC), Scheduling::Scheduled);
    let run = bench.only_run();
    assert_eq!(run.task, task("update-task"));
    bench.end(run.id.0, Exit::Status(0));
    bench.go(40 * MINUTE);
    assert_eq!(bench.starts("mail", "periodic").len(), 2);
}

#[test]
fn nothing_starts_while_an_update_drains() {
    let mut bench = before_an_update();
    bench.register(request("p", Trigger::Push));
    update(&mut bench, version("2.0"));
    bench.push("p1");
    bench.internet(false);
    bench.internet(true);
    assert_eq!(
        tasks(&bench),
        ["t"],
        "the older version begins nothing any more"
    );
}

#[test]
fn the_newest_of_two_updates_counts() {
    let mut bench = before_an_update();
    update(&mut bench, version("2.0"));
    update(&mut bench, version("3.0"));
    bench.end(1, Exit::Status(0));
    assert_eq!(installed(&bench), "3.0");
    assert_eq!(tasks(&bench), ["update-task"]);
    bench.end(2, Exit::Status(0));
    assert_eq!(bench.starts("mail", "serviced").len(), 1);
}

#[test]
fn an_uninstall_cancels_and_leaves_nothing() {
    let mut bench = before_an_update();
    bench.add("mail", PERIODIC);
    bench.front(FrontState::Background);
    bench.choose(Choice {
        pinned: Some(true),
        ..Choice::default()
    });
    bench.send(Event::Apps(Vec::new()));
    assert_eq!(bench.cancels(), [(1, CancelReason::Uninstall)], "MNG-08");
    assert_eq!(bench.device.registrations().count(), 0);
    bench.end(1, Exit::Status(0));
    assert_eq!(bench.last_outcome(), Outcome::Cancelled);
    update(&mut bench, version("1.0"));
    let app = app_id("mail");
    assert_eq!(bench.device.access(&app), AccessStatus::Unspecified);
    assert_eq!(bench.device.choices(&app), None);
    assert_eq!(bench.device.front(&app), FrontState::None);
}

#[test]
fn an_uninstall_in_the_midst_of_an_update() {
    for stage in [1, 2] {
        let mut bench = before_an_update();
        update(&mut bench, version("2.0"));
        if stage == 2 {
            bench.end(1, Exit::Status(0));
        }
        bench.send(Event::Apps(Vec::new()));
        let run = bench.only_run().id.0;
        bench.end(run, Exit::Status(0));
        assert_eq!(tasks(&bench), [""; 0]);
        assert_eq!(bench.device.apps().count(), 0, "stage {stage}");
    }
}
