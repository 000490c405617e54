//! Where a document came from, and what is wrong in it at which place.

use std::path::{Path, PathBuf};

use toml::de::DeTable;

use crate::Section;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {}{problem}", if key.is_empty() { String::new() } else { format!("{key}: ") }, file = file.display())]
pub struct DocumentError {
    /// The file.
    pub file: PathBuf,
    /// Counts from 1.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
    /// The whole key, with dots; empty where the document is no TOML.
    pub key: String,
    /// What is wrong, with the value and what is valid.
    pub problem: String,
}

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Counts from 1.
    pub line: usize,
    /// Counts characters from 1.
    pub column: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Where a text came from, for errors.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'d> {
    file: &'d Path,
    text: &'d str,
}

impl<'d> Origin<'d> {
    /// The text of a file.
    pub fn new(file: &'d Path, text: &'d str) -> Self {
        Self { file, text }
    }

    /// Parses the text and hands its root to `read`. A syntax error names its place; a key that is not in `known` is
    /// refused.
    pub fn read<T>(
        self,
        known: &'static [&'static str],
        read: impl FnOnce(&Section<'_>) -> Result<T, DocumentError>,
    ) -> Result<T, DocumentError> {
        let root = DeTable::parse(self.text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            self.error(at, "", format!("this is no TOML: {}", error.message()))
        })?;
        let section = Section::open(self, "", root.span(), root.get_ref(), known)?;
        read(&section)
    }

    /// The place of a byte of the text.
    pub(crate) fn place(self, at: usize) -> Place {
        let before = self.text.get(..at.min(self.text.len())).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |n| n + 1);
        let in_line = before.get(line_start..).unwrap_or_default();
        Place {
            line: before.matches('\n').count() + 1,
            column: in_line.chars().count() + 1,
        }
    }

    pub(crate) fn error(self, at: usize, key: &str, problem: impl Into<String>) -> DocumentError {
        let Place { line, column } = self.place(at);
        DocumentError {
            file: self.file.to_owned(),
            line,
            column,
            key: key.to_owned(),
            problem: problem.into(),
        }
    }
}
