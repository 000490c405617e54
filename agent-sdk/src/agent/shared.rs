//! What the agent's own threads and the thread that talks to the node have in common.
//!
//! What is to be said is kept as counts and newest values, not as a queue: so it cannot overflow while the daemon is
//! away, and a slow one gets the newest progress. Deliberately absent: reading and writing.

use std::os::fd::OwnedFd;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lull_proto::agent::FromAgent;
use lull_proto::handover::HandOver;
use tokio::sync::Notify;

use super::memory::MemoryNow;
use super::{Cancel, MemoryUsage};

/// Who asks to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The node, over the socket: it knows the reason.
    Node,
    /// A signal: all it says is that the process shall end.
    Signal,
}

#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// Whoever hands a socket over.
    handing_over: Mutex<()>,
    /// For threads that wait for an answer, a request or an end.
    changed: Condvar,
    /// For the thread that talks to the node: there is something to say.
    pub(super) wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    cancel: Option<(Cancel, Origin)>,
    /// Deferrals not completed.
    deferrals: usize,
    /// The newest, said or not.
    progress: Option<u32>,
    unsaid: Unsaid,
    /// Something was handed over that the socket has not taken yet.
    unwritten: bool,
    /// The node's end of the socket is closed.
    away: bool,
    /// Nothing more will be said.
    over: bool,
    memory: Memory,
    levels: Levels,
    handing: Handing,
}

/// A socket on its way to the node; one at a time.
#[derive(Debug, Default)]
struct Handing {
    unsaid: Option<(HandOver, OwnedFd)>,
    /// Of the line that is being written.
    descriptor: Option<OwnedFd>,
    /// The node's answer: why not, if so.
    answer: Option<Result<(), String>>,
}

/// What the node has not been told yet.
#[derive(Debug, Default)]
struct Unsaid {
    progress: Option<u32>,
    deferrals_taken: usize,
    deferrals_completed: usize,
    memory_question: bool,
    follow_memory: bool,
    card: bool,
    end: Option<FromAgent>,
}

/// The newest level, and how many were told.
#[derive(Debug, Default)]
struct Levels {
    followed: bool,
    told: u64,
    newest: Option<MemoryNow>,
}

/// One answer is for all who asked before the last question went out; so neither a node that answers several at once
/// nor a lost answer puts them out of step.
#[derive(Debug, Default)]
struct Memory {
    asked: u64,
    said: u64,
    answered: u64,
    newest: Option<MemoryUsage>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_for(
        &self,
        timeout: Duration,
        mut done: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'_, State> {
        let pending = |state: &mut State| !done(state);
        let waited = self
            .changed
            .wait_timeout_while(self.lock(), timeout, pending);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Changes the state and wakes all who wait for a change.
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Adds to what is to be said and wakes who says it.
    fn say(&self, say: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        if !state.away {
            state.unwritten = true;
        }
        say(&mut state);
        drop(state);
        self.wake.notify_one();
    }
}

/// The request to cancel.
impl Shared {
    pub(super) fn requested(&self) -> Option<Cancel> {
        self.lock()
            .cancel
            .as_ref()
            .map(|(cancel, _)| cancel.clone())
    }

    /// Notes a request. The node's own words replace those of a signal; otherwise the first stands.
    pub(super) fn request(&self, cancel: Cancel, origin: Origin) {
        self.change(|state| {
            let stands = match &state.cancel {
                Some((_, Origin::Signal)) => origin == Origin::Signal,
                Some((_, Origin::Node)) => true,
                None => false,
            };
            if !stands {
                state.cancel = Some((cancel, origin));
            }
        });
    }

    /// Waits for a request; false when there was none in that time.
    pub(super) fn wait_for_request(&self, timeout: Duration) -> bool {
        let state = self.wait_for(timeout, |state| state.cancel.is_some());
        state.cancel.is_some()
    }
}

/// What the agent says.
impl Shared {
    pub(super) fn progress(&self, value: u32) {
        let before = self.lock().progress.replace(value);
        if before != Some(value) {
            self.say(|state| state.unsaid.progress = Some(value));
        }
    }

    pub(super) fn update_card(&self) {
        self.say(|state| state.unsaid.card = true);
    }

    pub(super) fn defer(&self) {
        self.say(|state| {
            state.deferrals += 1;
            state.unsaid.deferrals_taken += 1;
        });
    }

    pub(super) fn undefer(&self) {
        self.say(|state| {
            state.deferrals = state.deferrals.saturating_sub(1);
            state.unsaid.deferrals_completed += 1;
        });
        self.changed.notify_all();
    }

