//! The fleet's decisions: what a mailbox takes, who is a target, what a session is sent, which receipt counts,
//! who may call what. Pure and synchronous.
//!
//! # The contract
//!
//! 1. Nothing here reads a clock, a random source or a store: `now`, ids and what is known are passed in.
//! 2. Same arguments, same answer, bit for bit. No floats, no hash order.
//! 3. Every bound has a name and a reason ([`bounds`]); what overflows is refused to the one who sent it.
//! 4. Exactly one terminal receipt per (push, device): [`Stage::advance`] is the only way a receipt counts.
//! 5. Matches have no wildcard arm where a decision is made.
//!
//! Deliberately absent: clocks, files, sockets, processes, logging, wire types, and SQL.

#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic, clippy::wildcard_enum_match_arm)]

pub mod access;
pub mod bounds;
pub mod delivery;
pub mod enrollment;
pub mod life;
pub mod mailbox;
mod name;
pub mod receipt;
pub mod session;
pub mod submission;
pub mod target;
mod time;
#[cfg(test)]
mod world;

pub use delivery::{Outbox, Plan, Waiting};
pub use mailbox::{Full, Limits, Mailbox, Sequence, Slot};
pub use name::{AppId, ClientName, DeviceId, IdError, KeyFingerprint, NameError, PushId, Word};
pub use receipt::{Hop, Receipt, Stage};
pub use submission::{DeduplicationKey, Request, Submission, Violation};
pub use target::{Labels, LabelsError, ShardId, Target};
pub use time::{Span, Wall};
