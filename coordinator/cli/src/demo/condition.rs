//! A task whose condition does not hold waits, `why` explains it, and it runs when the condition comes to hold.

use std::time::Duration;

use lull_proto::local::v1::GetStatusRequest;

use super::network::{self, Namespace};
use super::seat::{PROMPT, Seat, completed, ending, show_chain};
use super::step::Step;
use crate::clock::wall;
use crate::failure::Failure;
use crate::up::daemon::until;
use crate::verb::{ask_why, why_words};
use crate::words::{Reader, exact};

/// How long the task is seen to wait before the network comes: long against the milliseconds in which it would start.
const WAITS: Duration = Duration::from_secs(2);

/// Runs the step.
pub(super) async fn run(seat: &Seat, namespace: Namespace) -> Step {
    let mut step = Step::new(
        "condition",
        "A task waits for the Internet, `why` says so, and it runs when it is there",
    );
    let result = match namespace {
        Namespace::Own => work(seat, &mut step).await,
        Namespace::Machine => {
            let why = "it takes a network namespace of its own, which takes root: run it with sudo";
            step.cannot("a task waits for its condition and runs when it holds", why);
            Ok(())
        }
    };
    step.end(result)
}

async fn work(seat: &Seat, step: &mut Step) -> Result<(), Failure> {
    step.keep("readings_before", readings(seat).await?);
    let sent = seat.send("reports", "report now", "").await?;
    step.keep("push_id", &sent.push_id);
    let explanation = until(PROMPT, "the push did not come to wait", async || {
        let explanations = ask_why(&seat.node, "reports", "report").await?;
        Ok(explanations
            .into_iter()
            .find(|explanation| explanation.waiting > 0))
    })
    .await?;
    for line in why_words(&explanation, &Reader::here()).lines() {
        step.line(line);
    }
    step.keep("why", &explanation);
    tokio::time::sleep(WAITS).await;
    let before = seat.runs_of("reports", &sent.push_id).await?;
    step.claim(
        "it waits, and why names the reason",
        before.is_empty()
            && explanation
                .reasons
                .iter()
                .any(|why| why.reason == "internet"),
        format!(
            "no run after {}; reasons: {}",
            exact(WAITS),
            explanation
                .reasons
                .iter()
                .map(|why| why.reason.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        ),
    );
    step.keep("runs_before", &before);
    let came = wall();
    step.keep("route_added_at", came);
    let link = network::default_route_up().await?;
    step.keep("link", link);
    let receipts = seat.receipts(&sent.push_id, PROMPT).await?;
    step.keep("receipts", &receipts);
    step.keep("readings_after", readings(seat).await?);
    show_chain(step, &receipts);
    let run = seat.ended("reports", &sent.push_id).await?;
    step.keep("run", &run);
    let after = run
        .started_at
        .map(|at| at.as_millisecond() - came.as_millisecond());
    step.claim(
        "it runs once the kernel has a default route",
        completed(&receipts) && after.is_some_and(|millis| millis >= 0),
        format!(
            "a {link} link with a route came up; started {} ms later; {}",
            after.unwrap_or(-1),
            ending(&receipts)
        ),
    );
    Ok(())
}

async fn readings(seat: &Seat) -> Result<serde_json::Value, Failure> {
    let answer = seat.node.operator().get_status(GetStatusRequest {}).await;
    let status = answer
        .map_err(|status| seat.node.failure(&status))?
        .into_inner();
    let reading = |reading: lull_proto::local::v1::Reading| {
        serde_json::json!({
            "name": reading.name,
            "value": reading.value,
            "certainty": reading.certainty,
            "source": reading.source,
        })
    };
    Ok(status.readings.into_iter().map(reading).collect())
}
