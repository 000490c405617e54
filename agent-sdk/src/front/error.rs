//! What can go wrong between an app and its node, sorted by who must act.
//!
//! Deliberately absent: errors of runs, see [`Run::check_result`](super::Run::check_result).

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lull_proto::problem;
use lull_proto::time::TimeError;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// For who runs the device: nothing listens there.
    #[error(
        "no node answers at {}; start lull-node, or name its socket in LULL_NODE_SOCKET",
        socket.display()
    )]
    NoNode {
        /// The socket's path.
        socket: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For who runs the device: this user may not open the socket.
    #[error("this user may not open the node's socket {}", socket.display())]
    SocketClosedToUser {
        /// The socket's path.
        socket: PathBuf,
        /// What the kernel says.
        #[source]
        source: io::Error,
    },
    /// For nobody: try again, after [`FrontError::retry_after`] where it is given.
    #[error("the node cannot answer now: {message}")]
    Unavailable {
        /// In the node's words.
        message: String,
        /// When to try again; absent = the node named no time.
        retry_after: Option<Duration>,
    },
    /// For nobody: the node did not answer in time. Whether it acted is not known; look before trying again.
    #[error("the node did not answer {call} within {seconds} s")]
    Deadline {
        /// The call.
        call: &'static str,
        /// How long it was waited for.
        seconds: u64,
    },
    /// For the app: ask for access first, or it was denied; or this user is not the app's.
    #[error("{message}")]
    Denied {
        /// In the node's words.
        message: String,
    },
    /// For the app: not in its present state, for instance without the foreground.
    #[error("{message}")]
    NotNow {
        /// In the node's words.
        message: String,
    },
    /// For the app's author: an argument is wrong.
    #[error("{field}: {message}")]
    InvalidArgument {
        /// Which, by its name on the wire.
        field: String,
        /// What is accepted, in the node's words.
        message: String,
    },
    /// For the app: there is one already.
    #[error("{message}")]
    AlreadyExists {
        /// In the node's words.
        message: String,
    },
    /// For the app: there is no such thing.
    #[error("{message}")]
    NotFound {
        /// In the node's words.
        message: String,
    },
    /// For the app: a bound of the device is reached; unregister something.
    #[error("{message}")]
    LimitReached {
        /// In the node's words, with the bound.
        message: String,
    },
    /// For who installs: the node is older than this SDK.
    #[error("the node does not know this call, update it: {message}")]
    Unsupported {
        /// In the node's words.
        message: String,
    },
    /// For Lull's maintainers: the node failed.
    #[error("the node failed ({code:?}): {message}")]
    Node {
        /// The gRPC code.
        code: Code,
        /// In the node's words.
        message: String,
    },
    /// For Lull's maintainers: the answer lacks something, or holds what cannot be.
    #[error("the node's answer has no {wanted}")]
    Unintelligible {
        /// What was to be there.
        wanted: &'static str,
    },
    /// For Lull's maintainers: a time in the answer cannot be.
    #[error("the node's answer has a {field} that cannot be")]
    Time {
        /// Which time.
        field: &'static str,
        /// What is wrong with it.
        #[source]
        source: TimeError,
    },
}

impl FrontError {
    /// When the node wants to be asked again. Add jitter: other apps wait for the same moment.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// From an attempt to reach the node.
    pub(super) fn connecting(socket: &Path, error: &tonic::transport::Error) -> Self {
        let source = io_error(error).unwrap_or_else(|| io::Error::other(error.to_string()));
        let socket = socket.to_owned();
        if source.kind() == ErrorKind::PermissionDenied {
            Self::SocketClosedToUser { socket, source }
        } else {
            Self::NoNode { socket, source }
        }
    }

    /// From an answer.
    pub(super) fn answered(socket: &Path, status: &Status) -> Self {
        if let Some(source) = io_error(status) {
            let socket = socket.to_owned();
            return Self::NoNode { socket, source };
        }
        let message = status.message().to_owned();
        match status.code() {
            Code::InvalidArgument => invalid(status),
            Code::PermissionDenied | Code::Unauthenticated => Self::Denied { message },
            Code::FailedPrecondition => Self::NotNow { message },
            Code::AlreadyExists => Self::AlreadyExists { message },
            Code::NotFound => Self::NotFound { message },
            Code::ResourceExhausted => Self::LimitReached { message },
            Code::Unimplemented => Self::Unsupported { message },
            Code::Unavailable | Code::Aborted | Code::Cancelled | Code::DeadlineExceeded => {
                let retry = status.get_details_retry_info();
                Self::Unavailable {
                    message,
                    retry_after: retry.and_then(|info| info.retry_delay),
                }
            }
            code @ (Code::Ok
            | Code::Unknown
            | Code::OutOfRange
            | Code::Internal
            | Code::DataLoss) => Self::Node { code, message },
        }
    }
}

fn invalid(status: &Status) -> FrontError {
    let first = problem::violations(status).into_iter().next();
    let (field, message) = first.unwrap_or_else(|| {
        let field = "the request".to_owned();
        (field, status.message().to_owned())
    });
    FrontError::InvalidArgument { field, message }
}

/// The kernel's error at the end of a chain, as a copy.
fn io_error(error: &(dyn std::error::Error + 'static)) -> Option<io::Error> {
    let chain = std::iter::successors(Some(error), |error| error.source());
    let io = chain
        .filter_map(|error| error.downcast_ref::<io::Error>())
        .last()?;
    Some(match io.raw_os_error() {
        Some(number) => io::Error::from_raw_os_error(number),
        None => io::Error::new(io.kind(), io.to_string()),
    })
}
