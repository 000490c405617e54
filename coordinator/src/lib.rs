//! Lull's coordinator: it enrols devices, accepts pushes, delivers them over the devices' sessions, and knows what became
//! of each.
//!
//! Plumbing around [`lull_fleet_policy`], which decides: this crate reads the network, the clock and the store, asks, and
//! does what it is told. [`server::run`] is the whole daemon.

pub mod api;
pub mod authority;
pub mod clock;
pub mod config;
pub mod link;
pub mod listen;
mod sabotage;
pub mod server;
pub mod shard;
pub mod store;
pub mod sweep;
pub mod watch;
