//! Pushes: acknowledged after their commit, repeated without effect, within credit.

use std::sync::atomic::Ordering;

use lull_policy::{Level, Reading};
use lull_proto::device::v1::{Delivery, session_request, session_response};

use super::authority::Authority;
use super::coordinator::{Coordinator, Peer, delivery, hello};
use super::device::{Node, Plan};
use super::*;
use crate::link::counter;

async fn up(plan: Plan) -> (Coordinator, Node, Peer, Authority) {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&plan);
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    let (peer, _heard) = coordinator.session(hello()).await;
    (coordinator, node, peer, authority)
}

fn closed() -> Plan {
    Plan {
        open: 0,
        ..Plan::default()
    }
}

fn is_acknowledge(message: &session_request::Message) -> bool {
    matches!(message, session_request::Message::Acknowledge(_))
}

#[tokio::test]
async fn a_push_is_acknowledged_only_after_its_commit() {
    let (_coordinator, node, mut peer, _authority) = up(closed()).await;
    for sequence in [2, 5, 6] {
        peer.say(delivery(sequence)).await;
    }
    let said = peer.until_pong(1).await;
    assert!(!said.iter().any(is_acknowledge), "{said:?}");
    assert!(node.engine.arrived().is_empty());
    node.engine.gate.add_permits(1);
    peer.acknowledged(2).await;
    let said = peer.until_pong(2).await;
    assert!(!said.iter().any(is_acknowledge), "{said:?}");
    node.engine.gate.add_permits(2);
    // One for both, or one each: cumulative.
    let last = peer.until(|message| match message {
        session_request::Message::Acknowledge(a) => (a.delivered_through == 6).then_some(6),
        _ => None,
    });
    assert_eq!(last.await, 6);
    assert_eq!(node.engine.arrived(), ["push-2", "push-5", "push-6"]);
}

#[tokio::test]
async fn what_was_not_committed_before_a_cut_comes_again_and_arrives_once() {
    let (mut coordinator, node, peer, _authority) = up(closed()).await;
    node.engine.register(true);
    peer.say(delivery(1)).await;
    peer.say(delivery(2)).await;
    let mut peer = peer;
    peer.until_pong(1).await;
    drop(peer);
    let (peer, heard) = coordinator.session(hello()).await;
    assert_eq!(heard.delivered_through, 0, "nothing was durable");
    node.engine.gate.add_permits(100);
    for sequence in 1..=3 {
        peer.say(delivery(sequence)).await;
    }
    let mut peer = peer;
    peer.until(|message| match message {
        session_request::Message::Acknowledge(a) => (a.delivered_through == 3).then_some(()),
        _ => None,
    })
    .await;
    // The acknowledgement is lost: all three come again in a third session that knows nothing of it.
    drop(peer);
    let (mut peer, heard) = coordinator.session(hello()).await;
    assert_eq!(heard.delivered_through, 3);
    peer.say(delivery(3)).await;
    peer.acknowledged(3).await;
    assert_eq!(node.board.counter(counter::REPEATED), 1);
    assert_eq!(node.engine.arrived(), ["push-1", "push-2", "push-3"]);
    // One receipt (delivered) for each, whatever was repeated.
    assert_eq!(node.engine.receipts(), 3);
}

#[tokio::test]
async fn an_engine_that_cannot_commit_is_asked_again() {
    let (_coordinator, node, mut peer, _authority) = up(Plan::default()).await;
    node.engine.refuse.store(3, Ordering::Relaxed);
    peer.say(delivery(1)).await;
    peer.acknowledged(1).await;
    assert_eq!(node.engine.arrived(), ["push-1"]);
}

#[tokio::test]
async fn an_engine_that_never_commits_ends_the_session_and_nothing_is_acknowledged() {
    let mut plan = closed();
    plan.times.commit = Duration::from_millis(300);
    let (mut coordinator, node, peer, _authority) = up(plan).await;
    peer.say(delivery(1)).await;
    let (_peer, heard) = coordinator.session(hello()).await;
    assert_eq!(heard.delivered_through, 0);
    assert!(node.engine.arrived().is_empty());
}

#[tokio::test]
async fn credit_is_what_the_queue_can_hold() {
    let plan = Plan {
        queue: 2,
        ..Plan::default()
    };
    let (_coordinator, node, mut peer, _authority) = up(plan).await;
    node.engine.register(true);
    assert_eq!(peer.granted().await, 2);
    peer.say(delivery(1)).await;
    peer.say(delivery(2)).await;
    peer.acknowledged(2).await;
    let said = peer.until_pong(1).await;
    let grant =
        |message: &session_request::Message| matches!(message, session_request::Message::Grant(_));
    assert!(
        !said.iter().any(grant),
        "both wait, nothing is free: {said:?}"
    );
    // The condition comes to hold: one push runs, one waits; then the other.
    node.reading(Reading::UserPresent(Level::Known(true)));
    assert_eq!(peer.granted().await, 3);
    node.engine.finish_a_run();
    assert_eq!(peer.granted().await, 4);
}

#[tokio::test]
async fn a_push_that_is_none_is_acknowledged_without_effect() {
    let (_coordinator, node, mut peer, _authority) = up(Plan::default()).await;
    let whole = Delivery {
        sequence: 1,
        push_id: "push-1".into(),
        app: "photos".into(),
        payload: b"go".to_vec().into(),
        expires_at: Some(lull_proto::time::timestamp(4_000_000_000_000)),
    };
    let wrong = [
        Delivery {
            app: "../etc".into(),
            ..whole.clone()
        },
        Delivery {
            payload: vec![0; 5_001].into(),
            ..whole.clone()
        },
        Delivery {
            expires_at: None,
            ..whole.clone()
        },
    ];
    for (delivery, sequence) in wrong.into_iter().zip(1..) {
        let delivery = Delivery {
            sequence,
            ..delivery
        };
        peer.say(session_response::Message::Delivery(delivery))
            .await;
    }
    peer.say(delivery(4)).await;
    peer.until(|message| match message {
        session_request::Message::Acknowledge(a) => (a.delivered_through == 4).then_some(()),
        _ => None,
    })
    .await;
    assert_eq!(node.engine.arrived(), ["push-4"]);
    assert_eq!(node.board.counter(counter::MALFORMED), 3);
    assert_eq!(node.board.counter(counter::PUSHES), 1);
}
