//! The SDK's front client against a real node's socket: reconciling at launch, and pushes that the app takes itself.

use lull_agent::Trigger;
use lull_agent::front::{Event as Heard, Events, Front, FrontError, OfferedPush, Presence};
use lull_agent::front::{Reconciled, Registration};
use lull_policy::{FrontState, Hop, PushId, Span};

use super::*;
use crate::engine::rig::push;

async fn front(served: &Served) -> Front {
    Front::connect_to(photos(), &served.path).await.unwrap()
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn wanted(name: &str, trigger: Trigger) -> Registration {
    Registration::named(name)
        .entry_point("photo-sync")
        .trigger(trigger)
}

#[test]
fn an_app_reconciles_what_a_manifest_or_an_older_version_left() {
    served(async |served| {
        let front = front(&served).await;
        let wants = || {
            [
                wanted("sync", Trigger::every(30)),
                wanted("news", Trigger::Push),
            ]
        };
        let done = front.reconcile(wants()).await.unwrap();
        let expected = Reconciled {
            registered: names(&["news"]),
            unregistered: names(&["pushed"]),
            replaced: names(&["sync"]),
            kept: names(&[]),
        };
        assert_eq!(done, expected);
        let again = front.reconcile(wants()).await.unwrap();
        assert!(again.changed_nothing(), "{again:?}");
        let twice = [wanted("a", Trigger::Push), wanted("a", Trigger::Push)];
        let refused = front.reconcile(twice).await.unwrap_err();
        let FrontError::InvalidArgument { field, message } = &refused else {
            panic!("{refused:?}");
        };
        assert_eq!(field, "desired");
        assert!(message.contains("twice"), "{message}");
        front.remove_access().await.unwrap();
        let denied = front.reconcile(wants()).await.unwrap_err();
        assert!(
            matches!(denied, FrontError::Denied { .. }),
            "ACC-01: {denied}"
        );
        served
    });
}

async fn attached(served: &Served, front: &Front) -> Events {
    let events = front.attach_taking_pushes(Presence::Foreground).await;
    until(async || {
        let seen = look(&served.rig.door, |device, _now| device.front(&app()));
        seen.await.unwrap() == FrontState::Foreground
    })
    .await;
    events.unwrap()
}

async fn offered(served: &Served, events: &mut Events, id: &str) -> OfferedPush {
    served.rig.door.commit(push(id)).await.unwrap();
    match tokio::time::timeout(PATIENCE, events.next()).await.unwrap() {
        Some(Ok(Heard::Push(push))) => push,
        other => panic!("no push: {other:?}"),
    }
}

async fn hops(served: &Served, id: &str) -> Vec<Hop> {
    let id = PushId::new(id).unwrap();
    let hops = look(&served.rig.door, move |device, _now| {
        let of = device.receipts().filter(|receipt| receipt.push == id);
        of.map(|receipt| receipt.hop.clone()).collect()
    });
    hops.await.unwrap()
}

#[test]
fn a_handled_push_runs_nothing_and_one_that_is_dropped_runs_its_task_at_once() {
    served(async |mut served| {
        let front = front(&served).await;
        let mut events = attached(&served, &front).await;
        let handled = offered(&served, &mut events, "p1").await;
        assert_eq!(handled.body(), b"new photos");
        handled.handled().await.unwrap();
        assert_eq!(hops(&served, "p1").await, [Hop::Delivered, Hop::ShownToApp]);
        // The clock stands still: it is the drop that passes it on, not the time.
        drop(offered(&served, &mut events, "p2").await);
        let RunOrder::Launch(launch) = next(&mut served.rig.queues.launches).await else {
            panic!("not a launch");
        };
        assert_eq!(launch.push.unwrap().id, PushId::new("p2").unwrap());
        served
    });
}

#[test]
fn an_answer_after_the_nodes_time_is_told_to_be_late() {
    served(async |mut served| {
        let front = front(&served).await;
        let mut events = attached(&served, &front).await;
        let push = offered(&served, &mut events, "p1").await;
        served.rig.clock.advance(Span::seconds(5));
        let RunOrder::Launch(launch) = next(&mut served.rig.queues.launches).await else {
            panic!("not a launch");
        };
        assert_eq!(launch.push.unwrap().id, PushId::new("p1").unwrap());
        let late = push.handled().await.unwrap_err();
        assert!(matches!(late, FrontError::NotFound { .. }), "{late}");
        push.pass_on().await.unwrap();
        served
    });
}
