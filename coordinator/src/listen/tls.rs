//! What the two listeners ask of TLS.
//!
//! *Fleet*: version 1.3 only, a client certificate under our root. *Door*: 1.2 and 1.3, no client certificate. Both offer
//! HTTP/2 alone and resume no session, so that a certificate is judged at each connection. Deliberately absent: sockets.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError,
    WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::UnixTime;

use crate::authority::Authority;
use crate::clock::ClockRef;

/// Why a listener's TLS cannot be set up: our own root or the library's build is at fault.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Versions and cipher suites do not go together.
    #[error("the TLS library was built without what the listeners need")]
    Library(#[source] rustls::Error),
    /// The root cannot verify anything.
    #[error("the root certificate cannot be used to verify others")]
    Root(#[source] VerifierBuilderError),
}

/// Shows the certificate of the moment: a renewal reaches the next connection.
#[derive(Debug)]
struct Shown {
    authority: Arc<Authority>,
    listener: Listener,
}

#[derive(Debug, Clone, Copy)]
enum Listener {
    Fleet,
    Door,
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = self.authority.server();
        Some(Arc::clone(match self.listener {
            Listener::Fleet => &keys.fleet,
            Listener::Door => &keys.door,
        }))
    }
}

/// The coordinator's clock as the TLS library wants it.
#[derive(Debug)]
struct Judged(ClockRef);

impl TimeProvider for Judged {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_millis(
            self.0.wall(),
        )))
    }
}

/// The fleet listener's TLS.
pub fn fleet(authority: &Arc<Authority>, clock: &ClockRef) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.root().clone())
        .map_err(TlsError::Library)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(TlsError::Root)?;
    let judged = Arc::new(Judged(Arc::clone(clock)));
    let config = ServerConfig::builder_with_details(provider, judged)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::Library)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Shown {
            authority: Arc::clone(authority),
            listener: Listener::Fleet,
        }));
    Ok(finish(config))
}

/// The door's TLS.
pub fn door(authority: &Arc<Authority>, clock: &ClockRef) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let judged = Arc::new(Judged(Arc::clone(clock)));
    let config = ServerConfig::builder_with_details(provider, judged)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(TlsError::Library)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Shown {
            authority: Arc::clone(authority),
            listener: Listener::Door,
        }));
    Ok(finish(config))
}

fn finish(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}
