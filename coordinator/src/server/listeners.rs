//! The two listeners with their services and bounds.
//!
//! Deliberately absent: TLS (`listen`) and the services themselves (`api`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use anyhow::Context as _;
use lull_proto::MESSAGE_LIMIT;
use lull_proto::device::v1::device_service_server::DeviceServiceServer;
use lull_proto::device::v1::enrollment_service_server::EnrollmentServiceServer;
use lull_proto::fleet::v1::fleet_service_server::FleetServiceServer;
use lull_proto::push::v1::push_service_server::PushServiceServer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};
use tower::Layer as _;

use super::{Bound, FINISH};
use crate::api::Services;
use crate::api::authorise::AuthoriseLayer;
use crate::api::device::Device;
use crate::api::enrolment::Enrolment;
use crate::api::fleet::Fleet;
use crate::api::push::Push;
use crate::config::{CoordinatorConfig, LimitsConfig};
use crate::listen::{self, Budget, tls};

/// What a peer may hold of us, before and beside its messages.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Streams of one connection at once (threat T4).
    streams: u32,
    /// Bytes that one stream may send before we have read them.
    stream_window: u32,
    /// Bytes that one connection may send before we have read them.
    connection_window: u32,
}

const FLEET: Bounds = Bounds {
    streams: 100,
    stream_window: 64 << 10,
    connection_window: 1 << 20,
};
/// Nobody is known at the door: two enrolments at once and 64 KiB are enough for a device, and all that a stranger may hold.
const DOOR: Bounds = Bounds {
    streams: 2,
    stream_window: 32 << 10,
    connection_window: 64 << 10,
};
/// Bytes of an enrolment: a request of 8 KiB, 32 labels, a token and a name.
const ENROLMENT: usize = 32 << 10;
/// Bytes of a request's headers.
const HEADERS: u32 = 16 << 10;
/// HTTP/2 keepalive: asks after so long a silence, and gives up after so long.
const KEEPALIVE: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(20));
/// How long a call may take until its answer begins.
const CALL: Duration = Duration::from_secs(30);
/// How long a connection of the door may stand: an enrolment takes a second.
const DOOR_AGE: Duration = Duration::from_mins(1);
/// Reset streams that the client may have waiting: HTTP/2 rapid reset.
const RESETS: usize = 20;

/// The two sockets, bound and not yet served.
pub(super) struct Sockets {
    fleet: TcpListener,
    door: TcpListener,
    bound: Bound,
}

impl Sockets {
    pub(super) fn bind(config: &CoordinatorConfig) -> anyhow::Result<Self> {
        let bind = |key: &str, address: SocketAddr| {
            let socket = listen::bind(address)
                .with_context(|| format!("cannot listen on {address} ({key})"))?;
            let bound = socket.local_addr()?;
            anyhow::Ok((socket, bound))
        };
        let (fleet, fleet_bound) = bind("fleet_address", config.fleet_address)?;
        let (door, door_bound) = bind("door_address", config.door_address)?;
        Ok(Self {
            fleet,
            door,
            bound: Bound {
                fleet: fleet_bound,
                door: door_bound,
            },
        })
    }

    pub(super) fn bound(&self) -> Bound {
        self.bound
    }
}

/// What the two listeners serve.
pub(super) struct Listeners {
    pub(super) sockets: Sockets,
    pub(super) config: CoordinatorConfig,
    pub(super) services: Services,
    /// Devices enrolled.
    pub(super) devices: Arc<AtomicU64>,
}

