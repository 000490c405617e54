//! The flight recorder's file, shared by the node that writes it and the test kit that replays it.
//!
//! A recording is JSON Lines: a [`Header`], then entries, oldest first. An entry is an event with the instants at which it
//! was decided (`[now, event]`), or a [`Snapshot`] of the machine (`{"snapshot": …}`). The first entry is a snapshot, so that
//! a recording can be replayed whatever was trimmed before it; a later one shows whether the replay still agrees.
//!
//! Bodies of pushes and output of runs are not recorded: nothing is decided by them, and they are the apps' own.
//! Deliberately absent: files, and what a replay is good for.

mod blank;
mod snapshot;

use lull_policy::{Event, Now, Wall};
use serde::{Deserialize, Serialize};

pub use blank::{blank_event, blank_record, differences};
pub use snapshot::{Snapshot, Taken};

/// The version of the format. A reader refuses newer ones by name.
pub const VERSION: u32 = 1;

/// How the line of a snapshot begins: by this it is found among events without reading them.
pub const SNAPSHOT_BEGINS: &str = "{\"snapshot\":{";

/// The first line of a recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format, see [`VERSION`].
    #[serde(rename = "lull-recording")]
    pub version: u32,
    /// The version of the node that exported it.
    pub node: String,
    /// The device's id; empty = not enrolled.
    pub device: String,
    /// When its first entry was written, by the device's wall clock.
    pub from: Wall,
    /// When its last entry was.
    pub until: Wall,
}

/// A line after the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An event, as the machine was told it.
    Event(Now, Box<Event>),
    /// The machine as it was.
    Snapshot(Box<Snapshot>),
}

#[derive(Serialize, Deserialize)]
struct Wrapped<S> {
    snapshot: S,
}

impl Entry {
    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(line: &str) -> Result<Self, serde_json::Error> {
        if line.starts_with('{') {
            let wrapped: Wrapped<Box<Snapshot>> = serde_json::from_str(line)?;
            return Ok(Self::Snapshot(wrapped.snapshot));
        }
        let (now, event) = serde_json::from_str(line)?;
        Ok(Self::Event(now, event))
    }

    /// When it was written.
    pub fn now(&self) -> Now {
        match self {
            Self::Event(now, _) => *now,
            Self::Snapshot(snapshot) => snapshot.now,
        }
    }

    /// The line of an event.
    ///
    /// # Errors
    /// What the serializer said: a defect.
    pub fn write_event(now: Now, event: &Event) -> Result<String, serde_json::Error> {
        serde_json::to_string(&(now, blank_event(event).as_ref()))
    }

    /// The line of a snapshot.
    ///
    /// # Errors
    /// What the serializer said: a defect.
    pub fn write_snapshot(snapshot: &Snapshot) -> Result<String, serde_json::Error> {
        serde_json::to_string(&Wrapped { snapshot })
    }
}

#[cfg(test)]
mod tests;
