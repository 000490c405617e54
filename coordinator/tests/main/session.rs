//! The session: credit, order, acknowledgement, resumption, and who may have one.

use lull_proto::device::v1::session_request::Message as Said;
use lull_proto::device::v1::session_response::Message as Heard;
use lull_proto::device::v1::{DeviceHello, Receipts};
use tonic::Code;

use crate::site::{Device, Seat, Site, hello, push_to};

async fn send(seat: &Seat, device: &Device, app: &str, count: usize) -> Vec<String> {
    let mut push = seat.push().await;
    let mut ids = Vec::new();
    for n in 0..count {
        let request = push_to(device, app, n.to_string().as_bytes());
        ids.push(push.send(request).await.unwrap().into_inner().push_id);
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn deliveries_keep_to_the_credit_and_the_order() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let photos = send(&seat, &device, "photos", 3).await;
    let mut talk = device.attach("photos", 2).await;
    for (sequence, id) in (1..).zip(&photos[..2]) {
        let delivery = talk.delivery().await;
        assert_eq!((delivery.sequence, &delivery.push_id), (sequence, id));
    }
    // The third waits for credit; another app passes it.
    let music = send(&seat, &device, "music", 1).await;
    talk.grant("music", 1).await;
    let delivery = talk.delivery().await;
    assert_eq!((delivery.sequence, &delivery.push_id), (3, &music[0]));
    talk.grant("photos", 3).await;
    let delivery = talk.delivery().await;
    assert_eq!((delivery.sequence, &delivery.push_id), (4, &photos[2]));
    // To one that is there and has credit, it comes at once.
    talk.grant("photos", 10).await;
    let live = send(&seat, &device, "photos", 5).await;
    for id in &live {
        assert_eq!(&talk.delivery().await.push_id, id);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_was_not_acknowledged_comes_again_and_the_rest_does_not() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let ids = send(&seat, &device, "photos", 4).await;
    let (mut talk, greeting) = device.greet(hello()).await.unwrap();
    talk.grant("photos", 8).await;
    for _ in 0..4 {
        talk.delivery().await;
    }
    talk.acknowledge(1).await;
    drop(talk);
    // It had made the second one durable too, and says so when it comes back.
    let back = DeviceHello {
        mailbox_incarnation: greeting.mailbox_incarnation.clone(),
        delivered_through: 2,
        ..hello()
    };
    let (mut talk, again) = device.greet(back).await.unwrap();
    assert_eq!(again.mailbox_incarnation, greeting.mailbox_incarnation);
    talk.grant("photos", 8).await;
    for id in &ids[2..] {
        let delivery = talk.delivery().await;
        assert_eq!(&delivery.push_id, id);
        assert!(delivery.sequence > 4, "the numbers go on");
    }
    talk.acknowledge(6).await;
    crate::site::until("an empty mailbox", async || {
        (seat.listed(&device).await.waiting == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_same_machine_replaces_its_own_session() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let (first, _) = device.greet(hello()).await.unwrap();
    let mut second = device.attach("photos", 8).await;
    let ended = first.end().await;
    assert_eq!(ended.code(), Code::Aborted, "{ended}");
    let ids = send(&seat, &device, "photos", 1).await;
    assert_eq!(second.delivery().await.push_id, ids[0]);
    assert!(seat.listed(&device).await.connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_node_with_the_same_identity_is_refused_while_the_first_lives() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let mut first = device.attach("photos", 8).await;
    let other = DeviceHello {
        boot_id: "other".to_owned(),
        ..hello()
    };
    let listening = async {
        // Answers the question whether it is there.
        match first.hear_anything().await.unwrap() {
            Heard::Ping(number) => first.say(Said::Pong(number)).await,
            heard => panic!("{heard:?}"),
        }
        first
    };
    let (refused, mut first) = tokio::join!(device.greet(other), listening);
    let refused = refused.err().unwrap();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused}");
    assert!(refused.message().contains("enrol"), "{refused}");
    let ids = send(&seat, &device, "photos", 1).await;
    assert_eq!(
        first.delivery().await.push_id,
        ids[0],
        "the first one goes on"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_second_node_takes_over_from_one_that_says_nothing() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let (mut first, _) = device.greet(hello()).await.unwrap();
    let other = DeviceHello {
        boot_id: "other".to_owned(),
        ..hello()
    };
    let (_second, _) = device.greet(other).await.unwrap();
    assert!(matches!(first.hear_anything().await, Ok(Heard::Ping(_))));
    assert_eq!(
        first.hear_anything().await.unwrap_err().code(),
        Code::Aborted
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_silent_device_loses_its_session() {
    let site = Site::start_with(|config| {
        let second = std::time::Duration::from_secs(1);
        config.session.ping = lull_coordinator::config::quantity::Span(second);
    });
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let (mut talk, greeting) = device.greet(hello()).await.unwrap();
    assert_eq!(greeting.ping_seconds, 1);
    let mut pings = 0;
    let ended = loop {
        match talk.hear_anything().await {
            Ok(Heard::Ping(_)) => pings += 1,
            Ok(other) => panic!("{other:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded, "{ended}");
    assert!((2..=3).contains(&pings), "{pings}");
    assert!(!seat.listed(&device).await.connected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_a_session_cannot_be_is_refused() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    for (hello, code) in [
        (
            DeviceHello {
                protocol_min: 2,
                protocol_max: 3,
                ..hello()
            },
            Code::FailedPrecondition,
        ),
        (
            DeviceHello {
                protocol_min: 0,
                protocol_max: 0,
                ..hello()
            },
            Code::FailedPrecondition,
        ),
        (
            DeviceHello {
                boot_id: String::new(),
                ..hello()
            },
            Code::InvalidArgument,
        ),
        (
            DeviceHello {
                store_incarnation: "x".repeat(65),
                ..hello()
            },
            Code::InvalidArgument,
        ),
    ] {
        let refused = device.greet(hello).await.err().unwrap();
        assert_eq!(refused.code(), code, "{refused}");
    }
    let talk = device.call().await.unwrap();
    talk.grant("photos", 1).await;
    assert_eq!(talk.end().await.code(), Code::InvalidArgument, "no hello");

    let talk = device.attach("photos", 1).await;
    talk.acknowledge(1).await;
    let ended = talk.end().await;
    assert_eq!(ended.code(), Code::InvalidArgument, "{ended}");
    let talk = device.attach("photos", 1).await;
    talk.say(Said::Receipts(Receipts::default())).await;
    assert_eq!(talk.end().await.code(), Code::InvalidArgument);
    // None of it did harm.
    let ids = send(&seat, &device, "photos", 1).await;
    let mut talk = device.attach("photos", 1).await;
    assert_eq!(talk.delivery().await.push_id, ids[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_large_backlog_arrives_whole_and_in_order() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let ids = send(&seat, &device, "photos", 300).await;
    let mut talk = device.attach("photos", 64).await;
    for (n, id) in (1..).zip(&ids) {
        assert_eq!(&talk.delivery().await.push_id, id);
        talk.acknowledge(n).await;
        talk.grant("photos", 64 + n).await;
    }
}
