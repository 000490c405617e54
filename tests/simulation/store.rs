//! What is durable: records in commits that take their time, and what waits for them. A model of the daemon's store (group
//! commit): one commit at a time, whole or not at all.
//!
//! Deliberately absent: what the records mean.

use std::collections::{BTreeMap, VecDeque};

use lull_policy::{Effect, Key, Record, RunId};

/// What waits for the commit of its event.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// To be performed then.
    pub(crate) effects: Vec<Effect>,
    /// The launcher may forget how this run ended.
    pub(crate) ended: Option<RunId>,
    /// The coordinator is told that the device has this delivery of this session.
    pub(crate) delivered: Option<(u64, u64)>,
    /// It is the answer to the link's coming up.
    pub(crate) link_up: bool,
}

type Changes = BTreeMap<Key, Option<Box<Record>>>;

/// The store of one device.
#[derive(Debug, Default)]
pub(crate) struct Store {
    durable: BTreeMap<Key, Box<Record>>,
    gathering: Changes,
    in_flight: Option<(Changes, usize)>,
    waiting: VecDeque<Held>,
    /// Commits so far.
    pub(crate) commits: u64,
}

impl Store {
    /// Takes a change that belongs to the event under decision.
    pub(crate) fn gather(&mut self, key: Key, record: Option<Record>) {
        self.gathering.insert(key, record.map(Box::new));
    }

    /// Whether nothing waits and nothing is to be written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.gathering.is_empty() && self.in_flight.is_none() && self.waiting.is_empty()
    }

    /// Holds what an event began or promised, until all changes so far are durable.
    pub(crate) fn hold(&mut self, held: Held) {
        let all_under_way = self.gathering.is_empty();
        self.waiting.push_back(held);
        if let Some((_, events)) = &mut self.in_flight
            && all_under_way
        {
            *events = self.waiting.len();
        }
    }

    /// Begins a commit of all that was gathered; false where one is under way or there is nothing to do.
    pub(crate) fn begin(&mut self) -> bool {
        if self.in_flight.is_some() || self.waiting.is_empty() {
            return false;
        }
        self.in_flight = Some((std::mem::take(&mut self.gathering), self.waiting.len()));
        true
    }

    /// The commit under way is durable: what waited for it, in order.
    pub(crate) fn end(&mut self) -> Vec<Held> {
        let Some((changes, events)) = self.in_flight.take() else {
            return Vec::new();
        };
        self.commits += 1;
        self.write(changes);
        self.waiting.drain(..events).collect()
    }

    /// Writes all that there is: the daemon stops in order.
    pub(crate) fn flush(&mut self) -> Vec<Held> {
        if let Some((changes, _)) = self.in_flight.take() {
            self.write(changes);
        }
        let changes = std::mem::take(&mut self.gathering);
        self.write(changes);
        self.waiting.drain(..).collect()
    }

    /// Loses all that is not durable. The commit under way is kept where it was done but for the telling. Gives how
    /// many events were lost.
    pub(crate) fn lose(&mut self, torn: bool) -> usize {
        let mut lost = self.waiting.len();
        if let Some((changes, events)) = self.in_flight.take()
            && !torn
        {
            self.write(changes);
            lost -= events;
        }
        self.gathering.clear();
        self.waiting.clear();
        lost
    }

    fn write(&mut self, changes: Changes) {
        for (key, record) in changes {
            match record {
                Some(record) => drop(self.durable.insert(key, record)),
                None => drop(self.durable.remove(&key)),
            }
        }
    }

    /// What a daemon finds that starts now.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.durable.values().map(|record| &**record)
    }

    /// All changes so far, durable or not: what the machine's state has to be.
    pub(crate) fn folded(&self) -> Vec<Record> {
        let mut all: BTreeMap<&Key, &Record> = self
            .durable
            .iter()
            .map(|(key, record)| (key, &**record))
            .collect();
        let later = self.in_flight.iter().map(|(changes, _)| changes);
        for changes in later.chain([&self.gathering]) {
            for (key, record) in changes {
                match record {
                    Some(record) => drop(all.insert(key, record)),
                    None => drop(all.remove(key)),
                }
            }
        }
        all.into_values().cloned().collect()
    }

    /// Records that are durable.
    pub(crate) fn len(&self) -> usize {
        self.durable.len()
    }
}
