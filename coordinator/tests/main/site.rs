//! A coordinator to test against, and the clients that speak to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use lull_coordinator::clock::{ClockRef, ShiftedClock};
use lull_coordinator::config::CoordinatorConfig;
use lull_coordinator::server::{self, Bound};
use lull_proto::device::v1::device_service_client::DeviceServiceClient;
use lull_proto::device::v1::enrollment_service_client::EnrollmentServiceClient;
use lull_proto::device::v1::session_request::Message as Said;
use lull_proto::device::v1::session_response::Message as Heard;
use lull_proto::device::v1::{
    Acknowledge, CoordinatorHello, Delivery, DeviceHello, DeviceReceipt, EnrollRequest,
    EnrollResponse, Grant, InstalledApp, Inventory, Receipts, SessionRequest, SessionResponse,
};
use lull_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use lull_proto::fleet::v1::{
    CreateEnrollmentTokenRequest, Device as Listed, IssueClientCertificateRequest,
    ListDevicesRequest, Role,
};
use lull_proto::push::v1::push_service_client::PushServiceClient;
use lull_proto::push::v1::{Hop, Receipt, SendRequest, SendResponse, send_request};
use rcgen::{CertificateParams, KeyPair};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Status, Streaming};

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits, but not for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = tokio::time::timeout(PATIENCE, future).await;
    waited.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

/// Asks again until the answer is there.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, ask: impl Fn() -> F) -> T {
    within(what, async {
        let mut pause = tokio::time::interval(Duration::from_millis(5));
        loop {
            pause.tick().await;
            if let Some(answer) = ask().await {
                return answer;
            }
        }
    })
    .await
}

/// A coordinator in this process, on a thread of its own.
pub(crate) struct Site {
    state: tempfile::TempDir,
    pub(crate) bound: Bound,
    pub(crate) clock: Arc<ShiftedClock>,
    ending: CancellationToken,
    thread: Option<std::thread::JoinHandle<anyhow::Result<()>>>,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::start_with(|_config| {})
    }

    pub(crate) fn start_with(change: impl FnOnce(&mut CoordinatorConfig)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut config = config(state.path());
        change(&mut config);
        let clock = Arc::<ShiftedClock>::default();
        let (ending, served) = (CancellationToken::new(), Arc::clone(&clock) as ClockRef);
        let (told, bound) = sync_channel(1);
        let end = ending.clone();
        let thread = std::thread::spawn(move || {
            server::serve(config, served, end, |_runtime| {
                move |bound| told.send(bound).unwrap()
            })
        });
        Self {
            state,
            bound: bound
                .recv_timeout(PATIENCE)
                .expect("the coordinator is ready"),
            clock,
            ending,
            thread: Some(thread),
        }
    }

    pub(crate) fn state(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn seat(&self) -> Seat {
        Seat {
            state: self.state().to_owned(),
            fleet: self.bound.fleet.to_string(),
            door: self.bound.door.to_string(),
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.ending.cancel();
        if let Some(thread) = self.thread.take() {
            let served = thread.join();
            if !std::thread::panicking() {
                served.expect("no panic").expect("a good end");
            }
        }
    }
}

/// A configuration for tests: the kernel chooses the ports.
pub(crate) fn config(state: &Path) -> CoordinatorConfig {
    CoordinatorConfig {
        state_dir: state.to_owned(),
        fleet_address: "127.0.0.1:0".parse().unwrap(),
        door_address: "127.0.0.1:0".parse().unwrap(),
        ..CoordinatorConfig::default()
    }
}

/// The operator's seat at a coordinator.
#[derive(Clone)]
pub(crate) struct Seat {
    pub(crate) state: PathBuf,
    pub(crate) fleet: String,
    pub(crate) door: String,
}

/// A key with its certificate chain.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) key: String,
    pub(crate) chain: String,
}

impl Seat {
    pub(crate) fn root(&self) -> String {
        std::fs::read_to_string(self.state.join("operator/root.pem")).unwrap()
    }

    pub(crate) fn operator(&self) -> Holder {
        let read = |name| std::fs::read_to_string(self.state.join("operator").join(name)).unwrap();
        Holder {
            key: read("key.pem"),
            chain: read("cert.pem"),
        }
    }

