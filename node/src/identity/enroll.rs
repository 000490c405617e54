//! Enrolment: trades a one-time token for an identity.
//!
//! The key is made and kept before the coordinator is asked, so that a lost answer can be asked for again: the token is bound to the
//! first key that it is used with. Works while the daemon runs: its link finds the identity when it is whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use lull_proto::MESSAGE_LIMIT;
use lull_proto::device::v1::enrollment_service_client::EnrollmentServiceClient;
use lull_proto::device::v1::{EnrollRequest, EnrollResponse};
use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use tokio::time::{sleep, timeout};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

use super::door::WrongRoot;
use super::{
    CHAIN_FILE, DEVICE, DeviceFile, Identity, IdentityError, KEY, ROOT, Token, TokenError,
    certificates, door, read, write,
};
use crate::config::NodeConfig;
use crate::durable_file;
use crate::link::{Address, AddressError, DialError, channel, connect};
use crate::retry::{Retry, random};

/// Tries, in all about half a minute: a coordinator that restarts is back by then.
const TRIES: u32 = 6;

/// When to try again.
const RETRY: Retry = Retry::new(Duration::from_millis(500), Duration::from_secs(8));

/// How long a connection and its handshake may take, each.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the coordinator may take to answer.
const ANSWER: Duration = Duration::from_secs(15);

/// The longest that a coordinator's wish to be asked later is waited for here; a person is waiting.
const LATER: Duration = Duration::from_secs(20);

/// Most bytes of a device id: a UUID has 36.
const DEVICE_ID: usize = 64;

/// A new identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The device's id in its fleet.
    pub device: String,
    /// The coordinator's fleet listener.
    pub fleet_address: String,
    /// Where the identity is.
    pub folder: PathBuf,
}

/// Why a device was not enrolled. Nothing was stored but a key, which the next try uses.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// The token is no token.
    #[error(transparent)]
    Form(#[from] TokenError),
    /// The door's address is none.
    #[error("--door")]
    Door(#[from] AddressError),
    /// The device has an identity.
    #[error("this device is enrolled already as {device}; to enrol it anew, move {} away", folder.display())]
    AlreadyEnrolled {
        /// As which.
        device: String,
        /// Where its identity is.
        folder: PathBuf,
    },
    /// Another enrolment is under way.
    #[error("another enrolment of this device is under way; wait for it")]
    UnderWay,
    /// The files of the identity.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// No key or request could be made.
    #[error("making the device's key")]
    Key(#[source] rcgen::Error),
    /// Nobody answered.
    #[error("the coordinator's door cannot be reached")]
    Unreachable(#[source] DialError),
    /// Somebody else is at the door.
    #[error(
        "{door} is not the coordinator of this token: no certificate that it shows has the hash of the token's root; check --door, or ask for a new token"
    )]
    WrongRoot {
        /// The address.
        door: String,
    },
    /// The coordinator's certificate is not good for this address.
    #[error(
        "the certificate of {door} was refused; the coordinator's `advertise` has to name the address by which it is reached, and the clocks have to agree"
    )]
    Certificate {
        /// The address.
        door: String,
        /// What is wrong with it.
        #[source]
        source: DialError,
    },
    /// The token is unknown, too old, or was used.
    #[error(
        "the token was not accepted ({message}); a token is good once and for 10 minutes, ask for a new one (`lull enroll`)"
    )]
    Token {
        /// The coordinator's words.
        message: String,
    },
    /// The coordinator refused it for another reason.
    #[error("the coordinator refused the enrolment: {message} ({code})")]
    Refused {
        /// The kind.
        code: Code,
        /// The coordinator's words.
        message: String,
    },
    /// The coordinator cannot do it now.
    #[error(
        "the coordinator cannot enrol now: {message}; the same token can be used again until it ends"
    )]
    Unavailable {
        /// The coordinator's words.
        message: String,
    },
    /// The answer does not fit the question.
    #[error("the coordinator's answer cannot be used: {0}; nothing of it was kept")]
    Answer(String),
}

