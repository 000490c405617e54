//! What our certificates say: subjects, uses, names, spans; and what a peer's certificate says.
//!
//! Deliberately absent: keys at rest and renewal.

use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509CertificationRequest};

use super::AuthorityError;

/// Certificates begin so long before they are made, so that a clock a little behind accepts them.
const SKEW: Duration = Duration::from_mins(5);

/// Most bytes of a certificate request: a P-384 request with names has less than 1 KiB.
pub const REQUEST_LIMIT: usize = 8 << 10;

/// A request whose signature was right. Only its key counts: what else it asks for is ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateRequest {
    pub(super) public_key: rcgen::PublicKey,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Too large.
    #[error("{0} bytes, at most {REQUEST_LIMIT} are read")]
    TooLarge(usize),
    /// Not the format.
    #[error("it is no PKCS#10 certificate request in DER")]
    Unreadable,
    /// Not signed with the key it names.
    #[error("its signature is not of the key it names")]
    Signature,
    /// A key we do not sign for.
    #[error("its key is of another kind than ECDSA P-256, ECDSA P-384 or Ed25519")]
    Key,
}

impl CertificateRequest {
    /// Reads PKCS#10 in DER and checks its signature.
    pub fn from_der(der: &[u8]) -> Result<Self, RequestError> {
        if der.len() > REQUEST_LIMIT {
            return Err(RequestError::TooLarge(der.len()));
        }
        let (rest, request) =
            X509CertificationRequest::from_der(der).map_err(|_error| RequestError::Unreadable)?;
        if !rest.is_empty() {
            return Err(RequestError::Unreadable);
        }
        let der = CertificateSigningRequestDer::from(der);
        let parsed =
            rcgen::CertificateSigningRequestParams::from_der(&der).map_err(
                |error| match error {
                    rcgen::Error::InvalidCertificationRequestSignature => RequestError::Signature,
                    rcgen::Error::UnsupportedSignatureAlgorithm => RequestError::Key,
                    _ => RequestError::Unreadable,
                },
            )?;
        // The library takes the key's kind from the signature's: where they differ, it would write another key.
        let named = request.certification_request_info.subject_pki.raw;
        let supported = [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_ED25519,
        ];
        let public_key = parsed.public_key;
        if public_key.subject_public_key_info() != named
            || !supported.contains(&public_key.algorithm())
        {
            return Err(RequestError::Key);
        }
        Ok(Self { public_key })
    }

    /// SHA-256 of the public key (its `SubjectPublicKeyInfo`).
    pub fn key_hash(&self) -> [u8; 32] {
        sha256(&self.public_key.subject_public_key_info())
    }
}

/// SHA-256.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// What every certificate of ours has in common. Times are wall milliseconds.
fn base(name: &str, now: u64, until: u64) -> Result<CertificateParams, AuthorityError> {
    let mut serial = [0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_none| AuthorityError::Randomness)?;
    // Positive, and with no leading zero, so that its bytes on the wire are these.
    serial[0] = serial[0] & 0x3f | 0x40;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.not_before = epoch + Duration::from_millis(now).saturating_sub(SKEW);
    params.not_after = epoch + Duration::from_millis(until);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// A certificate authority's own.
pub(super) fn authority(
    name: &str,
    path_length: u8,
    now: u64,
    until: u64,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = base(name, now, until)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

/// The coordinator's as a server.
pub(super) fn server(
    names: &[String],
    now: u64,
    until: u64,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = base("lull coordinator", now, until)?;
    params.subject_alt_names = CertificateParams::new(names)
        .map_err(AuthorityError::Certificate)?
        .subject_alt_names;
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

/// A device's, publisher's or operator's: `uri` is its role and name.
pub(super) fn client(uri: &str, now: u64, until: u64) -> Result<CertificateParams, AuthorityError> {
    let mut params = base(uri.trim_start_matches("lull://"), now, until)?;
    let uri = uri.try_into().map_err(AuthorityError::Certificate)?;
    params.subject_alt_names = vec![SanType::URI(uri)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// What we read from a certificate that was verified (a peer's), or is our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its names: URIs, DNS names, IP addresses as text.
    pub names: Vec<String>,
    /// Its serial number.
    pub serial: Vec<u8>,
    /// Its end, wall milliseconds.
    pub expires_at: u64,
}

impl Facts {
    /// Reads them; `None` if it is no certificate.
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let names = parsed.subject_alternative_name().ok()?;
        let names = names.map_or_else(Vec::new, |names| {
            names.value.general_names.iter().filter_map(name).collect()
        });
        let expires_at = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
        Some(Self {
            names,
            serial: parsed.raw_serial().to_vec(),
            expires_at: expires_at.saturating_mul(1_000),
        })
    }
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::URI(text) | GeneralName::DNSName(text) => Some((*text).to_owned()),
        GeneralName::IPAddress(octets) => <[u8; 4]>::try_from(*octets)
            .map(std::net::IpAddr::from)
            .or_else(|_other| <[u8; 16]>::try_from(*octets).map(std::net::IpAddr::from))
            .ok()
            .map(|address| address.to_string()),
        _ => None,
    }
}
