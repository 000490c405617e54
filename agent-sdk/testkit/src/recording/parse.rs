//! The text of a recording: every line is read before anything is replayed.

use std::path::{Path, PathBuf};

use lull_recording::{Entry, Header, Snapshot, VERSION};

/// A recording: a snapshot of the machine, and what it was told from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The file it was read from, for messages.
    pub file: PathBuf,
    /// Its first line.
    pub header: Header,
    /// What it begins with.
    pub(super) start: Snapshot,
    /// What comes after it.
    pub(super) entries: Vec<Numbered>,
}

/// An entry and its line, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) line: usize,
    pub(super) entry: Entry,
}

/// Why a recording cannot be used, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}", file = file.display())]
pub struct RecordingError {
    /// The file.
    pub file: PathBuf,
    /// Counts from 1.
    pub line: usize,
    /// What is wrong, and what to do.
    pub problem: String,
}

/// The line of the first entry.
const FIRST: usize = 2;

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// The first line that cannot be used, and why.
    pub fn read(file: &Path, bytes: &[u8]) -> Result<Self, RecordingError> {
        let error = |line: usize, problem: String| RecordingError {
            file: file.to_owned(),
            line,
            problem,
        };
        let lines = bytes
            .strip_suffix(b"\n")
            .unwrap_or(bytes)
            .split(|byte| *byte == b'\n');
        let mut texts = lines.enumerate().map(|(index, line)| {
            let line_number = index + 1;
            let text = std::str::from_utf8(line);
            let text = text.map_err(|_bytes| {
                error(
                    line_number,
                    "this is no text; the line is damaged".to_owned(),
                )
            })?;
            Ok((line_number, text))
        });
        let (line, text) = texts.next().unwrap_or(Ok((1, "")))?;
        let header = header(text).map_err(|problem| error(line, problem))?;
        let mut entries = Vec::new();
        for numbered in texts {
            let (line, text) = numbered?;
            let entry = Entry::read(text);
            let entry = entry.map_err(|wrong| error(line, unreadable(&wrong)))?;
            entries.push(Numbered { line, entry });
        }
        let mut entries = entries.into_iter();
        let start = match entries.next().map(|first| first.entry) {
            Some(Entry::Snapshot(snapshot)) => *snapshot,
            Some(Entry::Event(..)) => {
                return Err(error(
                    FIRST,
                    "the first entry has to be a snapshot; what came before it is missing"
                        .to_owned(),
                ));
            }
            None => {
                return Err(error(
                    FIRST,
                    "it ends before its first entry, which has to be a snapshot".to_owned(),
                ));
            }
        };
        Ok(Self {
            file: file.to_owned(),
            header,
            start,
            entries: entries.collect(),
        })
    }
}

/// Reads the first line; a newer format may say anything else in it.
fn header(text: &str) -> Result<Header, String> {
    const EXPECTED: &str =
        "this is no recording: its first line has to be the header that `lull recording` writes";
    let value: serde_json::Value =
        serde_json::from_str(text).map_err(|_no_json| EXPECTED.to_owned())?;
    let version = value
        .get("lull-recording")
        .and_then(serde_json::Value::as_u64);
    let version = version.ok_or(EXPECTED)?;
    if version > u64::from(VERSION) {
        let node = value.get("node").and_then(serde_json::Value::as_str);
        return Err(format!(
            "this recording has format version {version}, this release knows up to {VERSION}; use the release of the node that \
             wrote it ({})",
            node.unwrap_or("not named")
        ));
    }
    serde_json::from_value(value).map_err(|wrong| format!("the header cannot be used: {wrong}"))
}

fn unreadable(wrong: &serde_json::Error) -> String {
    if wrong.is_eof() {
        format!("the entry is cut off ({wrong}); record it again")
    } else {
        format!("the entry is damaged, or of a release with other words ({wrong})")
    }
}
