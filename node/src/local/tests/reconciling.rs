//! Reconciling at launch over the socket (ACC-32, MNG-01).

use super::*;

fn desired(name: &str, kind: wire::trigger::Kind) -> wire::DesiredTask {
    wire::DesiredTask {
        name: name.into(),
        entry_point: "photo-sync".into(),
        trigger: Some(wire::Trigger { kind: Some(kind) }),
        ..Default::default()
    }
}

fn push() -> wire::trigger::Kind {
    wire::trigger::Kind::Push(wire::PushTrigger {})
}

fn application() -> wire::trigger::Kind {
    wire::trigger::Kind::Application(wire::ApplicationTrigger {})
}

async fn reconcile(
    apps: &mut AppServiceClient<Channel>,
    desired: Vec<wire::DesiredTask>,
) -> Result<wire::ReconcileResponse, Status> {
    let request = wire::ReconcileRequest {
        app: photos(),
        desired,
    };
    Ok(apps.reconcile(request).await?.into_inner())
}

async fn tasks(apps: &mut AppServiceClient<Channel>) -> Vec<(String, u64)> {
    let listed = apps.list_tasks(wire::ListTasksRequest { app: photos() });
    let tasks = listed.await.unwrap().into_inner().tasks;
    let mut tasks: Vec<_> = tasks.into_iter().map(|one| (one.name, one.id)).collect();
    tasks.sort_unstable();
    tasks
}

#[test]
fn an_app_says_what_it_wants_and_gets_it_in_one_step() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        // The app has `sync` and `pushed` already, and one in a group of its own.
        let grouped = wire::RegisterRequest {
            group: "downloads".into(),
            ..registration("fetch", timer())
        };
        apps.register(grouped).await.unwrap();
        let before = tasks(&mut apps).await;
        let wanted = vec![
            desired("sync", application()),
            wire::DesiredTask {
                conditions: vec![wire::Condition::InternetAvailable.into()],
                ..desired("pushed", push())
            },
            desired("hourly", timer()),
        ];
        let done = reconcile(&mut apps, wanted.clone()).await.unwrap();
        assert_eq!(done.registered, ["hourly"]);
        assert_eq!(done.replaced, ["pushed"], "its conditions differ");
        assert_eq!(done.kept, ["sync"]);
        assert_eq!(done.unregistered, [""; 0]);
        let again = reconcile(&mut apps, wanted).await.unwrap();
        assert_eq!(again.kept, ["sync", "pushed", "hourly"], "nothing to do");
        let done = reconcile(&mut apps, vec![desired("sync", application())]).await;
        assert_eq!(done.unwrap().unregistered, ["pushed", "hourly"]);
        let after = tasks(&mut apps).await;
        let same = |name: &str| before.iter().find(|one| one.0 == name).unwrap().clone();
        assert_eq!(after, [same("fetch"), same("sync")], "MNG-02: ids stay");
        served
    });
}

#[test]
fn one_that_is_wrong_is_named_by_its_place_and_changes_nothing() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let before = tasks(&mut apps).await;
        let short = wire::trigger::Kind::Timer(wire::TimerTrigger {
            minutes: 3,
            one_shot: false,
        });
        let good = desired("good", timer());
        let twice = vec![good.clone(), good.clone()];
        let nameless = wire::DesiredTask {
            name: String::new(),
            ..good.clone()
        };
        let many = (0..129)
            .map(|n| desired(&format!("t{n}"), timer()))
            .collect();
        for (field, wanted) in [
            ("desired[1].name", vec![good.clone(), nameless]),
            (
                "desired[1].trigger.timer.minutes",
                vec![good, desired("short", short)],
            ),
            ("desired", twice),
            ("desired", many),
        ] {
            let refused = reconcile(&mut apps, wanted).await.unwrap_err();
            assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
            assert_eq!(problem::violations(&refused)[0].0, field, "{refused}");
            assert_eq!(tasks(&mut apps).await, before, "ACC-28");
        }
        served
    });
}

#[test]
fn what_an_app_may_have_fits_into_one_request_and_strangers_may_not() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let all = (0..128)
            .map(|n| desired(&format!("hourly-{n}"), timer()))
            .collect();
        let done = reconcile(&mut apps, all).await.unwrap();
        assert_eq!((done.registered.len(), done.unregistered.len()), (128, 2));
        let none = Vec::new();
        let refused = reconcile(&mut served.apps(STRANGER).await, none).await;
        assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        assert_eq!(tasks(&mut apps).await.len(), 128);
        served
    });
}
