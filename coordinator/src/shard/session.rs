//! What a shard and a session's task share about one session.
//!
//! Deliberately absent: the connection (the session's task has it) and the mailbox (the shard has it).

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use lull_fleet_policy::Span;
use lull_fleet_policy::session::Presence;
use lull_proto::device::v1::{SessionResponse, session_response::Message};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// Messages that wait for one connection. At 5,000 bytes each, a slow reader holds 320 KB here; then its mailbox waits.
pub const OUTGOING: usize = 64;
/// Of these, kept free of deliveries: pings and acknowledgements of receipts.
const CONTROL: usize = 4;
/// Room that must be there again before a connection that was full gets deliveries: a batch, not one at a time.
pub const RESUME: usize = 32;

/// The number of a session: increasing within the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionNumber(pub u64);

/// One session, shared between its task and its shard.
#[derive(Debug)]
pub struct Session {
    /// Which.
    pub number: SessionNumber,
    /// Who it says it is.
    pub presence: Presence,
    /// To the connection.
    pub outgoing: mpsc::Sender<Result<SessionResponse, Status>>,
    /// It is to end.
    pub ending: CancellationToken,
    /// Something was heard from the device.
    pub heard: Notify,
    /// A ping is wanted at once.
    pub probe: Notify,
    /// The shard waits for room in `outgoing`.
    pub full: Notify,
    heard_at: AtomicU64,
    reason: OnceLock<Status>,
}

impl Session {
    /// A session heard of at `now` (running milliseconds).
    pub fn new(
        presence: Presence,
        outgoing: mpsc::Sender<Result<SessionResponse, Status>>,
        ending: CancellationToken,
        now: u64,
    ) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        Self {
            number: SessionNumber(NUMBER.fetch_add(1, Ordering::Relaxed)),
            presence,
            outgoing,
            ending,
            heard: Notify::new(),
            probe: Notify::new(),
            full: Notify::new(),
            heard_at: AtomicU64::new(now),
            reason: OnceLock::new(),
        }
    }

    /// The device was heard at `now` (running milliseconds).
    pub fn hear(&self, now: u64) {
        self.heard_at.store(now, Ordering::Relaxed);
        self.heard.notify_waiters();
    }

    /// When the device was last heard (running milliseconds).
    pub fn heard_at(&self) -> u64 {
        self.heard_at.load(Ordering::Relaxed)
    }

    /// How long nothing was heard.
    pub fn silent(&self, now: u64) -> Span {
        Span::millis(now.saturating_sub(self.heard_at()))
    }

    /// Ends it; the first reason counts.
    pub fn end(&self, reason: Status) {
        // A second reason is of no use to anyone.
        drop(self.reason.set(reason));
        self.ending.cancel();
    }

    /// Why it ends.
    pub fn reason(&self) -> Option<Status> {
        self.reason.get().cloned()
    }

    /// Deliveries that the connection takes now.
    pub fn room(&self) -> usize {
        self.outgoing.capacity().saturating_sub(CONTROL)
    }

    /// Hands a message to the connection; false where it has no room or is gone.
    pub fn say(&self, message: Message) -> bool {
        let message = Some(message);
        self.outgoing
            .try_send(Ok(SessionResponse { message }))
            .is_ok()
    }
}
