//! The request to get out, as an agent sees it.
//!
//! Deliberately absent: the limits themselves. The node decides when to ask and when to kill.

use std::sync::Arc;
use std::time::Duration;

use super::shared::{Origin, Shared};
use crate::CancelReason;

/// A request to get out (RUN-12): save what matters and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// Why.
    pub reason: CancelReason,
    /// The reason's number in the rule book (RUN-16).
    pub number: u8,
    /// How long after the request the kill comes; absent = no kill is set.
    pub grace: Option<Duration>,
}

/// Tells whether the run was asked to cancel. Cheap to clone, and may go to other threads.
#[derive(Debug, Clone)]
pub struct Cancellation {
    pub(super) shared: Arc<Shared>,
}

impl Cancellation {
    /// A cancellation without a node, and the hand that requests it: for the tests of an agent's author.
    pub fn pair() -> (Canceller, Self) {
        let shared = Arc::new(Shared::default());
        let canceller = Canceller {
            shared: Arc::clone(&shared),
        };
        (canceller, Self { shared })
    }

    /// Whether the run was asked to cancel.
    pub fn is_requested(&self) -> bool {
        self.requested().is_some()
    }

    /// The request, if there was one: its reason, number and grace.
    pub fn requested(&self) -> Option<Cancel> {
        self.shared.requested()
    }

    /// Waits for a request, at most so long, and returns whether there was one. This is how an agent pauses: a sleep
    /// would not hear the request.
    pub fn wait(&self, timeout: Duration) -> bool {
        self.shared.wait_for_request(timeout)
    }
}

/// Requests the cancellation that [`Cancellation::pair`] made with it.
#[derive(Debug)]
pub struct Canceller {
    shared: Arc<Shared>,
}

impl Canceller {
    /// Asks to cancel. The first request stands.
    pub fn request(&self, cancel: Cancel) {
        self.shared.request(cancel, Origin::Node);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_its_time_when_nobody_asks() {
        let (_canceller, cancellation) = Cancellation::pair();
        assert!(!cancellation.wait(Duration::from_millis(1)));
        assert!(!cancellation.is_requested());
    }

    #[test]
    fn a_request_wakes_who_waits() {
        let (canceller, cancellation) = Cancellation::pair();
        let waiting = {
            let cancellation = cancellation.clone();
            std::thread::spawn(move || cancellation.wait(Duration::from_mins(1)))
        };
        let cancel = Cancel {
            reason: CancelReason::EnergySaver,
            number: 11,
            grace: None,
        };
        canceller.request(cancel.clone());
        assert!(waiting.join().unwrap());
        assert_eq!(cancellation.requested(), Some(cancel));
    }
}
