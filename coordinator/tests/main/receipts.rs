//! Following a push from its acceptance to its end.

use lull_proto::push::v1::{GetRequest, Hop, Receipt, SendRequest, WatchRequest, WatchResponse};
use lull_proto::time::duration;
use tonic::{Code, Streaming};

use crate::site::{Seat, Site, push_to, receipt, within};

async fn watch(seat: &Seat, push_id: &str) -> Streaming<WatchResponse> {
    let push_id = push_id.to_owned();
    let request = WatchRequest { push_id };
    seat.push().await.watch(request).await.unwrap().into_inner()
}

async fn next(watched: &mut Streaming<WatchResponse>) -> Option<(String, Hop, bool)> {
    let told = within("a receipt", watched.message()).await.unwrap()?;
    let receipt = told.receipt.unwrap();
    Some((told.device, receipt.hop(), receipt.terminal))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_hop_is_told_once_in_order_and_the_watch_ends() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let sent = seat
        .send(push_to(&device, "photos", b"hello"))
        .await
        .unwrap();
    let mut early = watch(&seat, &sent.push_id).await;
    assert_eq!(
        next(&mut early).await,
        Some((device.id.clone(), Hop::Accepted, false))
    );

    let mut talk = device.attach("photos", 8).await;
    let delivery = talk.delivery().await;
    assert_eq!(
        (delivery.push_id.as_str(), &delivery.payload[..]),
        (sent.push_id.as_str(), &b"hello"[..])
    );
    assert_eq!(delivery.app, "photos");
    talk.acknowledge(delivery.sequence).await;
    for (sequence, hop, run) in [
        (1, Hop::Delivered, 0),
        (2, Hop::Started, 7),
        (3, Hop::Finished, 7),
    ] {
        talk.report(sequence, &sent.push_id, receipt(hop, run))
            .await;
        assert_eq!(talk.receipts_acknowledged().await, sequence);
        let told = Some((device.id.clone(), hop, hop == Hop::Finished));
        assert_eq!(next(&mut early).await, told);
    }
    assert_eq!(
        next(&mut early).await,
        None,
        "it ends with the last terminal receipt"
    );

    // A repeat, and a second end, change nothing.
    talk.report(3, &sent.push_id, receipt(Hop::Finished, 7))
        .await;
    assert_eq!(talk.receipts_acknowledged().await, 3);
    talk.report(4, &sent.push_id, receipt(Hop::Expired, 0))
        .await;
    assert_eq!(talk.receipts_acknowledged().await, 4);

    let mut late = watch(&seat, &sent.push_id).await;
    let mut hops = Vec::new();
    while let Some((_, hop, _)) = next(&mut late).await {
        hops.push(hop);
    }
    assert_eq!(
        hops,
        [Hop::Accepted, Hop::Delivered, Hop::Started, Hop::Finished]
    );
    let get = GetRequest {
        push_id: sent.push_id,
    };
    let got = seat.push().await.get(get).await.unwrap().into_inner();
    let receipts = &got.devices[0].receipts;
    assert_eq!(receipts.iter().map(Receipt::hop).collect::<Vec<_>>(), hops);
    assert_eq!(
        (receipts[3].run, receipts[3].outcome.as_str()),
        (7, "completed")
    );
    assert_eq!(seat.listed(&device).await.waiting, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_push_that_waits_too_long_ends_as_expired_and_leaves_the_mailbox() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let short = SendRequest {
        time_to_live: Some(duration(1_000)),
        ..push_to(&device, "photos", b"x")
    };
    let sent = seat.send(short).await.unwrap();
    let mut watched = watch(&seat, &sent.push_id).await;
    assert_eq!(
        next(&mut watched).await.map(|told| told.1),
        Some(Hop::Accepted)
    );
    assert_eq!(
        next(&mut watched).await,
        Some((device.id.clone(), Hop::Expired, true))
    );
    assert_eq!(next(&mut watched).await, None);
    assert_eq!(seat.listed(&device).await.waiting, 0);

    let sent = seat.send(push_to(&device, "photos", b"y")).await.unwrap();
    let mut talk = device.attach("photos", 8).await;
    assert_eq!(
        talk.delivery().await.push_id,
        sent.push_id,
        "the expired one is not sent"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn unknown_pushes_and_too_many_followers_are_refused() {
    let site = Site::start_with(|config| config.limits.watchers = 1);
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let mut push = seat.push().await;
    for (push_id, code) in [
        ("01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f", Code::NotFound),
        ("x", Code::InvalidArgument),
    ] {
        let push_id = push_id.to_owned();
        let refused = push
            .get(GetRequest {
                push_id: push_id.clone(),
            })
            .await;
        assert_eq!(refused.unwrap_err().code(), code);
        let refused = push.watch(WatchRequest { push_id }).await;
        assert_eq!(refused.map(|_| ()).unwrap_err().code(), code);
    }
    let sent = seat.send(push_to(&device, "photos", b"x")).await.unwrap();
    let mut first = watch(&seat, &sent.push_id).await;
    next(&mut first).await;
    let request = WatchRequest {
        push_id: sent.push_id.clone(),
    };
    let refused = push.watch(request.clone()).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("limits.watchers"), "{refused}");
    drop(first);
    crate::site::until("the place", async || {
        seat.push().await.watch(request.clone()).await.ok()
    })
    .await;
}
