//! `lull.device.v1.DeviceService`: a device's session.
//!
//! Deliberately absent: the session itself (`link`).

use std::time::Duration;

use lull_fleet_policy::access::Caller;
use lull_proto::device::v1::device_service_server::DeviceService;
use lull_proto::device::v1::{SessionRequest, SessionResponse};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Request, Response, Status, Streaming};

use super::{Services, caller};
use crate::link::{self, Link};

/// The service.
#[derive(Debug)]
pub struct Device {
    /// What it stands on.
    pub services: Services,
    /// Between two pings.
    pub ping: Duration,
    /// Cancelled when the coordinator ends.
    pub ending: CancellationToken,
    /// The sessions' tasks.
    pub tasks: TaskTracker,
}

#[tonic::async_trait]
impl DeviceService for Device {
    type SessionStream = ReceiverStream<Result<SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let Caller::Device(device) = *caller(&request)? else {
            return Err(Status::permission_denied("only a device has a session"));
        };
        let link = Link {
            shard: self.services.shard(device)?.clone(),
            store: self.services.store.clone(),
            clock: self.services.clock.clone(),
            ping: self.ping,
            ending: self.ending.clone(),
        };
        let (outgoing, connection) = link::channel();
        let stream = request.into_inner();
        self.tasks.spawn(link::run(link, device, stream, outgoing));
        Ok(Response::new(ReceiverStream::new(connection)))
    }
}
