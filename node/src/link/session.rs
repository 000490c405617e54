//! One session, from hello to end.
//!
//! One task and no locks: everything that can happen is an arm of one `select!`, and what is to be said is derived from the
//! state at the moment the connection has room. Order matters in it: what the engine orders is seen before what it has
//! committed, so that credit is never too high; all that is committed is seen before an acknowledgement is written, so that one
//! covers many.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use lull_policy::{AppId, Event, ReceiptSeq};
use lull_proto::device::v1::{
    Acknowledge, CoordinatorHello, Delivery, DeviceHello, Grant, InstalledApp, Inventory, Receipts,
    SessionRequest, SessionResponse, device_service_client::DeviceServiceClient, session_request,
    session_response,
};
use lull_proto::{MESSAGE_LIMIT, SESSION_PROTOCOL};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use super::credit::{Asked, Credit};
use super::end::End;
use super::machine::{Seen, persist, prepare, see, take};
use super::place::{INCARNATION, Place, PlaceFile};
use super::service::meanwhile;
use super::{Link, counter, receipts, words};
use crate::ports::{EngineError, EngineRef, LinkOrder};

/// Messages between this task and the connection's own; the rest is bounded by the peer's flow control.
const OUTGOING: usize = 16;

/// Pushes on their way to the engine: what the credit of a few apps allows at once. Beyond, the connection is not read.
const IN_FLIGHT: usize = 256;

/// Pings come at least and at most so often, whatever the coordinator says.
const PING: std::ops::RangeInclusive<u32> = 1..=1_800;

/// So many pings may be missed.
const SILENCE: u32 = 3;

/// Runs one session over a connection to its end.
pub(super) async fn run(link: &mut Link, file: &mut PlaceFile, channel: Channel) -> End {
    let mut place = file.place().clone();
    let end = match Session::begin(link, &mut place, channel).await {
        Ok(mut session) => match session.serve(link, file, &mut place).await {
            Ok(never) => match never {},
            Err(end) => end,
        },
        Err(end) => end,
    };
    file.keep(&place).await;
    end
}

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A push that is durable here, or cannot be taken at all.
#[derive(Debug)]
struct Taken {
    sequence: u64,
    app: Option<AppId>,
}

struct Session {
    engine: EngineRef,
    outgoing: mpsc::Sender<SessionRequest>,
    incoming: Streaming<SessionResponse>,
    ping: Duration,
    heard: Instant,
    credit: Credit,
    receipts: receipts::Receipts,
    /// Pushes on their way to the engine, in the order in which they came.
    taking: FuturesOrdered<Task<Result<Taken, End>>>,
    received_through: u64,
    /// The engine is told that the link is up, and answers with every receipt.
    asking: Option<Task<Result<(), EngineError>>>,
    /// The engine is told what the coordinator has; the newest waits behind.
    acknowledging: Option<Task<Result<(), EngineError>>>,
    acknowledged: Option<ReceiptSeq>,
    /// The engine is asked for credit.
    looking: Option<(Asked, Task<Result<Seen, EngineError>>)>,
    look_again: bool,
    say: Say,
}

/// What is to be said, beside credit and receipts.
#[derive(Debug, Default)]
struct Say {
    pong: Option<u64>,
    acknowledge: bool,
    inventory: bool,
}

