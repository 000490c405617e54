//! The node joins with a one-time token, and the token is good for nobody else.

use std::time::Duration;

use lull_proto::device::v1::EnrollRequest;
use lull_proto::device::v1::enrollment_service_client::EnrollmentServiceClient;
use rcgen::{CertificateParams, KeyPair};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use super::step::Step;
use crate::command::Enroll;
use crate::failure::{Failure, chain};
use crate::locate::StateFolder;
use crate::up::manifests::{self, Set};
use crate::up::pair::Pair;
use crate::verb::{create_token, list_devices};

/// To reach the door and be answered.
const DOOR: Duration = Duration::from_secs(10);

/// Starts the coordinator, enrols the node, and shows the token to the door again.
pub(super) async fn run(pair: &mut Pair) -> Step {
    let mut step = Step::new("enrolment", "A node joins with a one-time token");
    let result = work(pair, &mut step).await;
    step.end(result)
}

async fn work(pair: &mut Pair, step: &mut Step) -> Result<(), Failure> {
    let ready = pair.start_coordinator().await?;
    step.keep("fleet", &ready.fleet);
    step.keep("coordinator", pair.coordinator_process());
    let operator = pair.operator().await?;
    let wanted = Enroll {
        label: vec![("origin".to_owned(), "demonstration".to_owned())],
        valid_for: None,
    };
    let token = create_token(&operator, wanted).await?;
    pair.enrol(&token.door_address, &token.token).await?;
    let devices = list_devices(&operator).await?;
    step.claim(
        "the node has an identity of its own",
        devices.len() == 1,
        devices.first().map_or_else(
            || "no device".to_owned(),
            |device| format!("device {}", device.id),
        ),
    );
    let again = second_use(pair.folder(), &token.door_address, &token.token).await?;
    let devices_after = list_devices(&operator).await?;
    let (code, message) = match &again {
        Ok(device) => ("Ok".to_owned(), format!("it was enrolled as {device}")),
        Err(status) => (format!("{:?}", status.code()), status.message().to_owned()),
    };
    step.claim(
        "the same token with another key is refused",
        again.is_err() && devices_after.len() == devices.len(),
        format!("{code}: {message}"),
    );
    step.keep("second_use_code", code);
    step.keep("second_use_message", message);
    step.keep("devices", devices_after);
    Ok(())
}

/// Somebody else, who has seen the token, shows it with a key of their own.
async fn second_use(
    folder: &StateFolder,
    door: &str,
    token: &str,
) -> Result<Result<String, tonic::Status>, Failure> {
    let internal = |error: anyhow::Error| Failure::internal("cannot try the token again", &error);
    let request = || -> anyhow::Result<EnrollRequest> {
        let key = KeyPair::generate()?;
        Ok(EnrollRequest {
            token: token.to_owned(),
            certificate_request: CertificateParams::default()
                .serialize_request(&key)?
                .der()
                .to_vec()
                .into(),
            name: "intruder".to_owned(),
            labels: [].into(),
        })
    };
    let request = request().map_err(internal)?;
    let root = std::fs::read(folder.operator().join("root.pem"))
        .map_err(|error| internal(error.into()))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root));
    let channel = async {
        let endpoint = Endpoint::from_shared(format!("https://{door}"))?
            .timeout(DOOR)
            .tls_config(tls)?;
        endpoint.connect_timeout(DOOR).connect().await
    };
    let channel = channel.await.map_err(|error| Failure::Unreachable {
        message: format!("the door at {door} does not answer"),
        causes: chain(&error),
    })?;
    let answer = EnrollmentServiceClient::new(channel).enroll(request).await;
    Ok(answer.map(|answer| answer.into_inner().device))
}

/// Installs the manifests and starts the node.
pub(super) async fn install(pair: &mut Pair) -> Step {
    let mut step = Step::new("apps", "The example apps are installed");
    let result = start(pair, &mut step).await;
    step.end(result)
}

async fn start(pair: &mut Pair, step: &mut Step) -> Result<(), Failure> {
    manifests::install(pair.held(), Set::Demonstration)?;
    pair.start_node().await?;
    let status = pair.connected().await?;
    step.keep("node", pair.node_process());
    step.keep("launcher", pair.launcher_process());
    step.keep("cannot_enforce", &status.cannot_enforce);
    for missing in &status.cannot_enforce {
        step.line(format!("not enforced here: {missing}"));
    }
    let node = crate::node::Node::connect(&pair.folder().socket()).await?;
    let (apps, refused) = crate::verb::list_apps(&node).await?;
    let names: Vec<&str> = apps.iter().map(|app| app.app.as_str()).collect();
    let ready = apps
        .iter()
        .all(|app| app.registrations > 0 && app.access == "allowed");
    let refusals: Vec<&str> = refused
        .iter()
        .map(|manifest| manifest.error.as_str())
        .collect();
    step.claim(
        "each is installed, has access and its task",
        ready && names.len() == 6 && refused.is_empty(),
        if refused.is_empty() {
            names.join(", ")
        } else {
            refusals.join("; ")
        },
    );
    let users: std::collections::BTreeSet<&str> =
        apps.iter().map(|app| app.user.as_str()).collect();
    if rustix::process::geteuid().is_root() {
        step.claim(
            "each runs as an unprivileged user of its own",
            users.len() == apps.len() && !users.contains("0") && !users.contains("root"),
            users.iter().copied().collect::<Vec<_>>().join(", "),
        );
    } else {
        step.cannot(
            "each runs as an unprivileged user of its own",
            "that takes root; all run as you",
        );
    }
    step.keep("apps", &apps);
    Ok(())
}
