//! A device's session: the task between its stream and its shard.
//!
//! Reads what the device says, converts it and hands it to the shard; pings; ends when the device is silent, wrong, or
//! replaced. Deliberately absent: what is sent when (the shard, by the fleet policy).

mod words;

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use lull_fleet_policy::session::{Presence, is_dead};
use lull_fleet_policy::{DeviceId, Span, bounds};
use lull_proto::SESSION_PROTOCOL;
use lull_proto::device::v1::{
    DeviceHello, SessionRequest, SessionResponse, session_request, session_response,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::{Stream, StreamExt as _};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::clock::ClockRef;
use crate::shard::messages::{Arrived, Attach, Detach, FromDevice, Heard, Said};
use crate::shard::{OUTGOING, RESUME, Session, Shard};
use crate::store::Store;

pub(crate) use words::{jitter, receipt as told};

/// How long a device may take to say hello: many round trips of a bad mobile link.
const HELLO: Duration = Duration::from_secs(10);
/// Between two tries to hand something to a shard that has its hands full, at first and at most.
const BUSY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(1));
/// How long such tries go on before the session ends: the store is stuck, and the device keeps what it said.
const STUCK: Duration = Duration::from_secs(30);

/// To the connection.
pub type Outgoing = mpsc::Sender<Result<SessionResponse, Status>>;

/// What a session needs.
#[derive(Debug, Clone)]
pub struct Link {
    /// The device's shard.
    pub shard: Addr<Shard>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: ClockRef,
    /// Between two pings.
    pub ping: Duration,
    /// Cancelled when the coordinator ends.
    pub ending: CancellationToken,
}

/// A channel to a connection.
pub fn channel() -> (Outgoing, mpsc::Receiver<Result<SessionResponse, Status>>) {
    mpsc::channel(OUTGOING)
}

/// Runs a device's session to its end.
pub async fn run<S>(link: Link, device: DeviceId, mut stream: S, outgoing: Outgoing)
where
    S: Stream<Item = Result<SessionRequest, Status>> + Send + Unpin,
{
    let begun = tokio::select! {
        () = outgoing.closed() => return,
        begun = begin(&link, device, &mut stream, &outgoing) => begun,
    };
    let session = match begun {
        Ok(session) => session,
        Err(status) => {
            tell_end(&outgoing, status);
            return;
        }
    };
    tracing::debug!(%device, session = session.number.0, "a session began");
    let status = Running {
        link: &link,
        device,
        session: &session,
    }
    .run(&mut stream)
    .await;
    tracing::debug!(%device, session = session.number.0, %status, "a session ended");
    let detach = Detach {
        device,
        session: session.number,
    };
    // Fails only where the coordinator is ending.
    link.shard.send(detach).await.unwrap_or(());
    tell_end(&session.outgoing, session.reason().unwrap_or(status));
}

fn tell_end(outgoing: &Outgoing, status: Status) {
    // Without room the stream just ends; the device comes back either way.
    drop(outgoing.try_send(Err(status)));
}

/// Hears the hello and attaches to the shard.
async fn begin<S>(
    link: &Link,
    device: DeviceId,
    stream: &mut S,
    outgoing: &Outgoing,
) -> Result<Arc<Session>, Status>
where
    S: Stream<Item = Result<SessionRequest, Status>> + Send + Unpin,
{
    let hello = tokio::select! {
        () = link.ending.cancelled() => return Err(ending()),
        hello = timeout(HELLO, stream.next()) => hello,
    };
    let hello = match hello {
        Err(_late) => {
            return Err(Status::deadline_exceeded(format!(
                "no hello within {} s",
                HELLO.as_secs()
            )));
        }
        Ok(None) => return Err(Status::cancelled("the device left before its hello")),
        Ok(Some(request)) => request?,
    };
    let Some(session_request::Message::Hello(hello)) = hello.message else {
        return Err(lull_proto::problem::invalid(
            "message",
            "the first message must be a hello",
        ));
    };
    let protocol = protocol(&hello)?;
    let presence = words::presence(&hello)?;
    attach(link, device, hello, presence, protocol, outgoing).await
}

/// The newest version that both speak.
fn protocol(hello: &DeviceHello) -> Result<u32, Status> {
    let (min, max) = (*SESSION_PROTOCOL.start(), *SESSION_PROTOCOL.end());
    let chosen = max.min(hello.protocol_max);
    if chosen < min.max(hello.protocol_min) {
        return Err(Status::failed_precondition(format!(
            "the node speaks session protocol {} to {}, this coordinator {min} to {max}; upgrade the older one",
            hello.protocol_min, hello.protocol_max
        )));
    }
    Ok(chosen)
}

