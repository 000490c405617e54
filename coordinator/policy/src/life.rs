//! The life of a push at the coordinator: when it expires in the mailboxes, when a silent device is given up, when it is removed.
//!
//! The store keeps one due time per push and gives those that are due; [`Life::due`] says what to do.
//!
//! Deliberately absent: the store, and the clock.

use crate::{Hop, Wall, Word, bounds};

/// A push as the sweep sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// When its time to live ends.
    pub expires: Wall,
    /// When its last device got its terminal receipt; `None` while one is open.
    pub closed: Option<Wall>,
}

/// What the sweep does with a push. Each is done in bounded steps and may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing before this time.
    Wait(Wall),
    /// Close the rows that were never offered with [`Hop::Expired`]; next due at the time given.
    Expire {
        /// When those that were offered are given up.
        next: Wall,
    },
    /// Close what is open with [`given_up`].
    GiveUp,
    /// Remove it.
    Remove,
}

impl Life {
    /// What is due.
    pub fn due(self, now: Wall) -> Due {
        match self.closed {
            Some(closed) => {
                let at = removal(closed);
                if now >= at {
                    Due::Remove
                } else {
                    Due::Wait(at)
                }
            }
            None if now < self.expires => Due::Wait(self.expires),
            None => {
                let next = self.expires.after(bounds::SILENCE);
                if now >= next {
                    Due::GiveUp
                } else {
                    Due::Expire { next }
                }
            }
        }
    }
}

/// When a push whose last device is done may be removed.
pub fn removal(closed: Wall) -> Wall {
    closed.after(bounds::KEPT_AFTER_END)
}

/// The terminal hop of a device that may hold the push and has said nothing for [`bounds::SILENCE`] after its end.
pub fn given_up() -> Option<Hop> {
    let reason = Word::new("device-silent").ok()?;
    Some(Hop::Dropped { reason })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Span;

    #[test]
    fn what_is_due_when() {
        let expires = Wall::from_millis(1_000);
        let next = expires.after(bounds::SILENCE);
        let closed = Wall::from_millis(500);
        let end = closed.after(Span::hours(24));
        let before = |at: Wall| Wall::from_millis(at.as_millis() - 1);
        let open = Life {
            expires,
            closed: None,
        };
        let done = Life {
            expires,
            closed: Some(closed),
        };
        let table = [
            (open, before(expires), Due::Wait(expires)),
            (open, expires, Due::Expire { next }),
            (open, before(next), Due::Expire { next }),
            (open, next, Due::GiveUp),
            (done, expires, Due::Wait(end)),
            (done, before(end), Due::Wait(end)),
            (done, end, Due::Remove),
            (done, next, Due::Remove),
        ];
        for (life, now, expected) in table {
            assert_eq!(life.due(now), expected, "{life:?} at {now:?}");
        }
        assert!(given_up().is_some_and(|hop| hop.is_terminal()));
    }
}
