//! The words the machine is spoken to in: time, names, readings, registrations, events, effects, records.
//!
//! Everything here is plain data that a host can build, print, compare and store. No decision is made here.

mod access;
mod effect;
mod event;
mod manifest;
mod name;
mod policy;
mod push;
mod reading;
mod record;
mod registration;
mod run;
mod time;
mod verdict;

pub use access::*;
pub use effect::*;
pub use event::*;
pub use manifest::*;
pub use name::*;
pub use policy::*;
pub use push::*;
pub use reading::*;
pub use record::*;
pub use registration::*;
pub use run::*;
pub use time::*;
pub use verdict::*;
