//! A running coordinator with its operator, and devices that are not nodes: they speak the session protocol by hand, so that
//! thousands fit into one process.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use lull_proto::device::v1 as device;
use lull_proto::device::v1::device_service_client::DeviceServiceClient;
use lull_proto::device::v1::enrollment_service_client::EnrollmentServiceClient;
use lull_proto::fleet::v1::CreateEnrollmentTokenRequest;
use lull_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use serde::Deserialize;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::process::{Server, text};

/// How long a call of the harness may take.
const CALL_WITHIN: Duration = Duration::from_secs(20);

/// A coordinator in a process of its own.
#[derive(Debug)]
pub struct Coordinator {
    server: Server,
    ready: Ready,
    operator: Credentials,
}

#[derive(Debug, Deserialize)]
struct Ready {
    fleet: String,
    door: String,
}

/// A client's certificate, key and the root it trusts, as PEM.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Certificate chain.
    pub certificate: String,
    /// Private key.
    pub key: String,
    /// Root.
    pub root: String,
}

impl Credentials {
    /// A connection to `address` that trusts the root and shows the certificate.
    pub async fn connect(&self, address: &str) -> Result<Channel> {
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&self.root))
            .identity(Identity::from_pem(&self.certificate, &self.key))
            .domain_name("localhost");
        channel(address, tls).await
    }
}

async fn channel(address: &str, tls: ClientTlsConfig) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("https://{address}"))?
        .tls_config(tls)?
        .tcp_nodelay(true)
        .connect_timeout(CALL_WITHIN);
    endpoint
        .connect()
        .await
        .with_context(|| format!("connect to {address}"))
}

impl Coordinator {
    /// Starts one with its state below `folder`. The program's own main must run
    /// [`lull_coordinator::server::run`] for the argument `__coordinator FILE`.
    pub fn start(folder: &Path) -> Result<Self> {
        let (state, state_text) = text(folder, "coordinator");
        let (config, config_text) = text(folder, "coordinator.toml");
        let (log, _) = text(folder, "coordinator.log");
        let settings = format!(
            "state_dir = {state_text:?}\nfleet_address = \"127.0.0.1:0\"\ndoor_address = \"127.0.0.1:0\"\n"
        );
        std::fs::write(&config, settings)?;
        let ready_file = state.join("ready.json");
        let server = Server::start(&["__coordinator", &config_text], &ready_file, &log)?;
        let ready =
            serde_json::from_slice(&std::fs::read(&ready_file)?).context("read ready.json")?;
        let read = |name: &str| std::fs::read_to_string(state.join("operator").join(name));
        let operator = Credentials {
            certificate: read("cert.pem")?,
            key: read("key.pem")?,
            root: read("root.pem")?,
        };
        Ok(Self {
            server,
            ready,
            operator,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// host:port of the fleet listener.
    pub fn fleet_address(&self) -> &str {
        &self.ready.fleet
    }

    /// A new connection of the operator.
    pub async fn operator(&self) -> Result<Channel> {
        self.operator.connect(&self.ready.fleet).await
    }

    /// Enrols `count` devices, one after the other.
    pub async fn enroll(&self, count: usize) -> Result<Vec<(String, Credentials)>> {
        let mut fleet = FleetServiceClient::new(self.operator().await?);
        let root = self.operator.root.clone();
        let tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&root))
            .domain_name("localhost");
        let mut door = EnrollmentServiceClient::new(channel(&self.ready.door, tls).await?);
        let mut devices = Vec::with_capacity(count);
        for number in 0..count {
            let request = CreateEnrollmentTokenRequest::default();
            let token = fleet
                .create_enrollment_token(request)
                .await?
                .into_inner()
                .token;
            let key = rcgen::KeyPair::generate()?;
            let csr = rcgen::CertificateParams::new(Vec::new())?.serialize_request(&key)?;
            let request = device::EnrollRequest {
                token,
                certificate_request: csr.der().to_vec().into(),
                name: format!("device-{number}"),
                ..Default::default()
            };
            let answer = door.enroll(request).await?.into_inner();
            let credentials = Credentials {
                certificate: answer.certificate_chain,
                key: key.serialize_pem(),
                root: root.clone(),
            };
            devices.push((answer.device, credentials));
        }
        Ok(devices)
    }
}

/// A device's session, spoken by hand: takes what comes, acknowledges it, keeps its credit topped up.
#[derive(Debug)]
pub struct Session {
    outgoing: mpsc::Sender<device::SessionRequest>,
    incoming: tonic::Streaming<device::SessionResponse>,
    taken: u64,
    app: String,
}

/// Pushes that a harness device takes before it must grant again.
const CREDIT: u64 = 64;

impl Session {
    /// Opens a session and waits for the coordinator's hello.
    pub async fn open(channel: Channel, boot: &str, app: &str) -> Result<Self> {
        let (outgoing, requests) = mpsc::channel(16);
        let hello = device::DeviceHello {
            protocol_min: 1,
            protocol_max: 1,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            boot_id: boot.to_owned(),
            store_incarnation: format!("store-{boot}"),
            ..Default::default()
        };
        outgoing
            .send(request(device::session_request::Message::Hello(hello)))
            .await?;
        let mut client = DeviceServiceClient::new(channel);
        let incoming = client
            .session(ReceiverStream::new(requests))
            .await?
            .into_inner();
        let mut session = Self {
            outgoing,
            incoming,
            taken: 0,
            app: app.to_owned(),
        };
        match session.next().await? {
            device::session_response::Message::Hello(_) => {}
            other => bail!("the first message was {other:?}, not a hello"),
        }
        let apps = vec![device::InstalledApp {
            app: app.to_owned(),
            version: "1.0".to_owned(),
        }];
        let inventory = device::Inventory {
            apps,
            ..Default::default()
        };
        session
            .say(device::session_request::Message::Inventory(inventory))
            .await?;
        session.grant().await?;
        Ok(session)
    }

    /// The next delivery, acknowledged; pings are answered on the way.
    pub async fn take(&mut self) -> Result<device::Delivery> {
        loop {
            match self.next().await? {
                device::session_response::Message::Delivery(delivery) => {
                    self.taken += 1;
                    let done = device::Acknowledge {
                        delivered_through: delivery.sequence,
                    };
                    self.say(device::session_request::Message::Acknowledge(done))
                        .await?;
                    if self.taken.is_multiple_of(CREDIT / 2) {
                        self.grant().await?;
                    }
                    return Ok(delivery);
                }
                device::session_response::Message::Ping(number) => {
                    self.say(device::session_request::Message::Pong(number))
                        .await?;
                }
                device::session_response::Message::Hello(_)
                | device::session_response::Message::ReceiptsAcknowledged(_) => {}
            }
        }
    }

    async fn grant(&self) -> Result<()> {
        let grant = device::Grant {
            app: self.app.clone(),
            total: self.taken + CREDIT,
        };
        self.say(device::session_request::Message::Grant(grant))
            .await
    }

    async fn say(&self, message: device::session_request::Message) -> Result<()> {
        self.outgoing
            .send(request(message))
            .await
            .context("the session has ended")
    }

    async fn next(&mut self) -> Result<device::session_response::Message> {
        let message = self
            .incoming
            .message()
            .await?
            .context("the coordinator ended the session")?;
        message.message.context("an empty message")
    }
}

fn request(message: device::session_request::Message) -> device::SessionRequest {
    device::SessionRequest {
        message: Some(message),
    }
}
