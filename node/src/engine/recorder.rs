//! The flight recorder's pen: events as they are decided, and snapshots of the machine so often that trimming the oldest rows
//! always leaves one to begin with.
//!
//! Entries ride in memory to the next commit. Deliberately absent: the file and its budget (`store`), and replaying.

use std::collections::BTreeSet;
use std::mem::take;
use std::sync::Arc;

use lull_policy::{AppId, BootId, Device, Event, Now, Occurrence, Record, TaskName};
use lull_recording::{Entry, Snapshot};

use super::RIDING;
use crate::status::StatusBoard;

/// Counts entries that were not written.
const DROPPED: &str = "journal-entries-dropped";

/// Of the file's budget, the share after which a snapshot is due. One may be late by as much again, and itself be as large:
/// the newest is whole in the file at all times.
const SHARE: usize = 4;

/// Of the share, the part after which a snapshot that would not have revived is tried again.
const AGAIN: usize = 32;

/// The recorder.
#[derive(Debug)]
pub(super) struct Recorder {
    board: Arc<StatusBoard>,
    boot: BootId,
    riding: Vec<String>,
    /// Of events that ride.
    riding_bytes: usize,
    /// Of events since the last snapshot.
    behind: usize,
    /// So many bytes of events after a snapshot the next is due; it is itself no larger.
    share: usize,
    /// So many bytes of events after the last snapshot, the next is tried.
    next: usize,
    /// Events are missing since the last snapshot.
    gap: bool,
    /// Tasks with a debugger; it stands in no record.
    debugged: BTreeSet<(AppId, TaskName)>,
}

impl Recorder {
    /// A recorder for a file that keeps so many bytes.
    pub(super) fn new(board: Arc<StatusBoard>, boot: BootId, budget: usize) -> Self {
        let share = budget / SHARE;
        Self {
            board,
            boot,
            riding: Vec::new(),
            riding_bytes: 0,
            behind: 0,
            share,
            next: share,
            gap: false,
            debugged: BTreeSet::new(),
        }
    }

    /// The machine is made of these records now; [`Event::Booted`] follows.
    pub(super) fn restored(&mut self, now: Now, records: &[Record]) {
        self.debugged.clear();
        let snapshot = Snapshot::at_start(now, self.boot.clone(), records);
        self.write(snapshot);
    }

    /// An event that is decided now.
    pub(super) fn event(&mut self, now: Now, event: &Event) {
        self.follow(event);
        let Ok(line) = Entry::write_event(now, event) else {
            self.board.count(DROPPED);
            self.miss();
            return;
        };
        self.behind += line.len();
        self.riding_bytes += line.len();
        self.riding.push(line);
        if self.riding_bytes > RIDING {
            let lost = self.riding.len();
            self.board
                .add(DROPPED, u64::try_from(lost).unwrap_or(u64::MAX));
            self.miss();
        }
    }

    fn follow(&mut self, event: &Event) {
        let Event::Occurred(Occurrence::Debugger {
            app,
            task,
            attached,
        }) = event
        else {
            return;
        };
        let session = (app.clone(), task.clone());
        if *attached {
            self.debugged.insert(session);
        } else {
            self.debugged.remove(&session);
        }
    }

    /// What rides is lost: the next entry has to be a snapshot.
    pub(super) fn miss(&mut self) {
        self.riding.clear();
        self.riding_bytes = 0;
        self.gap = true;
        self.next = 0;
    }

    /// The machine after the last event, which may be a moment for a snapshot.
    pub(super) fn decided(&mut self, now: Now, device: &Device) {
        if self.behind < self.next {
            return;
        }
        let debugged = self.debugged.iter().cloned().collect();
        let snapshot = Snapshot::under_way(now, self.boot.clone(), device, debugged);
        let late = self.gap || self.behind >= 2 * self.share;
        if late || snapshot.revives(device) {
            self.write(snapshot);
        } else {
            self.next = self.behind + self.share / AGAIN;
        }
    }

    /// Writes a snapshot, thinned where it would take more than its share; one that is too large even so is left out.
    fn write(&mut self, mut snapshot: Snapshot) {
        snapshot.gap = self.gap;
        let mut line = Entry::write_snapshot(&snapshot).ok();
        if line.as_ref().is_some_and(|line| line.len() > self.share) {
            snapshot.thin();
            line = Entry::write_snapshot(&snapshot).ok();
        }
        self.behind = 0;
        self.next = self.share;
        match line.filter(|line| line.len() <= self.share) {
            Some(line) => {
                self.gap = false;
                self.riding.push(line);
            }
            None => self.board.count(DROPPED),
        }
    }

    /// Whether nothing rides.
    pub(super) fn is_empty(&self) -> bool {
        self.riding.is_empty()
    }

    /// What rides, for the next commit.
    pub(super) fn take(&mut self) -> Vec<String> {
        self.riding_bytes = 0;
        take(&mut self.riding)
    }
}

#[cfg(test)]
mod tests;
