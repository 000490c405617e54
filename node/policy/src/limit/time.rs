//! The time of a run (RES-01, RUN-12, RUN-13, TRGD-24): asked to cancel a grace before its end, then killed.
//!
//! Set at the start and never moved later; deferrals do not lengthen it (RUN-11).

use crate::{AgentDeclaration, Policy, Running, Span, Trigger};

/// When a run is asked to cancel, and when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The request, with `ExecutionTimeExceeded`.
    pub(crate) cancel_at: Running,
    /// The kill.
    pub(crate) kill_at: Running,
}

/// The limits of a run that starts now. A manifest may only shorten its time; a life shorter than the grace is
/// asked to cancel at its start.
pub(crate) fn limits(
    trigger: Trigger,
    policy: &Policy,
    agent: Option<&AgentDeclaration>,
    start: Running,
) -> Limits {
    let class = class(trigger, policy);
    let life = agent
        .and_then(|agent| agent.time)
        .map_or(class, |own| own.min(class));
    Limits {
        cancel_at: start.after(life.saturating_sub(policy.cancel_grace)),
        kill_at: start.after(life),
    }
}

/// RES-02: the time class of a trigger kind.
const fn class(trigger: Trigger, policy: &Policy) -> Span {
    match trigger {
        Trigger::Timer { .. } | Trigger::System { .. } | Trigger::Push => policy.task_time,
        Trigger::Application => policy.application_time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntryPoint, SystemEvent, TaskType};

    #[test]
    fn limits_by_class_and_manifest() {
        let timer = Trigger::Timer {
            minutes: 15,
            one_shot: false,
        };
        let system = Trigger::System {
            event: SystemEvent::InternetAvailable,
            one_shot: false,
        };
        let rows = [
            (timer, None, 25_000, 30_000),
            (system, None, 25_000, 30_000),
            (Trigger::Push, None, 25_000, 30_000),
            (Trigger::Application, None, 595_000, 600_000),
            (timer, Some(10), 5_000, 10_000),
            (timer, Some(31), 25_000, 30_000),
            (timer, Some(30), 25_000, 30_000),
            (timer, Some(29), 24_000, 29_000),
            (timer, Some(3), 0, 3_000),
            (Trigger::Application, Some(60), 55_000, 60_000),
        ];
        for (trigger, own, cancel, kill) in rows {
            let agent = AgentDeclaration {
                entry_point: EntryPoint::new("sync").unwrap(),
                types: vec![TaskType::Timer],
                memory: None,
                time: own.map(Span::seconds),
            };
            let start = Running::from_millis(7);
            let found = limits(trigger, &Policy::default(), Some(&agent), start);
            let expected = Limits {
                cancel_at: start.after(Span::millis(cancel)),
                kill_at: start.after(Span::millis(kill)),
            };
            assert_eq!(found, expected, "{trigger:?} {own:?}");
        }
    }
}
