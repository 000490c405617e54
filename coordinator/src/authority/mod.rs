//! The coordinator's own certificate authority: a root that signs only issuing certificates, an issuing certificate that
//! signs the rest, and the coordinator's and the operator's certificates.
//!
//! Everything lies under `state_dir/authority` (0700, files 0600) and `state_dir/operator`. Deliberately absent: who may
//! have a certificate (the fleet policy and the services decide), and revocation lists (a device is known or it is not).

mod bundle;
mod certificate;
pub(crate) mod files;
mod token;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rcgen::{Issuer, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

pub use certificate::{CertificateRequest, Facts, REQUEST_LIMIT, RequestError, hex, sha256};
pub use token::{EnrollmentSecret, TokenError};

use crate::clock::ClockRef;
use bundle::{Bundle, file_error};

const DAY: Duration = Duration::from_hours(24);
/// The root's life. Its rotation needs every device to have taken the next one before.
const ROOT_LIFE: Duration = Duration::from_hours(87672);
const ISSUING_LIFE: Duration = Duration::from_hours(8760);
/// An issuing certificate with less left than this is replaced, so that no certificate outlives its issuer.
const ISSUING_LEFT: Duration = Duration::from_hours(2184);
const SERVER_LIFE: Duration = Duration::from_hours(2160);
/// A server or operator certificate with less left than this is replaced.
const SERVER_LEFT: Duration = Duration::from_hours(720);
/// A device's certificate's life (bar S2).
pub const DEVICE_LIFE: Duration = DAY;
/// The longest life of a publisher's or operator's certificate.
pub const CLIENT_LIFE: Duration = Duration::from_hours(2160);
/// How often the coordinator looks whether something is to be renewed.
pub const RENEWAL_CHECK: Duration = DAY;

/// The name of the operator's identity that the coordinator makes for its own machine.
pub const LOCAL_OPERATOR: &str = "local";

/// Why the authority cannot do what it should.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file or folder cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is there but cannot be used. It is left untouched.
    #[error(
        "{} cannot be used: {what}; restore it from a backup, or move the folder {} away to make a new authority, \
         to which every device has to enrol anew",
        path.display(), path.parent().unwrap_or(Path::new("/")).display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Randomness,
    /// A certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[source] rcgen::Error),
    /// The TLS library does not take the key.
    #[error("the TLS library does not take the server's key")]
    Key(#[source] rustls::Error),
}

/// A certificate made for someone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// PEM: the certificate, then the issuing one.
    pub chain: String,
    /// Its serial number: the store lists those that are good.
    pub serial: Vec<u8>,
    /// Its end, wall milliseconds.
    pub expires_at: u64,
}

/// The server's certificate as the two listeners show it.
#[derive(Debug)]
pub struct ServerKeys {
    /// With the issuing certificate: peers of the fleet listener have the root.
    pub fleet: Arc<rustls::sign::CertifiedKey>,
    /// With issuing and root certificate: a device that enrols knows only the root's hash.
    pub door: Arc<rustls::sign::CertifiedKey>,
}

/// The authority.
#[derive(Debug)]
pub struct Authority {
    folder: PathBuf,
    operator: PathBuf,
    names: Vec<String>,
    clock: ClockRef,
    root: Bundle,
    issuing: ArcSwap<Issuing>,
    server: ArcSwap<ServerKeys>,
}

#[derive(Debug)]
struct Issuing {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
}

impl Authority {
    /// Opens the authority of a state folder; makes what is not there and renews what ends soon.
    pub fn open(
        state_dir: &Path,
        advertise: &[String],
        clock: ClockRef,
    ) -> Result<Self, AuthorityError> {
        let folder = state_dir.join("authority");
        let operator = state_dir.join("operator");
        for folder in [&folder, &operator] {
            files::make_folder(folder).map_err(|source| file_error(folder, source))?;
        }
        let now = clock.wall();
        let root = open_root(&folder, now)?;
        let issuing = open_issuing(&folder, &root, now)?;
        let names = server_names(advertise);
        let server = open_server(&folder, &names, &root, &issuing, now)?;
        let authority = Self {
            folder,
            operator,
            names,
            clock,
            root,
            issuing: ArcSwap::from_pointee(issuing),
            server: ArcSwap::from_pointee(server),
        };
        authority.renew_operator(now)?;
        Ok(authority)
    }

    /// Renews what ends soon; connections that stand go on with what they have.
    pub fn renew(&self) -> Result<(), AuthorityError> {
        let now = self.clock.wall();
        let issuing = open_issuing(&self.folder, &self.root, now)?;
        let server = open_server(&self.folder, &self.names, &self.root, &issuing, now)?;
        self.issuing.store(Arc::new(issuing));
        self.server.store(Arc::new(server));
        self.renew_operator(now)
    }

