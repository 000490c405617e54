//! A hash of everything that a life was, so that two lives can be told apart (I10). Deliberately absent: the life itself.

use std::collections::VecDeque;
use std::fmt::{self, Write as _};

use lull_policy::{Effect, Event, Now};

use crate::random::mix;

/// The hash so far.
#[derive(Debug)]
pub(crate) struct Trace {
    hash: u64,
    whole: bool,
    story: Option<VecDeque<String>>,
}

/// Turns that a story goes back to.
const STORY: usize = 40;

impl Trace {
    /// `whole`: every word of every event and effect counts; else the instants and how much there was.
    /// With `told` the last turns are kept in words.
    pub(crate) fn new(whole: bool, told: bool) -> Self {
        Self {
            hash: 0,
            whole,
            story: told.then(VecDeque::new),
        }
    }

    pub(crate) fn event(&mut self, at: u64, now: Now, event: &Event) {
        if let Some(story) = &mut self.story {
            if story.len() == STORY {
                story.pop_front();
            }
            story.push_back(format!("{at} {now:?}\n  {event:?}"));
        }
        self.hash = mix(self.hash, now.elapsed.as_millis());
        self.hash = mix(self.hash, now.wall.as_millis());
        self.say(event);
    }

    pub(crate) fn effects(&mut self, effects: &[Effect]) {
        self.hash = mix(self.hash, effects.len() as u64);
        self.say(&effects);
        if let Some(turn) = self.story.as_mut().and_then(VecDeque::back_mut) {
            for effect in effects {
                write!(turn, "\n    {effect:?}").expect("text takes text");
            }
        }
    }

    /// The last turns in words.
    pub(crate) fn story(&self) -> Vec<String> {
        self.story.iter().flatten().cloned().collect()
    }

    fn say(&mut self, what: &dyn fmt::Debug) {
        if self.whole {
            let mut words = Words { hash: self.hash };
            // Writing into a number cannot fail.
            write!(words, "{what:?}").expect("a hash takes every word");
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
