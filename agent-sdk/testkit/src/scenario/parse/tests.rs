//! What is taken and what is refused, and with which words.

mod taken;
mod wrong;

use std::path::Path;

use lull_document::DocumentError;

use crate::scenario::Scenario;

fn read(text: &str) -> Result<Scenario, DocumentError> {
    Scenario::read(Path::new("s.toml"), text)
}
