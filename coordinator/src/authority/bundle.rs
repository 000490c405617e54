//! A private key with its certificate in one PEM file, so that one rename replaces both.
//!
//! Deliberately absent: what a certificate says (`certificate.rs`) and when it is renewed (`mod.rs`).

use std::fmt;
use std::path::{Path, PathBuf};

use rcgen::{KeyPair, PublicKeyData as _};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use super::{AuthorityError, files};

/// A key and its certificate. The key is never shown.
pub(super) struct Bundle {
    pub(super) key: KeyPair,
    pub(super) certificate: CertificateDer<'static>,
    pub(super) certificate_pem: String,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").finish_non_exhaustive()
    }
}

impl Bundle {
    pub(super) fn new(key: KeyPair, certificate: &rcgen::Certificate) -> Self {
        Self {
            key,
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
        }
    }

    /// Reads it; `None` if there is no such file.
    pub(super) fn load(path: &Path) -> Result<Option<Self>, AuthorityError> {
        let damaged = |what: &str| AuthorityError::Damaged {
            path: path.to_owned(),
            what: what.to_owned(),
        };
        let Some(text) = files::read(path).map_err(|source| file_error(path, source))? else {
            return Ok(None);
        };
        let key = PrivatePkcs8KeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_no_key| damaged("it holds no private key in PKCS#8"))?;
        let key =
            KeyPair::try_from(&key).map_err(|_unusable| damaged("its private key is damaged"))?;
        let certificate = CertificateDer::from_pem_slice(text.as_bytes())
            .map_err(|_none| damaged("it holds no certificate"))?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_unreadable| damaged("its certificate is damaged"))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(damaged("its certificate is of another key"));
        }
        let start = text
            .find("-----BEGIN CERTIFICATE")
            .ok_or_else(|| damaged("it holds no certificate"))?;
        let certificate_pem = text[start..].to_owned();
        Ok(Some(Self {
            key,
            certificate,
            certificate_pem,
        }))
    }

    pub(super) fn store(&self, path: &Path) -> Result<(), AuthorityError> {
        let key = Zeroizing::new(self.key.serialize_pem());
        let text = Zeroizing::new([key.as_str(), &self.certificate_pem].concat());
        files::write(path, text.as_bytes()).map_err(|source| file_error(path, source))
    }
}

pub(super) fn file_error(path: &Path, source: std::io::Error) -> AuthorityError {
    AuthorityError::File {
        path: PathBuf::from(path),
        source,
    }
}
