//! How sessions begin, end and begin again.

use lull_proto::device::v1::{session_request, session_response};
use lull_proto::problem::retry_later;
use tokio::time::Instant;
use tonic::{Code, Status};

use super::authority::Authority;
use super::coordinator::{Coordinator, delivery, hello};
use super::device::{Node, Plan, kept};
use super::*;
use crate::link::{Times, counter};

#[tokio::test]
async fn the_device_says_who_it_is_and_what_is_installed() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&Plan::default());
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    let (mut peer, heard) = coordinator.session(hello()).await;
    assert_eq!((heard.protocol_min, heard.protocol_max), (1, 1));
    assert_eq!(
        (heard.boot_id.as_str(), heard.store_incarnation.as_str()),
        ("boot-1", "store-1")
    );
    assert_eq!(
        (heard.mailbox_incarnation.as_str(), heard.delivered_through),
        ("", 0)
    );
    let mut said = peer.until_pong(7).await;
    said.retain(|message| !matches!(message, session_request::Message::Grant(_)));
    let [session_request::Message::Inventory(inventory)] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!(inventory.apps[0].version, "1");
    assert_eq!(inventory.labels["site"], "berlin");
    let status = node.board.read();
    assert!(status.connected);
    assert_eq!(status.device, "device-1");
    assert_eq!(status.coordinator, coordinator.address.to_string());
    node.update();
    let version = peer.until(|message| match message {
        session_request::Message::Inventory(inventory) => Some(inventory.apps[0].version.clone()),
        _ => None,
    });
    assert_eq!(version.await, "2");
}

#[tokio::test]
async fn a_broken_session_is_begun_again() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&Plan::default());
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    for session in 1..=3 {
        let (peer, _heard) = coordinator.session(hello()).await;
        node.counted(counter::SESSIONS, session).await;
        drop(peer);
    }
    node.counted(counter::FAILURES, 2).await;
}

#[tokio::test]
async fn a_coordinator_of_another_fleet_hears_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    let mut coordinator = Coordinator::start(other.fleet()).await;
    let node = Node::start(&Plan::default());
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    node.counted(counter::FAILURES, 3).await;
    assert!(!coordinator.has_peer());
    assert!(!node.board.read().connected);
}

#[tokio::test]
async fn an_identity_that_has_ended_connects_nowhere_until_a_new_one_is_there() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let mut plan = Plan::default();
    // Only the new identity can wake it in time.
    plan.times.base = Duration::from_hours(1);
    let node = Node::start(&plan);
    let address = coordinator.address.to_string();
    authority.enrol(&node.identity(), "old", &address, -1);
    node.counted(counter::FAILURES, 1).await;
    assert!(!coordinator.has_peer());
    authority.enrol(&node.identity(), "new", &address, 1);
    coordinator.session(hello()).await;
    node.counted(counter::SESSIONS, 1).await;
    assert_eq!(node.board.read().device, "new");
}

#[tokio::test]
async fn silence_ends_a_session_and_pings_keep_it() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&Plan::default());
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    let mut first = hello();
    first.ping_seconds = 1;
    let (mut peer, _heard) = coordinator.session(first.clone()).await;
    for number in 1..=3 {
        peer.until_pong(number).await;
    }
    let began = Instant::now();
    peer.gone().await;
    let silent = began.elapsed();
    assert!(silent > Duration::from_millis(2_500), "{silent:?}");
    coordinator.session(first).await;
}

#[tokio::test]
async fn the_coordinator_says_when_to_come_back() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&Plan::default());
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    let mut peer = coordinator.peer().await;
    peer.hello().await;
    let wait = Duration::from_millis(700);
    let began = Instant::now();
    peer.refuse(retry_later(Code::Unavailable, "come back later", wait))
        .await;
    coordinator.peer().await;
    let waited = began.elapsed();
    assert!(waited >= wait, "{waited:?}");
}

#[tokio::test]
async fn a_broken_protocol_ends_the_session() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let node = Node::start(&Plan::default());
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    // No hello first.
    let mut peer = coordinator.peer().await;
    peer.hello().await;
    peer.say(session_response::Message::Ping(1)).await;
    peer.gone().await;
    // A version that the node does not speak, and no mailbox.
    for wrong in [
        lull_proto::device::v1::CoordinatorHello {
            protocol: 2,
            ..hello()
        },
        lull_proto::device::v1::CoordinatorHello {
            mailbox_incarnation: String::new(),
            ..hello()
        },
    ] {
        let (peer, _heard) = coordinator.session(wrong).await;
        peer.gone().await;
    }
    // A second hello.
    let (peer, _heard) = coordinator.session(hello()).await;
    peer.say(session_response::Message::Hello(hello())).await;
    peer.gone().await;
    // Pushes backwards.
    let (peer, _heard) = coordinator.session(hello()).await;
    let closed = node.engine.gate.available_permits();
    node.engine.gate.forget_permits(closed);
    peer.say(delivery(5)).await;
    peer.say(delivery(4)).await;
    peer.gone().await;
    let (peer, _heard) = coordinator.session(hello()).await;
    peer.refuse(Status::unauthenticated("who are you?")).await;
    coordinator.peer().await;
}

#[tokio::test]
async fn the_place_in_the_mailbox_survives_and_a_new_mailbox_begins_anew() {
    let authority = Authority::new();
    let mut coordinator = Coordinator::start(authority.fleet()).await;
    let mut plan = Plan::default();
    plan.times = Times {
        place: Duration::from_millis(10),
        ..plan.times
    };
    let node = Node::start(&plan);
    authority.enrol(
        &node.identity(),
        "device-1",
        &coordinator.address.to_string(),
        1,
    );
    let (mut peer, _heard) = coordinator.session(hello()).await;
    peer.say(delivery(3)).await;
    peer.acknowledged(3).await;
    let written = async {
        while kept(&node.place()) != ("mailbox-1".to_owned(), 3) {
            tokio::task::yield_now().await;
        }
    };
    soon("the place to be written", written).await;
    drop(peer);
    let mut other = hello();
    other.mailbox_incarnation = "mailbox-2".into();
    let (mut peer, heard) = coordinator.session(other.clone()).await;
    assert_eq!(
        (heard.mailbox_incarnation.as_str(), heard.delivered_through),
        ("mailbox-1", 3)
    );
    peer.say(delivery(1)).await;
    peer.acknowledged(1).await;
    drop(peer);
    let (_peer, heard) = coordinator.session(other).await;
    assert_eq!(
        (heard.mailbox_incarnation.as_str(), heard.delivered_through),
        ("mailbox-2", 1)
    );
}
