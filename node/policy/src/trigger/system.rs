//! `SystemTrigger` (TRG-01, TRGC-02, TRGC-03): edges of the device's own state.
//!
//! Edges come from [`readings`](crate::readings), which takes the first level of each kind as a baseline.

use crate::trigger::Route;
use crate::turn::Turn;
use crate::{Source, SystemEvent};

/// Who reports the level whose edge it is.
pub(crate) const fn source(event: SystemEvent) -> Source {
    match event {
        SystemEvent::InternetAvailable => Source::Network,
    }
}

/// What fires it, for people.
pub(crate) fn words(event: SystemEvent, one_shot: bool) -> String {
    let event = match event {
        SystemEvent::InternetAvailable => "the Internet becoming available, after it was not",
    };
    if one_shot {
        format!("once, {event}")
    } else {
        event.to_owned()
    }
}

impl Turn<'_> {
    /// Fires every registration that listens to this event.
    pub(crate) fn system_event(&mut self, event: SystemEvent) {
        for id in self.device.index.routed(&Route::System(event)) {
            self.fire(id);
        }
    }
}
