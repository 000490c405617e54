//! What the examples print: the node keeps the last 8 KiB with the run. The one place that prints.
//!
//! Deliberately absent: levels and times; a run has both.

use std::error::Error;
use std::fmt::Display;
use std::io::Write as _;

/// Prints a line for people. An agent whose output nobody takes goes on.
pub(crate) fn line(text: &dyn Display) {
    drop(writeln!(std::io::stdout(), "{text}"));
}

/// Prints what went wrong.
pub(crate) fn error(error: &dyn Error) {
    drop(writeln!(std::io::stderr(), "{}", chain(error)));
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    causes.join(": ")
}
