//! Background access: the grant an app asks for before it registers anything (ACC-01).

use serde::{Deserialize, Serialize};

/// Access status, by the rule book's names (ACC-05). Only these five are ever granted or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessStatus {
    /// Never asked, dropped, or gone stale by an update: 0.
    Unspecified,
    /// Runs also in Battery Saver: 4.
    AlwaysAllowed,
    /// The default of a request; nothing runs in Battery Saver: 5.
    AllowedSubjectToSystemPolicy,
    /// The device decided so, for instance a full low-memory device: 6.
    DeniedBySystemPolicy,
    /// The user, the operator or fleet policy decided so: 7.
    DeniedByUser,
}

impl AccessStatus {
    /// The rule book's number (ACC-05).
    pub const fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::AlwaysAllowed => 4,
            Self::AllowedSubjectToSystemPolicy => 5,
            Self::DeniedBySystemPolicy => 6,
            Self::DeniedByUser => 7,
        }
    }
    /// Whether an app with this status may register and run (ACC-06).
    pub const fn may_run(self) -> bool {
        match self {
            Self::AlwaysAllowed | Self::AllowedSubjectToSystemPolicy => true,
            Self::Unspecified | Self::DeniedBySystemPolicy | Self::DeniedByUser => false,
        }
    }
}
