//! A hash of everything that a life was, so that two lives can be told apart (I10). Deliberately absent: the life itself.

use std::fmt::{self, Write as _};

use lull_policy::{Effect, Event, Now};

use crate::random::mix;

/// The hash so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    whole: bool,
}

impl Trace {
    /// `whole`: every word of every event and effect counts; else the instants and how much there was.
    pub(crate) const fn new(whole: bool) -> Self {
        Self { hash: 0, whole }
    }

    pub(crate) fn event(&mut self, now: Now, event: &Event) {
        self.hash = mix(self.hash, now.elapsed.as_millis());
        self.hash = mix(self.hash, now.wall.as_millis());
        self.say(event);
    }

    pub(crate) fn effects(&mut self, effects: &[Effect]) {
        self.hash = mix(self.hash, effects.len() as u64);
        self.say(&effects);
    }

    fn say(&mut self, what: &dyn fmt::Debug) {
        if self.whole {
            let mut words = Words { hash: self.hash };
            // Writing into a number cannot fail.
            drop(write!(words, "{what:?}"));
            self.hash = words.hash;
        }
    }

    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }
}

/// FNV-1a over what is written.
struct Words {
    hash: u64,
}

impl fmt::Write for Words {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        Ok(())
    }
}