/// Enrols this device with the coordinator whose door is at `door` (`host:port`).
pub async fn enroll(config: &NodeConfig, token: &str, door: &str) -> Result<Enrolled, EnrollError> {
    let token = Token::parse(token)?;
    let door = Address::parse(door)?;
    let folder = config.identity_dir();
    let _lock = lock(&folder)?;
    let anew = refuse_second(&folder)?;
    let key = key(&folder, anew)?;
    let request = CertificateParams::default()
        .serialize_request(&key)
        .map_err(EnrollError::Key)?;
    let request = EnrollRequest {
        token: token.text().to_owned(),
        certificate_request: request.der().to_vec().into(),
        name: config.device_name(),
        labels: config.device.labels.clone().into_iter().collect(),
    };
    let response = ask(&door, &token, request).await?;
    let answer = Answer::check(response, &token, &key).map_err(EnrollError::Answer)?;
    answer.keep(&folder)?;
    Ok(Enrolled {
        device: answer.device.device,
        fleet_address: answer.device.fleet_address,
        folder,
    })
}

/// One enrolment at a time: the lock is on the folder, and goes with the process.
fn lock(folder: &Path) -> Result<File, EnrollError> {
    let error = |source| IdentityError::File {
        file: folder.to_owned(),
        source,
    };
    durable_file::make_folder(folder, 0o700).map_err(error)?;
    // One that was there before may be open to others.
    rustix::fs::chmod(folder, rustix::fs::Mode::RWXU).map_err(|errno| error(errno.into()))?;
    let open = File::open(folder).map_err(error)?;
    match rustix::fs::flock(&open, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(open),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(EnrollError::UnderWay),
        Err(other) => Err(error(other.into()).into()),
    }
}

/// A device has one identity; one whose certificate has ended may be replaced. True if it is.
fn refuse_second(folder: &Path) -> Result<bool, EnrollError> {
    let Some(identity) = Identity::load(folder)? else {
        return Ok(false);
    };
    match identity.client_config() {
        Err(IdentityError::Ended { .. }) => Ok(true),
        Ok(_) | Err(_) => Err(EnrollError::AlreadyEnrolled {
            device: identity.device,
            folder: folder.to_owned(),
        }),
    }
}

/// The key of an enrolment that was begun, or a new one, durable before it is used.
fn key(folder: &Path, anew: bool) -> Result<KeyPair, EnrollError> {
    let file = folder.join(KEY);
    if let Some(pem) = read(&file)?.filter(|_| !anew) {
        let pem = Zeroizing::new(pem);
        let damaged = |problem: String| IdentityError::Damaged {
            file: file.clone(),
            problem,
        };
        let text = std::str::from_utf8(&pem).map_err(|error| damaged(error.to_string()))?;
        return Ok(KeyPair::from_pem(text).map_err(|error| damaged(error.to_string()))?);
    }
    if anew {
        // From here on there is no identity until the new one is whole.
        let device = folder.join(DEVICE);
        std::fs::remove_file(&device).map_err(|source| IdentityError::File {
            file: device,
            source,
        })?;
    }
    let key = KeyPair::generate().map_err(EnrollError::Key)?;
    let pem = Zeroizing::new(key.serialize_pem());
    write(&file, pem.as_bytes())?;
    Ok(key)
}

/// Asks, again while the coordinator cannot answer: the same token with the same key may be tried again.
async fn ask(
    door: &Address,
    token: &Token,
    request: EnrollRequest,
) -> Result<EnrollResponse, EnrollError> {
    let mut retry = RETRY;
    let mut tries = 1;
    loop {
        let (error, order) = match once(door, token, request.clone()).await {
            Ok(response) => return Ok(response),
            Err(Tried::Final(error)) => return Err(error),
            Err(Tried::Again(error, order)) => (error, order),
        };
        if tries >= TRIES {
            return Err(error);
        }
        tries += 1;
        let delay = order.unwrap_or_default().min(LATER) + retry.next(random());
        tracing::info!(%door, %error, ?delay, "enrolment is tried again");
        sleep(delay).await;
    }
}

/// How one try failed.
enum Tried {
    Final(EnrollError),
    Again(EnrollError, Option<Duration>),
}

