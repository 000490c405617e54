//! `lull.device.v1.EnrollmentService`: a one-time token becomes a device's identity.
//!
//! Deliberately absent: whether the token is good (the fleet policy) and the certificate's content (`authority`).

use lull_fleet_policy::enrollment::{Bound, Redeemed, Token, TokenRefused, redeem};
use lull_fleet_policy::{DeviceId, KeyFingerprint, Labels, Wall, bounds};
use lull_proto::device::v1::enrollment_service_server::EnrollmentService;
use lull_proto::device::v1::{EnrollRequest, EnrollResponse};
use lull_proto::problem::invalid;
use tonic::{Request, Response, Status};

use super::{Services, ending, from_store};
use crate::authority::{CertificateRequest, EnrollmentSecret, Issued};
use crate::shard::messages::Enrolled;
use crate::store::{
    Change, Conflict, Holder, NewCertificate, NewDevice, Outcome, TokenHash, TokenRecord,
};

/// Tries against another call with the same token at the same moment; the second one finds it bound.
const TRIES: usize = 3;

/// The service.
#[derive(Debug, Clone)]
pub struct Enrolment {
    /// What it stands on.
    pub services: Services,
    /// Devices that may be enrolled (`limits.devices`).
    pub limit: u64,
    /// How many are.
    pub count: std::sync::Arc<std::sync::atomic::AtomicU64>,
    /// `host:port` of the fleet listener, as devices reach it.
    pub fleet_address: String,
}

/// A request that is right in every field. The token's text goes no further than its hash.
struct Wish {
    hash: TokenHash,
    request: CertificateRequest,
    name: String,
    labels: Labels,
}

#[tonic::async_trait]
impl EnrollmentService for Enrolment {
    async fn enroll(
        &self,
        request: Request<EnrollRequest>,
    ) -> Result<Response<EnrollResponse>, Status> {
        let wish = wish(request.into_inner())?;
        // A caller that leaves must not keep the shard from hearing of the device.
        let this = self.clone();
        let enrolled = tokio::spawn(async move { this.enrol(wish).await });
        enrolled
            .await
            .map_err(|_panicked| Status::internal("the enrolment failed"))?
            .map(Response::new)
    }
}

impl Enrolment {
    async fn enrol(&self, wish: Wish) -> Result<EnrollResponse, Status> {
        let key = KeyFingerprint(wish.request.key_hash());
        for _ in 0..TRIES {
            let now = self.services.now();
            let found = self.services.store.token(wish.hash).await;
            let found = found.map_err(|error| from_store(&error))?;
            let token = found.as_ref().map(|record| &record.token);
            let redeemed = redeem(token, key, now).map_err(refusal)?;
            let Some(record) = found else {
                return Err(refusal(TokenRefused::Unknown));
            };
            if let Some(answer) = self.redeem(&wish, record, redeemed, key, now).await? {
                return Ok(answer);
            }
        }
        Err(Status::unavailable(
            "the token is being used at this moment; try again shortly",
        ))
    }

    /// Binds the token and answers; `None` where another call was faster.
    async fn redeem(
        &self,
        wish: &Wish,
        record: TokenRecord,
        redeemed: Redeemed,
        key: KeyFingerprint,
        now: Wall,
    ) -> Result<Option<EnrollResponse>, Status> {
        let (device, recoveries) = match redeemed {
            Redeemed::First => {
                self.check_room()?;
                (DeviceId::from_bytes(super::push::new_id(now)), 0)
            }
            Redeemed::Again { device } => {
                let before = record.token.bound.map_or(0, |bound| bound.recoveries);
                (device, before.saturating_add(1))
            }
        };
        let new = matches!(redeemed, Redeemed::First).then(|| NewDevice {
            id: device,
            name: wish.name.clone(),
            key,
            operator_labels: record.labels,
            own_labels: wish.labels.clone(),
            enrolled: now,
        });
        let issued = self
            .services
            .authority
            .sign_device(&wish.request, &device.to_string())
            .map_err(|error| Status::internal(error.to_string()))?;
        let bound = Some(Bound {
            key,
            device,
            recoveries,
        });
        let change = Change::Redeem {
            hash: wish.hash,
            before: record.token,
            after: Token {
                bound,
                ..record.token
            },
            device: new.clone().map(Box::new),
            certificate: NewCertificate {
                serial: issued.serial.clone(),
                holder: Holder::Device(device),
                expires: Wall::from_millis(issued.expires_at),
            },
        };
        let outcomes = self.services.store.commit(vec![change]).await;
        match outcomes.map_err(|error| from_store(&error))?.first() {
            Some(Outcome::Applied(_)) => {}
            Some(Outcome::Conflict(Conflict::Token)) => return Ok(None),
            _ => {
                return Err(Status::unavailable(
                    "the enrolment was not stored; try again",
                ));
            }
        }
        if let Some(new) = new {
            let shard = self.services.shard(device)?;
            shard.send(Enrolled(new)).await.map_err(|_gone| ending())?;
            tracing::info!(%device, name = %wish.name, "a device has enrolled");
        }
        Ok(Some(self.answer(device, issued)))
    }

    fn check_room(&self) -> Result<(), Status> {
        let count = self.count.load(std::sync::atomic::Ordering::Relaxed);
        if count >= self.limit {
            let limit = self.limit;
            return Err(Status::resource_exhausted(format!(
                "{count} devices are enrolled, at most {limit} may be (limits.devices)"
            )));
        }
        Ok(())
    }

    fn answer(&self, device: DeviceId, issued: Issued) -> EnrollResponse {
        EnrollResponse {
            device: device.to_string(),
            certificate_chain: issued.chain,
            root: self.services.authority.root_pem().to_owned(),
            fleet_address: self.fleet_address.clone(),
            expires_at: Some(lull_proto::time::timestamp(issued.expires_at)),
        }
    }
}

fn wish(request: EnrollRequest) -> Result<Wish, Status> {
    let token = zeroize::Zeroizing::new(request.token);
    let secret = EnrollmentSecret::from_token(&token)
        .map_err(|error| Status::unauthenticated(error.to_string()))?;
    let (name, length) = (request.name, bounds::DEVICE_NAME);
    if name.len() > length || name.chars().any(char::is_control) {
        let message = format!("at most {length} bytes without control characters are accepted");
        return Err(invalid("name", message));
    }
    let labels =
        Labels::of_device(request.labels).map_err(|error| invalid("labels", error.to_string()))?;
    let request = CertificateRequest::from_der(&request.certificate_request)
        .map_err(|error| invalid("certificate_request", error.to_string()))?;
    Ok(Wish {
        hash: TokenHash(secret.hash()),
        request,
        name,
        labels,
    })
}

/// All alike in code, so that nothing is learnt by guessing; only who has the secret sees the words.
fn refusal(refused: TokenRefused) -> Status {
    Status::unauthenticated(refused.to_string())
}
