//! `lull.fleet.v1.FleetService`: the fleet as its operator sees it.
//!
//! Deliberately absent: who may call (the table).

use std::collections::BTreeSet;
use std::time::Duration;

use lull_fleet_policy::enrollment::{Token, token_life};
use lull_fleet_policy::{AppId, ClientName, DeviceId, Labels, Span, Wall, bounds};
use lull_proto::fleet::v1::fleet_service_server::FleetService;
use lull_proto::fleet::v1::{
    CreateEnrollmentTokenRequest, CreateEnrollmentTokenResponse, Device,
    IssueClientCertificateRequest, IssueClientCertificateResponse, ListDevicesRequest,
    ListDevicesResponse, Role,
};
use lull_proto::problem::invalid;
use lull_proto::time::{span_millis, timestamp};
use prost_types::Duration as WireDuration;
use tonic::{Request, Response, Status};

use super::{Services, ending, from_store, violation};
use crate::authority::{CLIENT_LIFE, CertificateRequest, EnrollmentSecret};
use crate::shard::messages::Connected;
use crate::store::{
    Change, ClientRecord, ClientRole, Conflict, DeviceCursor, DeviceRecord, Holder, NewCertificate,
    Outcome, TokenHash, TokenRecord,
};

/// Devices of a page where none is asked for, and at most.
const PAGE: (u32, u32) = (100, 1_000);

/// The service.
#[derive(Debug)]
pub struct Fleet {
    /// What it stands on.
    pub services: Services,
    /// `host:port` of the door, as devices reach it.
    pub door_address: String,
}

#[tonic::async_trait]
impl FleetService for Fleet {
    async fn create_enrollment_token(
        &self,
        request: Request<CreateEnrollmentTokenRequest>,
    ) -> Result<Response<CreateEnrollmentTokenResponse>, Status> {
        let request = request.into_inner();
        let labels = Labels::of_device(request.labels)
            .map_err(|error| invalid("labels", error.to_string()))?;
        let life = token_life(span(request.valid_for.as_ref())?).map_err(|v| violation(&v))?;
        let secret =
            EnrollmentSecret::generate().map_err(|error| Status::unavailable(error.to_string()))?;
        let expires = self.services.now().after(life);
        let token = Token {
            expires,
            bound: None,
        };
        let change = Change::AddToken {
            hash: TokenHash(secret.hash()),
            token: TokenRecord { token, labels },
        };
        self.commit(vec![change]).await?;
        Ok(Response::new(CreateEnrollmentTokenResponse {
            token: secret.token(&self.services.authority.root_hash()),
            door_address: self.door_address.clone(),
            expires_at: Some(timestamp(expires.as_millis())),
        }))
    }

    async fn list_devices(
        &self,
        request: Request<ListDevicesRequest>,
    ) -> Result<Response<ListDevicesResponse>, Status> {
        let request = request.into_inner();
        let (usual, most) = PAGE;
        let size = match request.page_size {
            0 => usual,
            size if size <= most => size,
            size => {
                return Err(invalid(
                    "page_size",
                    format!("{size}, at most {most} are given at once"),
                ));
            }
        };
        let after = match request.page_token.as_str() {
            "" => None,
            token => Some(
                DeviceCursor::decode(token)
                    .map_err(|error| invalid("page_token", error.to_string()))?,
            ),
        };
        let page = self.services.store.devices(after, size).await;
        let page = page.map_err(|error| from_store(&error))?;
        let connected = self.connected(&page.devices).await?;
        let devices = page.devices.into_iter();
        Ok(Response::new(ListDevicesResponse {
            devices: devices
                .map(|record| {
                    let connected = connected.contains(&record.id);
                    device(record, connected)
                })
                .collect(),
            next_page_token: page.next.map_or_else(String::new, |next| next.encode()),
        }))
    }

