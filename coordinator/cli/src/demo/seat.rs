//! The demonstration's seat: an operator at the coordinator and at the node, with what every step needs from them.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use lull_proto::push::v1::send_request::Target;
use lull_proto::push::v1::{SendRequest, SendResponse};
use owo_colors::OwoColorize as _;

use super::step::Step;
use crate::clock::Deadline;
use crate::failure::Failure;
use crate::fleet::Coordinator;
use crate::locate::StateFolder;
use crate::node::Node;
use crate::up::daemon::until;
use crate::up::pair::Pair;
use crate::verb::{Follower, list_runs, receipt_words};
use crate::view::{ReceiptView, RunView};
use crate::words::exact;

/// For a push to be on its way through an idle device to a run.
pub(super) const PROMPT: Duration = Duration::from_secs(15);
/// For a run that is limited to 30 s to be over and told.
pub(super) const WHOLE_RUN: Duration = Duration::from_secs(50);

/// Two connections and a device.
#[derive(Debug, Clone)]
pub(super) struct Seat {
    pub(super) operator: Coordinator,
    pub(super) node: Node,
    pub(super) device: String,
    pub(super) folder: StateFolder,
}

impl Seat {
    /// Connects to both daemons of a pair, whose node is enrolled and connected.
    pub(super) async fn of(pair: &mut Pair) -> Result<Self, Failure> {
        let status = pair.connected().await?;
        Ok(Self {
            operator: pair.operator().await?,
            node: Node::connect(&pair.folder().socket()).await?,
            device: status.device,
            folder: pair.folder().clone(),
        })
    }

    /// The folder of an app's own.
    pub(super) fn app_state(&self, app: &str) -> PathBuf {
        self.folder.node().join("apps").join(app)
    }

    /// Sends a push to the device; `key` is its de-duplication key, empty for none.
    pub(super) async fn send(
        &self,
        app: &str,
        payload: &str,
        key: &str,
    ) -> Result<SendResponse, Failure> {
        let request = SendRequest {
            app: app.to_owned(),
            target: Some(Target::Device(self.device.clone())),
            payload: Bytes::from(payload.to_owned()),
            time_to_live: Some(lull_proto::time::duration(3_600_000)),
            deduplication_key: key.to_owned(),
            retention: 0,
        };
        crate::verb::send(&self.operator, request).await
    }

    /// Every receipt of a push, once it has its last.
    pub(super) async fn receipts(
        &self,
        push_id: &str,
        within: Duration,
    ) -> Result<Vec<ReceiptView>, Failure> {
        Follower::new(self.operator.clone(), push_id, Deadline::after(within))
            .all()
            .await
    }

    /// The runs that a push began, in the order of their ids.
    pub(super) async fn runs_of(&self, app: &str, push_id: &str) -> Result<Vec<RunView>, Failure> {
        let mut runs = list_runs(&self.node, app, 256).await?;
        runs.retain(|run| run.push_id.as_deref() == Some(push_id));
        runs.sort_by_key(|run| run.run);
        Ok(runs)
    }

    /// Waits until a push's run is under way and its main process is known.
    pub(super) async fn under_way(&self, app: &str, push_id: &str) -> Result<RunView, Failure> {
        until(PROMPT, &format!("no run of {app} began"), async || {
            let runs = self.runs_of(app, push_id).await?;
            Ok(runs
                .into_iter()
                .find(|run| run.pid.is_some() || run.outcome.is_some()))
        })
        .await
    }

    /// The one run of a push that has ended.
    pub(super) async fn ended(&self, app: &str, push_id: &str) -> Result<RunView, Failure> {
        let runs = self.runs_of(app, push_id).await?;
        runs.into_iter()
            .rfind(|run| run.outcome.is_some())
            .ok_or_else(|| {
                Failure::Refused(format!(
                    "the node tells of no ended run of {app} for push {push_id}"
                ))
            })
    }
}

/// Shows a push's receipts with the time of each hop, and keeps them.
pub(super) fn show_chain(step: &mut Step, receipts: &[ReceiptView]) {
    let first = receipts.iter().find_map(|receipt| receipt.at);
    for receipt in receipts {
        let millis = first.zip(receipt.at).map_or(0, |(first, at)| {
            at.as_millisecond().saturating_sub(first.as_millisecond())
        });
        let since = exact(Duration::from_millis(millis.unsigned_abs()));
        let sign = if millis < 0 { '-' } else { '+' };
        let at = receipt
            .at
            .map(|at| at.strftime("%H:%M:%S%.3f UTC").to_string());
        let words = receipt_words(receipt);
        step.line(format!(
            "{}  {:>11}  {}",
            at.unwrap_or_default(),
            format!("{sign}{since}"),
            if receipt.terminal {
                words.bold().to_string()
            } else {
                words
            }
        ));
    }
}

/// The hops' names in order, as one text.
pub(super) fn hops(receipts: &[ReceiptView]) -> String {
    receipts
        .iter()
        .map(|receipt| receipt.hop)
        .collect::<Vec<_>>()
        .join(" → ")
}

/// How a push ended.
pub(super) fn ending(receipts: &[ReceiptView]) -> String {
    let last = receipts.iter().find(|receipt| receipt.terminal);
    last.map_or_else(|| "no terminal receipt".to_owned(), receipt_words)
}

/// Its one terminal receipt tells of a completed run.
pub(super) fn completed(receipts: &[ReceiptView]) -> bool {
    let mut terminal = receipts.iter().filter(|receipt| receipt.terminal);
    let one = terminal.next();
    terminal.next().is_none() && one.and_then(|end| end.outcome.as_deref()) == Some("completed")
}
