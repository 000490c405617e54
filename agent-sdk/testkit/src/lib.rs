//! The virtual device: the node's own decisions in virtual time, for agent authors' tests.
//!
//! Two ways in, one machine. [`VirtualDevice`] is for Rust tests: readings that a test sets, agents that behave as a test says
//! ([`Behaviour`]), and a clock that jumps from deadline to deadline. A [`Scenario`] is a file that says all that; `lull
//! simulate` runs it, and [`scenario::check`] does so in a test. Both host the same machine as the daemon (`lull-policy`). A
//! virtual week takes milliseconds, and two runs of one test do the same to the bit.
//!
//! ```
//! use lull_policy::{Span, Trigger};
//! use lull_testkit::{Behaviour, VirtualDevice};
//!
//! let mut device = VirtualDevice::new();
//! device.install("mail", "1.0", &["sync"]);
//! device.behave("sync", Behaviour::takes(Span::seconds(10)));
//! device.allow("mail");
//! device.register("mail", "sync", "sync", Trigger::Timer { minutes: 30, one_shot: false }, &[]);
//! device.advance(Span::hours(24));
//! assert_eq!(device.starts("mail", "sync"), 48);
//! ```
//!
//! What a real device has recorded is read by [`Recording`]: replayed as it was, or lived through again under another policy.
//!
//! Deliberately absent: processes, clocks; and decisions: what a test sees here is what a device does.

mod behaviour;
mod device;
pub mod recording;
pub mod scenario;
mod world;

pub use behaviour::{Behaviour, Ending, OnCancel};
pub use device::VirtualDevice;
pub use lull_policy::Span;
pub use recording::Recording;
pub use scenario::Scenario;
pub use world::{Entry, Happening};