impl Session {
    /// The hellos, and what the engine has to say before the first push.
    async fn begin(link: &mut Link, place: &mut Place, channel: Channel) -> Result<Self, End> {
        let (outgoing, requests) = mpsc::channel(OUTGOING);
        let hello = session_request::Message::Hello(hello(link, place));
        // The channel is new and has room.
        drop(outgoing.try_send(message(hello)));
        let limit = link.times.hello;
        let open = async {
            let mut client =
                DeviceServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
            let response = client.session(ReceiverStream::new(requests)).await;
            let mut incoming = response.map_err(End::from)?.into_inner();
            let first = incoming.message().await.map_err(End::from)?;
            Ok::<_, End>((incoming, first.ok_or(End::Closed)?))
        };
        let opened = meanwhile(link, timeout(limit, open)).await;
        let opened = opened.ok_or(End::EngineEnded)?;
        let (incoming, first) = opened.map_err(|_late| End::Silence(limit))??;
        let Some(session_response::Message::Hello(hello)) = first.message else {
            return Err(End::Protocol("its first message is no hello".to_owned()));
        };
        check(&hello)?;
        if hello.mailbox_incarnation != place.mailbox {
            tracing::info!(mailbox = hello.mailbox_incarnation, "a new mailbox");
            *place = Place {
                mailbox: hello.mailbox_incarnation.clone(),
                delivered_through: 0,
            };
        }
        let acknowledged = ReceiptSeq(hello.receipts_acknowledged);
        let limit = link.times.commit;
        let preparing = timeout(limit, prepare(link.engine.clone(), acknowledged));
        let seen = meanwhile(link, preparing).await.ok_or(End::EngineEnded)?;
        let source = EngineError::Unavailable;
        let seen = seen.map_err(|_late| End::Commit { limit, source })??;
        let mut credit = Credit::default();
        let asked = credit.ask();
        credit.answer(&asked, seen.credit);
        let engine = link.engine.clone();
        let mut session = Self {
            outgoing,
            incoming,
            ping: Duration::from_secs(u64::from(
                hello.ping_seconds.clamp(*PING.start(), *PING.end()),
            )),
            heard: Instant::now(),
            credit,
            receipts: receipts::Receipts::begin(seen.first),
            taking: FuturesOrdered::new(),
            received_through: place.delivered_through,
            asking: None,
            acknowledging: None,
            acknowledged: None,
            looking: None,
            look_again: false,
            say: Say {
                inventory: true,
                ..Say::default()
            },
            engine,
        };
        session.ask_for_receipts();
        link.board.count(counter::SESSIONS);
        link.board.set_connected(true);
        tracing::info!(coordinator = hello.version, ping = ?session.ping, "the session is up");
        Ok(session)
    }

    /// Everything that can happen, until the session ends.
    async fn serve(
        &mut self,
        link: &mut Link,
        file: &mut PlaceFile,
        place: &mut Place,
    ) -> Result<Infallible, End> {
        let mut keep_at = Instant::now() + link.times.place;
        loop {
            let silence = self.heard + self.ping * SILENCE;
            tokio::select! {
                biased;
                order = link.orders.recv() => self.order(order.ok_or(End::EngineEnded)?),
                taken = self.taking.next(), if !self.taking.is_empty() => {
                    if let Some(taken) = taken {
                        self.taken(link, place, taken?);
                    }
                }
                asked = settled(&mut self.asking) => asked?,
                done = settled(&mut self.acknowledging) => {
                    done?;
                    self.acknowledge_further();
                }
                seen = seen(&mut self.looking) => self.seen(seen?),
                room = self.outgoing.clone().reserve_owned(), if self.has_to_say() => {
                    let Ok(room) = room else {
                        return Err(last_words(&mut self.incoming, self.ping).await);
                    };
                    if let Some(words) = next_words(&mut self.say, &mut self.credit, &mut self.receipts, link, place) {
                        room.send(message(words));
                    }
                }
                incoming = self.incoming.message(), if self.taking.len() < IN_FLIGHT => {
                    let said = incoming.map_err(End::from)?.ok_or(End::Closed)?;
                    self.heard = Instant::now();
                    self.hear(link, place, said)?;
                }
                changed = link.apps.changed() => {
                    changed.map_err(|_gone| End::EngineEnded)?;
                    self.say.inventory = true;
                    self.look();
                }
                () = sleep_until(keep_at), if file.place() != place => {
                    file.keep(place).await;
                    keep_at = Instant::now() + link.times.place;
                }
                () = sleep_until(silence) => return Err(End::Silence(self.ping * SILENCE)),
            }
        }
    }

    fn has_to_say(&self) -> bool {
        let say = &self.say;
        say.pong.is_some()
            || say.acknowledge
            || say.inventory
            || self.credit.is_due()
            || self.receipts.is_waiting()
    }