async fn once(
    door: &Address,
    token: &Token,
    request: EnrollRequest,
) -> Result<EnrollResponse, Tried> {
    let config = door::config(token.root())
        .map_err(|error| Tried::Final(IdentityError::Tls(error).into()))?;
    let stream = connect(door, config, CONNECT)
        .await
        .map_err(|e| dialled(door, e))?;
    let channel = channel(door, stream).await.map_err(|e| dialled(door, e))?;
    let mut client = EnrollmentServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
    match timeout(ANSWER, client.enroll(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(refused(&status)),
        Err(_late) => {
            let message = format!("it did not answer within {} s", ANSWER.as_secs());
            Err(Tried::Again(EnrollError::Unavailable { message }, None))
        }
    }
}

fn dialled(door: &Address, error: DialError) -> Tried {
    let door = door.to_string();
    match error.tls() {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)))
            if other.0.is::<WrongRoot>() =>
        {
            Tried::Final(EnrollError::WrongRoot { door })
        }
        Some(rustls::Error::InvalidCertificate(_)) => {
            let source = error;
            Tried::Final(EnrollError::Certificate { door, source })
        }
        Some(_) | None => Tried::Again(EnrollError::Unreachable(error), None),
    }
}

fn refused(status: &Status) -> Tried {
    let message = status.message().to_owned();
    let order = status
        .get_details_retry_info()
        .and_then(|info| info.retry_delay);
    match status.code() {
        Code::Unauthenticated => Tried::Final(EnrollError::Token { message }),
        // Unknown is what a connection that broke in the middle reads as.
        Code::Unavailable
        | Code::ResourceExhausted
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Cancelled
        | Code::Unknown => Tried::Again(EnrollError::Unavailable { message }, order),
        code => Tried::Final(EnrollError::Refused { code, message }),
    }
}

/// An answer that fits the question.
struct Answer {
    device: DeviceFile,
    chain: String,
    root: String,
}

impl Answer {
    fn check(response: EnrollResponse, token: &Token, key: &KeyPair) -> Result<Self, String> {
        let device = response.device;
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if device.is_empty() || device.len() > DEVICE_ID || !device.chars().all(valid) {
            return Err("its device id is none".to_owned());
        }
        Address::parse(&response.fleet_address)
            .map_err(|error| format!("its fleet address: {error}"))?;
        let roots = certificates(response.root.as_bytes()).map_err(|e| format!("its root: {e}"))?;
        let [root] = roots.as_slice() else {
            return Err("it has more than one root".to_owned());
        };
        if door::hash(root) != token.root() {
            return Err("its root is not the token's".to_owned());
        }
        let chain = certificates(response.certificate_chain.as_bytes())
            .map_err(|e| format!("its chain: {e}"))?;
        verify(&chain, root)?;
        let first = chain.first().ok_or("its chain is empty")?;
        fits(first, &device, key)?;
        Ok(Self {
            device: DeviceFile {
                device,
                fleet_address: response.fleet_address,
            },
            chain: response.certificate_chain,
            root: response.root,
        })
    }

    /// Keeps it; what makes it an identity is written last.
    fn keep(&self, folder: &Path) -> Result<(), IdentityError> {
        write(&folder.join(CHAIN_FILE), self.chain.as_bytes())?;
        write(&folder.join(ROOT), self.root.as_bytes())?;
        let file = folder.join(DEVICE);
        let bytes =
            serde_json::to_vec_pretty(&self.device).map_err(|error| IdentityError::File {
                file: file.clone(),
                source: error.into(),
            })?;
        write(&file, &bytes)
    }
}

/// The chain leads to the root, as the coordinator will check it itself.
fn verify(chain: &[CertificateDer<'static>], root: &CertificateDer<'static>) -> Result<(), String> {
    let wrong =
        |error: &dyn std::error::Error| format!("its chain does not lead to its root: {error}");
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).map_err(|error| wrong(&error))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|error| wrong(&error))?;
    let (first, rest) = chain.split_first().ok_or("its chain is empty")?;
    verifier
        .verify_client_cert(first, rest, UnixTime::now())
        .map(drop)
        .map_err(|error| wrong(&error))
}

/// The certificate is of this key and this device.
fn fits(certificate: &CertificateDer<'_>, device: &str, key: &KeyPair) -> Result<(), String> {
    let (_rest, parsed) = x509_parser::parse_x509_certificate(certificate)
        .map_err(|error| format!("its certificate: {error}"))?;
    if parsed.public_key().raw != key.subject_public_key_info() {
        return Err("its certificate is of another key".to_owned());
    }
    let expected = format!("lull://device/{device}");
    let names = parsed.subject_alternative_name().ok().flatten();
    let named = names.is_some_and(|names| {
        let uri =
            |name: &GeneralName<'_>| matches!(name, GeneralName::URI(uri) if *uri == expected);
        names.value.general_names.iter().any(uri)
    });
    named
        .then_some(())
        .ok_or_else(|| format!("its certificate does not name {expected}"))
}
