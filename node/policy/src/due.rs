//! Pending due times: armed and disarmed one by one, read from the earliest on.
//!
//! A sorted set of pairs, so that an entry costs no more than it says and equal due times keep their order. Absent: any
//! clock; who looks says what time it is.

use std::collections::BTreeSet;

use crate::{Elapsed, RegistrationId};

/// Due times of registrations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DueQueue(BTreeSet<(Elapsed, RegistrationId)>);

impl DueQueue {
    /// Arms one.
    pub fn arm(&mut self, due: Elapsed, id: RegistrationId) {
        self.0.insert((due, id));
    }

    /// Disarms one; nothing happens where it is not armed.
    pub fn disarm(&mut self, due: Elapsed, id: RegistrationId) {
        self.0.remove(&(due, id));
    }

    /// The earliest.
    pub fn first(&self) -> Option<(Elapsed, RegistrationId)> {
        self.0.first().copied()
    }

    /// All of them, the earliest first.
    pub fn iter(&self) -> impl Iterator<Item = (Elapsed, RegistrationId)> {
        self.0.iter().copied()
    }

    /// Those due at or before an instant, the earliest first.
    pub fn until(&self, instant: Elapsed) -> impl Iterator<Item = (Elapsed, RegistrationId)> {
        let last = (instant, RegistrationId(u64::MAX));
        self.0.range(..=last).copied()
    }

    /// Whether this one is armed, whenever it is due.
    pub fn holds(&self, id: RegistrationId) -> bool {
        self.0.iter().any(|(_, armed)| *armed == id)
    }

    /// Whether none is armed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
