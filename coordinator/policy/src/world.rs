//! A small fleet under random events: the policy's own functions, a store that is a few maps, devices that forget nothing
//! they made durable. At the end every accepted push has exactly one terminal receipt on each of its devices.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::life::{self, Due, Life};
use crate::receipt::fresh;
use crate::{
    AppId, DeviceId, Hop, Limits, Mailbox, Outbox, PushId, Sequence, Span, Stage, Waiting, Wall,
    Word, bounds, mailbox,
};

const DEVICES: u8 = 3;
const APPS: [&str; 2] = ["a", "b"];
const LIMITS: Limits = Limits {
    mailbox_count: 6,
    mailbox_bytes: 60,
};

#[derive(Debug, Clone)]
enum Step {
    Send {
        devices: Vec<u8>,
        app: usize,
        life: u64,
        bytes: u64,
    },
    Connect(u8),
    Break(u8),
    /// The coordinator loses all that is not durable.
    Restart,
    Grant(u8, usize, u64),
    /// The shard looks at a mailbox, sends and expires.
    Deliver(u8),
    /// The device makes so many of what arrived durable, and says so or not.
    Commit(u8, usize, bool),
    /// The device runs or ends what it holds.
    Run(u8, usize, u8),
    /// The device sends its receipts from some number on, so some come twice.
    Report(u8, u64),
    Wait(u64),
    Sweep,
}

/// What a device made durable.
#[derive(Debug, Default)]
struct Device {
    seen: BTreeSet<PushId>,
    held: Vec<(PushId, Wall)>,
    receipts: Vec<(PushId, Hop)>,
    runs: u64,
    incarnation: u64,
    through: u64,
    /// Arrived over the connection, not durable: (number, push, life's end).
    arriving: Vec<(u64, PushId, Wall)>,
    connected: bool,
    granted: [u64; 2],
    sent: [u64; 2],
}

#[derive(Debug)]
struct Row {
    waiting: Waiting,
    bytes: u64,
}

/// The coordinator: what is durable, and what a restart loses.
#[derive(Debug, Default)]
struct World {
    now: u64,
    made: u64,
    // durable
    rows: BTreeMap<u8, Vec<Row>>,
    next: BTreeMap<u8, Sequence>,
    stages: BTreeMap<(PushId, u8), Stage>,
    recorded: BTreeMap<(PushId, u8), Vec<Hop>>,
    lives: BTreeMap<PushId, Wall>,
    through: BTreeMap<u8, u64>,
    given_up: BTreeSet<(PushId, u8)>,
    // lost by a restart
    incarnation: u64,
    outboxes: BTreeMap<u8, Outbox>,
    devices: BTreeMap<u8, Device>,
}

fn app(place: usize) -> AppId {
    AppId::new(APPS[place]).unwrap()
}

impl World {
    fn new() -> Self {
        let mut world = Self::default();
        for n in 0..DEVICES {
            world.devices.insert(n, Device::default());
            world.outboxes.insert(n, Outbox::new());
        }
        world
    }

