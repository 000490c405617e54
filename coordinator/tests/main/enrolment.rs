//! From a token to an identity.

use lull_proto::device::v1::EnrollRequest;
use lull_proto::device::v1::enrollment_service_client::EnrollmentServiceClient;
use rcgen::KeyPair;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tonic::Code;

use crate::site::{Site, certificate_request, hello};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_becomes_an_identity_that_works() {
    let site = Site::start();
    let seat = site.seat();
    let token = seat.token(&[("ring", "canary")]).await;
    let key = KeyPair::generate().unwrap();
    let enrolled = seat.enrol_with(&token, &key).await.unwrap();

    let root = CertificateDer::from_pem_slice(enrolled.root.as_bytes()).unwrap();
    let hash = lull_coordinator::authority::hex(&lull_coordinator::authority::sha256(&root));
    assert!(token.ends_with(&hash), "the token names the root");
    assert_eq!(enrolled.root, seat.root());
    assert_eq!(enrolled.fleet_address, seat.fleet);

    let listed = seat.devices().await;
    let [device] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    assert_eq!(device.id, enrolled.device);
    assert_eq!(device.labels["ring"], "canary");
    assert_eq!(device.labels["site"], "own");
    assert!(!device.connected && device.last_seen.is_none());

    let device = seat.device(&[]).await;
    let (_talk, greeting) = device.greet(hello()).await.unwrap();
    assert_eq!((greeting.protocol, greeting.ping_seconds), (1, 30));
    let listed = seat.listed(&device).await;
    assert!(listed.connected && listed.last_seen.is_some());
    assert_eq!(listed.node_version, "9.9.9-test");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_is_used_by_one_key_and_answered_to_it_again() {
    let site = Site::start();
    let seat = site.seat();
    let token = seat.token(&[]).await;
    let key = KeyPair::generate().unwrap();
    let first = seat.enrol_with(&token, &key).await.unwrap();
    for _ in 0..3 {
        let again = seat.enrol_with(&token, &key).await.unwrap();
        assert_eq!(again.device, first.device);
    }
    let refused = seat.enrol_with(&token, &key).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("lull enroll"), "{refused}");

    let other = KeyPair::generate().unwrap();
    let refused = seat.enrol_with(&token, &other).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("another key"), "{refused}");
    assert_eq!(seat.devices().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_token_ends_after_ten_minutes() {
    let site = Site::start();
    let seat = site.seat();
    let (early, late) = (seat.token(&[]).await, seat.token(&[]).await);
    let key = KeyPair::generate().unwrap();
    site.clock.advance(9 * 60_000);
    seat.enrol_with(&early, &key).await.unwrap();
    site.clock.advance(60_000);
    let refused = seat.enrol_with(&late, &key).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert!(refused.message().contains("expired"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_wrong_is_refused_by_its_fault_and_nothing_is_stored() {
    let site = Site::start();
    let seat = site.seat();
    let token = seat.token(&[]).await;
    let key = KeyPair::generate().unwrap();
    let good = EnrollRequest {
        token: token.clone(),
        certificate_request: certificate_request(&key),
        ..EnrollRequest::default()
    };
    let mut forged = good.certificate_request.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    let mut unknown = token.clone();
    unknown.replace_range(6..10, "AAAA");
    let long = "x".repeat(65);
    let change = |change: &dyn Fn(&mut EnrollRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    let (token_wrong, request_wrong) = (Code::Unauthenticated, Code::InvalidArgument);
    let csr = "certificate_request";
    let cases = [
        (token_wrong, "", change(&|r| r.token.clear())),
        (token_wrong, "", change(&|r| r.token.clone_from(&unknown))),
        (
            request_wrong,
            csr,
            change(&|r| r.certificate_request = b"x".to_vec().into()),
        ),
        (
            request_wrong,
            csr,
            change(&|r| r.certificate_request = forged.clone().into()),
        ),
        (request_wrong, "name", change(&|r| r.name.clone_from(&long))),
        (
            request_wrong,
            "labels",
            change(&|r| r.labels = [(long.clone(), String::new())].into()),
        ),
    ];
    let mut door = EnrollmentServiceClient::new(seat.door().await);
    for (code, field, request) in cases {
        let refused = door.enroll(request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{refused}");
        if !field.is_empty() {
            let violations = lull_proto::problem::violations(&refused);
            assert_eq!(violations[0].0, field);
        }
        assert!(
            !refused.message().contains(&token[6..49]),
            "no secret in an answer"
        );
    }
    assert!(seat.devices().await.is_empty());
    door.enroll(good).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_fleet_has_a_bound() {
    let site = Site::start_with(|config| config.limits.devices = 1);
    let seat = site.seat();
    seat.device(&[]).await;
    let token = seat.token(&[]).await;
    let refused = seat.enrol_with(&token, &KeyPair::generate().unwrap()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.message().contains("limits.devices"), "{refused}");
}
