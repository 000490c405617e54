//! The engine with a real machine and a real store: what waits for the commit, what does not, and what a failed commit leaves.

use std::path::PathBuf;
use std::time::Duration;

use lull_policy::{
    Condition, EntryPoint, Hop, Level, Reading, RegistrationRequest, RunId, Span, TaskName, Trigger,
};
use rusqlite::Connection;

use super::rig::*;
use super::*;
use crate::ports::{Hold, look};

#[test]
fn a_launch_waits_for_its_commit_and_so_does_the_answer() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        let held = rig.hold_store();
        let door = Arc::clone(&rig.door);
        let caller = Caller::Front {
            app: app(),
            foreground: true,
        };
        let call = tokio::spawn(async move { door.call(caller, raise()).await });
        until(|| async { rig.run_names().await == ["sync"] }).await;
        assert!(
            rig.queues.launches.try_recv().is_err(),
            "launched before the commit"
        );
        assert!(!call.is_finished(), "answered before the commit");
        drop(held);
        assert_eq!(
            call.await.unwrap(),
            Ok(Answer::Raised(lull_policy::Raised::Allowed))
        );
        let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        assert_eq!(launch.task, name("sync"));
        rig.handle.end().await;
    });
}

#[test]
fn asking_to_cancel_and_killing_never_wait_for_the_store() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        rig.call(raise()).await.unwrap();
        let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        let run = launch.run;
        rig.door.commit(Event::RunStarted { run }).await.unwrap();
        let commits = rig.board.counter("commits");
        let held = rig.hold_store();
        rig.clock.advance(Span::minutes(11));
        let asked = next_stop(&mut rig).await;
        assert!(
            matches!(asked, RunOrder::AskToCancel { run: id, .. } if id == run),
            "{asked:?}"
        );
        rig.clock.advance(Span::minutes(1));
        assert_eq!(next(&mut rig.queues.stops).await, RunOrder::Kill { run });
        assert_eq!(
            rig.board.counter("commits"),
            commits,
            "the store was held all the time"
        );
        drop(held);
        rig.handle.end().await;
    });
}

#[test]
fn events_that_come_during_a_commit_share_the_next_one() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let before = rig.board.counter("commits");
        let held = rig.hold_store();
        let pushes: Vec<_> = (0..50)
            .map(|n| {
                let door = Arc::clone(&rig.door);
                tokio::spawn(async move { door.commit(push(&format!("push-{n}"))).await })
            })
            .collect();
        let arrived = |device: &lull_policy::Device, _now| device.receipts().count();
        until(|| async { look(&rig.door, arrived).await.unwrap() >= 50 }).await;
        drop(held);
        for push in pushes {
            assert_eq!(push.await.unwrap(), Ok(()));
        }
        let commits = rig.board.counter("commits") - before;
        assert!((1..=2).contains(&commits), "{commits} commits");
        rig.handle.end().await;
    });
}

#[test]
fn after_a_failed_commit_nothing_of_it_stands_and_what_ran_goes_on() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, Duration::from_millis(50)).await;
        rig.call(raise()).await.unwrap();
        let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        rig.door
            .commit(Event::RunStarted { run: launch.run })
            .await
            .unwrap();
        let held = rig.hold_store();
        let refused = rig.call(register("later", Trigger::Push)).await;
        assert_eq!(refused, Err(EngineError::Unavailable));
        assert_eq!(
            rig.door.commit(push("push-1")).await,
            Err(EngineError::Unavailable)
        );
        drop(held);
        until(|| async { rig.door.commit(push("push-1")).await.is_ok() }).await;
        let (names, runs) = look(&rig.door, |device, _now| {
            let names: Vec<_> = device.registrations().map(|r| r.name.to_string()).collect();
            let runs: Vec<_> = device.runs().map(|run| run.id).collect();
            (names, runs)
        })
        .await
        .unwrap();
        assert_eq!(names, ["sync", "pushed"]);
        assert!(
            runs.contains(&launch.run),
            "the run that lives is kept: {runs:?}"
        );
        assert_eq!(rig.board.counter("invariant-violations"), 0);
        assert!(rig.board.counter("commits-failed") >= 1);
        let mut receipts = Vec::new();
        while let Ok(order) = rig.queues.link.try_recv() {
            if let LinkOrder::Receipt(receipt) = order {
                receipts.push(receipt.push.to_string());
            }
        }
        assert!(receipts.iter().all(|push| push == "push-1"));
        assert_eq!(
            rig.queues.launches.try_recv().map(launched),
            Ok(name("pushed"))
        );
        rig.handle.end().await;
    });
}

fn launched(order: RunOrder) -> TaskName {
    match order {
        RunOrder::Launch(launch) => launch.task,
        other => panic!("not a launch: {other:?}"),
    }
}

#[test]
fn limits_stay_enforced_while_the_store_is_down() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, Duration::from_millis(50)).await;
        rig.call(raise()).await.unwrap();
        let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        let run = launch.run;
        rig.door.commit(Event::RunStarted { run }).await.unwrap();
        let held = rig.hold_store();
        rig.door.commit(push("push-1")).await.unwrap_err();
        rig.clock.advance(Span::minutes(20));
        until(|| {
            let killed = rig.queues.stops.try_recv() == Ok(RunOrder::Kill { run });
            async move { killed }
        })
        .await;
        assert!(
            rig.queues.launches.try_recv().is_err(),
            "begun while the store is down"
        );
        drop(held);
        rig.handle.end().await;
    });
}