async fn attach(
    link: &Link,
    device: DeviceId,
    hello: DeviceHello,
    presence: Presence,
    protocol: u32,
    outgoing: &Outgoing,
) -> Result<Arc<Session>, Status> {
    let unavailable = |error: crate::store::StoreError| Status::unavailable(error.to_string());
    let record = link.store.device(device).await.map_err(unavailable)?;
    let mailbox = link.store.mailboxes(vec![device]).await;
    let mailbox = mailbox.map_err(unavailable)?.into_iter().next().flatten();
    let (Some(record), Some(mailbox)) = (record, mailbox) else {
        return Err(Status::unauthenticated(format!(
            "device {device} is not enrolled here; enrol it with a new token"
        )));
    };
    let session = Arc::new(Session::new(
        presence,
        outgoing.clone(),
        link.ending.child_token(),
        link.clock.running(),
    ));
    let mut probed = None;
    // A probed session may be replaced while it is probed, by a third one: asked again, a few times.
    for _ in 0..3 {
        let attach = Attach {
            record: Box::new(record.clone()),
            mailbox,
            session: Arc::clone(&session),
            version: words::shortened(&hello.version),
            protocol,
            taken: (hello.mailbox_incarnation.clone(), hello.delivered_through),
            probed,
        };
        match link.shard.send(attach).await.map_err(|_gone| ending())? {
            Arrived::Begins => return Ok(session),
            Arrived::Refused(refused) => return Err(Status::already_exists(refused.to_string())),
            Arrived::Busy => break,
            Arrived::Probe(other) => probed = Some((other.number, probe(link, &other).await)),
        }
    }
    Err(Status::unavailable(
        "the coordinator has its hands full; come back shortly",
    ))
}

/// Asks a session for a sign of life; true where it gave one.
async fn probe(link: &Link, other: &Session) -> bool {
    // Registered before the question is asked, so that no answer is missed.
    let heard = other.heard.notified();
    other.probe.notify_one();
    let limit = Duration::from_millis(bounds::PROBE.as_millis());
    tokio::select! {
        () = heard => true,
        () = other.ending.cancelled() => false,
        () = link.ending.cancelled() => false,
        () = sleep(limit) => false,
    }
}

fn ending() -> Status {
    Status::unavailable("the coordinator is ending; connect again")
}

struct Running<'a> {
    link: &'a Link,
    device: DeviceId,
    session: &'a Session,
}

impl Running<'_> {
    async fn run<S>(&self, stream: &mut S) -> Status
    where
        S: Stream<Item = Result<SessionRequest, Status>> + Send + Unpin,
    {
        let session = self.session;
        let mut pings = interval(self.link.ping);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let mut number = 0;
        let mut waits_for_room = false;
        loop {
            tokio::select! {
                () = session.ending.cancelled() => return ending(),
                () = session.outgoing.closed() => return Status::cancelled("the connection is gone"),
                said = stream.next() => match said {
                    None => return Status::ok("the device has left"),
                    Some(Err(status)) => return status,
                    Some(Ok(said)) => {
                        session.hear(self.link.clock.running());
                        if let Err(status) = self.hear(said).await {
                            return status;
                        }
                    }
                },
                _ = pings.tick() => {
                    let silent = session.silent(self.link.clock.running());
                    if is_dead(silent, self.ping()) {
                        return Status::deadline_exceeded(format!(
                            "nothing was heard from the device for {} ms", silent.as_millis()
                        ));
                    }
                    number += 1;
                    session.say(session_response::Message::Ping(number));
                }
                () = session.probe.notified() => {
                    number += 1;
                    session.say(session_response::Message::Ping(number));
                }
                () = session.full.notified(), if !waits_for_room => waits_for_room = true,
                room = session.outgoing.reserve_many(RESUME), if waits_for_room => {
                    drop(room);
                    waits_for_room = false;
                    if let Err(status) = self.tell(Said::Resume).await {
                        return status;
                    }
                }
            }
        }
    }

    fn ping(&self) -> Span {
        Span::millis(u64::try_from(self.link.ping.as_millis()).unwrap_or(u64::MAX))
    }

    async fn hear(&self, said: SessionRequest) -> Result<(), Status> {
        match words::said(said)? {
            Some(word) => self.tell(word).await,
            None => Ok(()),
        }
    }

    /// Hands it to the shard; where that is busy, again after a while, with the device's next words waiting behind it.
    async fn tell(&self, mut word: Said) -> Result<(), Status> {
        let begun = Instant::now();
        let (mut pause, most) = BUSY;
        loop {
            let from = FromDevice {
                device: self.device,
                session: self.session.number,
                word,
            };
            match self.link.shard.send(from).await.map_err(|_gone| ending())? {
                Heard::Taken => return Ok(()),
                Heard::Over => return Err(Status::aborted("the session is over")),
                Heard::Wrong(what) => return Err(Status::invalid_argument(what)),
                Heard::Busy(_) if begun.elapsed() > STUCK => {
                    return Err(Status::unavailable(
                        "the store does not keep up; connect again later",
                    ));
                }
                Heard::Busy(again) => {
                    word = again;
                    tokio::select! {
                        () = sleep(jitter(pause)) => {}
                        () = self.session.ending.cancelled() => return Err(ending()),
                    }
                    pause = (pause * 2).min(most);
                }
            }
        }
    }
}
