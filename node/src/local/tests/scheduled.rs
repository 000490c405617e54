//! Scheduled agents over the socket, and where front clients stand.

use lull_policy::FrontState;

use super::*;

fn periodic() -> i32 {
    wire::ScheduledKind::Periodic.into()
}

fn add(description: &str) -> wire::AddScheduledRequest {
    wire::AddScheduledRequest {
        app: photos(),
        kind: periodic(),
        description: description.into(),
        expires: None,
    }
}

#[test]
fn an_app_in_the_foreground_schedules_its_agent() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let refused = apps.add_scheduled(add("keeps photos")).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "ACC-42: {refused}");
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        let refused = apps.add_scheduled(add("")).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "ACC-46: {refused}");
        apps.add_scheduled(add("keeps photos")).await.unwrap();
        let refused = apps.add_scheduled(add("keeps photos")).await.unwrap_err();
        assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
        let listed = apps
            .list_tasks(wire::ListTasksRequest { app: photos() })
            .await
            .unwrap();
        let tasks = &listed.get_ref().tasks;
        let task = tasks.iter().find(|task| task.name == "periodic").unwrap();
        assert_eq!(task.state, "idle");
        let mut operators = served.operators(0).await;
        let test = wire::LaunchForTestRequest {
            app: photos(),
            kind: periodic(),
            delay: None,
        };
        let refused = operators.launch_for_test(test).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("developer mode"), "{refused}");
        let remove = wire::RemoveScheduledRequest {
            app: photos(),
            kind: periodic(),
        };
        apps.remove_scheduled(remove).await.unwrap();
        let unknown = wire::RemoveScheduledRequest {
            app: photos(),
            kind: 9,
        };
        let refused = apps.remove_scheduled(unknown).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        served
    });
}

#[test]
fn the_operator_chooses_and_only_the_operator() {
    served(async |served| {
        let choose = wire::ChooseRequest {
            app: photos(),
            agents_disabled: Some(true),
            ..Default::default()
        };
        let mut strangers = served.operators(OWNER).await;
        let refused = strangers.choose(choose.clone()).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        let mut operators = served.operators(0).await;
        operators.choose(choose).await.unwrap();
        let mut apps = served.apps(OWNER).await;
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        let refused = apps.add_scheduled(add("keeps photos")).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::FailedPrecondition,
            "MNG-07: {refused}"
        );
        served
    });
}

#[test]
fn what_starves_is_told_without_being_named() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut events).await, Told::Attached(_)));
        apps.add_scheduled(add("keeps photos")).await.unwrap();
        let mut operators = served.operators(0).await;
        let choose = wire::ChooseRequest {
            app: photos(),
            agents_disabled: Some(true),
            ..Default::default()
        };
        operators.choose(choose).await.unwrap();
        served.rig.clock.advance(lull_policy::Span::hours(3));
        let starving = operators.why(wire::WhyRequest::default()).await.unwrap();
        let explanations = starving.into_inner().explanations;
        let [periodic] = explanations.as_slice() else {
            panic!("{explanations:?}");
        };
        let starves = periodic.starves.as_ref().unwrap();
        assert_eq!(periodic.task, "periodic");
        assert_eq!(
            (starves.actual, starves.blocked_by.as_str()),
            (0, "operator")
        );
        assert_eq!(starves.remedy_by, "operator");
        served
    });
}

#[test]
fn the_machine_hears_where_front_clients_stand() {
    served(async |served| {
        let stands = async |state: FrontState| {
            until(async || {
                let seen = look(&served.rig.door, |device, _now| device.front(&app()));
                seen.await.unwrap() == state
            })
            .await;
        };
        let mut apps = served.apps(OWNER).await;
        stands(FrontState::None).await;
        let behind = apps.attach(attach(false)).await.unwrap().into_inner();
        stands(FrontState::Background).await;
        let ahead = apps.attach(attach(true)).await.unwrap().into_inner();
        stands(FrontState::Foreground).await;
        drop(ahead);
        stands(FrontState::Background).await;
        drop(behind);
        stands(FrontState::None).await;
        served
    });
}

#[test]
fn a_dry_run_registers_nothing_and_the_network_is_asked_for() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let asked = wire::RegisterRequest {
            network_requested: true,
            group: "downloads".into(),
            dry_run: true,
            ..registration("fetch", wire::trigger::Kind::Push(wire::PushTrigger {}))
        };
        let tried = apps.register(asked.clone()).await.unwrap().into_inner();
        assert_eq!(tried.id, 0, "ACC-30");
        let stands = async || {
            let seen = look(&served.rig.door, |device, _now| {
                let all = device.registrations();
                let ours = all.filter(|one| one.name.to_string() == "fetch");
                ours.map(|one| (one.network_requested, one.group.is_some()))
                    .collect::<Vec<_>>()
            });
            seen.await.unwrap()
        };
        assert_eq!(stands().await, []);
        let request = wire::RegisterRequest {
            dry_run: false,
            ..asked
        };
        apps.register(request).await.unwrap();
        assert_eq!(stands().await, [(true, true)], "RUN-30, MNG-03");
        served
    });
}
