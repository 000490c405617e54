//! Reconciling at launch.

use super::*;
use crate::front::Reconciled;

fn wanted(name: &str) -> Registration {
    Registration::named(name)
        .entry_point("photo-sync")
        .trigger(Trigger::every(30))
}

#[tokio::test]
async fn all_that_is_desired_arrives_in_one_request() {
    let node = Node::with(Script::default()).await;
    let desired = [
        wanted("sync")
            .condition(Condition::InternetAvailable)
            .cancel_on_condition_loss()
            .network_requested(),
        wanted("tidy").replace(),
    ];
    let done = node.front.reconcile(desired).await.unwrap();
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let expected = Reconciled {
        registered: names(&["a"]),
        unregistered: names(&["b"]),
        replaced: names(&["c"]),
        kept: names(&["d", "e"]),
    };
    assert_eq!(done, expected);
    assert!(!done.changed_nothing());
    let told = node.script.lock().unwrap().reconciled.take().unwrap();
    assert_eq!((told.app.as_str(), told.desired.len()), ("photos", 2));
    let first = &told.desired[0];
    assert_eq!(
        (first.name.as_str(), first.entry_point.as_str()),
        ("sync", "photo-sync")
    );
    assert_eq!(first.conditions, [3]);
    assert!(first.cancel_on_condition_loss && first.network_requested);
    assert!(first.trigger.is_some());
}

#[tokio::test]
async fn what_cannot_be_reconciled_is_refused_before_it_is_sent() {
    let node = Node::with(Script::default()).await;
    let grouped = [wanted("sync"), wanted("tiles").group("maps")];
    let long = (0..128).map(|n| wanted(&format!("{n:0700}")));
    let refused = [
        ("desired[1].group", node.front.reconcile(grouped).await),
        ("desired", node.front.reconcile(long).await),
    ];
    for (field, answer) in refused {
        match answer {
            Err(FrontError::InvalidArgument { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(node.script.lock().unwrap().reconciled.is_none());
}
