//! Enrolment at a door that the test plays, over real TLS.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use lull_proto::device::v1::enrollment_service_server::{
    EnrollmentService, EnrollmentServiceServer,
};
use lull_proto::device::v1::{EnrollRequest, EnrollResponse};
use lull_proto::problem::retry_later;
use tokio::task::JoinSet;
use tonic::{Code, Request, Response, Status};

use super::*;
use crate::config::NodeConfig;
use crate::link::tests::authority::Authority;
use crate::link::tests::coordinator::listen;
use crate::link::tests::soon;

pub(crate) mod rotate;

/// What the door does with a request.
type Answer = Box<dyn FnMut(&Authority, &EnrollRequest) -> Result<EnrollResponse, Status> + Send>;

struct Service {
    authority: Arc<Authority>,
    answer: Mutex<Answer>,
    asked: Arc<Mutex<Vec<EnrollRequest>>>,
}

#[tonic::async_trait]
impl EnrollmentService for Service {
    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        let request = request.into_inner();
        let answer = (self.answer.lock().unwrap())(&self.authority, &request);
        self.asked.lock().unwrap().push(request);
        answer.map(Response::new)
    }
}

struct Door {
    authority: Arc<Authority>,
    address: String,
    asked: Arc<Mutex<Vec<EnrollRequest>>>,
    _tasks: JoinSet<()>,
}

impl Door {
    async fn open(names: &[&str], answer: Answer) -> Self {
        let authority = Arc::new(Authority::new());
        let (address, streams, mut tasks) = listen(authority.door(names)).await;
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let service = Service {
            authority: Arc::clone(&authority),
            answer: Mutex::new(answer),
            asked: Arc::clone(&asked),
        };
        tasks.spawn(async move {
            let server = tonic::transport::Server::builder()
                .add_service(EnrollmentServiceServer::new(service));
            server.serve_with_incoming(streams).await.unwrap();
        });
        Self {
            authority,
            address: address.to_string(),
            asked,
            _tasks: tasks,
        }
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn enroll(&self, config: &NodeConfig) -> Result<Enrolled, EnrollError> {
        let token = self.authority.token('A');
        soon("the enrolment", enroll(config, &token, &self.address)).await
    }
}

fn granted(authority: &Authority, request: &EnrollRequest) -> EnrollResponse {
    EnrollResponse {
        device: "device-1".into(),
        certificate_chain: authority.answer("device-1", &request.certificate_request),
        root: authority.root_pem.clone(),
        fleet_address: "127.0.0.1:7443".into(),
        expires_at: None,
    }
}

fn grants() -> Answer {
    Box::new(|authority, request| Ok(granted(authority, request)))
}

fn device() -> (tempfile::TempDir, NodeConfig) {
    let folder = tempfile::tempdir().unwrap();
    let mut config = NodeConfig {
        state_dir: folder.path().into(),
        ..NodeConfig::default()
    };
    config.device.name = "kiosk".into();
    config.device.labels = [("site".to_owned(), "berlin".to_owned())].into();
    (folder, config)
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_token_becomes_an_identity_once() {
    let door = Door::open(&["127.0.0.1"], grants()).await;
    let (_folder, config) = device();
    let identity = config.identity_dir();
    std::fs::create_dir_all(&identity).unwrap();
    std::fs::set_permissions(&identity, std::fs::Permissions::from_mode(0o755)).unwrap();
    let enrolled = door.enroll(&config).await.unwrap();
    assert_eq!(enrolled.device, "device-1");
    assert_eq!(
        files(&identity),
        ["cert.pem", "device.json", "key.pem", "root.pem"]
    );
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&identity), 0o700);
    for name in files(&identity) {
        assert_eq!(mode(&identity.join(name)), 0o600);
    }
    let found = Identity::load(&identity).unwrap().unwrap();
    assert_eq!(found.device, "device-1");
    assert_eq!(found.fleet_address.to_string(), "127.0.0.1:7443");
    found.client_config().unwrap();
    assert!(!format!("{found:?}").contains("PRIVATE"));
    let asked = door.asked.lock().unwrap().pop().unwrap();
    assert_eq!(
        (asked.name.as_str(), asked.labels["site"].as_str()),
        ("kiosk", "berlin")
    );
    assert!(
        !asked
            .certificate_request
            .windows(7)
            .any(|part| part == b"PRIVATE")
    );
    let again = door.enroll(&config).await.unwrap_err();
    let folder = identity.display();
    assert_eq!(
        again.to_string(),
        format!(
            "this device is enrolled already as device-1; to enrol it anew, move {folder} away"
        )
    );
    assert_eq!(door.asked(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let mut tries = 0;
    let answer: Answer = Box::new(move |authority, request| {
        tries += 1;
        match tries {
            1 => Err(Status::unavailable("restarting")),
            2 => Err(retry_later(
                Code::ResourceExhausted,
                "busy",
                std::time::Duration::from_millis(10),
            )),
            _ => Ok(granted(authority, request)),
        }
    });
    let door = Door::open(&["127.0.0.1"], answer).await;
    let (_folder, config) = device();
    door.enroll(&config).await.unwrap();
    let key = |request: &EnrollRequest| {
        let der = request.certificate_request.to_vec().into();
        let parsed = rcgen::CertificateSigningRequestParams::from_der(&der).unwrap();
        rcgen::PublicKeyData::subject_public_key_info(&parsed.public_key)
    };
    let asked = door.asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|request| key(request) == key(&asked[0])));
}

