//! What an app asks for beyond the usual, what the operator decides of it, and the folder that an app shares with its agents.

use lull_agent::Trigger;
use lull_agent::front::{AccessKind, Front, Presence, Raised, Registration};
use lull_agent::state::State;
use lull_policy::{AgentDeclaration, App, Capability, Profile, Signer, TaskType};

use super::*;
use crate::engine::rig::photos as plain;

const CAMERA: &str = "usb:046d:c52b:1-1.2";

/// The app with agents and capabilities for devices and media, signed by the maker of the device.
async fn privileged(served: &Served) {
    let types = [
        TaskType::DeviceUse,
        TaskType::DeviceServicing,
        TaskType::MediaProcessing,
    ];
    let mut app = plain();
    let agents = app
        .agents
        .clone()
        .into_iter()
        .map(|agent| AgentDeclaration {
            types: agent.types.iter().copied().chain(types).collect(),
            ..agent
        });
    app = App {
        agents: agents.collect(),
        signed_by: Signer::Maker,
        ..app
    };
    app.capabilities.insert(Capability::DeviceServicing);
    served
        .rig
        .door
        .commit(Event::Apps(vec![app]))
        .await
        .unwrap();
}

async fn front(served: &Served) -> Front {
    let front = Front::connect_to(photos(), &served.path).await.unwrap();
    let registrations = [
        ("scan", Trigger::DeviceUse),
        ("flash", Trigger::DeviceServicing),
        ("render", Trigger::Media),
    ];
    for (name, trigger) in registrations {
        let registration = Registration::named(name)
            .entry_point("photo-sync")
            .trigger(trigger);
        front.register(registration).await.unwrap();
    }
    front
}

fn consent(given: bool) -> wire::SetConsentRequest {
    wire::SetConsentRequest {
        app: photos(),
        device: CAMERA.into(),
        given,
    }
}

/// The device that the next run was started for.
async fn launched(served: &mut Served) -> (RunId, Option<lull_policy::Details>) {
    let RunOrder::Launch(launch) = next(&mut served.rig.queues.launches).await else {
        panic!("not a launch");
    };
    (launch.run, launch.details)
}

fn camera() -> lull_policy::Details {
    lull_policy::Details::Device {
        device: lull_policy::Subject::new(CAMERA).unwrap(),
        present: true,
    }
}

#[test]
fn a_device_is_used_by_consent_which_the_operator_gives_and_takes_back() {
    served(async |mut served| {
        privileged(&served).await;
        let front = front(&served).await;
        let refused = front.request_device("scan", CAMERA).await.unwrap_err();
        assert!(
            refused.to_string().contains("foreground"),
            "TRGD-27: {refused}"
        );
        let _events = front.attach(Presence::Foreground).await.unwrap();
        let raised = front.request_device("scan", CAMERA).await.unwrap();
        assert_eq!(raised, Raised::DeniedByUser, "nobody consented");
        let mut app = served.operators(OWNER).await;
        let refused = app.set_consent(consent(true)).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::PermissionDenied,
            "not the app's to say"
        );
        let mut operators = served.operators(0).await;
        operators.set_consent(consent(true)).await.unwrap();
        let raised = front.request_device("scan", CAMERA).await.unwrap();
        assert_eq!(raised, Raised::Allowed);
        let (run, details) = launched(&mut served).await;
        assert_eq!(details, Some(camera()));
        served
            .rig
            .door
            .commit(Event::RunStarted { run })
            .await
            .unwrap();
        operators.set_consent(consent(false)).await.unwrap();
        let asked = loop {
            // The watchdog of device use has its samples ordered beside (TRGD-31).
            match next(&mut served.rig.queues.stops).await {
                RunOrder::Sample { .. } => {}
                order => break order,
            }
        };
        let RunOrder::AskToCancel {
            run: cancelled,
            reason,
            ..
        } = asked
        else {
            panic!("not asked to cancel, but {asked:?}");
        };
        assert_eq!(cancelled, run);
        assert_eq!(
            reason,
            lull_policy::CancelReason::ResourceRevocation,
            "TRGD-32"
        );
        let several = front.request_device("scan", "usb:*").await.unwrap_err();
        assert!(several.to_string().starts_with("device: "), "{several}");
        served
    });
}

