//! The policy to try: figures by name, as `node.toml` and scenario files have them.

use std::path::Path;

use lull_document::policy_figures::{self, FigureChange, NAMES};
use lull_document::{DocumentError, Origin};

/// The table that may hold the figures.
const TABLE: &str = "policy";

/// What may stand at the top level: the table, or the figures themselves.
const KEYS: &[&str] = &{
    let mut keys = [TABLE; NAMES.len() + 1];
    let mut index = 0;
    while index < NAMES.len() {
        keys[index] = NAMES[index];
        index += 1;
    }
    keys
};

/// Reads figures from the table `[policy]` of a text, or from its top level where it has no such table.
///
/// # Errors
/// What is wrong, where, and what would be valid.
pub fn figures(file: &Path, text: &str) -> Result<Vec<FigureChange>, DocumentError> {
    Origin::new(file, text).read(KEYS, |root| {
        let beside = root.keys().find(|key| *key != TABLE);
        let figures = match (root.section(TABLE, NAMES)?, beside) {
            (Some(_), Some(key)) => {
                let problem = "stands beside the table [policy]; put it into the table";
                return Err(root.error(key, problem));
            }
            (Some(table), None) => policy_figures::read(&table)?,
            (None, _) => policy_figures::read(root)?,
        };
        if figures.is_empty() {
            let problem = "no figure is set; write for instance periodic_interval = \"1h\"";
            return Err(root.error_here(problem));
        }
        Ok(figures)
    })
}
