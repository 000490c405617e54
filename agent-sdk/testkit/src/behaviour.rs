//! How a virtual agent goes about its run.

use lull_policy::{Bytes, Span};

/// How a run ends when it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It reports completion and exits with 0.
    Complete,
    /// It reports that it could not do its work and exits with 75.
    Abort,
    /// It exits with 1.
    Crash,
}

/// What a run does when it is asked to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// It is out after so long.
    LeavesAfter(Span),
    /// It goes on as if nothing had been said.
    Ignores,
}

/// The behaviour of an entry point's runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// How long a run takes when it is left alone; absent = it never ends by itself.
    pub takes: Option<Span>,
    /// How it ends then.
    pub ending: Ending,
    /// What it does when asked to cancel.
    pub on_cancel: OnCancel,
    /// Peak memory, reached at the start. Over the cap of the run it is ended at once.
    pub memory: Bytes,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            takes: Some(Span::seconds(1)),
            ending: Ending::Complete,
            on_cancel: OnCancel::LeavesAfter(Span::ZERO),
            memory: Bytes::mib(1),
        }
    }
}

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
    pub fn with_ending(self, ending: Ending) -> Self {
        Self { ending, ..self }
    }
    /// Does so when it is asked to cancel.
    #[must_use]
    pub fn with_on_cancel(self, on_cancel: OnCancel) -> Self {
        Self { on_cancel, ..self }
    }
}