    fn now(&self) -> Wall {
        Wall::from_millis(self.now)
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Send {
                devices,
                app,
                life,
                bytes,
            } => self.send(devices, *app, *life, *bytes),
            Step::Connect(n) => self.connect(*n),
            Step::Break(n) => self.disconnect(*n),
            Step::Restart => self.restart(),
            Step::Grant(n, app, more) => self.grant(*n, *app, *more),
            Step::Deliver(n) => self.deliver(*n),
            Step::Commit(n, count, tell) => self.device_commits(*n, *count, *tell),
            Step::Run(n, place, how) => self.device_runs(*n, *place, *how),
            Step::Report(n, from) => self.report(*n, *from),
            Step::Wait(millis) => self.now += millis,
            Step::Sweep => self.sweep(),
        }
    }

    fn send(&mut self, devices: &[u8], place: usize, life: u64, bytes: u64) {
        let mut mailboxes: BTreeMap<u8, Mailbox> = devices
            .iter()
            .map(|n| {
                let rows = self.rows.get(n).map_or(&[][..], Vec::as_slice);
                let count = u32::try_from(rows.len()).unwrap();
                let sum = rows.iter().map(|row| row.bytes).sum();
                (
                    *n,
                    Mailbox::new(self.next.get(n).copied().unwrap_or_default(), count, sum),
                )
            })
            .collect();
        let asked = mailboxes
            .iter_mut()
            .map(|(n, mailbox)| (DeviceId::from_bytes([*n; 16]), mailbox));
        let Ok(slots) = mailbox::reserve_all(asked, bytes, &LIMITS) else {
            return;
        };
        self.made += 1;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.made.to_be_bytes());
        let push = PushId::from_bytes(id);
        let expires = self.now().after(Span::millis(life));
        self.lives.insert(push, expires);
        for slot in slots {
            let n = slot.device.as_bytes()[0];
            self.next.insert(n, Sequence(slot.sequence.0 + 1));
            let offered = self.outboxes[&n].ready(&app(place));
            let waiting = Waiting {
                sequence: slot.sequence,
                push,
                app: app(place),
                expires,
                offered,
            };
            self.rows.entry(n).or_default().push(Row { waiting, bytes });
            self.stages.insert((push, n), Stage::Accepted);
        }
    }

    fn connect(&mut self, n: u8) {
        self.disconnect(n);
        let device = self.devices.get_mut(&n).unwrap();
        device.connected = true;
        let known = (device.incarnation == self.incarnation).then_some(device.through);
        device.incarnation = self.incarnation;
        if known.is_none() {
            device.through = 0;
        }
        let gone = self.outboxes.get_mut(&n).unwrap().begin(known);
        self.take(n, &gone);
    }

    fn disconnect(&mut self, n: u8) {
        let device = self.devices.get_mut(&n).unwrap();
        device.connected = false;
        device.arriving.clear();
        device.granted = [0; 2];
        device.sent = [0; 2];
    }

    fn restart(&mut self) {
        self.incarnation += 1;
        for n in 0..DEVICES {
            self.disconnect(n);
            self.outboxes.insert(n, Outbox::new());
        }
    }

    fn grant(&mut self, n: u8, place: usize, more: u64) {
        let device = self.devices.get_mut(&n).unwrap();
        if device.connected {
            device.granted[place] += more;
            let total = device.granted[place];
            self.outboxes
                .get_mut(&n)
                .unwrap()
                .grant(app(place), total)
                .unwrap();
        }
    }

    fn deliver(&mut self, n: u8) {
        let now = self.now();
        let outbox = self.outboxes.get_mut(&n).unwrap();
        let device = self.devices.get_mut(&n).unwrap();
        let rows = self.rows.entry(n).or_default();
        let plan = outbox.plan(rows.iter().map(|row| &row.waiting), now);
        if device.connected {
            for row in rows.iter_mut() {
                let waiting = &mut row.waiting;
                waiting.offered |= plan.offer.contains(&waiting.sequence);
                let due =
                    plan.offer.contains(&waiting.sequence) || plan.send.contains(&waiting.sequence);
                let Some(number) = due.then(|| outbox.sent(waiting)).flatten() else {
                    continue;
                };
                let place = usize::from(waiting.app != app(0));
                device.sent[place] += 1;
                assert!(
                    device.sent[place] <= device.granted[place],
                    "sent beyond credit"
                );
                device
                    .arriving
                    .push((number, waiting.push, waiting.expires));
            }
        }
        for sequence in plan.expire {
            self.expire(n, sequence);
        }
    }

    fn expire(&mut self, n: u8, sequence: Sequence) {
        let row = self.rows[&n]
            .iter()
            .find(|row| row.waiting.sequence == sequence);
        let Some(waiting) = row.map(|row| &row.waiting).filter(|row| !row.offered) else {
            return;
        };
        let push = waiting.push;
        assert!(waiting.expires <= self.now(), "expired before its time");
        assert!(
            !self.devices[&n].seen.contains(&push),
            "expired here, and the device has it"
        );
        self.record(push, n, Hop::Expired);
        self.take(n, &[sequence]);
    }

    fn take(&mut self, n: u8, gone: &[Sequence]) {
        let rows = self.rows.entry(n).or_default();
        rows.retain(|row| !gone.contains(&row.waiting.sequence));
    }

    fn device_commits(&mut self, n: u8, count: usize, tell: bool) {
        let device = self.devices.get_mut(&n).unwrap();
        let count = count.min(device.arriving.len());
        for (number, push, expires) in device.arriving.drain(..count) {
            device.through = number;
            if device.seen.insert(push) {
                device.held.push((push, expires));
                device.receipts.push((push, Hop::Delivered));
            }
        }
        if tell && device.connected {
            let through = device.through;
            let gone = self
                .outboxes
                .get_mut(&n)
                .unwrap()
                .acknowledged(through)
                .unwrap();
            self.take(n, &gone);
        }
    }

    fn device_runs(&mut self, n: u8, place: usize, how: u8) {
        let now = self.now();
        let device = self.devices.get_mut(&n).unwrap();
        if device.held.is_empty() {
            return;
        }
        let place = place % device.held.len();
        let (push, expires) = device.held[place];
        let hop = if expires <= now {
            Hop::Expired
        } else if how == 0 {
            Hop::Dropped {
                reason: Word::new("no-handler").unwrap(),
            }
        } else {
            device.runs += 1;
            let run = device.runs;
            device
                .receipts
                .push((push, Hop::Started { run, attempt: 1 }));
            if how == 1 {
                return;
            }
            Hop::Finished {
                run,
                attempt: 1,
                outcome: Word::new("completed").unwrap(),
            }
        };
        device.held.remove(place);
        device.receipts.push((push, hop));
    }

    fn report(&mut self, n: u8, from: u64) {
        if !self.devices[&n].connected {
            return;
        }
        let told = self.devices[&n].receipts.clone();
        // What the coordinator has not acknowledged is sent again; it may also see older ones.
        let durable = self.through.get(&n).copied().unwrap_or(0);
        let from = from.min(durable);
        for (sequence, (push, hop)) in (1_u64..).zip(told).filter(|(sequence, _)| *sequence > from)
        {
            let through = self.through.entry(n).or_default();
            if fresh(sequence, *through) {
                *through = sequence;
                self.record(push, n, hop);
            }
        }
    }

    fn record(&mut self, push: PushId, n: u8, hop: Hop) {
        let stage = self.stages[&(push, n)];
        if let Some(after) = stage.advance(&hop) {
            self.stages.insert((push, n), after);
            self.recorded.entry((push, n)).or_default().push(hop);
            let row = self
                .rows
                .entry(n)
                .or_default()
                .iter()
                .find(|row| row.waiting.push == push);
            if let Some(sequence) = row.map(|row| row.waiting.sequence) {
                self.take(n, &[sequence]);
            }
        }
    }

    fn sweep(&mut self) {
        let now = self.now();
        let open: Vec<_> = self
            .lives
            .iter()
            .map(|(push, expires)| (*push, *expires))
            .collect();
        for (push, expires) in open {
            let life = Life {
                expires,
                closed: None,
            };
            let devices: Vec<u8> = self
                .stages
                .keys()
                .filter(|(p, _)| *p == push)
                .map(|(_, n)| *n)
                .collect();
            match life.due(now) {
                Due::Expire { .. } => {
                    for n in devices {
                        let rows = self.rows.entry(n).or_default();
                        let row = rows.iter().find(|row| row.waiting.push == push);
                        if let Some(sequence) = row.map(|row| row.waiting.sequence) {
                            self.expire(n, sequence);
                        }
                    }
                }
                Due::GiveUp => {
                    for n in devices {
                        if !self.stages[&(push, n)].is_closed() {
                            self.given_up.insert((push, n));
                            self.record(push, n, life::given_up().unwrap());
                        }
                    }
                }
                Due::Wait(_) | Due::Remove => {}
            }
        }
    }

    /// Everything comes back and goes on until nothing is left to do.
    fn settle(&mut self) {
        for n in 0..DEVICES {
            self.connect(n);
            for place in 0..APPS.len() {
                self.grant(n, place, 1_000);
            }
            self.deliver(n);
            self.device_commits(n, usize::MAX, true);
            while !self.devices[&n].held.is_empty() {
                self.device_runs(n, 0, 2);
            }
            self.report(n, 0);
        }
        self.sweep();
    }

    fn check(&self) {
        for (key, stage) in &self.stages {
            let recorded = self.recorded.get(key).map_or(&[][..], Vec::as_slice);
            let terminals = recorded.iter().filter(|hop| hop.is_terminal()).count();
            assert!(stage.is_closed() && terminals == 1, "{key:?}: {recorded:?}");
            let finished = self.devices[&key.1]
                .receipts
                .iter()
                .any(|(push, hop)| *push == key.0 && matches!(hop, Hop::Finished { .. }));
            if recorded.contains(&Hop::Expired) {
                assert!(!finished, "{key:?} expired and ran");
            }
            if finished && !self.given_up.contains(key) {
                assert!(
                    matches!(recorded.last(), Some(Hop::Finished { .. })),
                    "{key:?}: {recorded:?}"
                );
            }
        }
        for (n, rows) in &self.rows {
            assert!(rows.is_empty(), "{n}: {rows:?}");
        }
    }
}