#[test]
fn a_restart_finds_what_was_committed_and_adopts_what_lives() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        rig.call(raise()).await.unwrap();
        let task = launched(next(&mut rig.queues.launches).await);
        assert_eq!(task, name("sync"));
        let run = RunId(1);
        rig.door.commit(Event::RunStarted { run }).await.unwrap();
        let before = look(&rig.door, |device, _now| device.records())
            .await
            .unwrap();
        rig.handle.end().await;
        assert_eq!(rig.call(raise()).await, Err(EngineError::Ending));
        let (handle, _queues, _notices) = start(&arbiter, &rig.config, &rig.clock, &rig.board);
        let door = handle.door();
        let held = Event::RunsHeld { runs: vec![run] };
        door.commit(held).await.unwrap();
        let after = look(&door, |device, _now| device.records()).await.unwrap();
        assert_eq!(after, before);
    });
}

#[test]
fn a_full_mailbox_is_told() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
        let door = Arc::clone(&rig.door);
        let (tx, stopped) = oneshot::channel();
        let blocked = tokio::spawn(async move {
            let wait = Box::new(move |_: &lull_policy::Device, _| {
                tx.send(()).unwrap();
                wait.recv_timeout(PATIENCE).unwrap();
            });
            door.look(wait).await
        });
        stopped.await.unwrap();
        let told = (0..2 * MAILBOX).map(|_| rig.door.tell(Event::DeadlineReached));
        let refused = told
            .filter(|t| *t == Err(EngineError::Full(MAILBOX)))
            .count();
        assert!(refused > MAILBOX / 2, "{refused}");
        assert!(rig.board.counter("mailbox-refused") > 0);
        go.send(()).unwrap();
        blocked.await.unwrap().unwrap();
        until(|| async { rig.door.commit(push("push-1")).await.is_ok() }).await;
        rig.handle.end().await;
    });
}

#[test]
fn credit_goes_down_with_what_waits_and_is_told_anew_to_a_new_session() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        while rig.queues.link.try_recv().is_ok() {}
        for n in 0..3 {
            rig.door.commit(push(&format!("push-{n}"))).await.unwrap();
        }
        let mut credit = Vec::new();
        while let Ok(order) = rig.queues.link.try_recv() {
            if let LinkOrder::Credit { free, .. } = order {
                credit.push(free);
            }
        }
        assert_eq!(credit, [63, 62], "the first runs, two wait");
        rig.door.commit(Event::LinkUp).await.unwrap();
        let mut orders = Vec::new();
        while let Ok(order) = rig.queues.link.try_recv() {
            orders.push(order);
        }
        let credit = LinkOrder::Credit {
            app: app(),
            free: 62,
        };
        assert!(orders.contains(&credit), "{orders:?}");
        assert_eq!(orders.len(), 4, "three delivered, one credit: {orders:?}");
        rig.handle.end().await;
    });
}

#[test]
fn what_falls_due_at_the_very_instant_of_another_event_rings_at_once() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let waiting = Request::Register {
            app: app(),
            registration: RegistrationRequest {
                conditions: vec![Condition::UserPresent],
                replace: true,
                ..RegistrationRequest::new(
                    name("pushed"),
                    EntryPoint::new("photo-sync").ok(),
                    Trigger::Push,
                )
            },
        };
        rig.call(waiting).await.unwrap();
        rig.door.commit(push("push-1")).await.unwrap();
        let hops = async || {
            look(&rig.door, |device, _now| {
                let hops = device.receipts().map(|receipt| receipt.hop.clone());
                hops.collect::<Vec<_>>()
            })
            .await
            .unwrap()
        };
        assert_eq!(hops().await, [Hop::Delivered]);
        // The step itself brings only what fell due before: the end of the push is now.
        rig.clock.step(now().wall.after(Span::days(1)));
        until(|| async { hops().await.last() == Some(&Hop::Expired) }).await;
        rig.handle.end().await;
    });
}

#[test]
fn a_run_loses_the_network_in_standby_and_has_it_back() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        rig.call(raise()).await.unwrap();
        let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        let run = launch.run;
        rig.door.commit(Event::RunStarted { run }).await.unwrap();
        let standby = |now| Event::Readings(vec![Reading::Standby(Level::Known(now))]);
        for now in [false, true, false] {
            rig.door.commit(standby(now)).await.unwrap();
        }
        for allowed in [false, true] {
            let hold = Hold::Network(allowed);
            let order = next_stop(&mut rig).await;
            assert_eq!(order, RunOrder::Hold { run, hold }, "RUN-31");
        }
        assert_eq!(rig.board.counter(orders::NOT_OFFERED), 0);
        rig.handle.end().await;
    });
}

