//! The coordinator as its operator reaches it: gRPC over mutual TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lull_proto::fleet::v1::fleet_service_client::FleetServiceClient;
use lull_proto::push::v1::push_service_client::PushServiceClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Status};

use crate::command::Global;
use crate::failure::{Failure, chain};
use crate::locate;

/// To reach the listener and agree on keys: generous for a slow link, short for a person.
const CONNECT: Duration = Duration::from_secs(5);
/// One call but a watch: a group commit takes milliseconds, a full one some seconds.
const CALL: Duration = Duration::from_secs(20);
/// A watch's connection is asked for life this often, so that a dead one is noticed.
const KEEPALIVE: Duration = Duration::from_secs(20);

/// A coordinator that is connected.
#[derive(Debug, Clone)]
pub(crate) struct Coordinator {
    address: String,
    identity: PathBuf,
    channel: Channel,
}

impl Coordinator {
    /// Connects where `global` says, as the identity that it says.
    pub(crate) async fn of(global: &Global) -> Result<Self, Failure> {
        let (address, identity) = locate::coordinator(global)?;
        Self::connect(&address, &identity).await
    }

    /// Connects to a fleet listener with the identity in a folder.
    pub(crate) async fn connect(address: &str, identity: &Path) -> Result<Self, Failure> {
        let channel = endpoint(address, identity)?.connect().await.map_err(|error| {
            Failure::Unreachable {
                message: format!(
                    "the coordinator at {address} cannot be reached with the identity in {}; is it running (`lull up`), \
                     and is the identity from its authority?",
                    identity.display()
                ),
                causes: chain(&error),
            }
        })?;
        Ok(Self {
            address: address.to_owned(),
            identity: identity.to_owned(),
            channel,
        })
    }

    /// The fleet's calls.
    pub(crate) fn fleet(&self) -> FleetServiceClient<Channel> {
        FleetServiceClient::new(self.channel.clone())
    }

    /// The publishers' calls.
    pub(crate) fn push(&self) -> PushServiceClient<Channel> {
        PushServiceClient::new(self.channel.clone())
    }

    /// A request that is given up after [`CALL`].
    pub(crate) fn request<T>(message: T) -> tonic::Request<T> {
        let mut request = tonic::Request::new(message);
        request.set_timeout(CALL);
        request
    }

    /// What it answered, as a failure of this program. A connection refused by TLS shows at the first call only
    /// (TLS 1.3), so the identity is named there.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        let failure = Failure::answered(&format!("the coordinator at {}", self.address), status);
        match (failure, status.code()) {
            (
                Failure::Unreachable { message, causes },
                Code::Unknown | Code::Cancelled | Code::Unavailable,
            ) if causes.iter().any(|cause| refused_by_tls(cause)) => Failure::NotAllowed(format!(
                "{message}: it refused the certificate in {} ({}); use one that its authority issued: \
                     `lull client-certificate`, or the operator's under the coordinator's state folder",
                self.identity.display(),
                causes.join(": ")
            )),
            (failure, _) => failure,
        }
    }
}

fn refused_by_tls(cause: &str) -> bool {
    let cause = cause.to_lowercase();
    ["alert", "certificate", "unknownca"]
        .iter()
        .any(|word| cause.contains(word))
}

fn endpoint(address: &str, identity: &Path) -> Result<Endpoint, Failure> {
    let read = |name: &str| {
        let path = identity.join(name);
        std::fs::read(&path).map_err(|error| {
            Failure::Input(format!(
                "{}: {error}; an identity is a folder with cert.pem, key.pem and root.pem, made by \
                 `lull client-certificate`; name it with --identity DIR",
                path.display()
            ))
        })
    };
    let tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read("root.pem")?))
        .identity(Identity::from_pem(read("cert.pem")?, read("key.pem")?));
    let endpoint = Endpoint::from_shared(format!("https://{address}"))
        .map_err(|error| {
            Failure::Input(format!(
                "--coordinator {address:?}: {error}; write HOST:PORT"
            ))
        })?
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_while_idle(true);
    endpoint.tls_config(tls).map_err(|error| {
        Failure::Input(format!(
            "the identity in {} cannot be used: {}",
            identity.display(),
            chain(&error).join(": ")
        ))
    })
}
