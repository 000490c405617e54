//! Files for people, read key by key: every error names the file, line, column, key, value and what is valid.
//!
//! Shared by `node.toml`, the app manifests and scenario files. [`Origin::read`] opens a text; a [`Section`] is one table of
//! it whose keys are all known, and has one function for each kind of value. Only the figures of the device policy have a
//! meaning here ([`policy_figures`]), because three files name them.
//!
//! Deliberately absent: what the other keys mean, and opening files.

mod kinds;
mod name;
mod origin;
pub mod policy_figures;
pub mod quantity;
mod section;

pub use kinds::{percent_of, time_of};
pub use name::{unknown_name, word};
pub use origin::{DocumentError, Origin, Place};
pub use section::{Refused, Section};
