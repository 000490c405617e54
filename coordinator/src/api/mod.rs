//! The gRPC services: each parses a request, asks a shard or the store, and answers.
//!
//! Deliberately absent: decisions (the fleet policy) and connections (`listen`).

pub mod authorise;
pub mod callers;
pub mod device;
pub mod enrolment;
pub mod fleet;
pub mod push;

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use lull_fleet_policy::access::Caller;
use lull_fleet_policy::{DeviceId, ShardId, Violation, Wall};
use lull_proto::problem::{invalid, retry_later};
use tokio::sync::Mutex;
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::authority::Authority;
use crate::clock::ClockRef;
use crate::shard::Shard;
use crate::store::{Store, StoreError};
use crate::watch::Watchers;

/// When a caller may try again after the coordinator had its hands full: a few group commits.
const RETRY: Duration = Duration::from_millis(250);

/// What the services stand on.
#[derive(Debug, Clone)]
pub struct Services {
    /// Certificates.
    pub authority: Arc<Authority>,
    /// Records.
    pub store: Arc<dyn Store>,
    /// Decisions, by shard.
    pub shards: Arc<[Addr<Shard>]>,
    /// Followers.
    pub watchers: Arc<Watchers>,
    /// Time.
    pub clock: ClockRef,
    /// Who calls.
    pub callers: Arc<callers::Callers>,
    /// One push to many devices at a time takes its places in all shards, so that all see them in the same order.
    pub broadcasts: Arc<Mutex<()>>,
    /// Told of the expiry of each push that is accepted.
    pub expiries: crate::sweep::Expiries,
}

impl Services {
    fn now(&self) -> Wall {
        Wall::from_millis(self.clock.wall())
    }

    /// The shard of a device.
    pub fn shard(&self, device: DeviceId) -> Result<&Addr<Shard>, Status> {
        let count = u16::try_from(self.shards.len()).unwrap_or(u16::MAX);
        let at = usize::from(ShardId::of(device, count).0);
        self.shards.get(at).ok_or_else(ending)
    }
}

/// Who calls, as the table's keeper found.
fn caller<T>(request: &Request<T>) -> Result<Arc<Caller>, Status> {
    let caller = request.extensions().get::<Arc<Caller>>().cloned();
    caller.ok_or_else(|| Status::unauthenticated("no client certificate was shown"))
}

fn ending() -> Status {
    Status::unavailable("the coordinator is ending; try again shortly")
}

/// A store's refusal as a caller meets it.
fn from_store(error: &StoreError) -> Status {
    let code = match error {
        StoreError::Busy { .. } | StoreError::Ending | StoreError::CommitFailed { .. } => {
            Code::Unavailable
        }
        StoreError::DiskFull { .. } => Code::ResourceExhausted,
        StoreError::Damaged { .. } | StoreError::ReadFailed { .. } | StoreError::BadRow { .. } => {
            Code::Internal
        }
    };
    match code {
        Code::Internal => Status::internal(error.to_string()),
        _ => retry_later(code, error.to_string(), RETRY),
    }
}

/// One field that is wrong.
fn violation(violation: &Violation) -> Status {
    invalid(violation.field, violation.message.clone())
}

/// All fields that are wrong.
fn violations(violations: &[Violation]) -> Status {
    if let [only] = violations {
        return violation(only);
    }
    let mut details = ErrorDetails::new();
    let mut sentence = String::new();
    for violation in violations {
        details.add_bad_request_violation(violation.field, violation.message.clone());
        if !sentence.is_empty() {
            sentence.push_str("; ");
        }
        sentence.push_str(&violation.to_string());
    }
    Status::with_error_details(Code::InvalidArgument, sentence, details)
}