    fn order(&mut self, order: LinkOrder) {
        match order {
            LinkOrder::Receipt(receipt) => self.receipts.take(receipt),
            LinkOrder::Credit { app, free } => self.credit.order(app, free),
        }
    }

    fn taken(&mut self, link: &Link, place: &mut Place, taken: Taken) {
        place.delivered_through = taken.sequence;
        self.say.acknowledge = true;
        if let Some(app) = taken.app {
            link.board.count(counter::PUSHES);
            if self.credit.committed(&app) {
                self.look();
            }
        }
    }

    fn hear(&mut self, link: &Link, place: &Place, said: SessionResponse) -> Result<(), End> {
        use session_response::Message;
        match said.message {
            Some(Message::Delivery(delivery)) => self.delivery(link, place, delivery),
            Some(Message::ReceiptsAcknowledged(through)) => {
                self.acknowledged = self.receipts.acknowledge(through).or(self.acknowledged);
                self.acknowledge_further();
                self.at_rest();
                Ok(())
            }
            Some(Message::Ping(number)) => {
                self.say.pong = Some(number);
                self.at_rest();
                if self.receipts.is_missing() && self.asking.is_none() {
                    link.board.count(counter::RECEIPT_GAPS);
                    self.ask_for_receipts();
                }
                Ok(())
            }
            Some(Message::Hello(_)) => Err(End::Protocol("a second hello".to_owned())),
            // Of a newer protocol.
            None => Ok(()),
        }
    }

    fn delivery(&mut self, link: &Link, place: &Place, delivery: Delivery) -> Result<(), End> {
        let sequence = delivery.sequence;
        if sequence <= place.delivered_through {
            link.board.count(counter::REPEATED);
            self.say.acknowledge = true;
            return Ok(());
        }
        if sequence <= self.received_through {
            let last = self.received_through;
            return Err(End::Protocol(format!(
                "push {sequence} of the mailbox came after {last}"
            )));
        }
        self.received_through = sequence;
        // Too many at once are taken all the same: the machine has the last word on what it has no room for.
        if let Ok(app) = AppId::new(delivery.app.clone())
            && !self.credit.received(&app)
        {
            tracing::warn!(%app, sequence, "a push came without credit");
        }
        let id = delivery.push_id.clone();
        match words::push(delivery) {
            Ok(push) => {
                let app = push.app.clone();
                let event = Event::PushArrived(push);
                let taking = take(self.engine.clone(), event, link.times.commit);
                self.taking.push_back(Box::pin(async move {
                    taking.await?;
                    let app = Some(app);
                    Ok(Taken { sequence, app })
                }));
            }
            Err(error) => {
                // It would come again for ever: no receipt can tell of what no machine can hold.
                tracing::error!(push = id, sequence, %error, "a push cannot be taken; acknowledged without effect");
                link.board.count(counter::MALFORMED);
                let app = None;
                self.taking
                    .push_back(Box::pin(async move { Ok(Taken { sequence, app }) }));
            }
        }
        Ok(())
    }

    fn acknowledge_further(&mut self) {
        if self.acknowledging.is_none()
            && let Some(through) = self.acknowledged.take()
        {
            let engine = self.engine.clone();
            self.acknowledging = Some(Box::pin(async move {
                persist(&engine, Event::ReceiptsAcknowledged { through }).await
            }));
        }
    }

    fn ask_for_receipts(&mut self) {
        let engine = self.engine.clone();
        self.asking = Some(Box::pin(
            async move { persist(&engine, Event::LinkUp).await },
        ));
    }

    /// With nothing under way, what the device has is compared with what is known here.
    fn at_rest(&mut self) {
        if self.receipts.is_settled() && self.asking.is_none() {
            self.look();
        }
    }

    fn look(&mut self) {
        if self.looking.is_some() {
            self.look_again = true;
            return;
        }
        let engine = self.engine.clone();
        let asked = self.credit.ask();
        self.looking = Some((asked, Box::pin(async move { see(&engine).await })));
    }