    /// Waits until every deferral is completed (RUN-11). Its deadline is the run's: after a request to cancel it waits
    /// for the grace at most, or for `grace` where the request names none.
    pub(super) fn wait_for_deferrals(&self, grace: Duration) {
        let mut state = self.lock();
        while state.deferrals > 0 && state.cancel.is_none() {
            let waited = self.changed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        let named = state.cancel.as_ref().and_then(|(cancel, _)| cancel.grace);
        drop(state);
        drop(self.wait_for(named.unwrap_or(grace), |state| state.deferrals == 0));
    }

    /// Says the last word and waits until the socket has taken it.
    pub(super) fn end(&self, end: FromAgent, patience: Duration) {
        self.say(|state| state.unsaid.end = Some(end));
        drop(self.wait_for(patience, |state| !state.unwritten || state.away));
    }

    pub(super) fn ask_memory(&self, patience: Duration) -> Option<MemoryUsage> {
        let mut ticket = 0;
        self.say(|state| {
            state.memory.asked += 1;
            state.unsaid.memory_question = true;
            ticket = state.memory.asked;
        });
        let state = self.wait_for(patience, |state| {
            state.memory.answered >= ticket || state.away
        });
        let answered = state.memory.answered >= ticket;
        state.memory.newest.filter(|_| answered)
    }

    /// Asks for levels, once.
    pub(super) fn follow_memory(&self) {
        self.say(|state| {
            state.unsaid.follow_memory |= !state.levels.followed;
            state.levels.followed = true;
        });
    }

    /// Waits for a level beyond the first so many; also how many were told.
    pub(super) fn wait_for_level(&self, seen: u64, timeout: Duration) -> (u64, Option<MemoryNow>) {
        let state = self.wait_for(timeout, |state| state.levels.told > seen || state.away);
        let news = state.levels.newest.filter(|_| state.levels.told > seen);
        (state.levels.told, news)
    }

    /// Hands a socket over: why it is refused, if it is; none = the node does not answer.
    pub(super) fn hand_over(
        &self,
        asked: HandOver,
        socket: OwnedFd,
        patience: Duration,
    ) -> Option<Result<(), String>> {
        let turn = self.handing_over.lock();
        let _turn = turn.unwrap_or_else(PoisonError::into_inner);
        self.say(|state| {
            state.handing.answer = None;
            state.handing.unsaid = Some((asked, socket));
        });
        let mut state = self.wait_for(patience, |state| {
            state.handing.answer.is_some() || state.away
        });
        // What was not said in time is not said any more: the caller has its socket back.
        state.handing.unsaid = None;
        state.handing.answer.take()
    }

    pub(super) fn close(&self) {
        self.change(|state| state.over = true);
        self.wake.notify_one();
    }

    pub(super) fn is_away(&self) -> bool {
        self.lock().away
    }
}

/// The side of the thread that talks to the node.
impl Shared {
    /// The next message, or none; then all that was said is written, as its caller writes each before it asks for
    /// the next. Progress may be held back, though not beyond the end.
    pub(super) fn next_message(&self, hold_progress: bool) -> Option<FromAgent> {
        let mut state = self.lock();
        let hold_progress = hold_progress && !state.over && state.unsaid.end.is_none();
        let State {
            unsaid,
            handing,
            memory,
            ..
        } = &mut *state;
        let held = unsaid.progress.take_if(|_| hold_progress);
        let next = if count_down(&mut unsaid.deferrals_taken) {
            Some(FromAgent::DeferralTaken {})
        } else if std::mem::take(&mut unsaid.card) {
            Some(FromAgent::UpdateCard {})
        } else if let Some(value) = unsaid.progress.take() {
            Some(FromAgent::Progress { value })
        } else if std::mem::take(&mut unsaid.memory_question) {
            memory.said = memory.asked;
            Some(FromAgent::MemoryUsage {})
        } else if std::mem::take(&mut unsaid.follow_memory) {
            Some(FromAgent::FollowMemory {})
        } else if let Some((asked, socket)) = handing.unsaid.take() {
            handing.descriptor = Some(socket);
            Some(FromAgent::HandOver(asked))
        } else if count_down(&mut unsaid.deferrals_completed) {
            Some(FromAgent::DeferralCompleted {})
        } else {
            unsaid.end.take()
        };
        state.unsaid.progress = state.unsaid.progress.or(held);
        if next.is_none() && state.unwritten {
            state.unwritten = false;
            drop(state);
            self.changed.notify_all();
        }
        next
    }

    pub(super) fn is_over(&self) -> bool {
        self.lock().over
    }

    pub(super) fn memory_is(&self, usage: MemoryUsage) {
        self.change(|state| {
            state.memory.answered = state.memory.said;
            state.memory.newest = Some(usage);
        });
    }

