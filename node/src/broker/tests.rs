//! The broker with real sockets on the loopback, between a real engine and (in `runs`) real agents under a real launcher.

mod agent;
mod runs;

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};

use lull_policy::{
    Answer, App, ChannelActivity, Event, Exit, Launch, Request, RunId, SystemEvent, TaskType,
    Trigger, Usage,
};
use tokio::task::JoinHandle;

use super::*;
use crate::engine::rig::{self, PATIENCE, Rig, on_runtime, rig, until};
use crate::ports::RunOrder;

/// The broker over an engine whose launches the test takes itself.
struct Desk {
    rig: Rig,
    broker: Broker,
    parts: Vec<JoinHandle<()>>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.parts.iter().for_each(JoinHandle::abort);
    }
}

fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

fn socket(id: &str) -> Trigger {
    Trigger::Socket { id: subject(id) }
}

fn channel(id: &str) -> Trigger {
    Trigger::ControlChannel {
        id: subject(id),
        keep_alive_minutes: 20,
        slot: Slot::Hardware,
    }
}

fn offer(id: &str, purpose: Purpose) -> Offer {
    Offer {
        id: subject(id),
        purpose,
        context: b"left with it".to_vec(),
        keep_alive: None,
    }
}

/// The rig's app may use sockets and channels, and has registered one of each.
async fn prepare(rig: &Rig) {
    let mut app: App = rig::photos();
    let types = [TaskType::ControlChannel, TaskType::SystemEvent];
    app.agents[0].types.extend(types);
    rig.door.commit(Event::Apps(vec![app])).await.unwrap();
    for (task, trigger) in [("door", socket("door")), ("chat", channel("chat"))] {
        register(rig, task, trigger).await;
    }
}

async fn register(rig: &Rig, task: &str, trigger: Trigger) -> lull_policy::RegistrationId {
    match rig.call(rig::register(task, trigger)).await.unwrap() {
        Answer::Registered { id, .. } => id,
        answer => panic!("{answer:?}"),
    }
}

async fn desk(arbiter: &actix::Arbiter) -> Desk {
    let rig = rig(arbiter, PATIENCE).await;
    prepare(&rig).await;
    let clock: ClockRef = Arc::<crate::clock::Manual>::clone(&rig.clock);
    let broker = Broker::new(Arc::clone(&rig.door), clock, Arc::clone(&rig.board));
    broker.meet(Some(Vec::new()));
    let errands = broker.clone();
    let keeping = tokio::spawn(async move {
        loop {
            errands.errand().await;
            drop(errands.errands());
        }
    });
    let watching = tokio::spawn(broker.clone().watch(rig.queues.registrations.clone()));
    Desk {
        rig,
        broker,
        parts: vec![keeping, watching],
    }
}

impl Desk {
    async fn take_over(
        &self,
        offer: Offer,
        socket: impl Into<OwnedFd>,
    ) -> Result<Accepted, NotTaken> {
        let app = rig::app();
        self.broker.take_over(&app, offer, socket.into()).await
    }

    async fn launch(&mut self) -> Launch {
        match rig::next(&mut self.rig.queues.launches).await {
            RunOrder::Launch(launch) => *launch,
            order => panic!("{order:?}"),
        }
    }

    /// As the supervisor does: the run begins, with its socket.
    async fn begin(&mut self) -> (Launch, Option<Taken>) {
        let launch = self.launch().await;
        let taken = self
            .broker
            .give(&launch.app, launch.details.as_ref().unwrap());
        let run = launch.run;
        self.rig
            .door
            .commit(Event::RunStarted { run })
            .await
            .unwrap();
        (launch, taken)
    }

    async fn end(&self, run: RunId) {
        let ended = Event::RunEnded {
            run,
            exit: Exit::Status(0),
            usage: Usage::default(),
            output: String::new(),
        };
        self.rig.door.commit(ended).await.unwrap();
    }

    async fn holds(&self, count: usize) {
        until(async || self.broker.found_count() == count).await;
    }

    async fn firings(&self) -> u64 {
        look(&self.rig.door, |device, _now| device.firings())
            .await
            .unwrap()
    }
}

impl Broker {
    fn found_count(&self) -> usize {
        self.lock().held.len()
    }
}

fn on_desk<F: Future<Output = ()>>(test: impl FnOnce(Desk) -> F) {
    on_runtime(async |arbiter| {
        let desk = desk(&arbiter).await;
        let handle = desk.rig.handle.clone();
        test(desk).await;
        handle.end().await;
    });
}

