//! `lull enroll`: a one-time token, and the command that uses it on the device.

use lull_proto::fleet::v1::{CreateEnrollmentTokenRequest, CreateEnrollmentTokenResponse};
use lull_proto::time;
use serde::Serialize;

use crate::command::{Enroll, Global};
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::output::Output;
use crate::view::moment;
use crate::words::Reader;

#[derive(Debug, Serialize)]
struct TokenView {
    token: String,
    door: String,
    expires_at: Option<jiff::Timestamp>,
    command: String,
}

/// Runs the verb.
pub(crate) async fn run(global: &Global, enroll: Enroll, output: &Output) -> Result<(), Failure> {
    let coordinator = Coordinator::of(global).await?;
    let token = TokenView::from(create(&coordinator, enroll).await?);
    if output.json() {
        output.document(&token);
        return Ok(());
    }
    output.line(&token.command);
    let until = token
        .expires_at
        .map(|at| Reader::here().ago(at))
        .unwrap_or_default();
    output.note(format!(
        "Run this on the device, as root. The token is good for one device and ends {until}; \
         the device must reach the door at {}.",
        token.door
    ));
    Ok(())
}

/// Asks the coordinator for a token.
pub(crate) async fn create(
    coordinator: &Coordinator,
    enroll: Enroll,
) -> Result<CreateEnrollmentTokenResponse, Failure> {
    let valid_for = enroll
        .valid_for
        .map(|span| time::duration(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
    let request = CreateEnrollmentTokenRequest {
        labels: enroll.label.into_iter().collect(),
        valid_for,
    };
    let answer = coordinator
        .fleet()
        .create_enrollment_token(Coordinator::request(request))
        .await;
    Ok(answer
        .map_err(|status| coordinator.failure(&status))?
        .into_inner())
}

impl From<CreateEnrollmentTokenResponse> for TokenView {
    fn from(answer: CreateEnrollmentTokenResponse) -> Self {
        let command = format!(
            "lull-node enroll --config /etc/lull/node.toml --door {} --token {}",
            answer.door_address, answer.token
        );
        Self {
            command,
            token: answer.token,
            door: answer.door_address,
            expires_at: moment(answer.expires_at),
        }
    }
}
