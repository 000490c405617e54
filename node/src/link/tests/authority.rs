//! A fleet's authority as a test needs it: root, issuing certificate, server and device certificates.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SubjectPublicKeyInfo,
};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

pub(crate) struct Authority {
    root: CertificateDer<'static>,
    pub(crate) root_pem: String,
    issuing: CertificateDer<'static>,
    issuing_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

fn ca(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let root = ca("root").self_signed(&key).unwrap();
        let above = Issuer::new(ca("root"), key);
        let key = KeyPair::generate().unwrap();
        let issuing = ca("issuing").signed_by(&key, &above).unwrap();
        Self {
            root: root.der().clone(),
            root_pem: root.pem(),
            issuing: issuing.der().clone(),
            issuing_pem: issuing.pem(),
            issuer: Issuer::new(ca("issuing"), key),
        }
    }

    /// The token whose secret is of this letter.
    pub(crate) fn token(&self, secret: char) -> String {
        let mut hash = String::new();
        for byte in digest(&SHA256, &self.root).as_ref() {
            write!(hash, "{byte:02x}").unwrap();
        }
        format!("lull1.{}.{hash}", secret.to_string().repeat(43))
    }

    /// The chain, PEM, for a device's key.
    pub(crate) fn device(&self, device: &str, key: &impl PublicKeyData, days: i64) -> String {
        let mut params = CertificateParams::default();
        let uri = format!("lull://device/{device}").try_into().unwrap();
        params.subject_alt_names = vec![SanType::URI(uri)];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let now = std::fs::metadata("/proc/self").unwrap().modified().unwrap();
        let end = now + std::time::Duration::from_hours(1);
        params.not_before = (now - std::time::Duration::from_hours(48)).into();
        params.not_after = end.into();
        if days < 0 {
            params.not_after = (now - std::time::Duration::from_hours(1)).into();
        }
        let certificate = params.signed_by(key, &self.issuer).unwrap();
        [certificate.pem(), self.issuing_pem.clone()].concat()
    }

    /// The chain for a certificate request.
    pub(crate) fn answer(&self, device: &str, request: &[u8]) -> String {
        let request = rcgen::CertificateSigningRequestParams::from_der(&request.to_vec().into());
        let key = request.unwrap().public_key;
        let key = SubjectPublicKeyInfo::from_der(&key.subject_public_key_info()).unwrap();
        self.device(device, &key, 1)
    }

    /// An identity as enrolment leaves it.
    pub(crate) fn enrol(&self, folder: &Path, device: &str, fleet: &str, days: i64) {
        let key = KeyPair::generate().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        let put = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
        put("key.pem", &key.serialize_pem());
        put("cert.pem", &self.device(device, &key, days));
        put("root.pem", &self.root_pem);
        let json = serde_json::json!({ "device": device, "fleet_address": fleet });
        // By rename, as enrolment does it.
        put("new", &json.to_string());
        std::fs::rename(folder.join("new"), folder.join("device.json")).unwrap();
    }

    fn server(&self, names: &[&str]) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        (certificate.der().clone(), key)
    }

    /// Mutual TLS, as the fleet listener has it.
    pub(crate) fn fleet(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let (certificate, key) = self.server(&["127.0.0.1"]);
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate, self.issuing.clone()], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }

    /// Server TLS that shows the root, as the door has it.
    pub(crate) fn door(&self, names: &[&str]) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (certificate, key) = self.server(names);
        let chain = vec![certificate, self.issuing.clone(), self.root.clone()];
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}
