//! What a conversation waits for: each of these resolves never where there is nothing of its kind to wait for.

use std::future::pending;
use std::io;
use std::pin::Pin;

use lull_proto::agent::ToAgent;
use tokio::time::Sleep;

use crate::ports::{EngineError, PortFuture};
use crate::supervisor::agent_socket::{AgentSocket, Heard};

pub(super) async fn delivered(
    delivery: &mut Option<(PortFuture<'static, Result<(), EngineError>>, usize)>,
) -> Result<(), EngineError> {
    match delivery {
        Some((delivery, _length)) => delivery.await,
        None => pending().await,
    }
}

pub(super) async fn heard(socket: Option<&AgentSocket>, listening: bool) -> io::Result<Heard> {
    match socket {
        Some(socket) if listening => socket.hear().await,
        _ => pending().await,
    }
}

pub(super) async fn said(
    socket: Option<&AgentSocket>,
    outbox: &mut Vec<u8>,
    speaking: bool,
) -> io::Result<()> {
    match socket {
        Some(socket) if speaking => socket.say(outbox).await,
        _ => pending().await,
    }
}

pub(super) async fn rung(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.await,
        None => pending().await,
    }
}

/// Resolves when a socket was handed over or refused.
pub(super) async fn handed(handing: &mut Option<PortFuture<'static, ToAgent>>) -> ToAgent {
    match handing {
        Some(handing) => handing.await,
        None => pending().await,
    }
}
