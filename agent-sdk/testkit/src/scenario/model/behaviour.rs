//! How the runs of a task go.

use lull_policy::{Bytes, Span};

/// How one run goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// How long it takes when it is left alone; absent = for ever.
    pub takes: Option<Span>,
    /// How it ends then.
    pub ends: Ends,
    /// Peak memory, reached at the start.
    pub memory: Bytes,
    /// An allocation past the cap fails and the run goes on (trigger tasks only).
    pub handles_out_of_memory: bool,
    /// What it does when it is asked to cancel.
    pub on_cancel: OnCancel,
    /// Progress that it reports, by the time since its start; in file order.
    pub progress: Vec<Progress>,
    /// When after its start it updates its app's card.
    pub updates_card: Option<Span>,
    /// It tries to schedule itself from the background.
    pub adds_scheduled: bool,
    /// CPU time that it uses, spread evenly over `takes`.
    pub cpu: Span,
    /// Sockets that it binds; in file order.
    pub binds: Vec<Bind>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            takes: Some(Span::seconds(1)),
            ends: Ends::Complete,
            memory: Bytes::mib(1),
            handles_out_of_memory: false,
            on_cancel: OnCancel::LeavesAfter(Span::ZERO),
            progress: Vec::new(),
            updates_card: None,
            adds_scheduled: false,
            cpu: Span::ZERO,
            binds: Vec::new(),
        }
    }
}

/// How a run ends when it is left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ends {
    /// It reports completion.
    #[default]
    Complete,
    /// It reports that it could not do its work.
    Abort,
    /// It crashes.
    Crash,
    /// Its process ends and has reported nothing.
    ExitWithoutCompleting,
    /// Its code returns without a deferral while work goes on.
    ReturnWithWork,
}

/// What a run does when it is asked to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnCancel {
    /// It is out after so long.
    LeavesAfter(Span),
    /// It goes on as if nothing had been said.
    Ignores,
}

/// A report of progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Since the start of the run.
    pub after: Span,
    /// The meaning is the app's.
    pub value: u32,
}

/// A socket bound to an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bind {
    /// Since the start of the run.
    pub after: Span,
    /// To which.
    pub interface: Interface,
}

/// A network interface, by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Wi-Fi.
    Wifi,
    /// A cable.
    Ethernet,
    /// The modem (INT-09).
    Cellular,
}

impl Interface {
    /// Its word in files and timelines.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wifi => "wifi",
            Self::Ethernet => "ethernet",
            Self::Cellular => "cellular",
        }
    }
}