fn any_step() -> impl Strategy<Value = Step> {
    let device = 0..DEVICES;
    prop_oneof![
        4 => (proptest::sample::subsequence(vec![0, 1, 2], 0..=3), 0..2_usize, 1..60_000_u64, 1..20_u64)
            .prop_map(|(devices, app, life, bytes)| Step::Send { devices, app, life, bytes }),
        3 => device.clone().prop_map(Step::Connect),
        1 => device.clone().prop_map(Step::Break),
        1 => Just(Step::Restart),
        3 => (device.clone(), 0..2_usize, 0..4_u64).prop_map(|(n, app, more)| Step::Grant(n, app, more)),
        5 => device.clone().prop_map(Step::Deliver),
        4 => (device.clone(), 0..4_usize, any::<bool>()).prop_map(|(n, count, tell)| Step::Commit(n, count, tell)),
        4 => (device.clone(), any::<usize>(), 0..3_u8).prop_map(|(n, place, how)| Step::Run(n, place, how)),
        3 => (device, 0..8_u64).prop_map(|(n, from)| Step::Report(n, from)),
        2 => (1..30_000_u64).prop_map(Step::Wait),
        1 => Just(Step::Wait(bounds::SILENCE.as_millis())),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_accepted_push_ends_once_on_each_of_its_devices(
        steps in proptest::collection::vec(any_step(), 0..150),
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.settle();
        world.check();
    }
}