    /// A device's certificate, for its key alone.
    pub fn sign_device(
        &self,
        request: &CertificateRequest,
        device: &str,
    ) -> Result<Issued, AuthorityError> {
        self.sign(request, &format!("lull://device/{device}"), DEVICE_LIFE)
    }

    /// A publisher's or operator's certificate; lives at most [`CLIENT_LIFE`].
    pub fn sign_client(
        &self,
        request: &CertificateRequest,
        role: &str,
        name: &str,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        self.sign(
            request,
            &format!("lull://{role}/{name}"),
            life.min(CLIENT_LIFE),
        )
    }

    fn sign(
        &self,
        request: &CertificateRequest,
        uri: &str,
        life: Duration,
    ) -> Result<Issued, AuthorityError> {
        let now = self.clock.wall();
        let expires_at = after(now, life);
        let issuing = self.issuing.load();
        let certificate = certificate::client(uri, now, expires_at)?
            .signed_by(&request.public_key, &issuing.issuer)
            .map_err(AuthorityError::Certificate)?;
        let facts = Facts::of(certificate.der());
        Ok(Issued {
            chain: [certificate.pem().as_str(), &issuing.pem].concat(),
            serial: facts.map(|facts| facts.serial).unwrap_or_default(),
            expires_at,
        })
    }

    /// The root, PEM.
    pub fn root_pem(&self) -> &str {
        &self.root.certificate_pem
    }

    /// The root, DER.
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root.certificate
    }

    /// SHA-256 of the root's DER: what an enrolment token carries.
    pub fn root_hash(&self) -> [u8; 32] {
        sha256(&self.root.certificate)
    }

    /// The server's certificate as of now.
    pub fn server(&self) -> Arc<ServerKeys> {
        self.server.load_full()
    }

    /// What the local operator's certificate says.
    pub fn operator(&self) -> Result<Facts, AuthorityError> {
        let path = self.operator.join("cert.pem");
        let text = files::read(&path).map_err(|source| file_error(&path, source))?;
        text.and_then(|text| CertificateDer::from_pem_slice(text.as_bytes()).ok())
            .and_then(|certificate| Facts::of(&certificate))
            .ok_or_else(|| AuthorityError::Damaged {
                path,
                what: "it holds no certificate".to_owned(),
            })
    }

    /// The operator's key is made once; its certificate is renewed under it, so that one rename does it.
    fn renew_operator(&self, now: u64) -> Result<(), AuthorityError> {
        let path = |name: &str| self.operator.join(name);
        let (key_path, cert_path) = (path("key.pem"), path("cert.pem"));
        let stored = files::read(&key_path).map_err(|source| file_error(&key_path, source))?;
        let key = if let Some(text) = stored {
            KeyPair::from_pem(&text).map_err(|error| AuthorityError::Damaged {
                path: key_path,
                what: error.to_string(),
            })?
        } else {
            let key = new_key()?;
            let text = zeroize::Zeroizing::new(key.serialize_pem());
            files::write(&key_path, text.as_bytes())
                .map_err(|source| file_error(&key_path, source))?;
            key
        };
        let root_path = path("root.pem");
        files::write(&root_path, self.root_pem().as_bytes())
            .map_err(|source| file_error(&root_path, source))?;
        if self.operator_is_current(&cert_path, &key, now)? {
            return Ok(());
        }
        let issuing = self.issuing.load();
        let uri = format!("lull://operator/{LOCAL_OPERATOR}");
        let certificate = certificate::client(&uri, now, after(now, CLIENT_LIFE))?
            .signed_by(&key, &issuing.issuer)
            .map_err(AuthorityError::Certificate)?;
        let chain = [certificate.pem().as_str(), &issuing.pem].concat();
        files::write(&cert_path, chain.as_bytes()).map_err(|source| file_error(&cert_path, source))
    }

    /// The stored certificate is of this key and this root, and has time left.
    fn operator_is_current(
        &self,
        path: &Path,
        key: &KeyPair,
        now: u64,
    ) -> Result<bool, AuthorityError> {
        let Some(text) = files::read(path).map_err(|source| file_error(path, source))? else {
            return Ok(false);
        };
        let chain: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
            .filter_map(Result::ok)
            .collect();
        Ok(match chain.as_slice() {
            [leaf, issuing] => {
                is_of_key(leaf, key)
                    && is_signed_by(issuing, &self.root.certificate)
                    && has_left(leaf, SERVER_LEFT, now)
            }
            _ => false,
        })
    }
}

fn new_key() -> Result<KeyPair, AuthorityError> {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(AuthorityError::Certificate)
}

fn after(now: u64, life: Duration) -> u64 {
    now.saturating_add(u64::try_from(life.as_millis()).unwrap_or(u64::MAX))
}

