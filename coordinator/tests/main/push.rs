//! What is accepted, and what is not.

use lull_proto::push::v1::{GetRequest, LabelSelector, SendRequest, send_request::Target};
use lull_proto::time::duration;
use tonic::Code;

use crate::site::{Device, Seat, Site, push_to, until};

async fn waiting(seat: &Seat, device: &Device) -> u32 {
    seat.listed(device).await.waiting
}

fn to_label(key: &str, value: &str, payload: &[u8]) -> SendRequest {
    SendRequest {
        app: "photos".to_owned(),
        target: Some(Target::Selector(LabelSelector {
            labels: [(key.to_owned(), value.to_owned())].into(),
        })),
        payload: payload.to_vec().into(),
        ..SendRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_push_that_is_wrong_is_refused_by_field_and_nothing_is_stored() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let good = push_to(&device, "photos", b"x");
    let change = |change: &dyn Fn(&mut SendRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let negative = prost_types::Duration {
        seconds: -1,
        nanos: 0,
    };
    let labels = LabelSelector::default();
    let life = "time_to_live";
    let cases = [
        ("payload", change(&|r| r.payload = vec![0; 5_001].into())),
        ("payload", change(&|r| r.payload.clear())),
        ("app", change(&|r| "a b".clone_into(&mut r.app))),
        ("app", change(&|r| r.app.clear())),
        ("target", change(&|r| r.target = None)),
        (
            "device",
            change(&|r| r.target = Some(Target::Device("x".to_owned()))),
        ),
        (
            "selector.labels",
            change(&|r| r.target = Some(Target::Selector(labels.clone()))),
        ),
        (life, change(&|r| r.time_to_live = Some(duration(999)))),
        (
            life,
            change(&|r| r.time_to_live = Some(duration(29 * 86_400_000))),
        ),
        (life, change(&|r| r.time_to_live = Some(negative))),
        (
            "deduplication_key",
            change(&|r| r.deduplication_key = "k".repeat(65)),
        ),
        ("retention", change(&|r| r.retention = 99)),
    ];
    for (field, request) in cases {
        let refused = seat.send(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
        assert_eq!(
            lull_proto::problem::violations(&refused)[0].0,
            field,
            "{refused}"
        );
    }
    let refused = seat.send(SendRequest::default()).await.unwrap_err();
    assert_eq!(
        lull_proto::problem::violations(&refused).len(),
        3,
        "all at once: {refused}"
    );
    assert_eq!(waiting(&seat, &device).await, 0);

    let largest = SendRequest {
        payload: vec![0; 5_000].into(),
        ..good.clone()
    };
    seat.send(largest).await.unwrap();
    assert_eq!(waiting(&seat, &device).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn unknown_devices_and_apps_are_named() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let nobody = "01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f";
    let request = SendRequest {
        target: Some(Target::Device(nobody.to_owned())),
        ..push_to(&device, "photos", b"x")
    };
    let refused = seat.send(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains(nobody), "{refused}");

    // Until the device has told what it has, every app may be there.
    seat.send(push_to(&device, "music", b"x")).await.unwrap();
    let talk = device.attach("photos", 0).await;
    talk.inventory(&["photos"]).await;
    let refused = until("the inventory", async || {
        seat.send(push_to(&device, "music", b"x")).await.err()
    })
    .await;
    assert_eq!(refused.code(), Code::NotFound);
    assert!(refused.message().contains("music") && refused.message().contains(&device.id));
    seat.send(push_to(&device, "photos", b"x")).await.unwrap();
    assert_eq!(seat.listed(&device).await.apps, ["photos"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_stands_for_one_push() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let keyed = SendRequest {
        deduplication_key: "k".to_owned(),
        ..push_to(&device, "photos", b"x")
    };
    let first = seat.send(keyed.clone()).await.unwrap();
    let again = seat.send(keyed.clone()).await.unwrap();
    assert!(!first.duplicate && again.duplicate);
    assert_eq!(
        (&again.push_id, again.accepted_at),
        (&first.push_id, first.accepted_at)
    );
    assert_eq!(waiting(&seat, &device).await, 1);

    let other_app = SendRequest {
        app: "music".to_owned(),
        ..keyed.clone()
    };
    assert!(!seat.send(other_app).await.unwrap().duplicate);
    site.clock.advance(24 * 3_600_000);
    assert!(
        !seat.send(keyed).await.unwrap().duplicate,
        "a day later it is free again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_sent_many_times_at_once_stands_for_one_push() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let keyed = SendRequest {
        deduplication_key: "k".to_owned(),
        ..push_to(&device, "photos", b"x")
    };
    let push = seat.push().await;
    let sends = (0..32).map(|_| {
        let (mut push, keyed) = (push.clone(), keyed.clone());
        async move { push.send(keyed).await.unwrap().into_inner() }
    });
    let answers = futures_util::future::join_all(sends).await;
    assert_eq!(answers.iter().filter(|answer| !answer.duplicate).count(), 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.push_id == answers[0].push_id)
    );
    assert_eq!(waiting(&seat, &device).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_mailbox_refuses_and_keeps_what_it_has() {
    let site = Site::start_with(|config| config.limits.mailbox_count = 2);
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let keyed = SendRequest {
        deduplication_key: "k".to_owned(),
        ..push_to(&device, "photos", b"x")
    };
    seat.send(keyed.clone()).await.unwrap();
    seat.send(push_to(&device, "photos", b"x")).await.unwrap();
    let refused = seat
        .send(push_to(&device, "photos", b"x"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains(&device.id), "{refused}");
    assert!(
        seat.send(keyed).await.unwrap().duplicate,
        "what was accepted stays so"
    );
    assert_eq!(waiting(&seat, &device).await, 2);

    let mut talk = device.attach("photos", 2).await;
    let last = [
        talk.delivery().await.sequence,
        talk.delivery().await.sequence,
    ][1];
    talk.acknowledge(last).await;
    until("room", async || {
        seat.send(push_to(&device, "photos", b"x")).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_full_mailbox_by_bytes_refuses_too() {
    let site = Site::start_with(|config| {
        config.limits.mailbox_bytes = lull_coordinator::config::quantity::Bytes(9_999);
    });
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let large = push_to(&device, "photos", &[7; 5_000]);
    seat.send(large.clone()).await.unwrap();
    let refused = seat.send(large).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    seat.send(push_to(&device, "photos", &[7; 4_999]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_selector_reaches_all_that_match_or_none() {
    let site = Site::start_with(|config| config.limits.mailbox_count = 1);
    let seat = site.seat();
    let mut ring = Vec::new();
    for _ in 0..8 {
        ring.push(seat.device(&[("ring", "one")]).await);
    }
    let other = seat.device(&[("ring", "two")]).await;
    let sent = seat.send(to_label("ring", "one", b"x")).await.unwrap();
    assert_eq!(sent.devices, 8);
    let get = GetRequest {
        push_id: sent.push_id,
    };
    let got = seat.push().await.get(get).await.unwrap().into_inner();
    let mut ids: Vec<_> = ring.iter().map(|device| device.id.clone()).collect();
    ids.sort();
    let got: Vec<_> = got
        .devices
        .into_iter()
        .map(|device| device.device)
        .collect();
    assert_eq!(got, ids);
    assert_eq!(waiting(&seat, &other).await, 0);

    // One full mailbox among those of a wider selector: nobody gets it.
    let refused = seat.send(to_label("site", "own", b"x")).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(waiting(&seat, &other).await, 0);
    seat.send(to_label("ring", "two", b"x")).await.unwrap();

    let none = seat.send(to_label("ring", "three", b"x")).await.unwrap();
    assert_eq!(none.devices, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn selectors_and_single_sends_do_not_lose_each_other() {
    let site = Site::start();
    let seat = site.seat();
    let mut devices = Vec::new();
    for _ in 0..4 {
        devices.push(seat.device(&[("ring", "one")]).await);
    }
    let push = seat.push().await;
    let sends = (0..40).map(|n: usize| {
        let request = match n % 2 {
            0 => to_label("ring", "one", b"x"),
            _ => push_to(&devices[n / 2 % 4], "photos", b"x"),
        };
        let mut push = push.clone();
        async move {
            loop {
                match push.send(request.clone()).await {
                    Ok(sent) => return sent.into_inner().devices,
                    Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
                }
            }
        }
    });
    let accepted: u32 = futures_util::future::join_all(sends)
        .await
        .into_iter()
        .sum();
    assert_eq!(accepted, 20 * 4 + 20);
    for device in &devices {
        assert_eq!(waiting(&seat, device).await, 25);
        let mut talk = device.attach("photos", 64).await;
        for _ in 0..25 {
            talk.delivery().await;
        }
    }
}
