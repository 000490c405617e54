//! Triggers and conditions, both ways. More can be shown than registered: what this node cannot watch for is refused by name.

use lull_policy as policy;
use lull_proto::local::v1 as wire;
use lull_proto::problem;
use tonic::Status;

use crate::sources::subject::{self, SubjectError};

/// The triggers that can be set.
const OFFERED: &str = "set one of timer, maintenance, system, push, application, control_channel, socket, device_watcher, files, bus, media, device_use, device_servicing";

/// A trigger as asked for; one that this node cannot watch for is refused by name.
pub(super) fn trigger(trigger: Option<wire::Trigger>) -> Result<policy::Trigger, Status> {
    use wire::trigger::Kind;
    let kind = trigger
        .and_then(|trigger| trigger.kind)
        .ok_or_else(|| problem::invalid("trigger", format!("missing; {OFFERED}")))?;
    let not_offered = match kind {
        Kind::Timer(wire::TimerTrigger { minutes, one_shot }) => {
            return Ok(policy::Trigger::Timer { minutes, one_shot });
        }
        Kind::System(system) => {
            return Ok(policy::Trigger::System {
                event: system_event(system.event)?,
                one_shot: system.one_shot,
            });
        }
        Kind::Maintenance(wire::MaintenanceTrigger { minutes, one_shot }) => {
            return Ok(policy::Trigger::Maintenance { minutes, one_shot });
        }
        Kind::Push(wire::PushTrigger {}) => return Ok(policy::Trigger::Push),
        Kind::Application(wire::ApplicationTrigger {}) => return Ok(policy::Trigger::Application),
        Kind::DeviceWatcher(wire::DeviceWatcherTrigger { pattern }) => {
            let pattern = named("device_watcher.pattern", subject::pattern(&pattern))?;
            return Ok(policy::Trigger::DeviceWatcher { pattern });
        }
        Kind::Files(wire::FilesTrigger { path }) => {
            let path = named("files.path", subject::path(&path))?;
            return Ok(policy::Trigger::Files { path });
        }
        Kind::Bus(wire::BusTrigger { event }) => {
            let event = named("bus.event", subject::event(&event))?;
            return Ok(policy::Trigger::Bus { event });
        }
        Kind::Media(wire::MediaTrigger {}) => return Ok(policy::Trigger::Media),
        Kind::DeviceUse(wire::DeviceUseTrigger {}) => return Ok(policy::Trigger::DeviceUse),
        Kind::DeviceServicing(wire::DeviceServicingTrigger {}) => {
            return Ok(policy::Trigger::DeviceServicing);
        }
        Kind::ControlChannel(wire::ControlChannelTrigger {
            id,
            keep_alive_minutes,
            hardware,
        }) => {
            return Ok(policy::Trigger::ControlChannel {
                id: named("control_channel.id", subject::plain(&id))?,
                keep_alive_minutes,
                slot: if hardware {
                    policy::Slot::Hardware
                } else {
                    policy::Slot::Software
                },
            });
        }
        Kind::Socket(wire::SocketTrigger { id }) => {
            let id = named("socket.id", subject::plain(&id))?;
            return Ok(policy::Trigger::Socket { id });
        }
        Kind::Periodic(_) => return Err(scheduled("periodic")),
        Kind::ResourceIntensive(_) => return Err(scheduled("resource_intensive")),
        Kind::UpdateTask(_) => "update_task",
    };
    Err(problem::invalid(
        &format!("trigger.{not_offered}"),
        format!("{not_offered} is not offered by this node yet; {OFFERED}"),
    ))
}

/// An agent's schedule is no registration.
fn scheduled(kind: &str) -> Status {
    problem::invalid(
        &format!("trigger.{kind}"),
        format!("{kind} agents are scheduled with AddScheduled, not registered; {OFFERED}"),
    )
}

