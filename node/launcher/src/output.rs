//! The last bytes that a run printed.
//!
//! Deliberately absent: logs. A program that wants one writes it to its own folder.

use std::collections::VecDeque;

/// Bytes kept: the last screen or two of a program that failed.
pub const OUTPUT: usize = 8 * 1024;

/// A ring of the last [`OUTPUT`] bytes of standard output and standard error.
#[derive(Debug, Default)]
pub(crate) struct Output {
    bytes: VecDeque<u8>,
}

impl Output {
    /// Adds bytes; the oldest go.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let tail = &bytes[bytes.len().saturating_sub(OUTPUT)..];
        let excess = (self.bytes.len() + tail.len()).saturating_sub(OUTPUT);
        self.bytes.drain(..excess);
        self.bytes.extend(tail);
    }

    /// What is kept, as text of at most [`OUTPUT`] bytes: each byte that is no text becomes U+FFFD, which may push the oldest out.
    pub(crate) fn text(&self) -> String {
        let bytes: Vec<u8> = self.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let start = text.ceil_char_boundary(text.len().saturating_sub(OUTPUT));
        text[start..].to_owned()
    }
}
