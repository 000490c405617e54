//! The lifecycles, as tables: what an arrival means to a registration, and how a run moves.
//!
//! Nothing here looks at time, readings or grants: those are the gates of [`admission`](crate::admission).

use crate::{RunState, UpdateStage};

/// Where a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing of it is under way.
    Idle,
    /// A firing waits.
    Waiting,
    /// A run is under way.
    Running,
    /// A run is under way and a firing waits behind it.
    RunningAndWaiting,
    /// A one-shot that has started: it fires no more (AMB-35).
    Spent,
}

/// What arrives at a registration, by what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// A timer or a system event: it carries nothing.
    Bare,
    /// It carries something to tell.
    Payload,
    /// A push: as a payload, in the order of its app.
    Push,
    /// The app asks for it itself and waits for the answer.
    Raised,
}

/// What becomes of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reception {
    /// The gates decide whether it runs now or waits.
    Admit,
    /// It joins the one that waits.
    Coalesce,
    /// It waits in order behind the others, or runs now if there are none.
    Queue,
    /// The app is told that one is under way.
    CurrentlyRunning,
    /// Nobody listens any more.
    Ignore,
}

/// AMB-12: bare arrivals coalesce beyond one that waits, payloads queue, the app's own are refused; a spent
/// one-shot hears nothing (TRGC-02).
pub(crate) const fn receive(standing: Standing, arrival: Arrival) -> Reception {
    use {Arrival as A, Reception as R, Standing as S};
    match (standing, arrival) {
        (S::Idle, A::Bare) => R::Admit,
        (S::Idle, A::Payload | A::Push) => R::Queue,
        (S::Idle, A::Raised) => R::Admit,
        (S::Waiting, A::Bare) => R::Coalesce,
        (S::Waiting, A::Payload | A::Push) => R::Queue,
        (S::Waiting, A::Raised) => R::CurrentlyRunning,
        (S::Running, A::Bare) => R::Admit,
        (S::Running, A::Payload | A::Push) => R::Queue,
        (S::Running, A::Raised) => R::CurrentlyRunning,
        (S::RunningAndWaiting, A::Bare) => R::Coalesce,
        (S::RunningAndWaiting, A::Payload | A::Push) => R::Queue,
        (S::RunningAndWaiting, A::Raised) => R::CurrentlyRunning,
        (S::Spent, A::Bare) => R::Ignore,
        (S::Spent, A::Payload | A::Push) => R::Ignore,
        (S::Spent, A::Raised) => R::Ignore,
    }
}

/// What happens to a run before its end; its end is the same from every state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunEvent {
    /// The host started its processes.
    Started,
    /// A reason to cancel it came up.
    CancelDue,
    /// Its grace is over.
    KillDue,
}

/// How a run moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// To this state, with the effect that goes with it.
    To(RunState),
    /// The effect of the present state is ordered again: the first order may have overtaken the launch.
    Repeat,
    /// Nothing.
    Stay,
}

/// RUN-12, RUN-13: asked once, killed once, never back.
pub(crate) const fn advance(state: RunState, event: RunEvent) -> Move {
    use {Move as M, RunEvent as E, RunState as S};
    match (state, event) {
        (S::Starting, E::Started) => M::To(S::Running),
        (S::Starting, E::CancelDue) => M::To(S::Cancelling),
        (S::Starting, E::KillDue) => M::To(S::Killing),
        (S::Running, E::Started) => M::Stay,
        (S::Running, E::CancelDue) => M::To(S::Cancelling),
        (S::Running, E::KillDue) => M::To(S::Killing),
        (S::Cancelling, E::Started) => M::Repeat,
        (S::Cancelling, E::CancelDue) => M::Stay,
        (S::Cancelling, E::KillDue) => M::To(S::Killing),
        (S::Killing, E::Started) => M::Repeat,
        (S::Killing, E::CancelDue) => M::Stay,
        (S::Killing, E::KillDue) => M::Stay,
    }
}

/// What happens to an app that is being updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateEvent {
    /// A run of it ended.
    RunEnded,
    /// Its update task ended.
    TaskEnded,
}

/// How an update goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UpdateMove {
    /// The version changes if nothing runs any more.
    Drain,
    /// It is over: those that asked to hear of it do.
    Finish,
    /// Nothing.
    Stay,
}

/// MNG-09: drained, then the update task, then the event.
pub(crate) const fn update_moves(stage: UpdateStage, event: UpdateEvent) -> UpdateMove {
    use {UpdateEvent as E, UpdateMove as M, UpdateStage as S};
    match (stage, event) {
        (S::Draining, E::RunEnded) => M::Drain,
        (S::Draining, E::TaskEnded) => M::Drain,
        (S::Running, E::RunEnded) => M::Stay,
        (S::Running, E::TaskEnded) => M::Finish,
    }
}

impl RunState {
    /// Ordered and not yet confirmed.
    pub(crate) const fn is_starting(self) -> bool {
        match self {
            Self::Starting => true,
            Self::Running | Self::Cancelling | Self::Killing => false,
        }
    }

    /// Asked to end, one way or the other.
    pub(crate) const fn is_ending(self) -> bool {
        match self {
            Self::Cancelling | Self::Killing => true,
            Self::Starting | Self::Running => false,
        }
    }

    /// Its kill has not been ordered.
    pub(crate) const fn is_alive(self) -> bool {
        match self {
            Self::Starting | Self::Running | Self::Cancelling => true,
            Self::Killing => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    /// The whole matrix, so that a changed cell is seen in review.
    #[test]
    fn matrix() {
        let mut text = String::new();
        for standing in [
            Standing::Idle,
            Standing::Waiting,
            Standing::Running,
            Standing::RunningAndWaiting,
            Standing::Spent,
        ] {
            for arrival in [
                Arrival::Bare,
                Arrival::Payload,
                Arrival::Push,
                Arrival::Raised,
            ] {
                let reception = receive(standing, arrival);
                writeln!(
                    text,
                    "registration {standing:?} + {arrival:?} -> {reception:?}"
                )
                .unwrap();
            }
        }
        for state in [
            RunState::Starting,
            RunState::Running,
            RunState::Cancelling,
            RunState::Killing,
        ] {
            for event in [RunEvent::Started, RunEvent::CancelDue, RunEvent::KillDue] {
                writeln!(
                    text,
                    "run {state:?} + {event:?} -> {:?}",
                    advance(state, event)
                )
                .unwrap();
            }
        }
        for stage in [UpdateStage::Draining, UpdateStage::Running] {
            for event in [UpdateEvent::RunEnded, UpdateEvent::TaskEnded] {
                let moves = update_moves(stage, event);
                writeln!(text, "update {stage:?} + {event:?} -> {moves:?}").unwrap();
            }
        }
        insta::assert_snapshot!(text);
    }
}