fn has_left(certificate: &CertificateDer<'_>, left: Duration, now: u64) -> bool {
    Facts::of(certificate).is_some_and(|facts| facts.expires_at > after(now, left))
}

fn is_of_key(certificate: &CertificateDer<'_>, key: &KeyPair) -> bool {
    use rcgen::PublicKeyData as _;
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == key.subject_public_key_info())
}

fn is_signed_by(certificate: &CertificateDer<'_>, issuer: &CertificateDer<'_>) -> bool {
    let Ok((_, issuer)) = x509_parser::parse_x509_certificate(issuer) else {
        return false;
    };
    x509_parser::parse_x509_certificate(certificate)
        .is_ok_and(|(_, parsed)| parsed.verify_signature(Some(issuer.public_key())).is_ok())
}

/// The names by which the coordinator is reached, the local ones included.
fn server_names(advertise: &[String]) -> Vec<String> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
    names.extend(advertise.iter().map(|name| {
        // One spelling of an address, as a certificate gives it back.
        name.parse::<std::net::IpAddr>()
            .map_or_else(|_name| name.clone(), |address| address.to_string())
    }));
    names.sort();
    names.dedup();
    names
}

fn open_root(folder: &Path, now: u64) -> Result<Bundle, AuthorityError> {
    let path = folder.join("root.pem");
    if let Some(root) = Bundle::load(&path)? {
        if has_left(&root.certificate, Duration::ZERO, now) {
            return Ok(root);
        }
        let what = "its certificate has ended".to_owned();
        return Err(AuthorityError::Damaged { path, what });
    }
    if folder.join("issuing.pem").exists() {
        let what = "it is gone, though an authority was made here".to_owned();
        return Err(AuthorityError::Damaged { path, what });
    }
    let key = new_key()?;
    let certificate = certificate::authority("lull root", 1, now, after(now, ROOT_LIFE))?
        .self_signed(&key)
        .map_err(AuthorityError::Certificate)?;
    let root = Bundle::new(key, &certificate);
    root.store(&path)?;
    Ok(root)
}

fn open_issuing(folder: &Path, root: &Bundle, now: u64) -> Result<Issuing, AuthorityError> {
    let path = folder.join("issuing.pem");
    let stored = Bundle::load(&path)?.filter(|stored| {
        has_left(&stored.certificate, ISSUING_LEFT, now)
            && is_signed_by(&stored.certificate, &root.certificate)
    });
    let bundle = if let Some(stored) = stored {
        stored
    } else {
        let key = new_key()?;
        let signer = Issuer::from_ca_cert_der(&root.certificate, &root.key)
            .map_err(AuthorityError::Certificate)?;
        let certificate = certificate::authority("lull issuing", 0, now, after(now, ISSUING_LIFE))?
            .signed_by(&key, &signer)
            .map_err(AuthorityError::Certificate)?;
        let bundle = Bundle::new(key, &certificate);
        bundle.store(&path)?;
        bundle
    };
    let issuer = Issuer::from_ca_cert_der(&bundle.certificate, bundle.key)
        .map_err(AuthorityError::Certificate)?;
    Ok(Issuing {
        issuer,
        certificate: bundle.certificate,
        pem: bundle.certificate_pem,
    })
}

fn open_server(
    folder: &Path,
    names: &[String],
    root: &Bundle,
    issuing: &Issuing,
    now: u64,
) -> Result<ServerKeys, AuthorityError> {
    let path = folder.join("server.pem");
    let current = |stored: &Bundle| {
        let facts = Facts::of(&stored.certificate);
        let mut covered = facts.map(|facts| facts.names).unwrap_or_default();
        covered.sort();
        covered == names
            && has_left(&stored.certificate, SERVER_LEFT, now)
            && is_signed_by(&stored.certificate, &issuing.certificate)
    };
    let bundle = if let Some(stored) = Bundle::load(&path)?.filter(current) {
        stored
    } else {
        let key = new_key()?;
        let certificate = certificate::server(names, now, after(now, SERVER_LIFE))?
            .signed_by(&key, &issuing.issuer)
            .map_err(AuthorityError::Certificate)?;
        let bundle = Bundle::new(key, &certificate);
        bundle.store(&path)?;
        bundle
    };
    let key = rustls_pki_types::PrivatePkcs8KeyDer::from(bundle.key.serialized_der().to_vec());
    let key = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&key.into())
        .map_err(AuthorityError::Key)?;
    let chain = vec![bundle.certificate, issuing.certificate.clone()];
    let mut whole = chain.clone();
    whole.push(root.certificate.clone());
    Ok(ServerKeys {
        fleet: Arc::new(rustls::sign::CertifiedKey::new(chain, Arc::clone(&key))),
        door: Arc::new(rustls::sign::CertifiedKey::new(whole, key)),
    })
}

#[cfg(test)]
mod tests;
