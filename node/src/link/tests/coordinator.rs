//! A coordinator whose every word the test says.

use std::net::SocketAddr;

use lull_proto::device::v1::device_service_server::{DeviceService, DeviceServiceServer};
use lull_proto::device::v1::{
    CoordinatorHello, Delivery, DeviceHello, SessionRequest, SessionResponse, session_request,
    session_response,
};
use lull_proto::time::timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::soon;

/// Accepts connections and their TLS; those that do not come up are told as errors.
pub(crate) async fn listen(
    tls: TlsAcceptor,
) -> (
    SocketAddr,
    ReceiverStream<std::io::Result<TlsStream<TcpStream>>>,
    JoinSet<()>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, streams) = mpsc::channel(16);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((tcp, _peer)) = listener.accept().await {
            // A client that refuses this server is none of its business.
            if let Ok(stream) = tls.accept(tcp).await
                && sender.send(Ok(stream)).await.is_err()
            {
                return;
            }
        }
    });
    (address, ReceiverStream::new(streams), tasks)
}

/// One session, with the test at the other end.
pub(crate) struct Peer {
    from: Streaming<SessionRequest>,
    to: mpsc::Sender<Result<SessionResponse, Status>>,
}

struct Service(mpsc::Sender<Peer>);

#[tonic::async_trait]
impl DeviceService for Service {
    type SessionStream = ReceiverStream<Result<SessionResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<SessionRequest>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let (to, stream) = mpsc::channel(1_024);
        let from = request.into_inner();
        let peer = Peer { from, to };
        self.0
            .send(peer)
            .await
            .map_err(|_gone| Status::unavailable("the test is over"))?;
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// A listening coordinator. Ends with its value.
pub(crate) struct Coordinator {
    pub(crate) address: SocketAddr,
    peers: mpsc::Receiver<Peer>,
    _tasks: JoinSet<()>,
}

impl Coordinator {
    pub(crate) async fn start(tls: TlsAcceptor) -> Self {
        let (address, streams, mut tasks) = listen(tls).await;
        let (sender, peers) = mpsc::channel(16);
        tasks.spawn(async move {
            let server = tonic::transport::Server::builder()
                .add_service(DeviceServiceServer::new(Service(sender)));
            server.serve_with_incoming(streams).await.unwrap();
        });
        Self {
            address,
            peers,
            _tasks: tasks,
        }
    }

    /// The next session, before any word.
    pub(crate) async fn peer(&mut self) -> Peer {
        soon("a session", self.peers.recv()).await.unwrap()
    }

    /// The next session, with both hellos said.
    pub(crate) async fn session(&mut self, hello: CoordinatorHello) -> (Peer, DeviceHello) {
        let mut peer = self.peer().await;
        let heard = peer.hello().await;
        peer.say(session_response::Message::Hello(hello)).await;
        (peer, heard)
    }

    /// Whether a session waits to be heard.
    pub(crate) fn has_peer(&mut self) -> bool {
        !self.peers.is_empty()
    }
}

/// What a coordinator usually says first.
pub(crate) fn hello() -> CoordinatorHello {
    CoordinatorHello {
        protocol: 1,
        version: "0.1.0".into(),
        mailbox_incarnation: "mailbox-1".into(),
        ping_seconds: 30,
        time: None,
        receipts_acknowledged: 0,
    }
}

/// A push to the test's app that lives for ever.
pub(crate) fn delivery(sequence: u64) -> session_response::Message {
    session_response::Message::Delivery(Delivery {
        sequence,
        push_id: format!("push-{sequence}"),
        app: "photos".into(),
        payload: b"go".to_vec().into(),
        expires_at: Some(timestamp(4_000_000_000_000)),
    })
}

impl Peer {
    pub(crate) async fn say(&self, message: session_response::Message) {
        let message = Some(message);
        self.to.send(Ok(SessionResponse { message })).await.unwrap();
    }

    /// Ends the session with an error.
    pub(crate) async fn refuse(self, status: Status) {
        self.to.send(Err(status)).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> session_request::Message {
        let said = soon("a word of the device", self.from.message()).await;
        said.unwrap().expect("the device has left").message.unwrap()
    }

    /// Waits until the device is gone.
    pub(crate) async fn gone(mut self) {
        let gone = async { while let Ok(Some(_)) = self.from.message().await {} };
        soon("the device to leave", gone).await;
    }

    pub(crate) async fn hello(&mut self) -> DeviceHello {
        match self.next().await {
            session_request::Message::Hello(hello) => hello,
            other => panic!("no hello: {other:?}"),
        }
    }

    /// All that the device says until it answers a ping: nothing more comes of what was said to it before.
    pub(crate) async fn until_pong(&mut self, number: u64) -> Vec<session_request::Message> {
        self.say(session_response::Message::Ping(number)).await;
        let mut said = Vec::new();
        loop {
            match self.next().await {
                session_request::Message::Pong(heard) if heard == number => return said,
                other => said.push(other),
            }
        }
    }

    /// What comes until `wanted` finds what it looks for.
    pub(crate) async fn until<T>(
        &mut self,
        mut wanted: impl FnMut(session_request::Message) -> Option<T>,
    ) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    pub(crate) async fn acknowledged(&mut self, through: u64) {
        let wanted = |message| match message {
            session_request::Message::Acknowledge(a) if a.delivered_through >= through => {
                Some(a.delivered_through)
            }
            _ => None,
        };
        assert_eq!(self.until(wanted).await, through);
    }

    pub(crate) async fn granted(&mut self) -> u64 {
        let wanted = |message| match message {
            session_request::Message::Grant(grant) => Some(grant),
            _ => None,
        };
        let grant = self.until(wanted).await;
        assert_eq!(grant.app, "photos");
        grant.total
    }
}