#[test]
fn what_cannot_be_performed_is_counted_and_told() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let mut photos = photos();
        photos.agents[0].resource_group = Some("shared".into());
        rig.door.commit(Event::Apps(vec![photos])).await.unwrap();
        rig.call(raise()).await.unwrap();
        until(|| async { rig.board.counter(orders::NOT_OFFERED) == 1 }).await;
        let told = rig.board.read().cannot_enforce;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told.first().unwrap().contains("RUN-07"), "{told:?}");
        rig.handle.end().await;
    });
}

#[test]
fn what_an_app_may_use_is_ordered_from_the_supervisor() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        let policy = lull_policy::Policy {
            quota_profile: lull_policy::QuotaProfile::Windows8,
            ..lull_policy::Policy::default()
        };
        rig.door.commit(Event::PolicyChanged(policy)).await.unwrap();
        rig.call(raise()).await.unwrap();
        for (resource, budget) in [
            (lull_policy::Resource::Cpu, Some(1_000_000)),
            // On external power it does not count (RES-14).
            (lull_policy::Resource::Network, None),
        ] {
            let app = app();
            let ordered = RunOrder::Meter {
                app,
                resource,
                budget,
            };
            assert_eq!(next(&mut rig.queues.stops).await, ordered, "RES-13");
        }
        rig.handle.end().await;
    });
}

/// The next order but those for samples (RUN-15), which every long run has.
async fn next_stop(rig: &mut Rig) -> RunOrder {
    loop {
        match next(&mut rig.queues.stops).await {
            RunOrder::Sample { .. } => {}
            other => return other,
        }
    }
}

#[test]
fn a_launch_that_nobody_takes_ends_as_not_started() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        let (_orders, other) = channels();
        let Rig { queues, .. } = &rig;
        assert!(!queues.launches.is_closed());
        let mut rig = rig;
        rig.queues = other;
        rig.call(raise()).await.unwrap();
        let outcome =
            |device: &lull_policy::Device, _now| device.finished().last().map(|run| run.outcome);
        until(|| async {
            look(&rig.door, outcome).await.unwrap() == Some(lull_policy::Outcome::NotStarted)
        })
        .await;
        assert_eq!(rig.board.counter("launches-refused"), 1);
        rig.handle.end().await;
    });
}

#[test]
fn what_happened_is_in_the_flight_recorder_after_an_orderly_end() {
    on_runtime(async |arbiter| {
        let rig = rig(&arbiter, PATIENCE).await;
        rig.door.commit(Event::DeadlineReached).await.unwrap();
        rig.handle.end().await;
        let path: PathBuf = rig.config.path.clone();
        let last: String = Connection::open(path)
            .unwrap()
            .query_row(
                "SELECT entry FROM journal ORDER BY seq DESC LIMIT 1",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert!(last.ends_with("\"deadline-reached\"]"), "{last}");
    });
}

#[test]
fn a_panic_in_the_engine_ends_the_process() {
    const CHILD: &str = "LULL_TEST_PANIC_IN_ENGINE";
    if std::env::var_os(CHILD).is_some() {
        on_runtime(async |arbiter| {
            let rig = rig(&arbiter, PATIENCE).await;
            let look = Box::new(|_: &lull_policy::Device, _| panic!("wanted by the test"));
            rig.door.look(look).await.unwrap_err();
            // The process goes; the time limit of the runtime fails the test if it does not.
            std::future::pending::<()>().await;
        });
        return;
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "engine::tests::a_panic_in_the_engine_ends_the_process",
        ])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert_eq!(child.status.code(), Some(70), "{child:?}");
}

#[test]
fn the_device_stays_awake_for_a_run_that_asked_for_the_network() {
    on_runtime(async |arbiter| {
        let mut rig = rig(&arbiter, PATIENCE).await;
        let Request::Register {
            app,
            mut registration,
        } = register("sync", Trigger::Application)
        else {
            panic!("no registration");
        };
        rig.call(raise()).await.unwrap();
        let RunOrder::Launch(first) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        assert!(!*rig.queues.awake.borrow(), "it did not ask for it");
        let ended = |run| Event::RunEnded {
            run,
            exit: lull_policy::Exit::Status(0),
            usage: lull_policy::Usage::default(),
            output: String::new(),
        };
        rig.door.commit(ended(first.run)).await.unwrap();
        registration.network_requested = true;
        rig.call(Request::Register { app, registration })
            .await
            .unwrap();
        rig.call(raise()).await.unwrap();
        let RunOrder::Launch(launch) = next(&mut rig.queues.launches).await else {
            panic!("not a launch");
        };
        assert!(*rig.queues.awake.borrow(), "RUN-30");
        let run = launch.run;
        rig.door.commit(Event::RunStarted { run }).await.unwrap();
        rig.handle.end().await;
        let (handle, queues, _notices) = start(&arbiter, &rig.config, &rig.clock, &rig.board);
        let door = handle.door();
        door.commit(Event::RunsHeld { runs: vec![run] })
            .await
            .unwrap();
        assert!(*queues.awake.borrow(), "also after a restart of the daemon");
        door.commit(ended(run)).await.unwrap();
        assert!(!*queues.awake.borrow(), "released with its end");
        handle.end().await;
    });
}
