//! The node daemon: reads the device, hosts the device machine of `lull-policy`, performs what it decides.
//!
//! Every decision is in `lull-policy`; an actor or service here that compares times, budgets or states is in
//! the wrong crate. See ARCHITECTURE.md for the flow of an event through these modules.

pub mod awake;
pub mod broker;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod debuggers;
pub mod declared;
pub mod descriptor;
pub mod durable_file;
pub mod engine;
pub mod error_chain;
#[cfg(test)]
mod faults;
pub mod folders;
pub mod fronts;
pub mod identity;
pub mod keeper;
pub mod link;
pub mod local;
pub mod manifest;
mod newest;
pub mod ports;
pub mod retry;
pub mod sources;
pub mod status;
pub mod store;
pub mod supervisor;
pub mod takers;
pub mod watch;
