//! The demonstration's report: what was seen, for people at the end of the screen, and as evidence in a file.

use std::path::Path;

use owo_colors::OwoColorize as _;
use serde_json::{Map, Value, json};

use super::network::Namespace;
use super::step::Step;
use crate::clock::wall;
use crate::failure::Failure;
use crate::output::Output;
use crate::proc::{boot_id, kernel};
use crate::up::manifests::CAP;
use crate::up::pair::Pair;
use crate::up::settings::{cage, replace};

/// Raised when a field changes its meaning.
const FORMAT: u32 = 1;

/// The steps so far.
#[derive(Debug)]
pub(super) struct Report {
    frame: Map<String, Value>,
    steps: Map<String, Value>,
    missed: Vec<&'static str>,
    not_shown: Vec<&'static str>,
    seen: usize,
    claims: usize,
}

impl Report {
    /// Nothing was seen yet.
    pub(super) fn new(pair: &Pair, namespace: Namespace) -> Self {
        let folder = pair.folder();
        let frame = json!({
            "format": FORMAT,
            "version": env!("CARGO_PKG_VERSION"),
            "started_at": wall(),
            "machine": {
                "kernel": kernel(),
                "boot_id": boot_id(),
                "root": rustix::process::geteuid().is_root(),
                "own_network": namespace == Namespace::Own,
            },
            "paths": {
                "state": folder.0,
                "coordinator": folder.coordinator(),
                "node": folder.node(),
                "logs": folder.logs(),
            },
            "cage": cage(&folder.0),
            "glutton_cap": CAP,
            "sabotage": std::env::var("LULL_SABOTAGE").ok(),
        });
        let frame = if let Value::Object(frame) = frame {
            frame
        } else {
            Map::new()
        };
        Self {
            frame,
            steps: Map::new(),
            missed: Vec::new(),
            not_shown: Vec::new(),
            seen: 0,
            claims: 0,
        }
    }

    /// Adds a step that is over.
    pub(super) fn add(&mut self, step: &Step) {
        let (seen, claims) = step.tally();
        self.seen += seen;
        self.claims += claims;
        if !step.held() {
            self.missed.push(step.name);
        } else if !step.complete() {
            self.not_shown.push(step.name);
        }
        self.steps.insert(step.name.to_owned(), step.report());
    }

    /// Writes the evidence.
    pub(super) fn write(&mut self, file: &Path) -> Result<(), Failure> {
        self.frame.insert("ended_at".to_owned(), json!(wall()));
        let mut whole = self.frame.clone();
        whole.insert("steps".to_owned(), Value::Object(self.steps.clone()));
        let text = serde_json::to_string_pretty(&Value::Object(whole))
            .map_err(|error| Failure::internal("cannot write the evidence", &error.into()))?;
        replace(file, &text)
    }

    /// What it all came to.
    pub(super) fn verdict(&self, output: &Output) -> Result<(), Failure> {
        let tally = format!("{} of {} claims seen", self.seen, self.claims);
        if output.json() {
            output.record(&json!({
                "type": "verdict",
                "seen": self.seen,
                "claims": self.claims,
                "missed": self.missed,
                "not_shown": self.not_shown,
            }));
        } else {
            output.line(format!("\n{}", tally.bold()));
        }
        if !self.missed.is_empty() {
            return Err(Failure::Refused(format!(
                "not seen as claimed: {}; the lines with ✗ above say what was seen",
                self.missed.join(", ")
            )));
        }
        if !self.not_shown.is_empty() {
            return Err(Failure::NotShown(format!(
                "could not be shown on this machine: {}; the lines with – above say what it takes",
                self.not_shown.join(", ")
            )));
        }
        Ok(())
    }
}