/// What a trigger names, once it has the right form.
fn named(
    field: &str,
    checked: Result<policy::Subject, SubjectError>,
) -> Result<policy::Subject, Status> {
    checked.map_err(|error| problem::invalid(&format!("trigger.{field}"), error.to_string()))
}

/// System events as the wire has them.
const EVENTS: [(wire::SystemEvent, policy::SystemEvent); 14] = {
    use policy::SystemEvent as Ours;
    use wire::SystemEvent as Wire;
    [
        (Wire::SmsReceived, Ours::SmsReceived),
        (Wire::UserPresent, Ours::UserPresent),
        (Wire::UserAway, Ours::UserAway),
        (Wire::NetworkStateChange, Ours::NetworkStateChange),
        (Wire::ControlChannelReset, Ours::ControlChannelReset),
        (Wire::InternetAvailable, Ours::InternetAvailable),
        (Wire::SessionConnected, Ours::SessionConnected),
        (Wire::ServicingComplete, Ours::ServicingComplete),
        (
            Wire::LockScreenApplicationAdded,
            Ours::LockScreenApplicationAdded,
        ),
        (
            Wire::LockScreenApplicationRemoved,
            Ours::LockScreenApplicationRemoved,
        ),
        (Wire::TimeZoneChange, Ours::TimeZoneChange),
        (
            Wire::OnlineIdConnectedStateChange,
            Ours::OnlineIdConnectedStateChange,
        ),
        (
            Wire::BackgroundWorkCostChange,
            Ours::BackgroundWorkCostChange,
        ),
        (Wire::PowerStateChange, Ours::PowerStateChange),
    ]
};

/// A system event that this node tells of.
fn system_event(number: i32) -> Result<policy::SystemEvent, Status> {
    let refuse = |what: String| {
        let offered = EVENTS.map(|(wire, event)| format!("{} ({})", event.word(), i32::from(wire)));
        let offered = offered.join(", ");
        let message = format!("{what}; this node offers {offered}");
        Err(problem::invalid("trigger.system.event", message))
    };
    let Ok(event) = wire::SystemEvent::try_from(number) else {
        return refuse(format!("{number} is not known to this node"));
    };
    match EVENTS.iter().find(|(wire, _)| *wire == event) {
        Some((_, event)) => Ok(*event),
        None => refuse("missing".to_owned()),
    }
}

/// A condition as asked for.
pub(super) fn condition(place: usize, number: i32) -> Result<policy::Condition, Status> {
    use policy::Condition as To;
    use wire::Condition as From;
    Ok(match From::try_from(number) {
        Ok(From::UserPresent) => To::UserPresent,
        Ok(From::UserNotPresent) => To::UserNotPresent,
        Ok(From::InternetAvailable) => To::InternetAvailable,
        Ok(From::InternetNotAvailable) => To::InternetNotAvailable,
        Ok(From::SessionConnected) => To::SessionConnected,
        Ok(From::SessionDisconnected) => To::SessionDisconnected,
        Ok(From::FreeNetworkAvailable) => To::FreeNetworkAvailable,
        Ok(From::BackgroundWorkCostNotHigh) => To::BackgroundWorkCostNotHigh,
        Ok(From::Unspecified) | Err(_) => {
            let field = format!("conditions[{place}]");
            let message = format!("{number} is not known to this node; it knows 1 to 8");
            return Err(problem::invalid(&field, message));
        }
    })
}

