//! `lull.push.v1.PushService`: sending pushes and following what becomes of them.
//!
//! Deliberately absent: admission and targets (the shards, by the fleet policy).

mod broadcast;

use std::pin::Pin;
use std::time::Duration;

use actix::Addr;
use actix::dev::SendError;
use futures_util::stream::{Stream, try_unfold};
use lull_fleet_policy::access::{self, Caller};
use lull_fleet_policy::{
    ClientName, DeviceId, PushId, Receipt, Request as Asked, Span, Submission, Target, Violation,
    Wall, bounds,
};
use lull_proto::problem::{invalid, retry_later};
use lull_proto::push::v1::push_service_server::PushService;
use lull_proto::push::v1::{
    DeviceReceipts, GetRequest, GetResponse, Retention, SendRequest, SendResponse, WatchRequest,
    WatchResponse, send_request,
};
use lull_proto::time::{span_millis, timestamp};
use tokio::sync::oneshot;
use tonic::{Code, Request, Response, Status};

use super::{RETRY, Services, caller, from_store, violations};
use crate::link::{jitter, told};
use crate::sabotage;
use crate::shard::Shard;
use crate::shard::messages::{Accepted, Draft, Refusal, Submit};
use crate::store::{Deduplicate, PAGE, PushRecord, ReceiptCursor};
use crate::watch::Watcher;

/// Tries where a decision was made on what is no longer so.
const TRIES: u32 = 5;
/// Before the second of them; doubled before each further one.
const PAUSE: Duration = Duration::from_millis(5);
/// Most receipts that `Get` gives: what fits the message bound (4 MiB of clients) with room to spare.
const RECEIPTS: usize = 20_000;

/// The service.
#[derive(Debug, Clone)]
pub struct Push {
    /// What it stands on.
    pub services: Services,
}

type WatchStream = Pin<Box<dyn Stream<Item = Result<WatchResponse, Status>> + Send>>;

#[tonic::async_trait]
impl PushService for Push {
    type WatchStream = WatchStream;

    async fn send(&self, request: Request<SendRequest>) -> Result<Response<SendResponse>, Status> {
        let caller = caller(&request)?;
        let now = self.services.now();
        let submission = submission(request.into_inner(), now)?;
        access::allowed_app(&caller, &submission.app)
            .map_err(|denied| Status::permission_denied(denied.to_string()))?;
        let (draft, target) = draft(submission, sender(&caller)?, now);
        let accepted = self.accept(&draft, &target).await;
        match accepted {
            Ok(accepted) => Ok(Response::new(self.answer(&draft, accepted))),
            Err(refusal) => match self.earlier(&draft).await {
                Some(earlier) => Ok(Response::new(self.answer(&draft, earlier))),
                None => Err(refused(&refusal)),
            },
        }
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        let caller = caller(&request)?;
        let record = self.find(&caller, &request.get_ref().push_id).await?;
        let mut devices: Vec<DeviceReceipts> = Vec::new();
        let mut at = std::collections::HashMap::new();
        let (mut cursor, mut count) = (ReceiptCursor::START, 0);
        loop {
            let page = self.services.store.receipts(record.id, cursor, PAGE).await;
            let page = page.map_err(|error| from_store(&error))?;
            count += page.receipts.len();
            if count > RECEIPTS {
                return Err(Status::failed_precondition(format!(
                    "this push has more than {RECEIPTS} receipts; follow it with Watch instead"
                )));
            }
            for (device, receipt) in page.receipts {
                let place = *at.entry(device).or_insert_with(|| {
                    devices.push(DeviceReceipts {
                        device: device.to_string(),
                        receipts: Vec::new(),
                    });
                    devices.len() - 1
                });
                if let Some(device) = devices.get_mut(place) {
                    device.receipts.push(told(receipt));
                }
            }
            cursor = page.next;
            if !page.more {
                break;
            }
        }
        devices.sort_by(|a, b| a.device.cmp(&b.device));
        Ok(Response::new(GetResponse {
            push_id: record.id.to_string(),
            app: record.app.into(),
            accepted_at: Some(timestamp(record.accepted.as_millis())),
            expires_at: Some(timestamp(record.expires.as_millis())),
            devices,
        }))
    }

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<WatchStream>, Status> {
        let caller = caller(&request)?;
        let record = self.find(&caller, &request.get_ref().push_id).await?;
        // Follows before it reads, so that nothing falls in between.
        let watcher = self
            .services
            .watchers
            .follow(record.id)
            .map_err(|full| retry_later(Code::ResourceExhausted, full.to_string(), RETRY))?;
        let following = Following {
            push: self.clone(),
            id: record.id,
            watcher,
            cursor: ReceiptCursor::START,
            read: Vec::new().into_iter(),
            last: false,
        };
        Ok(Response::new(Box::pin(try_unfold(
            following,
            Following::next,
        ))))
    }
}

