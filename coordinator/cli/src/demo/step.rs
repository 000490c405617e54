//! A step of the demonstration: what it claims, what was seen, and its evidence.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Map, Value};

use crate::failure::Failure;
use crate::output::{Output, mark};
use crate::words::exact;

/// One thing that is claimed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Claim {
    /// What is claimed.
    #[serde(rename = "claim")]
    pub(super) what: String,
    /// Whether it was seen; none where this machine cannot show it.
    pub(super) seen: Option<bool>,
    /// What was seen.
    pub(super) detail: String,
}

/// A step as it goes on.
#[derive(Debug)]
pub(super) struct Step {
    /// Its name in the report.
    pub(super) name: &'static str,
    title: &'static str,
    started: Instant,
    took: Option<Duration>,
    claims: Vec<Claim>,
    lines: Vec<String>,
    evidence: Map<String, Value>,
}

impl Step {
    /// A step that begins now.
    pub(super) fn new(name: &'static str, title: &'static str) -> Self {
        Self {
            name,
            title,
            started: crate::clock::now(),
            took: None,
            claims: Vec::new(),
            lines: Vec::new(),
            evidence: Map::new(),
        }
    }

    /// Claims something, with what was seen.
    pub(super) fn claim(
        &mut self,
        claim: impl Into<String>,
        seen: bool,
        detail: impl Into<String>,
    ) {
        self.claims.push(Claim {
            what: claim.into(),
            seen: Some(seen),
            detail: detail.into(),
        });
    }

    /// Says what this machine cannot show, and why.
    pub(super) fn cannot(&mut self, claim: impl Into<String>, why: impl Into<String>) {
        self.claims.push(Claim {
            what: claim.into(),
            seen: None,
            detail: why.into(),
        });
    }

    /// Shows a line.
    pub(super) fn line(&mut self, line: impl Into<String>) {
        self.lines.push(line.into());
    }

    /// Keeps something for the report.
    pub(super) fn keep(&mut self, key: &str, value: impl Serialize) {
        let value = serde_json::to_value(value).unwrap_or(Value::Null);
        self.evidence.insert(key.to_owned(), value);
    }

    /// Ends the step with what its work came to.
    pub(super) fn end(mut self, result: Result<(), Failure>) -> Self {
        self.took = Some(crate::clock::now().saturating_duration_since(self.started));
        if let Err(failure) = result {
            let said = std::iter::once(failure.to_string()).chain(failure.causes().iter().cloned());
            self.claims.push(Claim {
                what: "the step comes to its end".to_owned(),
                seen: Some(false),
                detail: said.collect::<Vec<_>>().join("; "),
            });
        }
        self
    }

    /// Every claim that could be shown here was seen.
    pub(super) fn held(&self) -> bool {
        self.claims.iter().all(|claim| claim.seen != Some(false))
    }

    /// Every claim could be shown here.
    pub(super) fn complete(&self) -> bool {
        self.claims.iter().all(|claim| claim.seen.is_some())
    }

    /// How many claims were seen, of how many.
    pub(super) fn tally(&self) -> (usize, usize) {
        let seen = self
            .claims
            .iter()
            .filter(|claim| claim.seen == Some(true))
            .count();
        (seen, self.claims.len())
    }

    /// Shows the step: to people, or as one line of JSON.
    pub(super) fn print(&self, output: &Output) {
        if output.json() {
            let step = self.report();
            output.record(&serde_json::json!({ "type": "step", "name": self.name, "step": step }));
            return;
        }
        let took = self.took.map(exact).unwrap_or_default();
        output.line(format!("\n{} ({took})", self.title));
        for line in &self.lines {
            output.line(format!("    {line}"));
        }
        for claim in &self.claims {
            output.line(format!(
                "  {} {}: {}",
                mark(claim.seen),
                claim.what,
                claim.detail
            ));
        }
    }

    /// The step for the report.
    pub(super) fn report(&self) -> Value {
        let millis = self
            .took
            .map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        serde_json::json!({
            "title": self.title,
            "took_ms": millis,
            "claims": self.claims,
            "evidence": self.evidence,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_holds_only_if_nothing_claimed_was_missed() {
        let mut step = Step::new("x", "X");
        step.claim("one", true, "seen");
        step.cannot("two", "no root");
        assert!(step.held() && !step.complete());
        assert_eq!(step.tally(), (1, 2));
        let step = step.end(Err(Failure::Refused("no".to_owned())));
        assert!(!step.held());
    }
}
