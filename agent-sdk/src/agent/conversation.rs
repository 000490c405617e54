//! The thread that talks to the node: lines out, lines in, and SIGTERM.
//!
//! One thread, one line of output in hand, at most one unfinished line of input: bounded whatever either side does.
//! Deliberately absent: what the messages mean to the agent.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use lull_proto::agent::{FromAgent, Invocation, LINE_LIMIT, PROTOCOL, ToAgent};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::Sleep;

use super::memory::{MemoryLevel, MemoryNow};
use super::shared::{Origin, Shared};
use super::{Cancel, MemoryUsage};
use crate::CancelReason;

/// What one read takes at most: more than the longest message of today.
const READ: usize = 8 * 1024;

/// Between two lines of progress: more often than that nobody looks, and each is work for the daemon.
const PROGRESS_PAUSE: Duration = Duration::from_millis(50);

/// Enough for a runtime of one thread and the parser; agents live in 11 MB.
const STACK: usize = 512 * 1024;

/// What SIGTERM means to this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signals {
    /// A request to cancel: the process is the agent's own.
    Heeded,
    /// What the app makes of it.
    LeftAlone,
}

/// Starts the thread. The invocation, or why there is none, comes over the returned channel; it hangs up when the
/// node does.
pub(super) fn start(
    socket: StdUnixStream,
    shared: &Arc<Shared>,
    signals: Signals,
) -> io::Result<Receiver<io::Result<Invocation>>> {
    let (invoked, invocation) = sync_channel(1);
    let shared = Arc::clone(shared);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("lull-agent".to_owned())
        .stack_size(STACK)
        .spawn(move || runtime.block_on(converse(socket, shared, invoked, signals)))?;
    Ok(invocation)
}

async fn converse(
    socket: StdUnixStream,
    shared: Arc<Shared>,
    invoked: SyncSender<io::Result<Invocation>>,
    signals: Signals,
) {
    match open(socket, signals) {
        Ok((stream, terminate)) => {
            let mut conversation = Conversation {
                stream: Some(stream),
                terminate,
                input: Vec::new(),
                output: encode(&FromAgent::Hello { protocol: PROTOCOL }),
                descriptor: None,
                pause: None,
                shared,
                invoked: Some(invoked),
            };
            conversation.run().await;
        }
        Err(error) => {
            shared.node_is_away();
            drop(invoked.try_send(Err(error)));
        }
    }
}

fn open(socket: StdUnixStream, signals: Signals) -> io::Result<(UnixStream, Option<Signal>)> {
    socket.set_nonblocking(true)?;
    let terminate = match signals {
        Signals::Heeded => Some(signal(SignalKind::terminate())?),
        Signals::LeftAlone => None,
    };
    Ok((UnixStream::from_std(socket)?, terminate))
}

async fn signalled(terminate: Option<&mut Signal>) -> Option<()> {
    match terminate {
        Some(terminate) => terminate.recv().await,
        None => std::future::pending().await,
    }
}

struct Conversation {
    /// Absent = the node's end is closed; what remains is SIGTERM.
    stream: Option<UnixStream>,
    /// Absent = signals are the app's.
    terminate: Option<Signal>,
    /// The unfinished line from the node.
    input: Vec<u8>,
    /// What is left of the line to the node.
    output: Vec<u8>,
    /// What goes with its first byte.
    descriptor: Option<OwnedFd>,
    /// Progress was said a moment ago.
    pause: Option<Pin<Box<Sleep>>>,
    shared: Arc<Shared>,
    invoked: Option<SyncSender<io::Result<Invocation>>>,
}

impl Conversation {
    async fn run(&mut self) {
        loop {
            if self.output.is_empty() {
                let next = self.shared.next_message(self.pause.is_some());
                if matches!(next, Some(FromAgent::Progress { .. })) {
                    self.pause = Some(Box::pin(tokio::time::sleep(PROGRESS_PAUSE)));
                }
                self.output = next.as_ref().map(encode).unwrap_or_default();
                self.descriptor = self.shared.take_descriptor();
            }
            if self.output.is_empty() && self.shared.is_over() {
                return;
            }
            let shared = Arc::clone(&self.shared);
            tokio::select! {
                () = shared.wake.notified() => {}
                () = over(&mut self.pause) => self.pause = None,
                signalled = signalled(self.terminate.as_mut()) => self.terminated(signalled),
                result = exchange(self.stream.as_ref(), &mut self.input, &mut self.output, &mut self.descriptor) => {
                    let heard = result.and_then(|()| self.hear());
                    if heard.is_err() {
                        self.hang_up();
                    }
                }
            }
        }
    }