    pub(crate) fn tls(&self, holder: Option<&Holder>) -> ClientTlsConfig {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(self.root()))
            .domain_name("localhost");
        match holder {
            Some(holder) => tls.identity(Identity::from_pem(&holder.chain, &holder.key)),
            None => tls,
        }
    }

    pub(crate) async fn channel(&self, holder: &Holder) -> Channel {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.fleet)).unwrap();
        let endpoint = endpoint.tls_config(self.tls(Some(holder))).unwrap();
        within("connecting", endpoint.connect()).await.unwrap()
    }

    pub(crate) async fn door(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("https://{}", self.door)).unwrap();
        let endpoint = endpoint.tls_config(self.tls(None)).unwrap();
        within("connecting", endpoint.connect()).await.unwrap()
    }

    pub(crate) async fn fleet(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel(&self.operator()).await)
    }

    pub(crate) async fn push(&self) -> PushServiceClient<Channel> {
        PushServiceClient::new(self.channel(&self.operator()).await)
    }

    pub(crate) async fn token(&self, labels: &[(&str, &str)]) -> String {
        let request = CreateEnrollmentTokenRequest {
            labels: labels
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            valid_for: None,
        };
        let mut fleet = self.fleet().await;
        let made = fleet.create_enrollment_token(request).await.unwrap();
        made.into_inner().token
    }

    pub(crate) async fn enrol_with(
        &self,
        token: &str,
        key: &KeyPair,
    ) -> Result<EnrollResponse, Status> {
        let mut door = EnrollmentServiceClient::new(self.door().await);
        let request = EnrollRequest {
            token: token.to_owned(),
            certificate_request: certificate_request(key),
            name: "bench".to_owned(),
            labels: [("site".to_owned(), "own".to_owned())].into(),
        };
        door.enroll(request).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn device(&self, labels: &[(&str, &str)]) -> Device {
        let key = KeyPair::generate().unwrap();
        let token = self.token(labels).await;
        let enrolled = self.enrol_with(&token, &key).await.unwrap();
        Device {
            seat: self.clone(),
            id: enrolled.device,
            holder: Holder {
                key: key.serialize_pem(),
                chain: enrolled.certificate_chain,
            },
        }
    }

    pub(crate) async fn client(
        &self,
        name: &str,
        role: Role,
        apps: &[&str],
    ) -> Result<Holder, Status> {
        let key = KeyPair::generate().unwrap();
        let mut fleet = self.fleet().await;
        let issued = fleet
            .issue_client_certificate(IssueClientCertificateRequest {
                name: name.to_owned(),
                role: role.into(),
                apps: apps.iter().map(|app| (*app).to_owned()).collect(),
                certificate_request: certificate_request(&key),
                valid_for: None,
            })
            .await?;
        Ok(Holder {
            key: key.serialize_pem(),
            chain: issued.into_inner().certificate_chain,
        })
    }

    pub(crate) async fn devices(&self) -> Vec<Listed> {
        let request = ListDevicesRequest::default();
        let listed = self.fleet().await.list_devices(request).await.unwrap();
        listed.into_inner().devices
    }

    pub(crate) async fn listed(&self, device: &Device) -> Listed {
        let mut devices = self.devices().await.into_iter();
        devices.find(|listed| listed.id == device.id).unwrap()
    }

    pub(crate) async fn send(&self, request: SendRequest) -> Result<SendResponse, Status> {
        let sent = self.push().await.send(request).await;
        sent.map(tonic::Response::into_inner)
    }
}

pub(crate) fn certificate_request(key: &KeyPair) -> bytes::Bytes {
    let params = CertificateParams::default();
    params.serialize_request(key).unwrap().der().to_vec().into()
}

/// A push to one device.
pub(crate) fn push_to(device: &Device, app: &str, payload: &[u8]) -> SendRequest {
    SendRequest {
        app: app.to_owned(),
        target: Some(send_request::Target::Device(device.id.clone())),
        payload: payload.to_vec().into(),
        ..SendRequest::default()
    }
}

/// An enrolled device, written by hand.
pub(crate) struct Device {
    pub(crate) seat: Seat,
    pub(crate) id: String,
    pub(crate) holder: Holder,
}

/// A hello of this machine.
pub(crate) fn hello() -> DeviceHello {
    DeviceHello {
        protocol_min: 1,
        protocol_max: 1,
        version: "9.9.9-test".to_owned(),
        boot_id: "boot".to_owned(),
        store_incarnation: "store".to_owned(),
        ..DeviceHello::default()
    }
}

