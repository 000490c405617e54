//! What fires a task: what an app registers for, and what an agent is told.
//!
//! Deliberately absent: figures. What a device accepts (how many minutes, how many registrations) is its policy,
//! and its answer names the limit.

/// What a task is registered for: exactly one per registration (ACC-22).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// A timer (TRGD-01 to 04).
    Timer {
        /// Minutes between runs, or until the only one. The book's policy accepts 15 to 43,199.
        minutes: u32,
        /// Once, then the registration is spent.
        one_shot: bool,
    },
    /// A system event (TRG).
    System {
        /// Which.
        event: SystemEvent,
        /// Once, then the registration is spent.
        one_shot: bool,
    },
    /// A raw push for the app (PSH-11).
    Push,
    /// The app's own request while it is in the foreground (TRGD-20 to 24), see
    /// [`Front::request_run`](crate::front::Front::request_run).
    Application,
}

impl Trigger {
    /// A run every so many minutes.
    pub const fn every(minutes: u32) -> Self {
        Self::Timer {
            minutes,
            one_shot: false,
        }
    }

    /// One run after so many minutes.
    pub const fn once_after(minutes: u32) -> Self {
        Self::Timer {
            minutes,
            one_shot: true,
        }
    }

    /// A run at each such event.
    pub const fn on(event: SystemEvent) -> Self {
        Self::System {
            event,
            one_shot: false,
        }
    }

    /// One run, at the next such event.
    pub const fn once_on(event: SystemEvent) -> Self {
        Self::System {
            event,
            one_shot: true,
        }
    }
}

/// A system event that tasks can be registered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SystemEvent {
    /// The Internet became available.
    InternetAvailable,
}

/// What fired a run, as its agent is told.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum FiredBy {
    /// A timer.
    Timer,
    /// A system event.
    System(SystemEvent),
    /// A raw push.
    Push,
    /// The app itself.
    Application,
    /// A trigger of a newer node, by its name there.
    Unrecognised(String),
}

impl FiredBy {
    pub(crate) fn named(name: &str) -> Self {
        match name {
            "timer" => Self::Timer,
            "push" => Self::Push,
            "application" => Self::Application,
            "system:internet-available" => Self::System(SystemEvent::InternetAvailable),
            newer => Self::Unrecognised(newer.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trigger_is_known_by_the_name_its_agent_gets() {
        let internet = FiredBy::System(SystemEvent::InternetAvailable);
        assert_eq!(FiredBy::named("system:internet-available"), internet);
        assert_eq!(FiredBy::named("push"), FiredBy::Push);
        let newer = FiredBy::Unrecognised("tides".to_owned());
        assert_eq!(FiredBy::named("tides"), newer);
    }
}
