//! Kinds of access, devices, and what an app has on its own device.

use std::path::PathBuf;

use super::*;
use crate::front::AccessKind;

#[tokio::test]
async fn a_kind_of_access_is_asked_for_with_its_reason() {
    let node = Node::with(Script::default()).await;
    for (kind, number, granted) in [
        (AccessKind::AlwaysAllowed, 1, false),
        (AccessKind::Allowed, 2, true),
    ] {
        let answer = node.front.request_access_kind(kind, "alarms").await;
        assert_eq!(answer.unwrap(), granted);
        let told = node.script.lock().unwrap().wished.take().unwrap();
        assert_eq!(
            (told.kind, told.reason.as_str()),
            (number, "alarms"),
            "ACC-10"
        );
    }
}

#[tokio::test]
async fn devices_are_asked_for_by_their_names() {
    let node = Node::with(Script::default()).await;
    let device = "usb:046d:c52b:1-1.2";
    let used = node.front.request_device("scan", device).await.unwrap();
    assert_eq!(used, Raised::DeniedByUser);
    let told = node.script.lock().unwrap().device.take().unwrap();
    assert_eq!((told.name.as_str(), told.device.as_str()), ("scan", device));
    let minutes = Some(Duration::from_mins(10));
    let serviced = node
        .front
        .request_servicing("flash", device, minutes, true)
        .await;
    assert_eq!(serviced.unwrap(), Raised::LowBattery);
    let told = node.script.lock().unwrap().servicing.take().unwrap();
    assert_eq!(told.expected.unwrap().seconds, 600);
    assert!(told.consent);
}

#[tokio::test]
async fn the_folder_of_the_state_is_the_nodes_word() {
    let node = Node::with(Script::default()).await;
    let nothing = node.front.state_folder().await.unwrap_err();
    assert!(
        matches!(nothing, FrontError::Unintelligible { .. }),
        "{nothing}"
    );
    node.script.lock().unwrap().folder = "/var/lib/lull/apps/photos".to_owned();
    let folder = node.front.state_folder().await.unwrap();
    assert_eq!(folder, PathBuf::from("/var/lib/lull/apps/photos"));
    let usage = node.front.memory_usage().unwrap();
    assert!(usage.usage.unwrap() > 1 << 20, "RES-07: {usage:?}");
}
