//! Scenario files: one device in virtual time, as a file describes it.
//!
//! [`Scenario::read`] turns the text of a file into a [`Scenario`]; nothing in it can be wrong any more, so that running one
//! never stops over its file; [`Scenario::run`] does that. Deliberately absent: decisions.

mod expect;
mod facts;
mod failure;
mod file;
mod model;
mod parse;
mod run;
mod timeline;

pub use failure::Failure;
pub use file::check;
pub use model::*;
pub(crate) use run::Answered;
pub use run::Outcome;
pub(crate) use timeline::{Fields, Recorder, words};
pub use timeline::{Line, Value, table};