fn listener() -> (TcpListener, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let ours = TcpStream::connect(address).unwrap();
    (ours, listener.accept().unwrap().0)
}

fn activity(launch: &Launch) -> SocketActivity {
    match launch.details.as_ref().unwrap() {
        Details::Socket { activity, .. } => *activity,
        details => panic!("{details:?}"),
    }
}

/// TRG-15, TRGD-16, AMB-12.
#[test]
fn a_flood_of_connections_is_one_firing_until_the_run_has_the_listener() {
    on_desk(async |mut desk| {
        let (listener, address) = listener();
        desk.take_over(offer("door", Purpose::Socket), listener)
            .await
            .unwrap();
        let before = desk.firings().await;
        let guests: Vec<_> = (0..100)
            .map(|_| TcpStream::connect(address).unwrap())
            .collect();
        let (launch, taken) = desk.begin().await;
        assert_eq!(activity(&launch), SocketActivity::Accepted);
        let taken = taken.unwrap();
        assert_eq!(
            (taken.kind, taken.context.as_slice()),
            (Kind::Listener, b"left with it".as_slice())
        );
        let more = TcpStream::connect(address).unwrap();
        assert_eq!(desk.firings().await, before + 1);
        // Handed back with guests that nobody has let in: the next run is for those.
        desk.take_over(offer("door", Purpose::Socket), taken.socket)
            .await
            .unwrap();
        until(async || desk.firings().await == before + 2).await;
        desk.end(launch.run).await;
        let (next, taken) = desk.begin().await;
        assert_eq!(activity(&next), SocketActivity::Accepted);
        assert!(taken.is_some());
        drop((guests, more));
    });
}

/// TRGD-16: what came first, then the end.
#[test]
fn a_connected_socket_tells_of_data_and_then_of_its_end() {
    on_desk(async |mut desk| {
        let (ours, mut peer) = pair();
        peer.write_all(b"hello").unwrap();
        let accepted = desk
            .take_over(offer("door", Purpose::Socket), ours)
            .await
            .unwrap();
        assert_eq!(
            (accepted.kind, accepted.slot_number()),
            (Kind::Stream, None)
        );
        let (launch, taken) = desk.begin().await;
        assert_eq!(activity(&launch), SocketActivity::Activity);
        let socket = TcpStream::from(taken.unwrap().socket);
        let mut bytes = [0; 16];
        let length = std::io::Read::read(&mut &socket, &mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"hello", "the node read none of it");
        desk.take_over(offer("door", Purpose::Socket), socket)
            .await
            .unwrap();
        desk.end(launch.run).await;
        drop(peer);
        let (launch, taken) = desk.begin().await;
        assert_eq!(activity(&launch), SocketActivity::Closed);
        assert!(taken.is_some());
    });
}

#[test]
fn a_datagram_wakes_and_a_quiet_socket_is_kept_alive() {
    on_desk(async |mut desk| {
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = datagram.local_addr().unwrap();
        let mut quiet = offer("door", Purpose::Socket);
        quiet.keep_alive = Some(Span::minutes(15));
        desk.take_over(quiet, datagram).await.unwrap();
        desk.rig.clock.advance(Span::minutes(14));
        let before = desk.firings().await;
        desk.rig.clock.advance(Span::minutes(1));
        let (launch, taken) = desk.begin().await;
        assert_eq!(activity(&launch), SocketActivity::KeepAlive, "TRGD-15");
        assert_eq!(desk.firings().await, before + 1);
        let socket = taken.unwrap().socket;
        desk.take_over(offer("door", Purpose::Socket), socket)
            .await
            .unwrap();
        desk.end(launch.run).await;
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        sender.send_to(b"news", address).unwrap();
        assert_eq!(activity(&desk.begin().await.0), SocketActivity::Activity);
    });
}