    fn terminated(&mut self, signalled: Option<()>) {
        if signalled.is_some() {
            let cancel = Cancel {
                reason: CancelReason::Terminating,
                number: 1,
                grace: None,
            };
            self.shared.request(cancel, Origin::Signal);
        }
    }

    /// Takes in the whole lines; an error = one is longer than the protocol allows.
    fn hear(&mut self) -> io::Result<()> {
        while let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.input.drain(..=end).collect();
            // What cannot be parsed is skipped, as a message of a newer node is.
            if let Ok(message) = serde_json::from_slice(&line) {
                self.take(message);
            }
        }
        if self.input.len() >= LINE_LIMIT {
            return Err(ErrorKind::InvalidData.into());
        }
        Ok(())
    }

    fn take(&mut self, message: ToAgent) {
        match message {
            ToAgent::Invoke(invocation) => {
                if let Some(invoked) = self.invoked.take() {
                    drop(invoked.try_send(Ok(invocation)));
                }
            }
            ToAgent::Cancel {
                reason,
                number,
                grace_ms,
            } => {
                let cancel = Cancel {
                    reason: CancelReason::named(&reason),
                    number,
                    grace: grace_ms.map(Duration::from_millis),
                };
                self.shared.request(cancel, Origin::Node);
            }
            ToAgent::MemoryUsage { usage, limit } => {
                self.shared.memory_is(MemoryUsage { usage, limit });
            }
            ToAgent::MemoryLevel {
                level,
                number: _,
                usage,
                limit,
            } => {
                if let Some(level) = MemoryLevel::named(&level) {
                    self.shared.level_is(MemoryNow {
                        level,
                        usage,
                        limit,
                    });
                }
            }
            // One is under way at a time, so its id needs no looking at.
            ToAgent::HandedOver { id: _, refused } => self.shared.handed_over(refused),
            ToAgent::Unknown => {}
        }
    }

    fn hang_up(&mut self) {
        self.stream = None;
        self.output.clear();
        self.descriptor = None;
        self.invoked = None;
        self.shared.node_is_away();
    }
}

/// Waits until the socket can do something, and does it once. Loses nothing when it is dropped while it waits.
async fn exchange(
    stream: Option<&UnixStream>,
    input: &mut Vec<u8>,
    output: &mut Vec<u8>,
    descriptor: &mut Option<OwnedFd>,
) -> io::Result<()> {
    let Some(stream) = stream else {
        output.clear();
        return std::future::pending().await;
    };
    let interest = if output.is_empty() {
        Interest::READABLE
    } else {
        Interest::READABLE | Interest::WRITABLE
    };
    let ready = stream.ready(interest).await?;
    if ready.is_readable() {
        let mut buffer = [0; READ];
        match stream.try_read(&mut buffer) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) => unless_would_block(error)?,
        }
    }
    if ready.is_writable() && !output.is_empty() {
        let sent = match descriptor.as_ref() {
            Some(socket) => stream.try_io(Interest::WRITABLE, || {
                crate::socket::send(stream, output, socket.as_fd())
            }),
            None => stream.try_write(output),
        };
        match sent {
            Ok(count) => {
                *descriptor = None;
                output.drain(..count);
            }
            Err(error) => unless_would_block(error)?,
        }
    }
    Ok(())
}

async fn over(pause: &mut Option<Pin<Box<Sleep>>>) {
    match pause {
        Some(pause) => pause.await,
        None => std::future::pending().await,
    }
}

fn unless_would_block(error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::WouldBlock | ErrorKind::Interrupted => Ok(()),
        _ => Err(error),
    }
}

fn encode(message: &FromAgent) -> Vec<u8> {
    // These messages are numbers and one short text: there is nothing in them that JSON cannot say.
    let mut line = serde_json::to_vec(message).unwrap_or_default();
    line.push(b'\n');
    line
}