#[test]
fn servicing_takes_the_operators_word_each_time() {
    served(async |mut served| {
        privileged(&served).await;
        let front = front(&served).await;
        let _events = front.attach(Presence::Foreground).await.unwrap();
        let mut app = served.apps(OWNER).await;
        let request = wire::RequestServicingRequest {
            app: photos(),
            name: "flash".into(),
            device: CAMERA.into(),
            expected: None,
            consent: true,
        };
        let raised = app.request_servicing(request).await.unwrap().into_inner();
        assert_eq!(
            raised.result(),
            wire::Raised::DeniedByUser,
            "the app's own word counts as no"
        );
        let long = Some(Duration::from_hours(3));
        let refused = front.request_servicing("flash", CAMERA, long, true).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with("expected: "), "TRGD-37: {refused}");
        let minutes = Some(Duration::from_mins(10));
        let raised = front
            .request_servicing("flash", CAMERA, minutes, true)
            .await;
        assert_eq!(
            raised.unwrap(),
            Raised::Allowed,
            "as root: in the app's place"
        );
        assert_eq!(launched(&mut served).await.1, Some(camera()));
        served
    });
}

#[test]
fn media_is_raised_from_the_foreground() {
    served(async |mut served| {
        privileged(&served).await;
        let front = front(&served).await;
        let _events = front.attach(Presence::Foreground).await.unwrap();
        assert_eq!(front.request_run("render").await.unwrap(), Raised::Allowed);
        launched(&mut served).await;
        served
    });
}

#[test]
fn a_wish_stands_until_the_operator_decides() {
    served(async |served| {
        let front = Front::connect_to(photos(), &served.path).await.unwrap();
        let usual = front.request_access_kind(AccessKind::Allowed, "sync").await;
        assert!(usual.unwrap(), "ACC-10: granted as ever");
        let wishes = async || {
            front
                .request_access_kind(AccessKind::AlwaysAllowed, "alarms")
                .await
        };
        assert!(!wishes().await.unwrap(), "not the app's to decide");
        let mut operators = served.operators(0).await;
        let mut seen = async || {
            let apps = operators.list_apps(wire::ListAppsRequest {}).await.unwrap();
            let app = apps.into_inner().apps.remove(0);
            (app.wish(), app.wish_reason)
        };
        assert_eq!(
            seen().await,
            (wire::AccessKind::AlwaysAllowed, "alarms".to_owned())
        );
        let always = wire::SetAccessRequest {
            app: photos(),
            choice: wire::AccessChoice::Always.into(),
        };
        served.operators(0).await.set_access(always).await.unwrap();
        assert_eq!(seen().await, (wire::AccessKind::Unspecified, String::new()));
        assert!(wishes().await.unwrap());
        let long = "x".repeat(1_025);
        let refused = front.request_access_kind(AccessKind::Allowed, long).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with("reason: "), "{refused}");
        served
    });
}

#[test]
fn a_registration_is_fired_by_hand_in_developer_mode() {
    served(async |mut served| {
        let mut apps = served.apps(OWNER).await;
        let timer = apps
            .register(registration("hourly", timer()))
            .await
            .unwrap();
        let id = timer.into_inner().id;
        let fire = |id| wire::DebugFireRequest { app: photos(), id };
        let mut operators = served.operators(0).await;
        let refused = operators.debug_fire(fire(id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().contains("developer mode"), "{refused}");
        let profile = Profile {
            developer_mode: true,
            ..Profile::default()
        };
        let door = &served.rig.door;
        door.commit(Event::ProfileChanged(profile)).await.unwrap();
        operators.debug_fire(fire(id)).await.unwrap();
        launched(&mut served).await;
        let refused = operators.debug_fire(fire(1)).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::FailedPrecondition,
            "MNG-13: {refused}"
        );
        let refused = operators.debug_fire(fire(99)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused}");
        let mut stranger = served.operators(OWNER).await;
        let refused = stranger.debug_fire(fire(id)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        served
    });
}

#[test]
fn the_folder_that_an_app_shares_with_its_agents_is_told_to_the_app_alone() {
    served(async |served| {
        let front = Front::connect_to(photos(), &served.path).await.unwrap();
        let folder = front.state_folder().await.unwrap();
        assert!(folder.ends_with("photos"), "{}", folder.display());
        std::fs::create_dir(&folder).unwrap();
        let state = State::open(&folder).unwrap();
        state.put("cursor", b"7").unwrap();
        let request = wire::GetStateFolderRequest { app: photos() };
        let mut stranger = served.apps(STRANGER).await;
        let refused = stranger.get_state_folder(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        let other = Front::connect_to("other", &served.path).await.unwrap();
        let missing = other.state_folder().await.unwrap_err();
        assert!(
            matches!(missing, lull_agent::front::FrontError::NotFound { .. }),
            "{missing}"
        );
        served
    });
}
