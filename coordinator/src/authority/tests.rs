//! The authority: made once, kept, renewed in time, and never for more than a request's key.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::clock::ShiftedClock;

fn open(state: &Path, clock: &Arc<ShiftedClock>) -> Authority {
    let clock = Arc::clone(clock) as ClockRef;
    Authority::open(state, &["fleet.example".to_owned()], clock).unwrap()
}

fn request(key: &KeyPair) -> Vec<u8> {
    let mut params = rcgen::CertificateParams::new(["evil.example".to_owned()]).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "operator/root");
    params.serialize_request(key).unwrap().der().to_vec()
}

fn days(n: u64) -> u64 {
    n * 86_400_000
}

#[test]
fn it_is_made_once_and_kept() {
    let state = tempfile::tempdir().unwrap();
    let clock = Arc::default();
    let first = open(state.path(), &clock);
    let again = open(state.path(), &clock);
    assert_eq!(first.root(), again.root());
    assert_eq!(first.server().fleet.cert, again.server().fleet.cert);
    assert_eq!(first.server().door.cert.len(), 3);
    for path in [
        "authority/root.pem",
        "operator/key.pem",
        "operator/cert.pem",
        "operator/root.pem",
    ] {
        let mode = std::fs::metadata(state.path().join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{path}");
    }
}

#[test]
fn certificates_are_renewed_before_they_end() {
    let state = tempfile::tempdir().unwrap();
    let clock = Arc::<ShiftedClock>::default();
    let authority = open(state.path(), &clock);
    let operator = || std::fs::read(state.path().join("operator/cert.pem")).unwrap();
    let (server, issuing, person) = (
        authority.server(),
        authority.issuing.load_full(),
        operator(),
    );

    clock.advance(days(59));
    authority.renew().unwrap();
    assert_eq!(authority.server().fleet.cert, server.fleet.cert);
    assert_eq!(operator(), person);

    clock.advance(days(2));
    authority.renew().unwrap();
    assert_ne!(authority.server().fleet.cert, server.fleet.cert);
    assert_ne!(operator(), person);
    assert_eq!(authority.issuing.load().certificate, issuing.certificate);

    clock.advance(days(214));
    authority.renew().unwrap();
    assert_ne!(authority.issuing.load().certificate, issuing.certificate);
    assert!(is_signed_by(
        &authority.issuing.load().certificate,
        authority.root()
    ));
}

#[test]
fn only_the_key_of_a_request_is_taken() {
    let state = tempfile::tempdir().unwrap();
    let authority = open(state.path(), &Arc::default());
    let key = new_key().unwrap();
    let request = CertificateRequest::from_der(&request(&key)).unwrap();
    let issued = authority.sign_device(&request, "d-1").unwrap();
    let leaf = CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap();
    let facts = Facts::of(&leaf).unwrap();
    assert_eq!(facts.names, ["lull://device/d-1"]);
    assert_eq!((facts.serial.len(), &facts.serial), (16, &issued.serial));
    assert_eq!(facts.expires_at / 1_000, issued.expires_at / 1_000);
    assert!(is_of_key(&leaf, &key));
    assert!(is_signed_by(&leaf, &authority.issuing.load().certificate));
}

#[test]
fn a_bad_request_is_refused_by_its_fault() {
    let key = new_key().unwrap();
    let good = request(&key);
    let mut forged = good.clone();
    *forged.last_mut().unwrap() ^= 1;
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    for (der, error) in [
        (Vec::new(), RequestError::Unreadable),
        (b"no request".to_vec(), RequestError::Unreadable),
        (
            [good.as_slice(), b"tail"].concat(),
            RequestError::Unreadable,
        ),
        (forged, RequestError::Signature),
        (request(&rsa), RequestError::Key),
        (
            vec![0; REQUEST_LIMIT + 1],
            RequestError::TooLarge(REQUEST_LIMIT + 1),
        ),
    ] {
        assert_eq!(CertificateRequest::from_der(&der), Err(error));
    }
}

#[test]
fn a_damaged_authority_is_named_and_left_alone() {
    let state = tempfile::tempdir().unwrap();
    drop(open(state.path(), &Arc::default()));
    let root = state.path().join("authority/root.pem");
    let open = || {
        let clock = Arc::<ShiftedClock>::default();
        Authority::open(state.path(), &[], clock)
            .map(|_open| ())
            .unwrap_err()
            .to_string()
    };
    std::fs::write(&root, "torn").unwrap();
    assert!(open().contains("root.pem") && open().contains("backup"));
    assert_eq!(std::fs::read_to_string(&root).unwrap(), "torn");
    std::fs::remove_file(&root).unwrap();
    assert!(open().contains("it is gone"));
    assert!(!root.exists());
}

#[test]
fn the_server_certificate_follows_the_advertised_names() {
    let state = tempfile::tempdir().unwrap();
    let clock = Arc::<ShiftedClock>::default();
    let first = open(state.path(), &clock).server();
    let names = ["other.example".to_owned()];
    let moved = Authority::open(state.path(), &names, clock)
        .unwrap()
        .server();
    assert_ne!(first.fleet.cert, moved.fleet.cert);
    let facts = Facts::of(&moved.fleet.cert[0]).unwrap();
    assert!(facts.names.contains(&"other.example".to_owned()));
}
