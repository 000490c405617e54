//! Lull's SDK: background work that a node starts when its trigger fires and its conditions hold.
//!
//! - [`agent`]: for the **agent**, the short program that does the work.
//! - [`front`]: for the **app**, which registers agents and follows their runs.
//! - [`host`]: for an app that runs tasks in its own process.
//! - [`state`]: key-value state that both share.
//!
//! Each module's page is a short manual with a complete program.
//!
//! Deliberately absent: decisions. What runs when, and how long, is the device's to say.

pub mod agent;
mod cancel_reason;
pub mod front;
pub mod host;
mod id;
mod inherited;
mod memory;
mod socket;
pub mod state;
mod trigger;

pub use cancel_reason::CancelReason;
pub use id::{RegistrationId, RunId};
pub use memory::MemoryUsage;
pub use socket::{
    ChannelActivity, HandOver, HandedSocket, NotHandedOver, NotTaken, ReadAhead, Socket,
    SocketActivity, SocketKind,
};
pub use trigger::{FiredBy, SystemEvent, Trigger};

/// Compiles the programs of the README with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
