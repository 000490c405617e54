//! What is still to come, in order of time. At one instant: steps first, then everything else in the order in which it was
//! planned.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use lull_policy::{Push, RunId, Source};

use crate::agents::Word;

/// Something that is to come.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// A step of the plan, by its place.
    Step(usize),
    /// A run's word, unless its generation has passed.
    Run {
        run: RunId,
        generation: u32,
        word: Word,
    },
    /// A commit is done.
    Committed,
    /// A watcher's first report.
    Report(Source),
    /// A delivery comes to the device.
    Arrives {
        session: u64,
        delivery: u64,
        push: Box<Push>,
    },
    /// The coordinator acknowledges receipts.
    Acknowledges(u64),
    /// The device connects.
    Connects,
    /// The power goes off after an orderly shutdown.
    Off { length: u64 },
    /// It is up again.
    Up,
    /// An app in the foreground answers to a push.
    Answers {
        push: lull_policy::PushId,
        handled: bool,
    },
}

#[derive(Debug)]
struct Entry {
    at: u64,
    class: u8,
    number: u64,
    due: Due,
}

impl Entry {
    const fn place(&self) -> (u64, u8, u64) {
        (self.at, self.class, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place().cmp(&other.place())
    }
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    numbers: u64,
}

impl Queue {
    /// Plans something.
    pub(crate) fn push(&mut self, at: u64, due: Due) {
        self.numbers += 1;
        let class = u8::from(!matches!(due, Due::Step(_)));
        self.heap.push(Reverse(Entry {
            at,
            class,
            number: self.numbers,
            due,
        }));
    }

    /// When the next comes.
    pub(crate) fn next(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next.
    pub(crate) fn pop(&mut self) -> Option<(u64, Due)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.due))
    }

    /// The device sleeps: what its own processes would do comes so much later.
    pub(crate) fn sleep(&mut self, length: u64) {
        let entries = std::mem::take(&mut self.heap).into_vec();
        for Reverse(mut entry) in entries {
            match entry.due {
                Due::Run { .. } | Due::Committed | Due::Report(_) | Due::Answers { .. } => {
                    entry.at += length;
                }
                Due::Step(_)
                | Due::Arrives { .. }
                | Due::Acknowledges(_)
                | Due::Connects
                | Due::Off { .. }
                | Due::Up => {}
            }
            self.heap.push(Reverse(entry));
        }
    }

    /// The device or its daemon is gone: what it would do itself does not come any more.
    pub(crate) fn forget(&mut self, forgotten: impl Fn(&Due) -> bool) {
        let entries = std::mem::take(&mut self.heap).into_vec();
        self.heap = entries
            .into_iter()
            .filter(|Reverse(entry)| !forgotten(&entry.due))
            .collect();
    }
}
