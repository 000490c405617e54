//! Every call is held against the table of the fleet policy before a handler sees it; what is not allowed there is refused.
//!
//! Then its certificate is held against the list of those that are good ([`Callers`]). Deliberately absent: which apps a
//! publisher may use; the push service asks the policy.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Either, Ready, ready};
use lull_fleet_policy::access::{self, Denied, Role};
use tonic::body::Body;
use tonic::{Code, Status};

use super::callers::Callers;
use crate::clock::ClockRef;
use crate::listen::Peer;

/// Puts [`Authorise`] in front of every service.
#[derive(Debug, Clone)]
pub struct AuthoriseLayer {
    clock: ClockRef,
    callers: Arc<Callers>,
}

impl AuthoriseLayer {
    /// Judges certificates by this clock and this list.
    pub fn new(clock: ClockRef, callers: Arc<Callers>) -> Self {
        Self { clock, callers }
    }
}

impl<S> tower::Layer<S> for AuthoriseLayer {
    type Service = Authorise<S>;

    fn layer(&self, inner: S) -> Authorise<S> {
        Authorise {
            inner,
            clock: Arc::clone(&self.clock),
            callers: Arc::clone(&self.callers),
        }
    }
}

/// A service whose calls are authorised; what passes carries its [`Caller`](access::Caller) as an extension.
#[derive(Debug, Clone)]
pub struct Authorise<S> {
    inner: S,
    clock: ClockRef,
    callers: Arc<Callers>,
}

type Answer<E> = Result<http::Response<Body>, E>;
/// The service's own answer, a refusal, or an answer after the caller was looked up.
type Answering<F, E> = Either<F, Either<Ready<Answer<E>>, BoxFuture<'static, Answer<E>>>>;

impl<S, B> tower::Service<http::Request<B>> for Authorise<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = S::Error;
    type Future = Answering<S::Future, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        let peer = request.extensions().get::<Arc<Peer>>().cloned();
        let peer = match judge(peer.as_deref(), request.uri().path(), &self.clock) {
            Ok(()) => peer,
            Err(status) => return refuse(status),
        };
        let Some(peer) = peer.filter(|peer| peer.principal.is_some()) else {
            return Either::Left(self.inner.call(request));
        };
        if let Some(caller) = self.callers.known(&peer) {
            request.extensions_mut().insert(caller);
            return Either::Left(self.inner.call(request));
        }
        // The service that is ready answers; a clone takes its place.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let callers = Arc::clone(&self.callers);
        let answer = async move {
            match callers.resolve(&peer).await {
                Ok(caller) => {
                    request.extensions_mut().insert(caller);
                    inner.call(request).await
                }
                Err(status) => Ok(status.into_http()),
            }
        };
        Either::Right(Either::Right(answer.boxed()))
    }
}

fn refuse<F, E>(status: Status) -> Answering<F, E> {
    Either::Right(Either::Left(ready(Ok(status.into_http()))))
}

/// Whether this peer may call the method of this path now.
fn judge(peer: Option<&Peer>, path: &str, clock: &ClockRef) -> Result<(), Status> {
    let principal = peer.and_then(|peer| peer.principal.as_ref().map(|who| (who, peer.expires_at)));
    let role = match principal {
        Some((_, expires_at)) if expires_at <= clock.wall() => {
            return Err(Status::unauthenticated(
                "the client certificate has ended while the connection stood; connect again with a new one",
            ));
        }
        Some((who, _)) => who.role(),
        None => Role::Anonymous,
    };
    access::allowed(role, path)
        .map(|_method| ())
        .map_err(|denied| refusal(role, &denied))
}

fn refusal(role: Role, denied: &Denied) -> Status {
    let code = match denied {
        Denied::Unknown { .. } => Code::Unimplemented,
        Denied::Role { .. } if role == Role::Anonymous => Code::Unauthenticated,
        Denied::Role { .. } | Denied::App { .. } => Code::PermissionDenied,
    };
    Status::new(code, denied.to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::net::SocketAddr;

    use lull_fleet_policy::access::Method;
    use prost::Message as _;

    use super::*;
    use crate::clock::SystemClock;
    use crate::listen::Principal;

    fn peer(role: Role, expires_at: u64) -> Peer {
        let uri = match role {
            Role::Anonymous => "",
            Role::Device => "lull://device/01939a5c-7b2e-7c4d-8f10-2a3b4c5d6e7f",
            Role::Publisher => "lull://publisher/shop",
            Role::Operator => "lull://operator/local",
        };
        Peer {
            address: SocketAddr::from(([127, 0, 0, 1], 1)),
            principal: Principal::from_uri(uri),
            serial: Vec::new(),
            expires_at,
        }
    }

    fn clock() -> ClockRef {
        Arc::new(SystemClock)
    }

    /// Method by role, in full: a new method or role fails here until it is decided.
    #[test]
    fn every_method_by_every_role() {
        let mut table = String::new();
        for method in Method::ALL {
            let mut row = format!("{:70}", method.path());
            for role in Role::ALL {
                let peer = peer(role, u64::MAX);
                let verdict = match judge(Some(&peer), method.path(), &clock()) {
                    Ok(()) => "ok".to_owned(),
                    Err(status) => format!("{:?}", status.code()),
                };
                write!(row, " {role}={verdict}").unwrap();
            }
            table.push_str(row.trim_end());
            table.push('\n');
        }
        insta::assert_snapshot!(table);
    }

    /// What we serve is what the protos say: no method of a served area may be missing from the table.
    #[test]
    fn every_method_of_the_protos_is_in_the_table() {
        let known: BTreeSet<_> = Method::ALL.iter().map(|method| method.path()).collect();
        let set = prost_types::FileDescriptorSet::decode(lull_proto::DESCRIPTORS).unwrap();
        let served = set.file.iter().filter(|file| {
            file.package().starts_with("lull.") && file.package() != "lull.local.v1"
        });
        let mut seen = 0;
        for file in served {
            for service in &file.service {
                for method in &service.method {
                    let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                    assert!(known.contains(path.as_str()), "{path} is in no table");
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 8);
    }

    #[test]
    fn what_is_in_no_table_is_refused_to_all() {
        for path in [
            "/lull.local.v1.AppService/Register",
            "/lull.push.v1.PushService/",
            "/",
            "",
        ] {
            for role in Role::ALL {
                let status = judge(Some(&peer(role, u64::MAX)), path, &clock()).unwrap_err();
                assert_eq!(status.code(), Code::Unimplemented, "{path}");
            }
        }
    }

    #[test]
    fn a_certificate_that_ended_speaks_for_nobody() {
        let path = Method::ListDevices.path();
        let status = judge(Some(&peer(Role::Operator, 1)), path, &clock()).unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
        let status = judge(None, path, &clock()).unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated);
    }
}
