//! Why a run is asked to cancel, with the rule book's names and numbers (RUN-16).
//!
//! Deliberately absent: what to do about it. Every reason asks for the same: save what matters and get out.

/// Why a run was asked to cancel (RUN-16).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CancelReason {
    /// 0: its registration was removed with cancel.
    Abort,
    /// 1: the device is about to end it. SIGTERM reads as this too.
    Terminating,
    /// 2: the user logged off.
    LoggingOff,
    /// 3: its app is being updated.
    ServicingUpdate,
    /// 4: it was idle while a deferral was held.
    IdleTask,
    /// 5: its app is being uninstalled.
    Uninstall,
    /// 6: a condition was lost and the registration asked for a cancel then.
    ConditionLoss,
    /// 7: the device's policy.
    SystemPolicy,
    /// 9: its time is over.
    ExecutionTimeExceeded,
    /// 10: access was taken away.
    ResourceRevocation,
    /// 11: Battery Saver came on.
    EnergySaver,
    /// A reason of a newer node, by its name there.
    Unrecognised(String),
}

impl CancelReason {
    const KNOWN: [Self; 11] = [
        Self::Abort,
        Self::Terminating,
        Self::LoggingOff,
        Self::ServicingUpdate,
        Self::IdleTask,
        Self::Uninstall,
        Self::ConditionLoss,
        Self::SystemPolicy,
        Self::ExecutionTimeExceeded,
        Self::ResourceRevocation,
        Self::EnergySaver,
    ];

    /// Its name in the rule book, in kebab case.
    pub fn name(&self) -> &str {
        match self {
            Self::Abort => "abort",
            Self::Terminating => "terminating",
            Self::LoggingOff => "logging-off",
            Self::ServicingUpdate => "servicing-update",
            Self::IdleTask => "idle-task",
            Self::Uninstall => "uninstall",
            Self::ConditionLoss => "condition-loss",
            Self::SystemPolicy => "system-policy",
            Self::ExecutionTimeExceeded => "execution-time-exceeded",
            Self::ResourceRevocation => "resource-revocation",
            Self::EnergySaver => "energy-saver",
            Self::Unrecognised(name) => name,
        }
    }

    pub(crate) fn named(name: &str) -> Self {
        let known = Self::KNOWN.into_iter().find(|reason| reason.name() == name);
        known.unwrap_or_else(|| Self::Unrecognised(name.to_owned()))
    }
}

impl std::fmt::Display for CancelReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_to_its_reason_and_back() {
        for reason in CancelReason::KNOWN {
            assert_eq!(CancelReason::named(reason.name()), reason);
        }
    }

    #[test]
    fn a_newer_reason_keeps_its_name() {
        let newer = CancelReason::named("solar-flare");
        assert_eq!(newer, CancelReason::Unrecognised("solar-flare".to_owned()));
        assert_eq!(newer.to_string(), "solar-flare");
    }
}