    pub(super) fn level_is(&self, now: MemoryNow) {
        self.change(|state| {
            state.levels.told += 1;
            state.levels.newest = Some(now);
        });
    }

    /// The descriptor of the message that was given last, if it has one.
    pub(super) fn take_descriptor(&self) -> Option<OwnedFd> {
        self.lock().handing.descriptor.take()
    }

    pub(super) fn handed_over(&self, refused: Option<String>) {
        let answer = refused.map_or(Ok(()), Err);
        self.change(|state| state.handing.answer = Some(answer));
    }

    pub(super) fn node_is_away(&self) {
        self.change(|state| {
            state.away = true;
            state.unwritten = false;
        });
    }
}

fn count_down(count: &mut usize) -> bool {
    let any = *count > 0;
    *count = count.saturating_sub(1);
    any
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::CancelReason;

    const LONG: Duration = Duration::from_mins(1);

    fn cancel(reason: CancelReason, grace: Option<Duration>) -> Cancel {
        Cancel {
            number: 0,
            reason,
            grace,
        }
    }

    #[test]
    fn the_nodes_own_words_replace_a_signals_and_nothing_else_does() {
        let shared = Shared::default();
        let reason = |shared: &Shared| shared.requested().unwrap().reason;
        shared.request(cancel(CancelReason::Terminating, None), Origin::Signal);
        shared.request(cancel(CancelReason::Uninstall, None), Origin::Node);
        assert_eq!(reason(&shared), CancelReason::Uninstall);
        shared.request(cancel(CancelReason::Abort, None), Origin::Node);
        shared.request(cancel(CancelReason::Terminating, None), Origin::Signal);
        assert_eq!(reason(&shared), CancelReason::Uninstall);
    }

    #[test]
    fn deferrals_hold_the_end_until_the_last_or_the_grace() {
        let shared = Arc::new(Shared::default());
        shared.wait_for_deferrals(LONG);
        shared.defer();
        shared.defer();
        let waiting = {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.wait_for_deferrals(LONG))
        };
        shared.undefer();
        shared.undefer();
        waiting.join().unwrap();
        shared.defer();
        let short = Some(Duration::from_millis(5));
        shared.request(cancel(CancelReason::Abort, short), Origin::Node);
        shared.wait_for_deferrals(LONG);
    }

    #[test]
    fn what_waits_to_be_said_does_not_grow_and_keeps_its_order() {
        let shared = Shared::default();
        (0..1_000).for_each(|value| shared.progress(value));
        shared.undefer();
        shared.defer();
        let said: Vec<_> = std::iter::from_fn(|| shared.next_message(false)).collect();
        let wanted = [
            FromAgent::DeferralTaken {},
            FromAgent::Progress { value: 999 },
            FromAgent::DeferralCompleted {},
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn progress_can_be_held_back_though_not_beyond_the_end() {
        let shared = Shared::default();
        shared.progress(1);
        assert_eq!(shared.next_message(true), None);
        shared.progress(2);
        let value = 2;
        assert_eq!(
            shared.next_message(false),
            Some(FromAgent::Progress { value })
        );
        shared.progress(2);
        assert_eq!(shared.next_message(false), None, "it was said");
        shared.progress(3);
        shared.end(FromAgent::Complete {}, Duration::ZERO);
        let value = 3;
        assert_eq!(
            shared.next_message(true),
            Some(FromAgent::Progress { value })
        );
        assert_eq!(shared.next_message(true), Some(FromAgent::Complete {}));
    }

    #[test]
    fn an_answer_is_for_all_who_asked_and_a_lost_one_is_made_up_for() {
        let shared = Shared::default();
        let usage = MemoryUsage {
            usage: Some(1),
            limit: None,
        };
        // Nobody answers the first.
        assert_eq!(shared.ask_memory(Duration::ZERO), None);
        assert_eq!(shared.next_message(false), Some(FromAgent::MemoryUsage {}));
        std::thread::scope(|scope| {
            let asking = [(); 3].map(|()| scope.spawn(|| shared.ask_memory(LONG)));
            while shared.lock().memory.asked < 4 {
                std::thread::yield_now();
            }
            assert_eq!(shared.next_message(false), Some(FromAgent::MemoryUsage {}));
            assert_eq!(shared.next_message(false), None);
            shared.memory_is(usage);
            for asked in asking {
                assert_eq!(asked.join().unwrap(), Some(usage));
            }
        });
    }

    #[test]
    fn nobody_waits_for_a_node_that_is_away() {
        let shared = Shared::default();
        shared.node_is_away();
        shared.end(FromAgent::Complete {}, LONG);
        assert_eq!(shared.ask_memory(LONG), None);
    }
}