    async fn issue_client_certificate(
        &self,
        request: Request<IssueClientCertificateRequest>,
    ) -> Result<Response<IssueClientCertificateResponse>, Status> {
        let request = request.into_inner();
        let name = ClientName::new(request.name.as_str())
            .map_err(|error| invalid("name", error.to_string()))?;
        let role = client_role(&request)?;
        let life = client_life(span(request.valid_for.as_ref())?)?;
        let csr = CertificateRequest::from_der(&request.certificate_request)
            .map_err(|error| invalid("certificate_request", error.to_string()))?;
        let word = match role {
            ClientRole::Publisher(_) => "publisher",
            ClientRole::Operator => "operator",
        };
        let issued = self
            .services
            .authority
            .sign_client(&csr, word, name.as_str(), life)
            .map_err(|error| Status::internal(error.to_string()))?;
        let holder = Holder::Client(name.clone());
        let changes = vec![
            Change::PutClient(ClientRecord {
                name: name.clone(),
                role,
            }),
            Change::AddCertificate(NewCertificate {
                serial: issued.serial,
                holder,
                expires: Wall::from_millis(issued.expires_at),
            }),
        ];
        self.commit(changes).await?;
        self.services.callers.forget();
        tracing::info!(%name, role = word, "a client certificate was issued");
        Ok(Response::new(IssueClientCertificateResponse {
            certificate_chain: issued.chain,
            root: self.services.authority.root_pem().to_owned(),
            expires_at: Some(timestamp(issued.expires_at)),
        }))
    }
}

impl Fleet {
    async fn commit(&self, changes: Vec<Change>) -> Result<(), Status> {
        let outcomes = self.services.store.commit(changes).await;
        let outcomes = outcomes.map_err(|error| from_store(&error))?;
        for outcome in outcomes {
            match outcome {
                Outcome::Applied(_) => {}
                Outcome::Conflict(conflict @ Conflict::Client { .. }) => {
                    return Err(Status::already_exists(format!(
                        "{conflict}; choose another name"
                    )));
                }
                Outcome::Conflict(_) | Outcome::Duplicate(_) | Outcome::Withheld => {
                    return Err(Status::aborted("it changed meanwhile; try again"));
                }
            }
        }
        Ok(())
    }

    async fn connected(&self, records: &[DeviceRecord]) -> Result<BTreeSet<DeviceId>, Status> {
        let mut connected = BTreeSet::new();
        let ids: Vec<_> = records.iter().map(|record| record.id).collect();
        for shard in self.services.shards.iter() {
            let answers = shard.send(Connected(ids.clone())).await;
            let answers = answers.map_err(|_gone| ending())?;
            let there = ids.iter().zip(answers).filter(|(_, there)| *there);
            connected.extend(there.map(|(id, _)| *id));
        }
        Ok(connected)
    }
}

fn device(record: DeviceRecord, connected: bool) -> Device {
    Device {
        id: record.id.to_string(),
        labels: record.labels().into_map().into_iter().collect(),
        name: record.name,
        connected,
        last_seen: record.last_seen.map(|seen| timestamp(seen.as_millis())),
        enrolled_at: Some(timestamp(record.enrolled.as_millis())),
        waiting: record.waiting,
        apps: record
            .apps
            .into_iter()
            .map(|installed| installed.app.into())
            .collect(),
        node_version: record.node_version,
    }
}

fn span(asked: Option<&WireDuration>) -> Result<Option<Span>, Status> {
    asked
        .map(|asked| span_millis(asked).map(Span::millis))
        .transpose()
        .map_err(|error| invalid("valid_for", error.to_string()))
}

fn client_life(asked: Option<Span>) -> Result<Duration, Status> {
    let life = asked.unwrap_or(bounds::CLIENT_CERTIFICATE_LIFE);
    if life < Span::seconds(1) || life > bounds::CLIENT_CERTIFICATE_LIFE {
        let asked = life.as_millis();
        return Err(invalid(
            "valid_for",
            format!("{asked} ms, 1 s to 90 days are accepted (absent = 90 days)"),
        ));
    }
    Ok(Duration::from_millis(life.as_millis()).min(CLIENT_LIFE))
}

fn client_role(request: &IssueClientCertificateRequest) -> Result<ClientRole, Status> {
    match request.role() {
        Role::Unspecified => Err(invalid("role", "none given; name publisher or operator")),
        Role::Operator if request.apps.is_empty() => Ok(ClientRole::Operator),
        Role::Operator => Err(invalid("apps", "an operator may use all; leave it empty")),
        Role::Publisher => {
            let count = request.apps.len();
            if count == 0 || count > bounds::PUBLISHER_APPS {
                let most = bounds::PUBLISHER_APPS;
                return Err(invalid(
                    "apps",
                    format!("{count} apps, a publisher has 1 to {most}"),
                ));
            }
            let apps = request.apps.iter().map(|app| AppId::new(app.as_str()));
            apps.collect::<Result<_, _>>()
                .map(ClientRole::Publisher)
                .map_err(|error| invalid("apps", error.to_string()))
        }
    }
}