/// A trigger as it stands.
pub(in crate::local) fn trigger_out(trigger: &policy::Trigger) -> wire::Trigger {
    use wire::trigger::Kind;
    let text = |subject: &policy::Subject| subject.to_string();
    let kind = match trigger {
        policy::Trigger::Timer { minutes, one_shot } => Kind::Timer(wire::TimerTrigger {
            minutes: *minutes,
            one_shot: *one_shot,
        }),
        policy::Trigger::Maintenance { minutes, one_shot } => {
            Kind::Maintenance(wire::MaintenanceTrigger {
                minutes: *minutes,
                one_shot: *one_shot,
            })
        }
        policy::Trigger::System { event, one_shot } => Kind::System(wire::SystemTrigger {
            event: system_event_out(*event).into(),
            one_shot: *one_shot,
        }),
        policy::Trigger::Push => Kind::Push(wire::PushTrigger {}),
        policy::Trigger::ControlChannel {
            id,
            keep_alive_minutes,
            slot,
        } => Kind::ControlChannel(wire::ControlChannelTrigger {
            id: text(id),
            keep_alive_minutes: *keep_alive_minutes,
            hardware: *slot == policy::Slot::Hardware,
        }),
        policy::Trigger::Socket { id } => Kind::Socket(wire::SocketTrigger { id: text(id) }),
        policy::Trigger::Application => Kind::Application(wire::ApplicationTrigger {}),
        policy::Trigger::Media => Kind::Media(wire::MediaTrigger {}),
        policy::Trigger::DeviceUse => Kind::DeviceUse(wire::DeviceUseTrigger {}),
        policy::Trigger::DeviceServicing => Kind::DeviceServicing(wire::DeviceServicingTrigger {}),
        policy::Trigger::DeviceWatcher { pattern } => {
            let pattern = text(pattern);
            Kind::DeviceWatcher(wire::DeviceWatcherTrigger { pattern })
        }
        policy::Trigger::Files { path } => Kind::Files(wire::FilesTrigger { path: text(path) }),
        policy::Trigger::Bus { event } => Kind::Bus(wire::BusTrigger { event: text(event) }),
        // The machine refuses to register one: there is nothing to show.
        policy::Trigger::Reserved { name: _ } => return wire::Trigger::default(),
        policy::Trigger::Periodic => Kind::Periodic(wire::PeriodicTrigger {}),
        policy::Trigger::ResourceIntensive => {
            Kind::ResourceIntensive(wire::ResourceIntensiveTrigger {})
        }
        policy::Trigger::UpdateTask => Kind::UpdateTask(wire::UpdateTaskTrigger {}),
    };
    wire::Trigger { kind: Some(kind) }
}

fn system_event_out(event: policy::SystemEvent) -> wire::SystemEvent {
    let found = EVENTS.iter().find(|(_, ours)| *ours == event);
    found.map_or(wire::SystemEvent::Unspecified, |(wire, _)| *wire)
}

