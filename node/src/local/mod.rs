//! The local API: gRPC on a Unix socket, for apps' front clients and for whoever runs the device.
//!
//! Who calls is decided by the kernel's word on the peer, what it may by [`Authority`]. Deliberately absent: decisions
//! about tasks; calls go to the machine, reads look at it.

mod app;
mod attach;
mod authority;
mod convert;
mod debug;
mod handover;
mod operator;
mod peer;
mod rate;
mod recording;
mod socket;
mod view;

use std::sync::Arc;
use std::time::Duration;

use lull_policy::{Answer, Caller, Device, Now, Request};
use lull_proto::local::v1::app_service_server::AppServiceServer;
use lull_proto::local::v1::operator_service_server::OperatorServiceServer;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use crate::clock::ClockRef;
use crate::debuggers::Debuggers;
use crate::ports::{AppNotice, AppOwners, AppSource, EngineRef, look};
use crate::status::StatusBoard;
use crate::takers::Takers;

pub(crate) use attach::Lease;
pub use attach::Leases;
pub use authority::Authority;
pub use handover::HandoverDoor;
pub(crate) use peer::{Peer, Place, place};
pub use recording::Recordings;
pub use socket::{LocalSocket, SocketError};
pub(crate) use socket::{Places, Taken, in_place};

/// Bytes of one request: the largest, a registration, has under 4 KiB.
const REQUEST: usize = 64 << 10;

/// Bytes of one answer: 256 finished runs with 8 KiB of output each, and their frames.
const RESPONSE: usize = 4 << 20;

/// Calls under way on one connection: a front client attaches once and calls beside it.
const STREAMS: u32 = 32;

/// Bytes of a call's headers; ours have a few hundred.
const HEADERS: u32 = 16 << 10;

/// How long a call may take. A commit takes milliseconds; a store that stands still answers after 5 s.
const CALL: Duration = Duration::from_secs(10);

/// A peer that does not answer a ping is gone: it is asked after so long, and has so long to answer.
const PING: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));

/// How long calls under way have when the daemon ends.
const FAREWELL: Duration = Duration::from_secs(2);

/// What the services need.
#[derive(Debug, Clone)]
pub struct Local {
    /// The machine.
    pub engine: EngineRef,
    /// Who may speak for which app.
    pub authority: Authority,
    /// The users of apps.
    pub owners: Arc<dyn AppOwners>,
    /// The manifests.
    pub source: Arc<dyn AppSource>,
    /// What front clients are told.
    pub notices: broadcast::Sender<AppNotice>,
    /// Foreground leases of attached clients.
    pub leases: Leases,
    /// Attached clients that take pushes.
    pub takers: Takers,
    /// What the parts of the daemon say about themselves.
    pub board: Arc<StatusBoard>,
    /// Debuggers' sessions.
    pub debuggers: Debuggers,
    /// The flight recorder.
    pub recordings: Recordings,
    /// For the rate of calls.
    pub clock: ClockRef,
    /// The daemon is ending.
    pub ending: CancellationToken,
}

impl Local {
    /// Serves the socket until the daemon ends, then for at most two seconds more.
    ///
    /// # Errors
    /// What the transport said.
    pub async fn serve(self, socket: LocalSocket) -> Result<(), tonic::transport::Error> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<AppServiceServer<app::Apps>>().await;
        health
            .set_serving::<OperatorServiceServer<operator::Operators>>()
            .await;
        let rate = rate::Rate::new(Arc::clone(&self.clock), Arc::clone(&self.board));
        let apps = AppServiceServer::new(app::Apps(self.clone()))
            .max_decoding_message_size(REQUEST)
            .max_encoding_message_size(RESPONSE);
        let operators = OperatorServiceServer::new(operator::Operators(self.clone()))
            .max_decoding_message_size(REQUEST)
            .max_encoding_message_size(RESPONSE);
        let connections = socket.connections(self.authority.clone(), Arc::clone(&self.board));
        let ending = self.ending.clone();
        let served = Server::builder()
            .timeout(CALL)
            .max_concurrent_streams(STREAMS)
            .http2_max_header_list_size(HEADERS)
            .http2_keepalive_interval(Some(PING.0))
            .http2_keepalive_timeout(Some(PING.1))
            .add_service(health_service)
            .add_service(InterceptedService::new(apps, rate.clone()))
            .add_service(InterceptedService::new(operators, rate))
            .serve_with_incoming_shutdown(connections, ending.clone().cancelled_owned());
        let (over, mut is_over) = watch::channel(false);
        tokio::spawn(async move {
            ending.cancelled().await;
            tokio::time::sleep(FAREWELL).await;
            over.send_replace(true);
        });
        tokio::select! {
            result = served => result,
            _ended = is_over.wait_for(|over| *over) => Ok(()),
        }
    }

    /// A call of the machine; its refusals and the engine's troubles as gRPC errors.
    async fn call(&self, caller: Caller, request: Request) -> Result<Answer, Status> {
        let answer = self.engine.call(caller, request).await;
        match answer.map_err(|error| convert::unavailable(&error))? {
            Answer::Refused(refusal) => Err(convert::refused(refusal)),
            answer => Ok(answer),
        }
    }

    /// A look at the machine.
    async fn look<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Device, Now) -> T + Send + 'static,
    ) -> Result<T, Status> {
        look(&self.engine, read)
            .await
            .map_err(|error| convert::unavailable(&error))
    }
}

/// The machine answered something that does not fit the call: a defect.
fn misfit(answer: &Answer) -> Status {
    tracing::error!(?answer, "the machine's answer does not fit the call");
    Status::internal("the machine's answer does not fit the call; please report this")
}

#[cfg(test)]
mod tests;
