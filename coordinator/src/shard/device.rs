//! What a shard keeps of one device: who it is, its mailbox's summary, and, while it is there, its line.
//!
//! Plain state and steps on it; the shard performs what they ask for. Deliberately absent: the store and the actor.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use lull_fleet_policy::{
    AppId, DeviceId, Labels, Mailbox, Outbox, PushId, Sequence, Waiting, Wall,
};
use lull_proto::device::v1::{Delivery, session_response::Message};

use super::session::Session;
use crate::store::{DeviceRecord, Gone, InstalledApp, NewDevice};

/// Bodies read at once for one device: what its connection takes (`OUTGOING`).
const BODIES: usize = 64;
/// Bodies kept for rows that cannot be sent at once; the others are read again when their turn comes.
const BODIES_KEPT: usize = 16;
/// Orders of receipts under way for one device; more wait at the device.
const RECORDING: u32 = 8;

/// One enrolled device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    operator_labels: Labels,
    pub(super) labels: Labels,
    /// `None` until it has said what is installed.
    apps: Option<BTreeSet<AppId>>,
    pub(super) mailbox: Mailbox,
    /// Orders under way that change the mailbox.
    pub(super) outstanding: u32,
    /// Of these, pushes that are not sent as soon as they are durable: those after them must not be either.
    pub(super) held: u32,
    /// Pushes to many devices, this one among them, that have reserved a place and are not concluded: the places of others
    /// must reach the store after theirs.
    pub(super) frozen: u32,
    /// A commit may or may not have happened: nothing is decided until the mailbox is read anew.
    pub(super) stale: bool,
    /// That reading is under way.
    pub(super) rereading: bool,
    /// A session, or what the last one had in flight.
    pub(super) line: Option<Box<Line>>,
}

/// A device's deliveries.
#[derive(Debug, Default)]
pub(super) struct Line {
    pub(super) outbox: Outbox,
    pub(super) session: Option<Arc<Session>>,
    /// The coordinator's hello was said.
    pub(super) begun: bool,
    /// Rows that were not sent in this session, by place.
    rows: VecDeque<Row>,
    known: Known,
    /// A read or an order for this line is under way.
    pub(super) busy: bool,
    /// Rows ordered to be offered or to expire.
    tending: Vec<Sequence>,
    /// Orders of receipts under way.
    pub(super) recording: u32,
    /// Receipts are durable up to here, and the connection had no room to say so.
    pub(super) receipts_due: Option<u64>,
    /// When the store was last told that the device is there (running milliseconds).
    pub(super) seen_at: u64,
    /// What the hello says of the session.
    pub(super) hello: (u32, String),
}

/// How much of the mailbox a line's rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Known {
    /// They are being read.
    #[default]
    Part,
    /// They are being read, and a further row came meanwhile.
    PartAndMore,
    /// All that were not sent.
    All,
}

#[derive(Debug)]
struct Row {
    waiting: Waiting,
    body: Option<Bytes>,
}

/// What a line needs from the store before it can go on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing.
    Nothing,
    /// The rows after this place.
    Rows(Sequence),
    /// Bodies.
    Bodies(Vec<PushId>),
    /// Rows to be offered, rows to be expired.
    Tend(Vec<Sequence>, Vec<Sequence>),
}

impl Device {
    pub(super) fn from_record(record: &DeviceRecord, mailbox: Mailbox) -> Self {
        let mut device = Self::new(record.id, record.operator_labels.clone(), mailbox);
        device.labels = record.labels();
        device.apps = Some(app_names(&record.apps)).filter(|apps| !apps.is_empty());
        device
    }

    pub(super) fn enrolled(new: &NewDevice) -> Self {
        let mut device = Self::new(new.id, new.operator_labels.clone(), Mailbox::default());
        device.labels = Labels::effective(&new.operator_labels, &new.own_labels);
        device
    }

