//! What is held back until its records are durable, in order.
//!
//! Changes are numbered. An event waits for the newest change at its time, its own or an earlier one's, so that no answer
//! shows a state that could still be lost.

use std::collections::VecDeque;

/// The queue of what waits, and how far the store has come.
#[derive(Debug)]
pub(super) struct Hold<T> {
    newest: u64,
    durable: u64,
    in_flight: Option<u64>,
    queue: VecDeque<(u64, T)>,
}

impl<T> Hold<T> {
    pub(super) fn new() -> Self {
        Self {
            newest: 0,
            durable: 0,
            in_flight: None,
            queue: VecDeque::new(),
        }
    }

    /// A change joined what the next commit will hold.
    pub(super) fn changed(&mut self) {
        self.newest += 1;
    }

    /// Waits for all changes so far; comes back at once if they are durable.
    pub(super) fn hold(&mut self, item: T) -> Option<T> {
        if self.newest <= self.durable && self.queue.is_empty() {
            return Some(item);
        }
        self.queue.push_back((self.newest, item));
        None
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether the store is free and there is something for it.
    pub(super) fn may_commit(&self) -> bool {
        self.in_flight.is_none() && self.newest > self.durable
    }

    /// All changes so far are with the store.
    pub(super) fn committing(&mut self) {
        self.in_flight = Some(self.newest);
    }

    /// The changes that were with the store are durable: what waited for them, in order.
    pub(super) fn committed(&mut self) -> Vec<T> {
        if let Some(through) = self.in_flight.take() {
            self.durable = through;
        }
        let free = self
            .queue
            .partition_point(|(after, _)| *after <= self.durable);
        self.queue.drain(..free).map(|(_, item)| item).collect()
    }

    /// No change that is not durable will become so: all that waited.
    pub(super) fn failed(&mut self) -> Vec<T> {
        self.in_flight = None;
        self.durable = self.newest;
        self.queue.drain(..).map(|(_, item)| item).collect()
    }

    /// Whether nothing waits and nothing is to be committed.
    pub(super) fn is_quiet(&self) -> bool {
        self.queue.is_empty() && self.in_flight.is_none() && self.newest <= self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_waits_for_the_changes_before_it_and_no_longer() {
        let mut hold = Hold::new();
        assert_eq!(hold.hold("reads nothing new"), Some("reads nothing new"));
        hold.changed();
        assert_eq!(hold.hold("first"), None);
        hold.committing();
        assert_eq!(hold.hold("reads the first"), None);
        hold.changed();
        assert_eq!(hold.hold("second"), None);
        assert!(!hold.may_commit(), "one commit at a time");
        assert_eq!(hold.committed(), ["first", "reads the first"]);
        assert!(hold.may_commit());
        hold.committing();
        assert_eq!(hold.committed(), ["second"]);
        assert!(hold.is_quiet());
    }

    #[test]
    fn after_a_failure_nothing_waits() {
        let mut hold = Hold::new();
        hold.changed();
        hold.hold("first");
        hold.committing();
        hold.changed();
        hold.hold("second");
        assert_eq!(hold.failed(), ["first", "second"]);
        assert!(!hold.may_commit());
        assert_eq!(hold.hold("later"), Some("later"));
    }
}
