//! Who may connect, and who may call what.

use std::sync::Arc;

use lull_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use lull_proto::fleet::v1::{ListDevicesRequest, Role};
use lull_proto::push::v1::SendRequest;
use lull_proto::push::v1::push_service_client::PushServiceClient;
use rcgen::{CertificateParams, Issuer, KeyPair, SanType};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::site::{Holder, Seat, Site, push_to, within};

/// What TLS makes of a client: the certificates that the server showed, once the server has also spoken.
async fn shake(
    seat: &Seat,
    address: &str,
    versions: &[&'static SupportedProtocolVersion],
    holder: Option<&Holder>,
) -> std::io::Result<usize> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(seat.root().as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match holder {
        None => config.with_no_client_auth(),
        Some(holder) => config
            .with_client_auth_cert(
                CertificateDer::pem_slice_iter(holder.chain.as_bytes())
                    .map(Result::unwrap)
                    .collect(),
                PrivateKeyDer::from_pem_slice(holder.key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    // Under 1.3 a client hears of its own refusal only with the server's first words.
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await?;
    stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
    stream.flush().await?;
    let mut first = [0; 9];
    stream.read_exact(&mut first).await?;
    Ok(stream.get_ref().1.peer_certificates().map_or(0, <[_]>::len))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_fleet_listener_speaks_tls_1_3_to_our_certificates_alone() {
    let site = Site::start();
    let seat = site.seat();
    let (old, new) = (&rustls::version::TLS12, &rustls::version::TLS13);
    let operator = seat.operator();
    let fleet = seat.fleet.as_str();
    let seen = within("a handshake", shake(&seat, fleet, &[new], Some(&operator))).await;
    assert_eq!(seen.unwrap(), 2, "the leaf and its issuer");
    for (what, versions, holder) in [
        ("TLS 1.2", vec![old], Some(operator.clone())),
        ("no certificate", vec![new], None),
        ("a stranger's certificate", vec![new], Some(stranger())),
    ] {
        let refused = within(what, shake(&seat, fleet, &versions, holder.as_ref())).await;
        assert!(refused.is_err(), "{what} was let in");
    }
    for versions in [vec![old], vec![new]] {
        let seen = within("the door", shake(&seat, &seat.door, &versions, None)).await;
        assert_eq!(
            seen.unwrap(),
            3,
            "with the root, which a new device does not have"
        );
    }
}

/// A certificate with an operator's name under another root.
fn stranger() -> Holder {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::default();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer = Issuer::new(authority, KeyPair::generate().unwrap());
    let mut params = CertificateParams::default();
    let uri = "lull://operator/local".try_into().unwrap();
    params.subject_alt_names = vec![SanType::URI(uri)];
    Holder {
        chain: params.signed_by(&key, &issuer).unwrap().pem(),
        key: key.serialize_pem(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn each_role_does_its_own_and_nothing_else() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let shop = seat.client("shop", Role::Publisher, &["photos"]).await;
    let shop = shop.unwrap();

    let mut fleet = FleetServiceClient::new(seat.channel(&device.holder).await);
    let refused = fleet.list_devices(ListDevicesRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);

    let mut push = PushServiceClient::new(seat.channel(&shop).await);
    push.send(push_to(&device, "photos", b"x")).await.unwrap();
    let refused = push.send(push_to(&device, "music", b"x")).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("shop") && refused.message().contains("music"));

    // What a publisher may not use is not there for it.
    let sent = seat.send(push_to(&device, "music", b"x")).await.unwrap();
    let get = lull_proto::push::v1::GetRequest {
        push_id: sent.push_id,
    };
    assert_eq!(push.get(get).await.unwrap_err().code(), Code::NotFound);

    let refused = device.call().await.map(|_| ());
    refused.unwrap();
    let refused = crate::site::Device {
        seat: seat.clone(),
        id: String::new(),
        holder: shop,
    };
    let refused = refused.call().await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_scope_changes_at_once_and_a_name_keeps_its_role() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let first = seat
        .client("shop", Role::Publisher, &["photos"])
        .await
        .unwrap();
    let mut push = PushServiceClient::new(seat.channel(&first).await);
    push.send(push_to(&device, "photos", b"x")).await.unwrap();
    seat.client("shop", Role::Publisher, &["music"])
        .await
        .unwrap();
    let refused = push.send(push_to(&device, "photos", b"x")).await;
    assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
    push.send(push_to(&device, "music", b"x")).await.unwrap();

    let taken = seat.client("shop", Role::Operator, &[]).await;
    assert_eq!(
        taken.err().map(|status: Status| status.code()),
        Some(Code::AlreadyExists)
    );
    for (role, apps) in [
        (Role::Publisher, vec![]),
        (Role::Operator, vec!["a"]),
        (Role::Unspecified, vec![]),
    ] {
        let refused = seat.client("other", role, &apps).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_door_lets_nobody_do_more_than_enrol() {
    let site = Site::start();
    let seat = site.seat();
    let mut push = PushServiceClient::new(seat.door().await);
    let refused = push.send(SendRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut fleet = FleetServiceClient::new(seat.door().await);
    let refused = fleet.list_devices(ListDevicesRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn both_listeners_tell_their_health_and_the_fleet_its_services() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_reflection::pb::v1::ServerReflectionRequest;
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

    let site = Site::start();
    let seat = site.seat();
    let operator = seat.channel(&seat.operator()).await;
    for channel in [operator.clone(), seat.door().await] {
        let request = HealthCheckRequest::default();
        let health = HealthClient::new(channel).check(request).await.unwrap();
        assert_eq!(health.into_inner().status, 1, "serving");
    }
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = tokio_stream::once(request);
    let mut client = ServerReflectionClient::new(operator);
    let mut answers = client
        .server_reflection_info(asked)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list
        .service
        .into_iter()
        .map(|service| service.name)
        .collect();
    assert!(
        names.contains(&"lull.push.v1.PushService".to_owned()),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_certificate_that_has_ended_lets_nobody_in() {
    let site = Site::start();
    let seat = site.seat();
    let device = seat.device(&[]).await;
    let standing = seat.client("short", Role::Operator, &[]).await.unwrap();
    let mut fleet = FleetServiceClient::new(seat.channel(&standing).await);
    fleet
        .list_devices(ListDevicesRequest::default())
        .await
        .unwrap();
    site.clock.advance(91 * 86_400_000);
    let refused = fleet.list_devices(ListDevicesRequest::default()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    let endpoint = Endpoint::from_shared(format!("https://{}", seat.fleet)).unwrap();
    let endpoint = endpoint.tls_config(seat.tls(Some(&device.holder))).unwrap();
    let refused = match within("connecting", endpoint.connect()).await {
        Err(_refused) => true,
        Ok(channel) => {
            let mut client =
                lull_proto::device::v1::device_service_client::DeviceServiceClient::new(channel);
            let said = tokio_stream::empty();
            within("the session", client.session(said)).await.is_err()
        }
    };
    assert!(
        refused,
        "a device was let in with a certificate of 91 days ago"
    );
}