/// TRGD-19.
#[test]
fn what_nothing_is_registered_for_is_refused() {
    on_desk(async |desk| {
        let rows = [
            (
                "gate",
                Purpose::Socket,
                "has no registration of a socket gate",
            ),
            (
                "chat",
                Purpose::Socket,
                "is for a control-channel, not for a socket",
            ),
            (
                "door",
                Purpose::Channel,
                "is for a socket, not for a control-channel",
            ),
        ];
        for (id, purpose, words) in rows {
            let (ours, _peer) = pair();
            let refused = desk.take_over(offer(id, purpose), ours).await.unwrap_err();
            assert!(refused.to_string().contains(words), "{refused}");
            assert_eq!(refused.code(), "failed-precondition");
        }
        let (ours, _peer) = pair();
        let news = AppId::new("news").unwrap();
        let theirs = desk
            .broker
            .take_over(&news, offer("door", Purpose::Socket), ours.into());
        assert!(
            matches!(theirs.await, Err(NotTaken::Refused(_))),
            "another app's id"
        );
        let file = tempfile::tempfile().unwrap();
        let refused = desk.take_over(offer("door", Purpose::Socket), file).await;
        assert_eq!(refused, Err(NotTaken::Descriptor(NoSocket::NoSocket)));
        desk.holds(0).await;
    });
}

#[test]
fn what_is_held_is_bounded_and_a_second_one_replaces_the_first() {
    on_desk(async |desk| {
        for n in 0..=bounds::SOCKETS_PER_APP {
            let id = format!("s{n}");
            register(&desk.rig, &id, socket(&id)).await;
            let (listener, _address) = listener();
            let taken = desk.take_over(offer(&id, Purpose::Socket), listener).await;
            assert_eq!(taken.is_ok(), n < bounds::SOCKETS_PER_APP, "{n}: {taken:?}");
        }
        let (second, second_address) = listener();
        let taken = desk.take_over(offer("s0", Purpose::Socket), second).await;
        assert!(taken.is_ok());
        desk.holds(bounds::SOCKETS_PER_APP).await;
        TcpStream::connect(second_address).unwrap();
    });
}

#[test]
fn a_socket_closes_with_its_registration() {
    on_desk(async |desk| {
        let id = register(&desk.rig, "gate", socket("gate")).await;
        let (listener, address) = listener();
        desk.take_over(offer("gate", Purpose::Socket), listener)
            .await
            .unwrap();
        let call = Request::Unregister {
            app: rig::app(),
            id,
            cancel: false,
        };
        desk.rig.call(call).await.unwrap();
        desk.holds(0).await;
        until(async || TcpStream::connect(address).is_err()).await;
        assert_eq!(desk.rig.board.counter(UNREGISTERED), 1);
    });
}

#[test]
fn what_comes_to_nothing_is_told_again_and_the_socket_is_still_there() {
    on_desk(async |mut desk| {
        let (ours, mut peer) = pair();
        desk.take_over(offer("door", Purpose::Socket), ours)
            .await
            .unwrap();
        desk.rig
            .call(Request::RemoveAccess { app: rig::app() })
            .await
            .unwrap();
        peer.write_all(b"hello").unwrap();
        until(async || desk.rig.board.counter(MISSED) == 1).await;
        desk.rig
            .call(Request::RequestAccess { app: rig::app() })
            .await
            .unwrap();
        desk.rig.clock.advance(Span::seconds(1));
        let (launch, taken) = desk.begin().await;
        assert_eq!(activity(&launch), SocketActivity::Activity);
        assert!(taken.is_some());
    });
}

/// TRGD-10, RES-16, TRG-08.
#[test]
fn a_channel_tells_of_messages_keep_alives_and_its_reset() {
    on_desk(async |mut desk| {
        let reset = Trigger::System {
            event: SystemEvent::ControlChannelReset,
            one_shot: false,
        };
        register(&desk.rig, "reset", reset).await;
        let (mut ours, mut peer) = pair();
        for expected in [ChannelActivity::KeepAlive, ChannelActivity::Message] {
            let accepted = desk
                .take_over(offer("chat", Purpose::Channel), ours)
                .await
                .unwrap();
            assert_eq!(accepted.slot_number(), Some(2), "TRGD-13");
            if expected == ChannelActivity::KeepAlive {
                desk.rig.clock.advance(Span::minutes(20));
            } else {
                peer.write_all(b"hello").unwrap();
            }
            let (launch, taken) = desk.begin().await;
            assert!(launch.critical, "RES-16");
            let id = subject("chat");
            let activity = expected;
            assert_eq!(launch.details, Some(Details::Channel { id, activity }));
            ours = TcpStream::from(taken.unwrap().socket);
            desk.end(launch.run).await;
        }
        let mut word = [0; 5];
        std::io::Read::read_exact(&mut ours, &mut word).unwrap();
        desk.take_over(offer("chat", Purpose::Channel), ours)
            .await
            .unwrap();
        drop(peer);
        let launch = desk.launch().await;
        assert_eq!(launch.task.to_string(), "reset");
        desk.holds(0).await;
    });
}