#[tokio::test]
async fn a_token_that_is_not_accepted_stores_nothing_but_the_key() {
    let answer: Answer = Box::new(|_, _| Err(Status::unauthenticated("this token was used")));
    let door = Door::open(&["127.0.0.1"], answer).await;
    let (_folder, config) = device();
    let error = door.enroll(&config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the token was not accepted (this token was used); a token is good once and for 10 minutes, ask for a new one (`lull enroll`)"
    );
    assert_eq!(files(&config.identity_dir()), ["key.pem"]);
    assert_eq!(door.asked(), 1, "it is not asked again");
    assert!(Identity::load(&config.identity_dir()).unwrap().is_none());
}

#[tokio::test]
async fn another_coordinator_at_the_door_is_told_nothing() {
    let door = Door::open(&["127.0.0.1"], grants()).await;
    let (_folder, config) = device();
    let token = Authority::new().token('A');
    let error = soon("the refusal", enroll(&config, &token, &door.address))
        .await
        .unwrap_err();
    assert!(matches!(error, EnrollError::WrongRoot { .. }), "{error}");
    assert_eq!(door.asked(), 0);
}

#[tokio::test]
async fn the_door_has_to_be_what_it_is_called() {
    let door = Door::open(&["elsewhere.example"], grants()).await;
    let (_folder, config) = device();
    let error = door.enroll(&config).await.unwrap_err();
    assert!(matches!(error, EnrollError::Certificate { .. }), "{error}");
    assert!(error.to_string().contains("`advertise`"), "{error}");
    assert_eq!(door.asked(), 0);
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_not_kept() {
    let wrong: [fn(&Authority, &EnrollRequest, &mut EnrollResponse); 6] = [
        |_, _, answer| answer.root = Authority::new().root_pem,
        |_, request, answer| {
            answer.certificate_chain =
                Authority::new().answer("device-1", &request.certificate_request);
        },
        |authority, _, answer| {
            let key = rcgen::KeyPair::generate().unwrap();
            answer.certificate_chain = authority.device("device-1", &key, 1);
        },
        |_, _, answer| answer.device = "device-2".into(),
        |_, _, answer| answer.device = "../x".into(),
        |_, _, answer| answer.fleet_address = "nowhere".into(),
    ];
    let expected = [
        "its root is not the token's",
        "its chain does not lead to its root: invalid peer certificate: BadSignature",
        "its certificate is of another key",
        "its certificate does not name lull://device/device-2",
        "its device id is none",
        "its fleet address: \"nowhere\" is not an address; write host:port, such as fleet.example.org:7443 or [::1]:7443",
    ];
    for (change, expected) in wrong.into_iter().zip(expected) {
        let answer: Answer = Box::new(move |authority, request| {
            let mut answer = granted(authority, request);
            change(authority, request, &mut answer);
            Ok(answer)
        });
        let door = Door::open(&["127.0.0.1"], answer).await;
        let (_folder, config) = device();
        let error = door.enroll(&config).await.unwrap_err().to_string();
        assert_eq!(
            error,
            format!("the coordinator's answer cannot be used: {expected}; nothing of it was kept")
        );
        assert_eq!(files(&config.identity_dir()), ["key.pem"]);
    }
}

#[tokio::test]
async fn arguments_are_checked_before_anything_is_made() {
    let (folder, config) = device();
    let token = Authority::new().token('A');
    let error = enroll(&config, "lull1.secret", "127.0.0.1:1")
        .await
        .unwrap_err();
    assert!(matches!(error, EnrollError::Form(_)), "{error}");
    assert!(!error.to_string().contains("secret,"), "{error}");
    let error = enroll(&config, &token, "127.0.0.1").await.unwrap_err();
    assert!(matches!(error, EnrollError::Door(_)), "{error}");
    assert_eq!(files(folder.path()), [""; 0]);
}

#[tokio::test]
async fn one_enrolment_at_a_time() {
    let door = Door::open(&["127.0.0.1"], grants()).await;
    let (_folder, config) = device();
    let identity = config.identity_dir();
    std::fs::create_dir_all(&identity).unwrap();
    let held = std::fs::File::open(&identity).unwrap();
    rustix::fs::flock(&held, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let error = door.enroll(&config).await.unwrap_err();
    assert!(matches!(error, EnrollError::UnderWay), "{error}");
    drop(held);
    door.enroll(&config).await.unwrap();
}

#[tokio::test]
async fn an_identity_that_has_ended_may_be_replaced_with_a_new_key() {
    let door = Door::open(&["127.0.0.1"], grants()).await;
    let (_folder, config) = device();
    let identity = config.identity_dir();
    door.authority.enrol(&identity, "old", "127.0.0.1:7443", -1);
    let old = std::fs::read(identity.join("key.pem")).unwrap();
    let found = Identity::load(&identity).unwrap().unwrap();
    let error = found.client_config().unwrap_err();
    assert!(matches!(error, IdentityError::Ended { .. }), "{error}");
    door.enroll(&config).await.unwrap();
    assert_ne!(std::fs::read(identity.join("key.pem")).unwrap(), old);
    assert_eq!(
        Identity::load(&identity).unwrap().unwrap().device,
        "device-1"
    );
}

#[test]
fn damaged_files_are_named_with_the_way_out() {
    let authority = Authority::new();
    for (name, text, problem) in [
        (
            "device.json",
            "{",
            "EOF while parsing an object at line 1 column 1",
        ),
        (
            "device.json",
            "{\"device\":\"d\",\"fleet_address\":\"x\"}",
            "\"x\" is not an address",
        ),
        ("cert.pem", "", "it holds no certificate"),
        ("root.pem", "", "it holds no certificate"),
        ("key.pem", "", ""),
    ] {
        let folder = tempfile::tempdir().unwrap();
        authority.enrol(folder.path(), "device-1", "127.0.0.1:7443", 1);
        std::fs::write(folder.path().join(name), text).unwrap();
        let error = Identity::load(folder.path()).unwrap_err();
        assert!(matches!(error, IdentityError::Damaged { .. }), "{error}");
        let error = error.to_string();
        assert!(error.contains(name) && error.contains(problem), "{error}");
        assert!(error.ends_with("away and enrol anew"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    authority.enrol(folder.path(), "device-1", "127.0.0.1:7443", 1);
    std::fs::remove_file(folder.path().join("key.pem")).unwrap();
    assert!(
        Identity::load(folder.path())
            .unwrap_err()
            .to_string()
            .contains("it is missing")
    );
    std::fs::remove_file(folder.path().join("device.json")).unwrap();
    assert!(Identity::load(folder.path()).unwrap().is_none());
}
