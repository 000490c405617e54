//! How a virtual agent goes about its run, in the words of a test.

use lull_policy::{Bytes, Span};

pub use crate::scenario::{Behaviour, Ends as Ending, OnCancel};

impl Behaviour {
    /// Completes after so long.
    pub fn takes(span: Span) -> Self {
        Self {
            takes: Some(span),
            ..Self::default()
        }
    }
    /// Never ends by itself and ignores every request to cancel.
    pub fn stubborn() -> Self {
        Self {
            takes: None,
            on_cancel: OnCancel::Ignores,
            ..Self::default()
        }
    }
    /// Uses so much memory at its start.
    #[must_use]
    pub fn with_memory(self, memory: Bytes) -> Self {
        Self { memory, ..self }
    }
    /// Ends so when it is left alone.
    #[must_use]
    pub fn with_ending(self, ends: Ending) -> Self {
        Self { ends, ..self }
    }
    /// Does so when it is asked to cancel.
    #[must_use]
    pub fn with_on_cancel(self, on_cancel: OnCancel) -> Self {
        Self { on_cancel, ..self }
    }
}
