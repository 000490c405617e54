//! What a call answers, in the words of files and timelines.

/// The result of a call, or the access status that it answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultWord {
    /// It was done.
    Ok,
    /// There is no usable grant.
    AccessDenied,
    /// An argument, or the manifest, does not fit.
    InvalidArgument,
    /// It exists already.
    AlreadyExists,
    /// A bound of the device.
    LimitReached,
    /// There is no such thing.
    NotFound,
    /// This caller may not.
    PermissionDenied,
    /// Known by name and not offered here.
    Unsupported,
    /// Not as things stand.
    FailedPrecondition,
    /// The daemon is down.
    Unavailable,
    /// A raise: it runs, or will. A status: subject to system policy.
    Allowed,
    /// A raise: one run at a time.
    CurrentlyRunning,
    /// A raise: access, policy or Battery Saver.
    DisabledByPolicy,
    /// A raise: the user does not let it. A status: the user or operator decided so.
    DeniedByUser,
    /// A raise: the device is not there, or not for this app.
    DeniedBySystem,
    /// A raise: the charge is too low for servicing.
    LowBattery,
    /// A status: never asked, dropped, or gone stale.
    Unspecified,
    /// A status: runs in Battery Saver too.
    AlwaysAllowed,
    /// A status: the device decided so.
    DeniedBySystemPolicy,
}

impl ResultWord {
    /// Every result.
    pub const ALL: [Self; 19] = [
        Self::Ok,
        Self::AccessDenied,
        Self::InvalidArgument,
        Self::AlreadyExists,
        Self::LimitReached,
        Self::NotFound,
        Self::PermissionDenied,
        Self::Unsupported,
        Self::FailedPrecondition,
        Self::Unavailable,
        Self::Allowed,
        Self::CurrentlyRunning,
        Self::DisabledByPolicy,
        Self::DeniedByUser,
        Self::DeniedBySystem,
        Self::LowBattery,
        Self::Unspecified,
        Self::AlwaysAllowed,
        Self::DeniedBySystemPolicy,
    ];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AccessDenied => "access-denied",
            Self::InvalidArgument => "invalid-argument",
            Self::AlreadyExists => "already-exists",
            Self::LimitReached => "limit-reached",
            Self::NotFound => "not-found",
            Self::PermissionDenied => "permission-denied",
            Self::Unsupported => "unsupported",
            Self::FailedPrecondition => "failed-precondition",
            Self::Unavailable => "unavailable",
            Self::Allowed => "allowed",
            Self::CurrentlyRunning => "currently-running",
            Self::DisabledByPolicy => "disabled-by-policy",
            Self::DeniedByUser => "denied-by-user",
            Self::DeniedBySystem => "denied-by-system",
            Self::LowBattery => "low-battery",
            Self::Unspecified => "unspecified",
            Self::AlwaysAllowed => "always-allowed",
            Self::DeniedBySystemPolicy => "denied-by-system-policy",
        }
    }
}
