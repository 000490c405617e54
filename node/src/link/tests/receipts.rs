//! Receipts: in order, in batches, until the coordinator has them.

use lull_proto::device::v1::{CoordinatorHello, session_request, session_response};

use super::authority::Authority;
use super::coordinator::{Coordinator, Peer, delivery, hello};
use super::device::{Node, Plan};
use super::*;
use crate::link::counter;

async fn start(plan: Plan) -> (Coordinator, Node, Authority) {
    let authority = Authority::new();
    let coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&plan);
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    (coordinator, node, authority)
}

/// Receipts as they come, until the last one expected.
async fn receipts(peer: &mut Peer, through: u64) -> Vec<u64> {
    let mut all: Vec<u64> = Vec::new();
    while all.last() != Some(&through) {
        let batch = peer.until(|message| match message {
            session_request::Message::Receipts(receipts) => Some(receipts.receipts),
            _ => None,
        });
        let batch = batch.await;
        assert!((1..=256).contains(&batch.len()), "{}", batch.len());
        all.extend(batch.iter().map(|receipt| receipt.sequence));
    }
    all
}

async fn settle(peer: &mut Peer, node: &Node, through: u64, left: usize) {
    peer.say(session_response::Message::ReceiptsAcknowledged(through))
        .await;
    let mut number = 1_000 + through;
    let left_over = async {
        while node.engine.receipts() != left {
            number += 1;
            peer.until_pong(number).await;
        }
    };
    soon("receipts to be acknowledged", left_over).await;
}

/// Pushes without a handler: one terminal receipt each, beside the one of delivery.
async fn send(peer: &mut Peer, sequences: std::ops::RangeInclusive<u64>) {
    let last = *sequences.end();
    for sequence in sequences {
        peer.say(delivery(sequence)).await;
    }
    peer.until(|message| match message {
        session_request::Message::Acknowledge(a) => (a.delivered_through == last).then_some(()),
        _ => None,
    })
    .await;
}

#[tokio::test]
async fn each_hop_is_told_and_forgotten_when_the_coordinator_has_it() {
    let (mut coordinator, node, _authority) = start(Plan::default()).await;
    let (mut peer, _heard) = coordinator.session(hello()).await;
    peer.say(delivery(1)).await;
    let told = receipts(&mut peer, 2).await;
    assert_eq!(told, [1, 2]);
    settle(&mut peer, &node, 1, 1).await;
    settle(&mut peer, &node, 2, 0).await;
    assert_eq!(node.board.counter(counter::RECEIPTS), 2);
    assert_eq!(node.board.counter(counter::RECEIPT_GAPS), 0);
}

#[tokio::test]
async fn what_the_coordinator_does_not_have_is_told_again() {
    let (mut coordinator, node, _authority) = start(Plan::default()).await;
    let (mut peer, _heard) = coordinator.session(hello()).await;
    send(&mut peer, 1..=4).await;
    settle(&mut peer, &node, 3, 5).await;
    drop(peer);
    // It has 5 of the 8 by now: its acknowledgement was lost.
    let (mut peer, _heard) = coordinator
        .session(CoordinatorHello {
            receipts_acknowledged: 5,
            ..hello()
        })
        .await;
    assert_eq!(receipts(&mut peer, 8).await, [6, 7, 8]);
    assert_eq!(node.engine.receipts(), 3);
    // More than was ever sent cannot be acknowledged.
    settle(&mut peer, &node, 99, 0).await;
    send(&mut peer, 5..=5).await;
    assert_eq!(node.engine.receipts(), 2);
}

#[tokio::test]
async fn many_receipts_of_a_night_without_network_go_in_batches() {
    let (mut coordinator, node, _authority) = start(Plan::default()).await;
    let (mut peer, _heard) = coordinator.session(hello()).await;
    for sequence in 1..=350 {
        peer.say(delivery(sequence)).await;
    }
    let all = receipts(&mut peer, 700).await;
    assert_eq!(all, (1..=700).collect::<Vec<_>>());
    drop(peer);
    let (mut peer, _heard) = coordinator.session(hello()).await;
    let mut batches = 0;
    let mut all: Vec<u64> = Vec::new();
    while all.last() != Some(&700) {
        let batch = peer.until(|message| match message {
            session_request::Message::Receipts(receipts) => Some(receipts.receipts),
            _ => None,
        });
        all.extend(batch.await.iter().map(|receipt| receipt.sequence));
        batches += 1;
    }
    assert_eq!(all, (1..=700).collect::<Vec<_>>());
    assert!(batches >= 3, "{batches}");
    settle(&mut peer, &node, 700, 0).await;
}

#[tokio::test]
async fn orders_that_were_lost_between_engine_and_link_leave_no_gap() {
    let plan = Plan {
        orders: 3,
        ..Plan::default()
    };
    let (mut coordinator, node, _authority) = start(plan).await;
    let (mut peer, _heard) = coordinator.session(hello()).await;
    for sequence in 1..=40 {
        peer.say(delivery(sequence)).await;
    }
    let mut all: Vec<u64> = Vec::new();
    let mut number = 0;
    let complete = async {
        while node.engine.receipts() > 0 || all.len() < 80 {
            number += 1;
            for message in peer.until_pong(number).await {
                if let session_request::Message::Receipts(batch) = message {
                    all.extend(batch.receipts.iter().map(|receipt| receipt.sequence));
                }
            }
            let through = all.last().copied().unwrap_or(0);
            peer.say(session_response::Message::ReceiptsAcknowledged(through))
                .await;
        }
    };
    soon("every receipt", complete).await;
    assert_eq!(all, (1..=80).collect::<Vec<_>>());
}