    fn seen(&mut self, (asked, seen): (Asked, Seen)) {
        self.credit.answer(&asked, seen.credit);
        if self.receipts.is_settled() && self.acknowledged.is_none() && self.acknowledging.is_none()
        {
            self.receipts.compare(seen.last);
        }
        if std::mem::take(&mut self.look_again) {
            self.look();
        }
    }
}

/// The connection takes nothing more; the other direction says why.
async fn last_words(incoming: &mut Streaming<SessionResponse>, limit: Duration) -> End {
    let heard = async {
        loop {
            match incoming.message().await {
                Ok(Some(_)) => {}
                Ok(None) => return End::Closed,
                Err(status) => return status.into(),
            }
        }
    };
    timeout(limit, heard).await.unwrap_or(End::Closed)
}

/// The next message, by urgency.
fn next_words(
    say: &mut Say,
    credit: &mut Credit,
    receipts: &mut receipts::Receipts,
    link: &Link,
    place: &Place,
) -> Option<session_request::Message> {
    use session_request::Message;
    if let Some(number) = say.pong.take() {
        return Some(Message::Pong(number));
    }
    if std::mem::take(&mut say.inventory) {
        return Some(Message::Inventory(inventory(link)));
    }
    if std::mem::take(&mut say.acknowledge) {
        let delivered_through = place.delivered_through;
        return Some(Message::Acknowledge(Acknowledge { delivered_through }));
    }
    if let Some((app, total)) = credit.take_due() {
        let app = app.into();
        return Some(Message::Grant(Grant { app, total }));
    }
    let batch = receipts.batch();
    link.board.add(counter::RECEIPTS, batch.len() as u64);
    (!batch.is_empty()).then(|| {
        let receipts = batch.iter().map(words::receipt).collect();
        Message::Receipts(Receipts { receipts })
    })
}

fn message(message: session_request::Message) -> SessionRequest {
    SessionRequest {
        message: Some(message),
    }
}

fn hello(link: &Link, place: &Place) -> DeviceHello {
    DeviceHello {
        protocol_min: *SESSION_PROTOCOL.start(),
        protocol_max: *SESSION_PROTOCOL.end(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot_id: link.boot.as_str().to_owned(),
        store_incarnation: link.store_incarnation.clone(),
        mailbox_incarnation: place.mailbox.clone(),
        delivered_through: place.delivered_through,
    }
}

fn check(hello: &CoordinatorHello) -> Result<(), End> {
    if !SESSION_PROTOCOL.contains(&hello.protocol) {
        return Err(End::Protocol(format!(
            "it chose version {} of the session; this node speaks {} to {}",
            hello.protocol,
            SESSION_PROTOCOL.start(),
            SESSION_PROTOCOL.end()
        )));
    }
    let length = hello.mailbox_incarnation.len();
    if length == 0 || length > INCARNATION {
        return Err(End::Protocol(format!(
            "its mailbox's incarnation has {length} bytes, 1 to {INCARNATION} are accepted"
        )));
    }
    Ok(())
}

fn inventory(link: &Link) -> Inventory {
    let installed = |app: &lull_policy::App| InstalledApp {
        app: app.id.as_str().to_owned(),
        version: app.version.clone(),
    };
    Inventory {
        apps: link.apps.borrow().iter().map(installed).collect(),
        labels: link.labels.clone().into_iter().collect(),
    }
}

/// The end of a task that may not be there; then never.
async fn settled(task: &mut Option<Task<Result<(), EngineError>>>) -> Result<(), EngineError> {
    match task {
        Some(running) => {
            let done = running.await;
            *task = None;
            done
        }
        None => std::future::pending().await,
    }
}

/// As [`settled`], for a look.
async fn seen(
    task: &mut Option<(Asked, Task<Result<Seen, EngineError>>)>,
) -> Result<(Asked, Seen), EngineError> {
    let Some((_asked, running)) = task else {
        return std::future::pending().await;
    };
    let seen = running.await;
    match task.take() {
        Some((asked, _done)) => Ok((asked, seen?)),
        None => std::future::pending().await,
    }
}
