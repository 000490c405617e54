//! Why a session ends, and when the coordinator wants the device back.

use std::time::Duration;

use tonic::Status;
use tonic_types::StatusExt as _;

use crate::ports::EngineError;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    /// The coordinator refused it or broke it off.
    #[error("the coordinator ended the session: {} ({:?})", .0.message(), .0.code())]
    Status(Status),
    /// The connection is gone.
    #[error("the connection broke: {}", .0.message())]
    Broken(Status),
    /// The coordinator closed it in good order.
    #[error("the coordinator closed the session")]
    Closed,
    /// It said something that cannot be.
    #[error("the coordinator broke the protocol: {0}")]
    Protocol(String),
    /// It said nothing for too long.
    #[error("nothing was heard from the coordinator for {} s", .0.as_secs_f32())]
    Silence(Duration),
    /// The engine does not take pushes now; they come again.
    #[error("the engine did not take it within {} s", limit.as_secs_f32())]
    Commit {
        limit: Duration,
        #[source]
        source: EngineError,
    },
    /// The engine is gone, and the daemon with it.
    #[error("the engine has ended")]
    EngineEnded,
}

impl End {
    /// When the coordinator wants this device back, where it said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status(status) => status.get_details_retry_info()?.retry_delay,
            Self::Broken(_)
            | Self::Closed
            | Self::Protocol(_)
            | Self::Silence(_)
            | Self::Commit { .. }
            | Self::EngineEnded => None,
        }
    }
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        // What the coordinator says has no cause on this side.
        if std::error::Error::source(&status).is_some() {
            return Self::Broken(status);
        }
        Self::Status(status)
    }
}

impl From<EngineError> for End {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Ending => Self::EngineEnded,
            source @ (EngineError::Full(_) | EngineError::Unavailable) => Self::Commit {
                limit: Duration::ZERO,
                source,
            },
        }
    }
}