impl Device {
    /// A session without a word said.
    pub(crate) async fn call(&self) -> Result<Talk, Status> {
        let channel = self.seat.channel(&self.holder).await;
        let (say, said) = mpsc::channel(256);
        let said = tokio_stream::wrappers::ReceiverStream::new(said);
        let mut client = DeviceServiceClient::new(channel);
        let heard = within("the session's headers", client.session(said)).await?;
        Ok(Talk {
            say,
            heard: heard.into_inner(),
        })
    }

    /// A session with this hello.
    pub(crate) async fn greet(
        &self,
        hello: DeviceHello,
    ) -> Result<(Talk, CoordinatorHello), Status> {
        let mut talk = self.call().await?;
        talk.say(Said::Hello(hello)).await;
        match talk.hear().await? {
            Heard::Hello(hello) => Ok((talk, hello)),
            other => panic!("the first message was {other:?}"),
        }
    }

    /// A session with credit for one app.
    pub(crate) async fn attach(&self, app: &str, credit: u64) -> Talk {
        let (talk, _) = self.greet(hello()).await.unwrap();
        talk.grant(app, credit).await;
        talk
    }
}

/// A session as the device sees it.
pub(crate) struct Talk {
    say: mpsc::Sender<SessionRequest>,
    heard: Streaming<SessionResponse>,
}

impl Talk {
    pub(crate) async fn say(&self, message: Said) {
        let message = Some(message);
        within("saying", self.say.send(SessionRequest { message }))
            .await
            .unwrap();
    }

    pub(crate) async fn grant(&self, app: &str, total: u64) {
        let app = app.to_owned();
        self.say(Said::Grant(Grant { app, total })).await;
    }

    pub(crate) async fn acknowledge(&self, delivered_through: u64) {
        self.say(Said::Acknowledge(Acknowledge { delivered_through }))
            .await;
    }

    pub(crate) async fn inventory(&self, apps: &[&str]) {
        let installed = |app: &&str| InstalledApp {
            app: (*app).to_owned(),
            version: "1".to_owned(),
        };
        let labels = [("site".to_owned(), "own".to_owned())].into();
        let apps = apps.iter().map(installed).collect();
        self.say(Said::Inventory(Inventory { apps, labels })).await;
    }

    pub(crate) async fn report(&self, sequence: u64, push_id: &str, receipt: Receipt) {
        let receipts = vec![DeviceReceipt {
            sequence,
            push_id: push_id.to_owned(),
            receipt: Some(receipt),
        }];
        self.say(Said::Receipts(Receipts { receipts })).await;
    }

    /// The next message; pings are answered.
    pub(crate) async fn hear(&mut self) -> Result<Heard, Status> {
        loop {
            match self.hear_anything().await? {
                Heard::Ping(number) => self.say(Said::Pong(number)).await,
                other => return Ok(other),
            }
        }
    }

    /// The next message.
    pub(crate) async fn hear_anything(&mut self) -> Result<Heard, Status> {
        let response = within("the next message", self.heard.message()).await?;
        let message = response.and_then(|response| response.message);
        message.ok_or_else(|| Status::ok("the stream has ended"))
    }

    pub(crate) async fn delivery(&mut self) -> Delivery {
        loop {
            match self.hear().await.unwrap() {
                Heard::Delivery(delivery) => return delivery,
                Heard::ReceiptsAcknowledged(_) => {}
                other => panic!("{other:?} instead of a delivery"),
            }
        }
    }

    pub(crate) async fn receipts_acknowledged(&mut self) -> u64 {
        match self.hear().await.unwrap() {
            Heard::ReceiptsAcknowledged(through) => through,
            other => panic!("{other:?} instead of an acknowledgement"),
        }
    }

    /// The status with which it ends.
    pub(crate) async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.hear().await {
                return status;
            }
        }
    }
}

/// A receipt of a device.
pub(crate) fn receipt(hop: Hop, run: u64) -> Receipt {
    let mut receipt = Receipt {
        at: Some(lull_proto::time::timestamp(1_763_700_000_000)),
        run,
        attempt: u32::from(run > 0),
        ..Receipt::default()
    };
    receipt.set_hop(hop);
    if hop == Hop::Finished {
        "completed".clone_into(&mut receipt.outcome);
    }
    receipt
}
