//! A push and its receipts in words, and as JSON Lines.

use std::time::Duration;

use jiff::Timestamp;
use lull_proto::push::v1::SendResponse;
use owo_colors::OwoColorize as _;
use serde::Serialize;

use crate::output::Output;
use crate::view::{ReceiptView, moment};
use crate::words::{Reader, count, exact};

/// One line of `lull push --json`; receipts follow with `--watch`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Push {
        push_id: &'a str,
        devices: u32,
        duplicate: bool,
        accepted_at: Option<Timestamp>,
    },
    Receipt(&'a ReceiptView),
}

/// Says that a push is durable.
pub(super) fn accepted(answer: &SendResponse, output: &Output) {
    if output.json() {
        output.record(&Line::Push {
            push_id: &answer.push_id,
            devices: answer.devices,
            duplicate: answer.duplicate,
            accepted_at: moment(answer.accepted_at),
        });
        return;
    }
    let devices = count(u64::from(answer.devices), "device");
    let before = if answer.duplicate {
        ", sent before with this key: nothing new was stored"
    } else {
        ""
    };
    output.line(format!("push {} for {devices}{before}", answer.push_id));
}

/// Prints receipts as they come, with the time since acceptance.
#[derive(Debug)]
pub(super) struct Chain {
    output: Output,
    accepted_at: Option<Timestamp>,
    name_devices: bool,
    reader: Reader,
}

impl Chain {
    /// The receipts of one push.
    pub(super) fn new(accepted: &SendResponse, output: Output) -> Self {
        Self {
            output,
            accepted_at: moment(accepted.accepted_at),
            name_devices: accepted.devices > 1,
            reader: Reader::here(),
        }
    }

    /// Prints one.
    pub(super) fn print(&self, receipt: &ReceiptView) {
        if self.output.json() {
            self.output.record(&Line::Receipt(receipt));
        } else {
            self.output.line(self.text(receipt));
        }
    }

    fn text(&self, receipt: &ReceiptView) -> String {
        let at = receipt
            .at
            .map(|at| self.reader.moment(at))
            .unwrap_or_default();
        let since = self
            .accepted_at
            .zip(receipt.at)
            .map_or(String::new(), |(from, to)| since(from, to));
        let device = if self.name_devices {
            format!("{}  ", receipt.device)
        } else {
            String::new()
        };
        let line = format!("  {at}  {since:>12}  {device}{}", receipt_words(receipt));
        match (receipt.terminal, receipt.outcome.as_deref()) {
            (true, Some("completed")) => line.green().to_string(),
            (true, _) => line.red().to_string(),
            (false, _) => line,
        }
    }

    /// Says how it all ended.
    pub(super) fn finish(&self, endings: &[ReceiptView]) {
        if !self.output.json() && self.name_devices {
            let completed = endings
                .iter()
                .filter(|end| end.outcome.as_deref() == Some("completed"))
                .count();
            self.output
                .line(format!("completed on {completed} of {}", endings.len()));
        }
    }
}

/// The time between two hops: the clocks are those of two machines, so it may be negative.
fn since(from: Timestamp, to: Timestamp) -> String {
    let millis = to.as_millisecond() - from.as_millisecond();
    let sign = if millis < 0 { "-" } else { "+" };
    format!(
        "{sign}{}",
        exact(Duration::from_millis(millis.unsigned_abs()))
    )
}

/// A receipt in words, without its time.
pub(crate) fn receipt_words(receipt: &ReceiptView) -> String {
    let said = [&receipt.outcome, &receipt.reason].into_iter().flatten();
    let how: Vec<String> = std::iter::once(receipt.hop.to_owned())
        .chain(said.cloned())
        .collect();
    let run = receipt.run.map(|run| format!(", run {run}"));
    let attempt = receipt.attempt.filter(|attempt| *attempt > 1);
    let attempt = attempt.map(|attempt| format!(", attempt {attempt}"));
    format!(
        "{}{}{}",
        how.join(": "),
        run.unwrap_or_default(),
        attempt.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;

    #[test]
    fn a_chain_shows_the_time_of_each_hop() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let chain = Chain {
            output: Output::new(false),
            accepted_at: Some(at("2026-03-02T08:00:00Z")),
            name_devices: false,
            reader: Reader {
                zone: TimeZone::UTC,
                now: at("2026-03-02T08:00:30Z"),
            },
        };
        let receipt = |hop, when: &str| ReceiptView {
            device: "d".to_owned(),
            hop,
            at: Some(at(when)),
            terminal: false,
            run: None,
            attempt: None,
            outcome: None,
            reason: None,
        };
        let lines = [
            chain.text(&receipt("accepted", "2026-03-02T08:00:00Z")),
            chain.text(&receipt("delivered", "2026-03-02T07:59:59.990Z")),
            chain.text(&ReceiptView {
                run: Some(4),
                attempt: Some(2),
                ..receipt("started", "2026-03-02T08:00:00.052Z")
            }),
            chain.text(&ReceiptView {
                reason: Some("no-handler".to_owned()),
                ..receipt("dropped", "2026-03-02T08:00:01.5Z")
            }),
        ];
        insta::assert_snapshot!(lines.join("\n"));
    }
}
