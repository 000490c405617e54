//! The second socket: front clients hand sockets over to the broker (TRG-15). gRPC carries no descriptors, so each connection is
//! one line and its answer (`lull_proto::handover`).
//!
//! Who calls, and for which app, is decided as for calls. Agents do not come here: they hand over on their own conversation.

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use lull_policy::AppId;
use lull_proto::agent::LINE_LIMIT;
use lull_proto::handover::{Answer, Request};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Code;

use super::authority::Authority;
use super::rate::Rate;
use super::socket::{Connection, LocalSocket};
use crate::broker::{Broker, NotTaken, Offer, passing};
use crate::clock::ClockRef;
use crate::status::StatusBoard;

/// How long one hand-over may take, the client's part included: what a call may take.
const HAND_OVER: Duration = Duration::from_secs(10);

/// Bytes read at one time: a usual line.
const PART: usize = 4 * 1024;

/// Counts hand-overs that were refused.
const REFUSED: &str = "hand-overs-refused";

/// The door.
#[derive(Debug, Clone)]
pub struct HandoverDoor {
    /// Who may speak for which app.
    pub authority: Authority,
    /// Who takes over.
    pub broker: Broker,
    /// For counts.
    pub board: Arc<StatusBoard>,
    /// For the rate of calls.
    pub clock: ClockRef,
    /// The daemon is ending.
    pub ending: CancellationToken,
}

impl HandoverDoor {
    /// Serves the socket until the daemon ends.
    pub async fn serve(self, socket: LocalSocket) {
        let connections = socket.connections(self.authority.clone(), Arc::clone(&self.board));
        let mut connections = pin!(connections);
        let rate = Rate::new(Arc::clone(&self.clock), Arc::clone(&self.board));
        // As many as the socket lets in.
        let mut guests = JoinSet::new();
        loop {
            tokio::select! {
                () = self.ending.cancelled() => return,
                Some(Ok(connection)) = connections.next() => {
                    guests.spawn(self.clone().receive(connection, rate.clone()));
                }
                Some(_ended) = guests.join_next() => {}
            }
        }
    }

    /// Who does not speak in time is not answered.
    async fn receive(self, mut connection: Connection, rate: Rate) {
        let receiving = async {
            let (line, descriptor) = line(connection.stream()).await?;
            let answer = self.answer(&connection, &rate, &line, descriptor).await;
            if matches!(answer, Answer::Refused { .. }) {
                self.board.count(REFUSED);
            }
            // Numbers and texts: there is nothing in it that JSON cannot say.
            let mut answer = serde_json::to_vec(&answer).unwrap_or_default();
            answer.push(b'\n');
            connection.write_all(&answer).await
        };
        match tokio::time::timeout(HAND_OVER, receiving).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => self.board.count(REFUSED),
        }
    }

    async fn answer(
        &self,
        connection: &Connection,
        rate: &Rate,
        line: &[u8],
        descriptor: Option<OwnedFd>,
    ) -> Answer {
        let peer = connection.peer();
        if !rate.take(peer.uid) {
            let message = format!("uid {} calls too often; call less often", peer.uid);
            return refused("resource-exhausted", message);
        }
        let request: Request = match serde_json::from_slice(line) {
            Ok(request) => request,
            Err(error) => return refused("invalid-argument", format!("the line: {error}")),
        };
        let app = match AppId::new(request.app.as_str()) {
            Ok(app) => app,
            Err(error) => return refused("invalid-argument", format!("app: {error}")),
        };
        if let Err(status) = self.authority.act(peer, &app) {
            let code = match status.code() {
                Code::PermissionDenied => "permission-denied",
                _ => "unavailable",
            };
            return refused(code, status.message().to_owned());
        }
        match self.take_over(&app, &request, descriptor).await {
            Ok(answer) => answer,
            Err(error) => refused(error.code(), error.to_string()),
        }
    }

    async fn take_over(
        &self,
        app: &AppId,
        request: &Request,
        descriptor: Option<OwnedFd>,
    ) -> Result<Answer, NotTaken> {
        let offer = Offer::parse(&request.hand_over)?;
        let socket = descriptor.ok_or(NotTaken::Missing)?;
        let accepted = self.broker.take_over(app, offer, socket).await?;
        Ok(Answer::HandedOver {
            kind: accepted.kind.word().to_owned(),
            slot: accepted.slot_number(),
        })
    }
}

fn refused(code: &str, message: String) -> Answer {
    Answer::Refused {
        code: code.to_owned(),
        message,
    }
}

/// The one line of a connection, and the descriptor that came with it.
async fn line(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let (mut line, mut first) = (Vec::new(), None);
    loop {
        stream.readable().await?;
        let mut part = [0; PART];
        let received = stream.try_io(Interest::READABLE, || passing::receive(stream, &mut part));
        let (count, descriptor) = match received {
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            received => received?,
        };
        first = first.or(descriptor);
        line.extend_from_slice(part.get(..count).unwrap_or_default());
        if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            line.truncate(end);
            return Ok((line, first));
        }
        if count == 0 || line.len() > LINE_LIMIT {
            return Err(ErrorKind::InvalidData.into());
        }
    }
}
