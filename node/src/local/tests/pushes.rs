//! Pushes that come to the app itself first (PSH-09, PSH-10).

use lull_policy::{FrontState, Hop, PushId, Span};

use super::*;
use crate::engine::rig::push;

/// Longer than an app has for its answer.
const PAST: Span = Span::seconds(6);

/// A client that takes pushes, once the machine knows of it.
async fn taking(
    served: &Served,
    apps: &mut AppServiceClient<Channel>,
    foreground: bool,
) -> Streaming<wire::AttachResponse> {
    let request = wire::AttachRequest {
        takes_pushes: true,
        ..attach(foreground)
    };
    let mut events = apps.attach(request).await.unwrap().into_inner();
    assert!(matches!(told(&mut events).await, Told::Attached(_)));
    let state = if foreground {
        FrontState::Foreground
    } else {
        FrontState::Background
    };
    stands(served, state).await;
    events
}

async fn stands(served: &Served, state: FrontState) {
    until(async || {
        let seen = look(&served.rig.door, |device, _now| device.front(&app()));
        seen.await.unwrap() == state
    })
    .await;
}

async fn arrives(served: &Served, id: &str) {
    served.rig.door.commit(push(id)).await.unwrap();
}

async fn offered(events: &mut Streaming<wire::AttachResponse>) -> wire::PushOffered {
    match told(events).await {
        Told::Push(offered) => offered,
        other => panic!("no push: {other:?}"),
    }
}

fn answer(id: &str, handled: bool) -> wire::AnswerPushRequest {
    wire::AnswerPushRequest {
        app: photos(),
        push: id.into(),
        handled,
    }
}

/// The last that the coordinator is told of a push.
async fn last_hop(served: &Served, id: &str) -> Hop {
    let id = PushId::new(id).unwrap();
    let hops = look(&served.rig.door, move |device, _now| {
        let receipts = device.receipts().filter(|receipt| receipt.push == id);
        receipts.map(|receipt| receipt.hop.clone()).last()
    });
    hops.await.unwrap().unwrap()
}

async fn runs(served: &Served) -> usize {
    let count = look(&served.rig.door, |device, _now| {
        device.runs().count() + device.finished().count()
    });
    count.await.unwrap()
}

/// The one launch for a push.
async fn launched(served: &mut Served, id: &str) {
    let RunOrder::Launch(launch) = next(&mut served.rig.queues.launches).await else {
        panic!("not a launch");
    };
    let push = launch.push.unwrap();
    assert_eq!(push.id, PushId::new(id).unwrap());
    assert_eq!(runs(served).await, 1, "the task runs once");
}

#[test]
fn the_app_in_the_foreground_gets_the_push_and_no_task_runs() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = taking(&served, &mut apps, true).await;
        arrives(&served, "p1").await;
        let offered = offered(&mut events).await;
        assert_eq!(
            (offered.id.as_str(), &*offered.body),
            ("p1", b"new photos".as_slice())
        );
        assert!(offered.expires.is_some());
        assert_eq!(last_hop(&served, "p1").await, Hop::Delivered, "undecided");
        apps.answer_push(answer("p1", true)).await.unwrap();
        assert_eq!(last_hop(&served, "p1").await, Hop::ShownToApp);
        served.rig.clock.advance(PAST);
        assert_eq!(runs(&served).await, 0, "PSH-10");
        let again = apps.answer_push(answer("p1", false)).await.unwrap_err();
        assert_eq!(again.code(), Code::NotFound, "an answer counts once");
        assert_eq!(runs(&served).await, 0);
        served
    });
}

#[test]
fn a_push_that_is_passed_on_runs_its_task_once() {
    served(async |mut served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = taking(&served, &mut apps, true).await;
        arrives(&served, "p1").await;
        offered(&mut events).await;
        apps.answer_push(answer("p1", false)).await.unwrap();
        launched(&mut served, "p1").await;
        let late = apps.answer_push(answer("p1", true)).await.unwrap_err();
        assert_eq!(late.code(), Code::NotFound, "{late}");
        assert_eq!(runs(&served).await, 1);
        served
    });
}

#[test]
fn an_app_that_says_nothing_or_leaves_holds_a_push_up_for_five_seconds() {
    for leaves in [false, true] {
        served(async |mut served| {
            let mut apps = served.apps(OWNER).await;
            let mut events = taking(&served, &mut apps, true).await;
            arrives(&served, "p1").await;
            offered(&mut events).await;
            let events = (!leaves).then_some(events);
            if leaves {
                stands(&served, FrontState::None).await;
            }
            assert_eq!(runs(&served).await, 0);
            served.rig.clock.advance(PAST);
            launched(&mut served, "p1").await;
            let late = apps.answer_push(answer("p1", true)).await.unwrap_err();
            assert_eq!(late.code(), Code::NotFound, "{late}");
            drop(events);
            served
        });
    }
}

#[test]
fn a_client_that_takes_no_pushes_is_not_waited_for() {
    served(async |mut served| {
        let mut apps = served.apps(OWNER).await;
        let mut deaf = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut deaf).await, Told::Attached(_)));
        stands(&served, FrontState::Foreground).await;
        arrives(&served, "p1").await;
        launched(&mut served, "p1").await;
        served
    });
}

#[test]
fn an_app_that_runs_without_a_task_gets_its_pushes_by_event_only() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let reconcile = wire::ReconcileRequest {
            app: photos(),
            desired: Vec::new(),
        };
        apps.reconcile(reconcile).await.unwrap();
        let mut events = taking(&served, &mut apps, false).await;
        arrives(&served, "p1").await;
        assert_eq!(offered(&mut events).await.id, "p1", "PSH-09");
        apps.answer_push(answer("p1", true)).await.unwrap();
        assert_eq!(last_hop(&served, "p1").await, Hop::ShownToApp);
        drop(events);
        let mut deaf = apps.attach(attach(true)).await.unwrap().into_inner();
        assert!(matches!(told(&mut deaf).await, Told::Attached(_)));
        stands(&served, FrontState::Foreground).await;
        arrives(&served, "p2").await;
        let nobody = Hop::Dropped {
            reason: lull_policy::DropReason::NoHandler,
        };
        assert_eq!(last_hop(&served, "p2").await, nobody, "nobody saw it");
        served
    });
}

#[test]
fn only_the_app_itself_answers() {
    served(async |served| {
        let mut apps = served.apps(OWNER).await;
        let mut events = taking(&served, &mut apps, true).await;
        arrives(&served, "p1").await;
        offered(&mut events).await;
        let mut stranger = served.apps(STRANGER).await;
        let refused = stranger.answer_push(answer("p1", true)).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied, "{refused}");
        let refused = apps.answer_push(answer("", true)).await.unwrap_err();
        assert_eq!(problem::violations(&refused)[0].0, "push");
        assert_eq!(last_hop(&served, "p1").await, Hop::Delivered);
        served
    });
}
