//! The floor: bare tonic with the same TLS, messages and client, that decides nothing and stores nothing. What the
//! product costs over this is what it does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result};
use lull_proto::device::v1 as device;
use lull_proto::device::v1::device_service_server::{DeviceService, DeviceServiceServer};
use lull_proto::push::v1 as push;
use lull_proto::push::v1::push_service_server::{PushService, PushServiceServer};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status, Streaming};

use crate::fleet::Credentials;
use crate::process::{self, text};

/// The floor in a process of its own.
#[derive(Debug)]
pub struct Floor {
    server: process::Server,
    /// host:port.
    pub address: String,
    /// What every client of it shows.
    pub client: Credentials,
}

impl Floor {
    /// Starts it. The program's own main must call [`serve`] for the argument `__floor FOLDER`.
    pub fn start(folder: &Path) -> Result<Self> {
        let (own, own_text) = text(folder, "floor");
        std::fs::create_dir_all(&own)?;
        let client = make_authority(&own)?;
        let (log, _) = text(folder, "floor.log");
        let ready = own.join("ready");
        let server = process::Server::start(&["__floor", &own_text], &ready, &log)?;
        let address = std::fs::read_to_string(&ready)?;
        Ok(Self {
            server,
            address,
            client,
        })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

fn make_authority(folder: &Path) -> Result<Credentials> {
    let root_key = KeyPair::generate()?;
    let mut root = CertificateParams::new(Vec::new())?;
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_certificate = root.self_signed(&root_key)?;
    let issuer = rcgen::Issuer::new(root, root_key);
    let leaf = |name: &str, usage: ExtendedKeyUsagePurpose| -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![name.to_owned()])?;
        params.extended_key_usages = vec![usage];
        Ok((params.signed_by(&key, &issuer)?.pem(), key.serialize_pem()))
    };
    let (server, server_key) = leaf("localhost", ExtendedKeyUsagePurpose::ServerAuth)?;
    let (certificate, key) = leaf("client", ExtendedKeyUsagePurpose::ClientAuth)?;
    let root = root_certificate.pem();
    for (name, content) in [
        ("server.pem", &server),
        ("server-key.pem", &server_key),
        ("root.pem", &root),
    ] {
        std::fs::write(folder.join(name), content)?;
    }
    Ok(Credentials {
        certificate,
        key,
        root,
    })
}

/// Serves the floor with the authority in `folder` until it is killed.
pub fn serve(folder: &Path) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let read = |name: &str| std::fs::read_to_string(folder.join(name));
        let tls = ServerTlsConfig::new()
            .identity(Identity::from_pem(
                read("server.pem")?,
                read("server-key.pem")?,
            ))
            .client_ca_root(Certificate::from_pem(read("root.pem")?));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let routes = Bare::default();
        std::fs::write(folder.join("ready.part"), &address)?;
        std::fs::rename(folder.join("ready.part"), folder.join("ready"))?;
        Server::builder()
            .tls_config(tls)?
            .tcp_nodelay(true)
            .add_service(PushServiceServer::new(routes.clone()))
            .add_service(DeviceServiceServer::new(routes))
            .serve_with_incoming(tokio_stream::wrappers::TcpListenerStream::new(listener))
            .await
            .context("serve the floor")
    })
}

type Outgoing = mpsc::Sender<Result<device::SessionResponse, Status>>;

/// Hands each push to its device's stream, from memory.
#[derive(Debug, Clone, Default)]
struct Bare {
    devices: Arc<Mutex<BTreeMap<String, Outgoing>>>,
}

#[tonic::async_trait]
impl PushService for Bare {
    async fn send(
        &self,
        request: Request<push::SendRequest>,
    ) -> Result<Response<push::SendResponse>, Status> {
        let request = request.into_inner();
        if let Some(push::send_request::Target::Device(name)) = &request.target {
            let sender = self
                .devices
                .lock()
                .map_err(|_poisoned| Status::internal("lock"))?
                .get(name)
                .cloned();
            if let Some(sender) = sender {
                let delivery = device::Delivery {
                    sequence: 1,
                    app: request.app,
                    payload: request.payload,
                    ..Default::default()
                };
                let message = Some(device::session_response::Message::Delivery(delivery));
                let gone = |_closed| Status::unavailable("the device is gone");
                sender
                    .send(Ok(device::SessionResponse { message }))
                    .await
                    .map_err(gone)?;
            }
        }
        Ok(Response::new(push::SendResponse {
            devices: 1,
            ..Default::default()
        }))
    }

    async fn get(
        &self,
        _: Request<push::GetRequest>,
    ) -> Result<Response<push::GetResponse>, Status> {
        Err(Status::unimplemented("the floor keeps nothing"))
    }

    type WatchStream = ReceiverStream<Result<push::WatchResponse, Status>>;

    async fn watch(
        &self,
        _: Request<push::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("the floor keeps nothing"))
    }
}

#[tonic::async_trait]
impl DeviceService for Bare {
    type SessionStream = ReceiverStream<Result<device::SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<device::SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let mut incoming = request.into_inner();
        let (sender, receiver) = mpsc::channel(64);
        let devices = Arc::clone(&self.devices);
        tokio::spawn(async move {
            while let Ok(Some(message)) = incoming.message().await {
                if let Some(device::session_request::Message::Hello(hello)) = message.message {
                    let answer = device::session_response::Message::Hello(
                        device::CoordinatorHello::default(),
                    );
                    if sender
                        .send(Ok(device::SessionResponse {
                            message: Some(answer),
                        }))
                        .await
                        .is_err()
                    {
                        return;
                    }
                    if let Ok(mut devices) = devices.lock() {
                        devices.insert(hello.boot_id, sender.clone());
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}
