//! `lull client-certificate`: a key that stays here, and a certificate for it from the coordinator.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use lull_proto::fleet::v1::{IssueClientCertificateRequest, Role as WireRole};
use lull_proto::time;
use rcgen::{CertificateParams, KeyPair};

use crate::command::{ClientCertificate, Global, Role};
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::output::Output;
use crate::view::moment;

/// Runs the verb.
pub(crate) async fn run(
    global: &Global,
    options: ClientCertificate,
    output: &Output,
) -> Result<(), Failure> {
    let coordinator = Coordinator::of(global).await?;
    let (key, request) = key_and_request()?;
    let request = IssueClientCertificateRequest {
        name: options.name.clone(),
        role: match options.role {
            Role::Publisher => WireRole::Publisher,
            Role::Operator => WireRole::Operator,
        }
        .into(),
        apps: options.app.clone(),
        certificate_request: request.into(),
        valid_for: options
            .valid_for
            .map(|span| time::duration(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))),
    };
    let answer = coordinator
        .fleet()
        .issue_client_certificate(Coordinator::request(request))
        .await;
    let issued = answer
        .map_err(|status| coordinator.failure(&status))?
        .into_inner();
    write(&options.out, &key, &issued.certificate_chain, &issued.root)?;
    let expires_at = moment(issued.expires_at);
    if output.json() {
        output.document(&serde_json::json!({
            "name": options.name,
            "folder": options.out,
            "expires_at": expires_at,
        }));
    } else {
        let until = expires_at
            .map(|at| at.strftime("%Y-%m-%d").to_string())
            .unwrap_or_default();
        output.line(format!(
            "{}: cert.pem, key.pem and root.pem of {}, good until {until}",
            options.out.display(),
            options.name
        ));
    }
    Ok(())
}

/// A fresh P-256 key as PEM, and a request (PKCS#10, DER) for it. The coordinator sets the names.
fn key_and_request() -> Result<(String, Vec<u8>), Failure> {
    let make = || -> Result<(String, Vec<u8>), rcgen::Error> {
        let key = KeyPair::generate()?;
        let request = CertificateParams::default().serialize_request(&key)?;
        Ok((key.serialize_pem(), request.der().to_vec()))
    };
    make().map_err(|error| Failure::internal("cannot make a key", &error.into()))
}

fn write(folder: &Path, key: &str, chain: &str, root: &str) -> Result<(), Failure> {
    DirBuilder::new().mode(0o700).create(folder).map_err(|error| {
        Failure::Input(format!(
            "--out {}: {error}; name a folder that does not exist yet, so that no key is overwritten",
            folder.display()
        ))
    })?;
    for (name, text) in [("key.pem", key), ("cert.pem", chain), ("root.pem", root)] {
        private_file(&folder.join(name), text.as_bytes()).map_err(|error| {
            Failure::internal(
                format!("cannot write {}", folder.join(name).display()),
                &error.into(),
            )
        })?;
    }
    Ok(())
}

/// Writes a file that only its owner reads, and makes it durable; it must not exist.
fn private_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_private_and_never_overwritten() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("identity");
        write(&folder, "key", "chain", "root").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("key.pem")), 0o600);
        let again = write(&folder, "other", "chain", "root").unwrap_err();
        assert_eq!(again.exit(), crate::failure::Exit::Usage);
        assert_eq!(
            std::fs::read_to_string(folder.join("key.pem")).unwrap(),
            "key"
        );
    }

    #[test]
    fn a_request_carries_its_own_signature() {
        let (key, request) = key_and_request().unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
        assert_eq!(request.first(), Some(&0x30));
    }
}
