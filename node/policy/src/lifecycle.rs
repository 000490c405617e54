//! The lifecycles, as tables: what an arrival means to a registration, and how a run moves.
//!
//! Nothing here looks at time, readings or grants: those are the gates of [`admission`](crate::admission).

use crate::RunState;

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
    /// A push: it carries a payload.
    Payload,
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
        (S::Idle, A::Payload) => R::Queue,
        (S::Idle, A::Raised) => R::Admit,
        (S::Waiting, A::Bare) => R::Coalesce,
        (S::Waiting, A::Payload) => R::Queue,
        (S::Waiting, A::Raised) => R::CurrentlyRunning,
        (S::Running, A::Bare) => R::Admit,
        (S::Running, A::Payload) => R::Queue,
        (S::Running, A::Raised) => R::CurrentlyRunning,
        (S::RunningAndWaiting, A::Bare) => R::Coalesce,
        (S::RunningAndWaiting, A::Payload) => R::Queue,
        (S::RunningAndWaiting, A::Raised) => R::CurrentlyRunning,
        (S::Spent, A::Bare) => R::Ignore,
        (S::Spent, A::Payload) => R::Ignore,
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

impl RunState {
    /// Ordered and not yet confirmed.
    pub(crate) const fn is_starting(self) -> bool {
        match self {
            Self::Starting => true,
            Self::Running | Self::Cancelling | Self::Killing => false,
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
            for arrival in [Arrival::Bare, Arrival::Payload, Arrival::Raised] {
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
        insta::assert_snapshot!(text);
    }
}
