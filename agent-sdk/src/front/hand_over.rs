//! Handing sockets to the node, on its second Unix socket: gRPC carries no descriptors.

use std::io::{self, ErrorKind};
use std::path::Path;

use lull_proto::agent::LINE_LIMIT;
use lull_proto::handover::{Answer, Request, SOCKET};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Interest};
use tokio::net::UnixStream;

use super::{CALL_DEADLINE, Front};
use crate::socket::{HandOver, NotHandedOver, NotTaken, send};

impl Front {
    /// Hands a socket to the node, which holds it for the registration of its id (TRGD-15). From then on this process has it no
    /// more; the agent of that registration gets it when something happens on it.
    ///
    /// # Errors
    /// Why the node did not take it; the error has the socket. It is refused where no such registration exists or it is of another
    /// kind (TRGD-19), and beyond 16 sockets of one app.
    pub async fn hand_over(&self, hand_over: HandOver) -> Result<(), NotHandedOver> {
        self.offer(hand_over).await.map(drop)
    }

    /// As [`Self::hand_over`]; also the number of a channel's slot.
    pub(super) async fn offer(&self, hand_over: HandOver) -> Result<Option<u8>, NotHandedOver> {
        let path = self.socket.with_file_name(SOCKET);
        let asking = tokio::time::timeout(CALL_DEADLINE, ask(&path, &self.app, &hand_over));
        let late = |_elapsed| Err(io::Error::from(ErrorKind::TimedOut));
        match asking.await.unwrap_or_else(late) {
            Ok(Answer::HandedOver { slot, .. }) => Ok(slot),
            Ok(Answer::Refused { code, message }) => {
                Err(hand_over.refused(NotTaken::Refused { code, message }))
            }
            Ok(Answer::Unknown) => {
                let error = io::Error::from(ErrorKind::InvalidData);
                Err(hand_over.refused(NotTaken::Away(error)))
            }
            Err(error) => Err(hand_over.refused(NotTaken::Away(error))),
        }
    }
}

async fn ask(path: &Path, app: &str, hand_over: &HandOver) -> io::Result<Answer> {
    let (wire, socket) = hand_over.parts();
    let request = Request {
        app: app.to_owned(),
        hand_over: wire.clone(),
    };
    let mut line = serde_json::to_vec(&request)?;
    line.push(b'\n');
    let mut stream = UnixStream::connect(path).await?;
    let sent = loop {
        stream.writable().await?;
        match stream.try_io(Interest::WRITABLE, || send(&stream, &line, socket)) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            sent => break sent?,
        }
    };
    stream
        .write_all(line.get(sent..).unwrap_or_default())
        .await?;
    let limit = u64::try_from(LINE_LIMIT).unwrap_or(u64::MAX);
    let mut answer = Vec::new();
    let mut reader = BufReader::new(stream.take(limit));
    reader.read_until(b'\n', &mut answer).await?;
    if answer.is_empty() {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&answer)?)
}