    fn new(id: DeviceId, operator_labels: Labels, mailbox: Mailbox) -> Self {
        Self {
            id,
            operator_labels,
            labels: Labels::default(),
            apps: None,
            mailbox,
            outstanding: 0,
            held: 0,
            frozen: 0,
            stale: false,
            rereading: false,
            line: None,
        }
    }

    /// Whether it has the app, by its last word; true while it has said nothing.
    pub(super) fn has(&self, app: &AppId) -> bool {
        self.apps.as_ref().is_none_or(|apps| apps.contains(app))
    }

    pub(super) fn set_inventory(&mut self, apps: &[InstalledApp], own: &Labels) {
        self.apps = Some(app_names(apps));
        self.labels = Labels::effective(&self.operator_labels, own);
    }

    /// Whether a new push of the app is sent as soon as it is durable: nothing may be before it.
    pub(super) fn sends_at_once(&self, app: &AppId) -> bool {
        self.held == 0
            && self.line.as_ref().is_some_and(|line| {
                line.begun
                    && line.known == Known::All
                    && line.rows.is_empty()
                    && line.outbox.ready(app)
            })
    }

    /// A new row is durable.
    pub(super) fn arrived(&mut self, waiting: Waiting, body: Bytes) {
        let Some(line) = self.line.as_mut().filter(|line| line.session.is_some()) else {
            return;
        };
        if line.known != Known::All {
            line.known = Known::PartAndMore;
            return;
        }
        let Err(at) = line.place(waiting.sequence) else {
            return;
        };
        let body = (waiting.offered || line.rows.len() < BODIES_KEPT).then_some(body);
        line.rows.insert(at, Row { waiting, body });
    }

    /// A row left the mailbox.
    pub(super) fn left(&mut self, gone: Gone) {
        self.mailbox.release(gone.bytes);
        if let Some(line) = &mut self.line
            && let Ok(at) = line.place(gone.sequence)
        {
            line.rows.remove(at);
        }
    }

    /// The session is over: what was in flight is remembered, the rest is read again next time.
    pub(super) fn hang_up(&mut self) {
        if let Some(line) = &mut self.line {
            if line.outbox.in_flight() == 0 {
                self.line = None;
            } else {
                let outbox = std::mem::take(&mut line.outbox);
                **line = Line {
                    outbox,
                    ..Line::default()
                };
            }
        }
    }

    pub(super) fn session(&self) -> Option<&Arc<Session>> {
        self.line.as_ref()?.session.as_ref()
    }
}

fn app_names(apps: &[InstalledApp]) -> BTreeSet<AppId> {
    apps.iter().map(|installed| installed.app.clone()).collect()
}

impl Line {
    /// A session begins; gives the rows that turn out to be delivered.
    pub(super) fn begin(
        &mut self,
        session: Arc<Session>,
        taken_through: Option<u64>,
        hello: (u32, String),
    ) -> Vec<Sequence> {
        let mut outbox = std::mem::take(&mut self.outbox);
        let delivered = outbox.begin(taken_through);
        *self = Self {
            outbox,
            session: Some(session),
            hello,
            ..Self::default()
        };
        delivered
    }

    fn place(&self, sequence: Sequence) -> Result<usize, usize> {
        self.rows
            .binary_search_by_key(&sequence, |row| row.waiting.sequence)
    }

    /// A page of rows was read; `whole` where nothing followed it then.
    pub(super) fn read(&mut self, page: Vec<Waiting>, whole: bool) {
        for waiting in page {
            if let Err(at) = self.place(waiting.sequence) {
                let body = None;
                self.rows.insert(at, Row { waiting, body });
            }
        }
        if whole {
            self.known = match self.known {
                Known::PartAndMore => Known::Part,
                Known::Part | Known::All => Known::All,
            };
        }
    }

