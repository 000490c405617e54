//! The words the machine is spoken to in: time, names, readings, registrations, events, effects, records.
//!
//! Everything here is plain data that a host can build, print, compare and store. No decision is made here.

mod access;
mod effect;
mod event;
mod front;
mod manifest;
mod name;
mod observation;
mod policy;
mod profile;
mod push;
mod reading;
mod record;
mod registration;
mod run;
mod time;
mod trigger;
mod verdict;

pub use access::*;
pub use effect::*;
pub use event::*;
pub use front::*;
pub use manifest::*;
pub use name::*;
pub use observation::*;
pub use policy::*;
pub use profile::*;
pub use push::*;
pub use reading::*;
pub use record::*;
pub use registration::*;
pub use run::*;
pub use time::*;
pub use trigger::*;
pub use verdict::*;
