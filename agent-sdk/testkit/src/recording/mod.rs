//! Recordings of real devices: replayed as they were, or lived through again under another policy.
//!
//! [`Recording::read`] takes what `lull recording` wrote. [`Recording::replay`] runs its events through the machine: the same
//! decisions again, with their timeline. [`Recording::what_if`] takes only the outside of it (readings, calls, pushes, apps,
//! boots) and lets the runs be virtual ones that go as those of that time did; under the policy of that time and under
//! another one, so that like is compared with like. Deliberately absent: decisions, and files.

mod calls;
mod compare;
mod figures;
mod follow;
mod history;
mod parse;
mod replay;
mod study;
mod tape;

pub use compare::{Blocked, Change, Tally, TaskChange, WhatIf, combine};
pub use figures::figures;
pub use lull_document::policy_figures::FigureChange;
pub use lull_policy::{AppId, TaskName};
pub use parse::{Recording, RecordingError};
pub use replay::{Replay, concerns};
pub use tape::Departure;
