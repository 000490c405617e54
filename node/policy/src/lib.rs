//! The device machine: every decision of one device, pure and synchronous.
//!
//! # The machine contract
//!
//! A decision is [`Device::handle`]`(now, event, &mut effects)`; [`Device::deadline`] says when the host
//! must come back if nothing else happens.
//!
//! 1. `handle` is the only mutator; it never fails, blocks or awaits. An event that makes no sense here is
//!    recorded as an observation, not an error.
//! 2. [`Now`] holds three instants, stamped by the host. The machine owns no clock.
//! 3. Same state, same `now`, same event: same state and same effects, bit for bit. No randomness, no floats
//!    in decisions, no hash order, no time-zone database.
//! 4. Levels, not edges: watchers report readings, the machine derives edges. The first reading is a baseline.
//! 5. Every queue, list, string and retry has a named bound ([`bounds`]); what overflows is decided and counted.
//! 6. Readiness and its explanation are one function: the ordered gates of `admission`.
//! 7. Every firing gets exactly one verdict (`ledger`): firings = sum of verdicts, at all times.
//! 8. One small file per trigger, per condition, per limit; lifecycles are tables (`lifecycle`).
//! 9. Matches have no wildcard arm where a decision is made.
//! 10. State is `Clone + Eq + Debug`; a state restored from records equals the live one.
//! 11. What must survive is emitted as [`Effect::Put`] or [`Effect::Remove`]; folding these over an empty store
//!     yields the state.
//!
//! # What the host owes
//!
//! - [`Event::Booted`] first, then [`Event::RunsHeld`] once the launcher has answered; [`Event::Apps`] only with a
//!   list that could be read: an app that is not in it is uninstalled.
//! - Each watcher reports once after [`Effect::Watch`], with `Unknown` where it cannot tell. What it reports after
//!   [`Effect::Unwatch`] is not expected.
//! - Effects of an event are performed by their [`Effect::order`]. An [`Effect::AskToCancel`] or [`Effect::Kill`] may
//!   come before the launch it concerns is performed, or for a run that is gone; both are repeated with
//!   [`Event::RunStarted`] and [`Event::RunsHeld`].
//! - Exactly one [`Event::RunEnded`] for each launch, also for one that failed ([`Exit::LaunchFailed`]).
//!
//! Deliberately absent: clocks, files, sockets, processes, logging, randomness.

#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

mod access;
mod admission;
mod apps;
mod boot;
pub mod bounds;
mod broken;
mod choices;
mod condition;
mod device;
mod due;
mod explain;
mod firing;
mod front;
mod holding;
mod index;
pub mod invariants;
mod ledger;
mod lifecycle;
mod limit;
pub mod meter;
pub mod model;
mod observe;
mod outcome;
mod readings;
mod reconcile;
mod records;
mod register;
mod runs;
mod schedule;
mod start;
mod starvation;
#[cfg(test)]
#[expect(clippy::wildcard_enum_match_arm, reason = "a test decides nothing")]
mod test;
mod trigger;
mod turn;
mod update;

pub use broken::Broken;
#[cfg(feature = "sabotage")]
pub use broken::Sabotage;
pub use device::{Device, TaskState};
pub use due::DueQueue;
pub use holding::{KEEP_ALIVE_MINUTES, Purpose, Sight, Terms, Vigil};
pub use limit::memory::{MemoryLayers, MemoryLevel};
pub use model::*;
pub use readings::standby;
pub use starvation::{Blocker, Proposal, Starvation};
