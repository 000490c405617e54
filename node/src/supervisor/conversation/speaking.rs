//! What an agent is told: its invocation, requests to cancel, its memory, answers. By message where it speaks, else by signal.

use lull_policy::Span;
use lull_proto::agent::{PROTOCOL, ToAgent};

use super::{Conversation, OUTBOX};
use crate::supervisor::order::line;
use crate::supervisor::seat::FromRun;

impl Conversation {
    /// RES-08. An agent that does not read is told the newest when it does.
    pub(super) fn tell_memory(&mut self) {
        if self.speaks()
            && self.outbox.len() < OUTBOX
            && let Some(line) = self.memory.line()
        {
            self.outbox.extend(line);
        }
    }

    pub(super) fn answer(&mut self, answer: &ToAgent) {
        if self.outbox.len() < OUTBOX {
            self.outbox.extend(line(answer));
        }
    }

    /// By a message where the agent speaks, else by the signal that plain commands know.
    pub(super) async fn pass_on_cancel(&mut self) {
        let Some(cancel) = *self.cancel.borrow_and_update() else {
            return;
        };
        if self.speaks() {
            let grace = cancel
                .kill_at
                .map(|at| at.since(self.setup.clock.now().running));
            self.outbox.extend(line(&ToAgent::Cancel {
                reason: word(cancel.reason),
                number: cancel.reason.number(),
                grace_ms: grace.map(Span::as_millis),
            }));
        } else if self.hosted.is_none() {
            self.tell_desk(FromRun::Terminate(self.run)).await;
        }
    }

    pub(super) fn speaks(&self) -> bool {
        let spoke = self.note.as_ref().is_some_and(|note| note.spoke);
        spoke && !self.mute && self.socket.is_some()
    }

    /// What it was to be told by message it is now told by signal.
    pub(super) async fn fall_silent(&mut self) {
        self.mute = true;
        self.outbox.clear();
        if self.cancel.borrow().is_some() && self.hosted.is_none() {
            self.tell_desk(FromRun::Terminate(self.run)).await;
        }
    }

    pub(super) async fn follow_memory(&mut self) {
        if self.hosted.is_some() {
            // It has no memory of its own to be told of.
            return;
        }
        let Some(note) = self.note.as_mut().filter(|note| !note.follows_memory) else {
            return;
        };
        note.follows_memory = true;
        let kept = note.encode();
        self.tell_desk(FromRun::Note(self.run, kept)).await;
        self.tell_desk(FromRun::FollowMemory(self.run)).await;
    }

    /// Answers hello, once.
    pub(super) async fn invoke(&mut self, protocol: u32) {
        let Some(note) = self.note.as_mut().filter(|_| !self.invoked) else {
            return;
        };
        self.invoked = true;
        note.spoke = true;
        note.invocation.protocol = protocol.clamp(1, PROTOCOL);
        let invocation = note.invocation(self.setup.clock.now());
        self.outbox.extend(line(&ToAgent::Invoke(invocation)));
        let kept = note.encode();
        if self.hosted.is_none() {
            self.tell_desk(FromRun::Note(self.run, kept)).await;
        }
        if self.cancel.borrow().is_some() {
            self.pass_on_cancel().await;
        }
    }
}

/// The reason by its name in the rule book.
fn word(reason: lull_policy::CancelReason) -> String {
    match serde_json::to_value(reason) {
        Ok(serde_json::Value::String(word)) => word,
        // A reason is one word; its number is said beside it in any case.
        _ => String::new(),
    }
}
