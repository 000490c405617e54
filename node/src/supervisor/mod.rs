//! The supervisor: carries out the engine's orders about runs, and tells the engine what becomes of them.
//!
//! It speaks to the launcher, which owns the processes and outlives the daemon, and to every agent over the socket that
//! the agent inherited. Deliberately absent: decisions. When a run is asked to cancel or is killed stands in the orders;
//! how its outcome is called is decided by the machine.

mod catalog;

pub use catalog::{AgentCatalog, AgentProgram};