impl Push {
    async fn accept(&self, draft: &Draft, target: &Target) -> Result<Accepted, Refusal> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.try_accept(draft, target).await {
                Err(Refusal::Again) => {}
                other => return other,
            }
            tokio::time::sleep(jitter(pause)).await;
            pause *= 2;
        }
        self.try_accept(draft, target).await
    }

    async fn try_accept(&self, draft: &Draft, target: &Target) -> Result<Accepted, Refusal> {
        match target {
            Target::Device(device) => {
                let shard = self
                    .services
                    .shard(*device)
                    .map_err(|_ending| Refusal::Busy)?;
                submit(shard, *device, draft.clone()).await
            }
            Target::Selector(wanted) => broadcast::accept(&self.services, draft, wanted).await,
        }
    }

    fn answer(&self, draft: &Draft, accepted: Accepted) -> SendResponse {
        if !accepted.duplicate {
            self.services.expiries.expect(draft.expires);
        }
        SendResponse {
            push_id: accepted.push.to_string(),
            devices: accepted.devices,
            duplicate: accepted.duplicate,
            accepted_at: Some(timestamp(accepted.accepted.as_millis())),
        }
    }

    /// A push that cannot be accepted now may have been accepted before, under its sender's key.
    async fn earlier(&self, draft: &Draft) -> Option<Accepted> {
        let key = draft.deduplicate.as_ref()?.key.clone();
        let (sender, app) = (draft.sender.clone(), draft.app.clone());
        let store = &self.services.store;
        let earlier = store
            .earlier(sender, app, key, draft.accepted)
            .await
            .ok()??;
        Some(Accepted {
            push: earlier.push,
            devices: earlier.devices,
            duplicate: true,
            accepted: earlier.accepted,
        })
    }

    /// A push that the caller may see; what it may not see is not there.
    async fn find(&self, caller: &Caller, id: &str) -> Result<PushRecord, Status> {
        let id = PushId::parse(id).map_err(|error| invalid("push_id", error.to_string()))?;
        let found = self.services.store.push(id).await;
        found
            .map_err(|error| from_store(&error))?
            .filter(|record| caller.may_use(&record.app))
            .ok_or_else(|| {
                Status::not_found(format!(
                    "no push {id}; pushes are kept for 24 hours after their last receipt"
                ))
            })
    }
}

/// A push that is being followed.
struct Following {
    push: Push,
    id: PushId,
    watcher: Watcher,
    cursor: ReceiptCursor,
    read: std::vec::IntoIter<(DeviceId, Receipt)>,
    /// Every device had its terminal receipt before the last page was read.
    last: bool,
}

impl Following {
    async fn next(mut self) -> Result<Option<(WatchResponse, Self)>, Status> {
        loop {
            if let Some((device, receipt)) = self.read.next() {
                let response = WatchResponse {
                    device: device.to_string(),
                    receipt: Some(told(receipt)),
                };
                return Ok(Some((response, self)));
            }
            if self.last {
                return Ok(None);
            }
            let store = &self.push.services.store;
            let record = store.push(self.id).await;
            let record = record.map_err(|error| from_store(&error))?;
            let done = record.is_none_or(|record| record.open == 0);
            let page = store.receipts(self.id, self.cursor, PAGE).await;
            let page = page.map_err(|error| from_store(&error))?;
            self.last = done && !page.more;
            self.cursor = page.next;
            if page.receipts.is_empty() && !self.last {
                self.watcher.told().await;
            }
            self.read = page.receipts.into_iter();
        }
    }
}