    /// Bodies were read. A row whose push is gone is gone too.
    pub(super) fn take_bodies(&mut self, bodies: Vec<(PushId, Option<Bytes>)>) {
        for (push, body) in bodies {
            match body {
                Some(body) => {
                    let row = self.rows.iter_mut().find(|row| row.waiting.push == push);
                    if let Some(row) = row {
                        row.body = Some(body);
                    }
                }
                None => self.rows.retain(|row| row.waiting.push != push),
            }
        }
    }

    /// The rows that were to be offered or to expire are settled: those offered may be sent, the others are gone.
    pub(super) fn tended(&mut self, offered: &[Sequence]) {
        self.busy = false;
        for sequence in std::mem::take(&mut self.tending) {
            let Ok(at) = self.place(sequence) else {
                continue;
            };
            if !offered.contains(&sequence) {
                self.rows.remove(at);
            } else if let Some(row) = self.rows.get_mut(at) {
                row.waiting.offered = true;
            }
        }
    }

    /// Whether receipts may be taken.
    pub(super) fn may_record(&self) -> bool {
        self.recording < RECORDING
    }

    /// Sends what can be sent, in order, and says what is needed for more.
    pub(super) fn step(&mut self, now: Wall) -> Need {
        let Some(session) = self.session.clone().filter(|_| self.begun) else {
            return Need::Nothing;
        };
        if let Some(through) = self.receipts_due {
            if session.say(Message::ReceiptsAcknowledged(through)) {
                self.receipts_due = None;
            } else {
                session.full.notify_one();
            }
        }
        if self.busy {
            return Need::Nothing;
        }
        if self.known != Known::All {
            let last = self.rows.back().map(|row| row.waiting.sequence);
            return Need::Rows(last.unwrap_or_default());
        }
        if self.rows.is_empty() {
            return Need::Nothing;
        }
        let plan = self
            .outbox
            .plan(self.rows.iter().map(|row| &row.waiting), now);
        let mut sends = plan.send.into_iter();
        let mut unsent = false;
        while let Some(sequence) = sends.next() {
            if session.room() == 0 {
                unsent = true;
                break;
            }
            if !self.send(&session, sequence) {
                let take = BODIES.min(session.room());
                let missing = std::iter::once(sequence).chain(sends).take(take);
                return Need::Bodies(self.pushes_without_body(missing));
            }
        }
        let room = session.room();
        if unsent || (room == 0 && !plan.offer.is_empty()) {
            session.full.notify_one();
        }
        let offer: Vec<_> = plan.offer.into_iter().take(room).collect();
        if offer.is_empty() && plan.expire.is_empty() {
            return Need::Nothing;
        }
        self.tending = offer.iter().chain(&plan.expire).copied().collect();
        Need::Tend(offer, plan.expire)
    }

    /// Sends one row; false where its body is not here.
    fn send(&mut self, session: &Session, sequence: Sequence) -> bool {
        let Ok(at) = self.place(sequence) else {
            return true;
        };
        let Some(row) = self.rows.get_mut(at) else {
            return true;
        };
        let Some(body) = row.body.take() else {
            return false;
        };
        let Some(number) = self.outbox.sent(&row.waiting) else {
            row.body = Some(body);
            return true;
        };
        let waiting = &row.waiting;
        // Fails only where the connection is gone, and then all of it is sent again in the next session.
        session.say(Message::Delivery(Delivery {
            sequence: number,
            push_id: waiting.push.to_string(),
            app: waiting.app.to_string(),
            payload: body,
            expires_at: Some(lull_proto::time::timestamp(waiting.expires.as_millis())),
        }));
        self.rows.remove(at);
        true
    }

    fn pushes_without_body(&self, rows: impl Iterator<Item = Sequence>) -> Vec<PushId> {
        rows.filter_map(|sequence| self.rows.get(self.place(sequence).ok()?))
            .filter(|row| row.body.is_none())
            .map(|row| row.waiting.push)
            .collect()
    }
}
