//! The device's identity: its key, which never leaves it, its certificate, and the root of its fleet.
//!
//! Files in `state_dir/identity` (0700, files 0600): `key.pem`, `cert.pem` (the chain without root), `root.pem`, and last
//! `device.json`, without which there is no identity. Deliberately absent: renewal; in this release a device whose certificate has ended
//! enrols anew.

mod door;
mod enroll;
mod token;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

pub use enroll::{EnrollError, Enrolled, enroll};
pub use token::{Token, TokenError};

use crate::durable_file;
use crate::link::{Address, AddressError};

/// Most bytes of each file: a chain of three certificates has about 3 KiB.
const LIMIT: u64 = 64 << 10;

/// Most certificates of a chain: the device's, the issuing one, and those of a rotation.
const CHAIN: usize = 8;

const KEY: &str = "key.pem";
const CHAIN_FILE: &str = "cert.pem";
const ROOT: &str = "root.pem";
const DEVICE: &str = "device.json";

/// An identity that can be used.
#[derive(PartialEq, Eq)]
pub struct Identity {
    /// The device's id in its fleet.
    pub device: String,
    /// The coordinator's fleet listener.
    pub(crate) fleet_address: Address,
    key: Zeroizing<Vec<u8>>,
    chain: Vec<CertificateDer<'static>>,
    root: CertificateDer<'static>,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the key.
        f.debug_struct("Identity")
            .field("device", &self.device)
            .field("fleet_address", &self.fleet_address)
            .finish_non_exhaustive()
    }
}

/// `device.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct DeviceFile {
    device: String,
    fleet_address: String,
}

/// Why an identity cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or written.
    #[error("reading or writing {}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file is there and cannot be understood.
    #[error("{} cannot be used ({problem}); move the folder {} away and enrol anew", file.display(), file.parent().unwrap_or(Path::new("/")).display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The certificate's time is over.
    #[error("the device's certificate ended on {ended}; enrol anew (`lull-node enroll`)")]
    Ended {
        /// When, as text.
        ended: String,
    },
    /// The TLS library does not take them.
    #[error("the device's key and certificate do not go together")]
    Tls(#[source] rustls::Error),
}

impl Identity {
    /// Reads the identity; absent = not enrolled (a key alone is an enrolment that was begun).
    pub fn load(folder: &Path) -> Result<Option<Self>, IdentityError> {
        let Some(device) = read(&folder.join(DEVICE))? else {
            return Ok(None);
        };
        let damaged = |name: &str, problem: String| IdentityError::Damaged {
            file: folder.join(name),
            problem,
        };
        let device: DeviceFile =
            serde_json::from_slice(&device).map_err(|error| damaged(DEVICE, error.to_string()))?;
        let fleet_address = Address::parse(&device.fleet_address)
            .map_err(|error: AddressError| damaged(DEVICE, error.to_string()))?;
        let file = |name: &str| {
            let missing = || damaged(name, "it is missing".to_owned());
            read(&folder.join(name))?.ok_or_else(missing)
        };
        let key = Zeroizing::new(file(KEY)?);
        PrivateKeyDer::from_pem_slice(&key).map_err(|error| damaged(KEY, error.to_string()))?;
        let chain =
            certificates(&file(CHAIN_FILE)?).map_err(|problem| damaged(CHAIN_FILE, problem))?;
        let root = certificates(&file(ROOT)?).map_err(|problem| damaged(ROOT, problem))?;
        let root = root.into_iter().next();
        Ok(Some(Self {
            device: device.device,
            fleet_address,
            key,
            chain,
            root: root.ok_or_else(|| damaged(ROOT, "it is empty".to_owned()))?,
        }))
    }

    /// The root certificate of its fleet.
    pub(crate) fn root(&self) -> &[u8] {
        &self.root
    }

    /// What the link connects with: mutual TLS 1.3, this fleet's root and no other.
    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, IdentityError> {
        self.still_good()?;
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).map_err(IdentityError::Tls)?;
        let unusable =
            |_error| IdentityError::Tls(rustls::Error::General("the key is no PEM".to_owned()));
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(unusable)?;
        let mut config = tls13()
            .map_err(IdentityError::Tls)?
            .with_root_certificates(roots)
            .with_client_auth_cert(self.chain.clone(), key)
            .map_err(IdentityError::Tls)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// A coordinator would only break the handshake off, without a word that people understand.
    fn still_good(&self) -> Result<(), IdentityError> {
        let validity = self.chain.first().and_then(|first| {
            let (_rest, certificate) = x509_parser::parse_x509_certificate(first).ok()?;
            Some(certificate.validity().not_after)
        });
        let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
        match validity {
            Some(end) if end.timestamp() < now => Err(IdentityError::Ended {
                ended: end.to_string(),
            }),
            Some(_) | None => Ok(()),
        }
    }
}

/// TLS 1.3 and the one provider.
fn tls13() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13])
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    durable_file::read(file, LIMIT).map_err(|source| IdentityError::File {
        file: file.to_owned(),
        source,
    })
}

fn write(file: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    durable_file::replace(file, bytes, 0o600).map_err(|source| IdentityError::File {
        file: file.to_owned(),
        source,
    })
}

/// The certificates of a PEM text; one at least.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).take(CHAIN).collect();
    let certificates = read.map_err(|error| error.to_string())?;
    if certificates.is_empty() {
        return Err("it holds no certificate".to_owned());
    }
    Ok(certificates)
}

#[cfg(test)]
pub(crate) mod tests;