async fn submit(shard: &Addr<Shard>, device: DeviceId, draft: Draft) -> Result<Accepted, Refusal> {
    let (reply, answer) = oneshot::channel();
    let submit = Submit {
        device,
        draft,
        reply,
    };
    match shard.try_send(submit) {
        Ok(()) => {}
        // Its mailbox is full: wait for a place, within the call's deadline.
        Err(SendError::Full(submit)) => {
            shard.send(submit).await.map_err(|_gone| Refusal::Busy)?;
        }
        Err(SendError::Closed(_)) => return Err(Refusal::Busy),
    }
    answer.await.unwrap_or(Err(Refusal::Busy))
}

fn submission(request: SendRequest, now: Wall) -> Result<Submission<bytes::Bytes>, Status> {
    let mut wrong = Vec::new();
    let time_to_live = request.time_to_live.as_ref().and_then(|asked| {
        span_millis(asked)
            .map(Span::millis)
            .map_err(|error| wrong.push(Violation::new("time_to_live", error.to_string())))
            .ok()
    });
    if Retention::try_from(request.retention).is_err() {
        let message = format!("{} is none that this coordinator knows", request.retention);
        wrong.push(Violation::new("retention", message));
    }
    let (device, selector) = match request.target {
        None => (None, None),
        Some(send_request::Target::Device(device)) => (Some(device), None),
        Some(send_request::Target::Selector(selector)) => {
            (None, Some(selector.labels.into_iter().collect()))
        }
    };
    let checked = Submission::check(
        Asked {
            app: request.app,
            device,
            selector,
            payload: request.payload,
            time_to_live,
            deduplication_key: request.deduplication_key,
        },
        now,
    );
    match checked {
        Ok(submission) if wrong.is_empty() => Ok(submission),
        Ok(_) => Err(violations(&wrong)),
        Err(more) => {
            wrong.extend(more);
            Err(violations(&wrong))
        }
    }
}

fn sender(caller: &Caller) -> Result<ClientName, Status> {
    match caller {
        Caller::Publisher { name, .. } | Caller::Operator(name) => Ok(name.clone()),
        Caller::Anonymous | Caller::Device(_) => Err(Status::permission_denied(
            "only publishers and operators send",
        )),
    }
}

fn draft(submission: Submission<bytes::Bytes>, sender: ClientName, now: Wall) -> (Draft, Target) {
    let key = submission
        .deduplication_key
        .filter(|_| !sabotage::deduplication());
    let draft = Draft {
        id: PushId::from_bytes(new_id(now)),
        app: submission.app,
        sender,
        payload: submission.payload,
        accepted: now,
        expires: submission.expires,
        deduplicate: key.map(|key| Deduplicate {
            key,
            until: now.after(bounds::DEDUPLICATION_WINDOW),
        }),
    };
    (draft, submission.target)
}

/// The bytes of a new UUID version 7.
pub(super) fn new_id(now: Wall) -> [u8; 16] {
    let mut random = [0; 10];
    if aws_lc_rs::rand::fill(&mut random).is_err() {
        // The library's own source, which ends the process where there is none.
        return uuid::Uuid::now_v7().into_bytes();
    }
    uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random)
        .into_uuid()
        .into_bytes()
}

fn refused(refusal: &Refusal) -> Status {
    let message = refusal.to_string();
    match refusal {
        Refusal::UnknownDevice(_) | Refusal::UnknownApp { .. } => Status::not_found(message),
        Refusal::Full(_) => retry_later(Code::ResourceExhausted, message, RETRY),
        Refusal::TooMany { .. } => Status::failed_precondition(message),
        Refusal::Busy | Refusal::Again => retry_later(Code::Unavailable, message, RETRY),
        Refusal::Store(error) => from_store(error),
    }
}
