//! The time of a run (RES-01 to RES-03, RUN-12, RUN-13, TRGD-24, ENT-01): asked to cancel a grace before its end, then
//! killed. Scheduled agents are not asked (RUN-45).
//!
//! Set at the start and never moved later, but by a debugger (RES-22); deferrals do not lengthen it (RUN-11).

use crate::turn::Turn;
use crate::{
    AgentDeclaration, App, Bytes, Capability, DeviceKind, Policy, Profile, Run, Running, Span,
    TriggerKind, limit,
};

/// When a run is asked to cancel, and when it is killed; absent = never for its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// The request, with `ExecutionTimeExceeded`.
    pub(crate) cancel_at: Option<Running>,
    /// The kill.
    pub(crate) kill_at: Option<Running>,
}

impl Limits {
    /// No limit at all.
    pub(crate) const NONE: Self = Self {
        cancel_at: None,
        kill_at: None,
    };
}

/// Whose limits are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: TriggerKind,
    pub(crate) policy: &'a Policy,
    pub(crate) profile: &'a Profile,
    pub(crate) app: Option<&'a App>,
    pub(crate) agent: Option<&'a AgentDeclaration>,
}

/// The limits of a run that starts now. A manifest may only shorten its time; a life shorter than the grace is
/// asked to cancel at its start.
pub(crate) fn limits(subject: Subject<'_>, start: Running) -> Limits {
    let Some(class) = class(subject) else {
        return Limits::NONE;
    };
    let own = subject.agent.and_then(|agent| agent.time);
    let life = own.map_or(class, |own| own.min(class));
    let asked = !subject.kind.is_scheduled();
    let notice = start.after(life.saturating_sub(subject.policy.cancel_grace));
    Limits {
        cancel_at: asked.then_some(notice),
        kill_at: Some(start.after(life)),
    }
}

/// RES-02: the time class of a trigger kind; absent = no limit (TRGD-31 on phones, ENT-01).
fn class(subject: Subject<'_>) -> Option<Span> {
    let Subject { policy, .. } = subject;
    let unlimited = |app: &App| app.can(Capability::ExtendedBackgroundTaskTime);
    if !subject.kind.is_scheduled() && subject.app.is_some_and(unlimited) {
        return None;
    }
    match subject.kind {
        TriggerKind::Timer
        | TriggerKind::System(_)
        | TriggerKind::Push
        | TriggerKind::ControlChannel
        | TriggerKind::Socket
        | TriggerKind::DeviceWatcher
        | TriggerKind::Files
        | TriggerKind::Bus
        | TriggerKind::Reserved
        | TriggerKind::UpdateTask => Some(policy.task_time),
        TriggerKind::Maintenance => Some(policy.maintenance_time),
        TriggerKind::Application | TriggerKind::Media => Some(policy.application_time),
        TriggerKind::DeviceUse => match subject.profile.kind {
            DeviceKind::Pc | DeviceKind::Headless => Some(policy.device_use_time),
            DeviceKind::Phone => None,
        },
        TriggerKind::DeviceServicing => Some(policy.servicing_time),
        TriggerKind::Periodic => Some(policy.periodic_time),
        TriggerKind::ResourceIntensive => Some(policy.intensive_time),
    }
}

impl Turn<'_> {
    /// The limits and the cap of a run under way as if it started now (RES-22: after a debugger left).
    pub(crate) fn limits_of(&self, run: &Run) -> (Limits, Option<Bytes>) {
        let device = &*self.device;
        let app = device.apps.get(&run.app);
        let agent = run
            .entry_point
            .as_ref()
            .and_then(|entry| app.and_then(|app| app.agent(entry)));
        let subject = Subject {
            kind: run.kind,
            policy: &device.policy,
            profile: &device.profile,
            app,
            agent,
        };
        let cap = limit::memory::cap(subject, run.host);
        (limits(subject, self.now.running), cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EntryPoint, Signer, SystemEvent, TaskType};

    fn agent(seconds: Option<u64>) -> AgentDeclaration {
        AgentDeclaration {
            entry_point: EntryPoint::new("sync").unwrap(),
            types: vec![TaskType::Timer],
            memory: None,
            time: seconds.map(Span::seconds),
            multiple_instances: false,
            resource_group: None,
        }
    }

    fn found(kind: TriggerKind, own: Option<u64>, profile: &Profile) -> (Option<u64>, Option<u64>) {
        let subject = Subject {
            kind,
            policy: &Policy::default(),
            profile,
            app: None,
            agent: Some(&agent(own)),
        };
        let start = Running::from_millis(7);
        let limits = limits(subject, start);
        let seconds = |at: Option<Running>| at.map(|at| at.since(start).as_millis() / 1000);
        (seconds(limits.cancel_at), seconds(limits.kill_at))
    }

    #[test]
    fn limits_by_class_and_manifest() {
        use TriggerKind as K;
        let rows = [
            (K::Timer, None, (Some(25), Some(30))),
            (
                K::System(SystemEvent::InternetAvailable),
                None,
                (Some(25), Some(30)),
            ),
            (K::Push, None, (Some(25), Some(30))),
            (K::ControlChannel, None, (Some(25), Some(30))),
            (K::UpdateTask, None, (Some(25), Some(30))),
            (K::Maintenance, None, (Some(595), Some(600))),
            (K::Application, None, (Some(595), Some(600))),
            (K::Media, None, (Some(595), Some(600))),
            (K::DeviceUse, None, (Some(595), Some(600))),
            (K::DeviceServicing, None, (Some(1795), Some(1800))),
            (K::Periodic, None, (None, Some(25))),
            (K::ResourceIntensive, None, (None, Some(600))),
            (K::Timer, Some(10), (Some(5), Some(10))),
            (K::Timer, Some(31), (Some(25), Some(30))),
            (K::Timer, Some(30), (Some(25), Some(30))),
            (K::Timer, Some(29), (Some(24), Some(29))),
            (K::Timer, Some(3), (Some(0), Some(3))),
            (K::Application, Some(60), (Some(55), Some(60))),
            (K::Periodic, Some(10), (None, Some(10))),
            (K::Periodic, Some(26), (None, Some(25))),
        ];
        for (kind, own, expected) in rows {
            assert_eq!(
                found(kind, own, &Profile::default()),
                expected,
                "{kind:?} {own:?}"
            );
        }
        let phone = Profile {
            kind: DeviceKind::Phone,
            ..Profile::default()
        };
        assert_eq!(found(K::DeviceUse, None, &phone), (None, None));
    }

    #[test]
    fn only_the_operators_signature_lifts_the_limit_of_trigger_tasks() {
        let rows = [
            (Signer::None, TriggerKind::Timer, true),
            (Signer::Maker, TriggerKind::Timer, true),
            (Signer::Operator, TriggerKind::Timer, false),
            (Signer::Operator, TriggerKind::Periodic, true),
        ];
        for (signed_by, kind, limited) in rows {
            let app = App {
                capabilities: [Capability::ExtendedBackgroundTaskTime].into(),
                signed_by,
                ..crate::test::app("mail")
            };
            let subject = Subject {
                kind,
                policy: &Policy::default(),
                profile: &Profile::default(),
                app: Some(&app),
                agent: None,
            };
            let limits = limits(subject, Running::default());
            assert_eq!(limits.kill_at.is_some(), limited, "{signed_by:?} {kind:?}");
        }
    }
}
