//! Running a recording through the machine, entry by entry.
//!
//! Where a later snapshot does not agree with the machine, that is a departure: the recording was made by a release
//! that decides differently, or something is missing. The replay goes on from the snapshot.

use lull_policy::{BootId, Device, Effect, Key, Now, Span};
use lull_recording::{Entry, Snapshot, Taken};

use super::Recording;
use super::parse::Numbered;

/// A place at which the replay does not agree with the recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    /// The line of the snapshot that disagrees.
    pub line: usize,
    /// Since the recording's start.
    pub t: Span,
    /// What differs.
    pub keys: Vec<Key>,
}

/// The machine on its way through a recording.
#[derive(Debug, Clone)]
pub(super) struct Tape {
    pub(super) device: Device,
    /// Since the recording's start; over suspends and boots.
    pub(super) t: Span,
    pub(super) now: Now,
    boot: BootId,
    /// It was begun with less than all records.
    thinned: bool,
    pub(super) departures: Vec<Departure>,
}

impl Tape {
    /// At the beginning.
    pub(super) fn of(recording: &Recording) -> Self {
        let start = &recording.start;
        Self {
            device: start.revive(),
            t: Span::ZERO,
            now: start.now,
            boot: start.boot.clone(),
            thinned: start.thinned,
            departures: Vec::new(),
        }
    }

    /// Takes an entry; what was decided.
    pub(super) fn take(&mut self, numbered: &Numbered) -> Vec<Effect> {
        let mut effects = Vec::new();
        match &numbered.entry {
            Entry::Event(now, event) => {
                self.pass_to(*now, None);
                self.device
                    .handle(*now, event.as_ref().clone(), &mut effects);
            }
            Entry::Snapshot(snapshot) => {
                self.pass_to(snapshot.now, Some(&snapshot.boot));
                self.compare(numbered.line, snapshot);
            }
        }
        effects
    }

    fn pass_to(&mut self, now: Now, boot: Option<&BootId>) {
        let passed = match boot {
            Some(boot) if *boot != self.boot => {
                self.boot = boot.clone();
                now.wall.since(self.now.wall)
            }
            Some(_) | None => now.elapsed.since(self.now.elapsed),
        };
        self.t = self.t.saturating_add(passed);
        self.now = now;
    }

    fn compare(&mut self, line: usize, snapshot: &Snapshot) {
        if !snapshot.gap {
            let keys = if self.thinned {
                let mut thin = snapshot.clone();
                thin.thin();
                thin.differs_from(&self.device)
            } else {
                snapshot.differs_from(&self.device)
            };
            if keys.is_empty() {
                // A process that starts has the records and nothing else.
                if snapshot.taken == Taken::Start {
                    self.device = Device::restore(self.device.records());
                }
                return;
            }
            self.departures.push(Departure {
                line,
                t: self.t,
                keys,
            });
        }
        self.device = snapshot.revive();
        self.thinned = snapshot.thinned;
    }
}