/// A condition as it stands.
pub(in crate::local) fn condition_out(condition: policy::Condition) -> wire::Condition {
    match condition {
        policy::Condition::UserPresent => wire::Condition::UserPresent,
        policy::Condition::UserNotPresent => wire::Condition::UserNotPresent,
        policy::Condition::InternetAvailable => wire::Condition::InternetAvailable,
        policy::Condition::InternetNotAvailable => wire::Condition::InternetNotAvailable,
        policy::Condition::SessionConnected => wire::Condition::SessionConnected,
        policy::Condition::SessionDisconnected => wire::Condition::SessionDisconnected,
        policy::Condition::FreeNetworkAvailable => wire::Condition::FreeNetworkAvailable,
        policy::Condition::BackgroundWorkCostNotHigh => wire::Condition::BackgroundWorkCostNotHigh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TRG-34.
    #[test]
    fn the_invalid_system_event_is_refused() {
        let event = wire::SystemEvent::Unspecified.into();
        let kind = wire::trigger::Kind::System(wire::SystemTrigger {
            event,
            one_shot: false,
        });
        let refused = trigger(Some(wire::Trigger { kind: Some(kind) })).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert_eq!(problem::violations(&refused)[0].0, "trigger.system.event");
    }

    /// CND-28.
    #[test]
    fn condition_value_zero_is_refused() {
        let refused = condition(0, wire::Condition::Unspecified.into()).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        assert_eq!(problem::violations(&refused)[0].0, "conditions[0]");
    }

    fn subject(text: &str) -> policy::Subject {
        policy::Subject::new(text).unwrap()
    }

    #[test]
    fn what_a_trigger_names_has_its_form() {
        let (pattern, path, event) = ("usb*x", "in", "door");
        let kinds = [
            (
                "trigger.device_watcher.pattern",
                wire::trigger::Kind::DeviceWatcher(wire::DeviceWatcherTrigger {
                    pattern: pattern.into(),
                }),
            ),
            (
                "trigger.files.path",
                wire::trigger::Kind::Files(wire::FilesTrigger { path: path.into() }),
            ),
            (
                "trigger.bus.event",
                wire::trigger::Kind::Bus(wire::BusTrigger {
                    event: event.into(),
                }),
            ),
            (
                "trigger.socket.id",
                wire::trigger::Kind::Socket(wire::SocketTrigger::default()),
            ),
            (
                "trigger.control_channel.id",
                wire::trigger::Kind::ControlChannel(wire::ControlChannelTrigger::default()),
            ),
        ];
        for (field, kind) in kinds {
            let refused = trigger(Some(wire::Trigger { kind: Some(kind) })).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
            assert_eq!(problem::violations(&refused)[0].0, field);
        }
    }

    #[test]
    fn triggers_and_conditions_survive_both_ways() {
        let triggers = [
            policy::Trigger::Timer {
                minutes: 43_199,
                one_shot: true,
            },
            policy::Trigger::System {
                event: policy::SystemEvent::InternetAvailable,
                one_shot: false,
            },
            policy::Trigger::System {
                event: policy::SystemEvent::SmsReceived,
                one_shot: true,
            },
            policy::Trigger::Push,
            policy::Trigger::Application,
            policy::Trigger::Media,
            policy::Trigger::DeviceUse,
            policy::Trigger::DeviceServicing,
            policy::Trigger::DeviceWatcher {
                pattern: subject("usb:046d:*"),
            },
            policy::Trigger::Files {
                path: subject("/srv/in"),
            },
            policy::Trigger::Bus {
                event: subject("com.example.Door com.example.Door1.Opened"),
            },
            policy::Trigger::Maintenance {
                minutes: 60,
                one_shot: true,
            },
            policy::Trigger::ControlChannel {
                id: subject("chat"),
                keep_alive_minutes: 15,
                slot: policy::Slot::Hardware,
            },
            policy::Trigger::ControlChannel {
                id: subject("chat"),
                keep_alive_minutes: 1_439,
                slot: policy::Slot::Software,
            },
            policy::Trigger::Socket {
                id: subject("door"),
            },
        ];
        for there in triggers {
            assert_eq!(trigger(Some(trigger_out(&there))).unwrap(), there);
        }
        let conditions = [
            policy::Condition::UserPresent,
            policy::Condition::UserNotPresent,
            policy::Condition::InternetAvailable,
            policy::Condition::InternetNotAvailable,
            policy::Condition::SessionConnected,
            policy::Condition::SessionDisconnected,
            policy::Condition::FreeNetworkAvailable,
            policy::Condition::BackgroundWorkCostNotHigh,
        ];
        for there in conditions {
            assert_eq!(condition(0, condition_out(there).into()).unwrap(), there);
        }
    }

    #[test]
    fn what_is_not_offered_yet_is_shown_and_refused_by_name() {
        let shown = [
            policy::Trigger::Periodic,
            policy::Trigger::ResourceIntensive,
            policy::Trigger::UpdateTask,
        ];
        for there in shown {
            let refused = trigger(Some(trigger_out(&there))).unwrap_err();
            let (field, message) = problem::violations(&refused).remove(0);
            let kind = there.kind().word().replace('-', "_");
            assert_eq!(field, format!("trigger.{kind}"));
            assert!(message.starts_with(&kind), "{message}");
        }
        for event in policy::SystemEvent::ALL {
            let wired = system_event_out(event);
            assert_ne!(wired, wire::SystemEvent::Unspecified, "{event:?}");
            assert_eq!(system_event(wired.into()).unwrap(), event);
        }
    }
}