impl Listeners {
    /// Serves until told to end, then lets calls under way finish.
    pub(super) async fn serve(
        self,
        ending: &CancellationToken,
        fatal: &CancellationToken,
        tasks: &TaskTracker,
    ) -> anyhow::Result<()> {
        let (authority, clock) = (&self.services.authority, &self.services.clock);
        let fleet_tls = tls::fleet(authority, clock)?;
        let door_tls = tls::door(authority, clock)?;
        let (reporter, health) = health_reporter();
        report(&reporter, ServingStatus::Serving).await;
        let layer = AuthoriseLayer::new(clock.clone(), Arc::clone(&self.services.callers));
        let fleet = Routes::new(health.clone())
            .add_service(self.device(ending, tasks))
            .add_service(self.push())
            .add_service(self.fleet())
            .add_service(reflection()?)
            .prepare();
        let door = Routes::new(health).add_service(self.enrolment()).prepare();
        let limits = &self.config.limits;
        let fleet_budget = budget(limits, limits.connections);
        let door_budget = budget(limits, limits.door_connections);
        let stop = CancellationToken::new();
        let accept = |listener, tls, budget| {
            listen::accept(listener, tls, budget, Arc::default(), stop.clone())
        };
        let fleet = bounded(FLEET).serve_with_incoming_shutdown(
            layer.layer(fleet),
            accept(self.sockets.fleet, fleet_tls, fleet_budget),
            stop.clone().cancelled_owned(),
        );
        let door = bounded(DOOR)
            .max_connection_age(DOOR_AGE)
            .max_connection_age_grace(FINISH)
            .serve_with_incoming_shutdown(
                layer.layer(door),
                accept(self.sockets.door, door_tls, door_budget),
                stop.clone().cancelled_owned(),
            );
        let stopping = async {
            tokio::select! {
                () = ending.cancelled() => {}
                () = fatal.cancelled() => {}
            }
            report(&reporter, ServingStatus::NotServing).await;
            ending.cancel();
            stop.cancel();
            // Connections that do not end by themselves are cut off.
            tokio::time::sleep(FINISH).await;
        };
        tokio::select! {
            served = futures_util::future::try_join(fleet, door) => {
                served.map(|_both| ()).context("cannot serve")
            }
            () = stopping => Ok(()),
        }
    }

    fn device(
        &self,
        ending: &CancellationToken,
        tasks: &TaskTracker,
    ) -> DeviceServiceServer<Device> {
        DeviceServiceServer::new(Device {
            services: self.services.clone(),
            ping: self.config.session.ping.0,
            ending: ending.clone(),
            tasks: tasks.clone(),
        })
        .max_decoding_message_size(MESSAGE_LIMIT)
    }

    fn push(&self) -> PushServiceServer<Push> {
        let services = self.services.clone();
        PushServiceServer::new(Push { services }).max_decoding_message_size(MESSAGE_LIMIT)
    }

    fn fleet(&self) -> FleetServiceServer<Fleet> {
        FleetServiceServer::new(Fleet {
            services: self.services.clone(),
            door_address: self.config.host_for(self.sockets.bound.door),
        })
        .max_decoding_message_size(MESSAGE_LIMIT)
    }

    fn enrolment(&self) -> EnrollmentServiceServer<Enrolment> {
        EnrollmentServiceServer::new(Enrolment {
            services: self.services.clone(),
            limit: u64::from(self.config.limits.devices),
            count: Arc::clone(&self.devices),
            fleet_address: self.config.host_for(self.sockets.bound.fleet),
        })
        .max_decoding_message_size(ENROLMENT)
    }
}

fn reflection() -> anyhow::Result<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(lull_proto::DESCRIPTORS)
        .build_v1()
        .context("the protos' descriptors cannot be read")
}

async fn report(reporter: &HealthReporter, status: ServingStatus) {
    for name in ["", "lull.device.v1", "lull.push.v1", "lull.fleet.v1"] {
        reporter.set_service_status(name, status).await;
    }
}

fn budget(limits: &LimitsConfig, connections: u32) -> Budget {
    Budget {
        connections: connections as usize,
        handshakes: limits.handshakes as usize,
        handshakes_per_address: limits.handshakes_per_address as usize,
    }
}

/// A server with the bounds that both listeners have.
fn bounded(bounds: Bounds) -> Server {
    Server::builder()
        .timeout(CALL)
        .max_concurrent_streams(bounds.streams)
        .http2_max_header_list_size(HEADERS)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
        .initial_stream_window_size(bounds.stream_window)
        .initial_connection_window_size(bounds.connection_window)
        .http2_max_pending_accept_reset_streams(Some(RESETS))
}
