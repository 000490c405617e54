//! The supervisor with a real launcher and real agents, between an engine and a catalog that the tests play. Needs root, as the launcher's
//! own tests do.

mod adoption;
mod device;
mod holding;
mod hosted;
mod metering;
mod orders;
pub(crate) mod stage;
mod state;
mod talk;
