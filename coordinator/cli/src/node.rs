//! This machine's node as its operator reaches it: gRPC over its Unix socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use lull_proto::local::v1::app_service_client::AppServiceClient;
use lull_proto::local::v1::operator_service_client::OperatorServiceClient;
use lull_proto::local::v1::{AttachRequest, AttachResponse};
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status, Streaming};

use crate::command::Global;
use crate::failure::{Failure, chain};
use crate::locate;

/// A call on this machine: the engine answers in milliseconds, a store on a slow card in seconds.
const CALL: Duration = Duration::from_secs(10);

/// A node that is connected.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    socket: PathBuf,
    channel: Channel,
}

impl Node {
    /// Connects where `global` says.
    pub(crate) async fn of(global: &Global) -> Result<Self, Failure> {
        Self::connect(&locate::node_socket(global)).await
    }

    /// Connects to a node's socket.
    pub(crate) async fn connect(socket: &Path) -> Result<Self, Failure> {
        let path = socket.to_owned();
        let connect = tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        });
        // The address is only what the requests carry; the connector knows the socket.
        let endpoint = Endpoint::from_static("http://node.invalid").timeout(CALL);
        let channel = endpoint.connect_with_connector(connect).await.map_err(|error| {
            Failure::Unreachable {
                message: format!(
                    "the node at {} cannot be reached; is it running (`lull up`)? Name another socket with --node-socket PATH, \
                     or the state folder of `lull up` with --state DIR",
                    socket.display()
                ),
                causes: chain(&error),
            }
        })?;
        Ok(Self {
            socket: socket.to_owned(),
            channel,
        })
    }

    /// The operator's calls.
    pub(crate) fn operator(&self) -> OperatorServiceClient<Channel> {
        OperatorServiceClient::new(self.channel.clone())
    }

    /// The calls of apps, made in an app's place.
    pub(crate) fn app(&self) -> AppServiceClient<Channel> {
        AppServiceClient::new(self.channel.clone())
    }

    /// Stands in an app's place in the foreground, for as long as the answer is held (ACC-42).
    pub(crate) async fn in_front_of(
        &self,
        app: &str,
    ) -> Result<Streaming<AttachResponse>, Failure> {
        let attach = AttachRequest {
            app: app.to_owned(),
            foreground: true,
            takes_pushes: false,
        };
        let attached = self.app().attach(attach).await;
        Ok(attached
            .map_err(|status| self.failure(&status))?
            .into_inner())
    }

    /// What it answered, as a failure of this program.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        let socket = self.socket.display();
        match status.code() {
            Code::PermissionDenied | Code::Unauthenticated => Failure::NotAllowed(format!(
                "{}; the node at {socket} answers its own user and root",
                status.message()
            )),
            _ => Failure::answered(&format!("the node at {socket}"), status),
        }
    }
}
