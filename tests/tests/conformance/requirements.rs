//! The list of requirements, as its file says it.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use lull_document::{Origin, policy_figures};
use lull_policy::{Broken, DropReason, Sabotage, WaitReason};
use lull_tests::workspace::root;
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

/// Where the list and the scenarios stand.
pub(super) const FOLDER: &str = "tests/conformance";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    requirement: Vec<Requirement>,
}

/// One rule, and what proves it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Requirement {
    pub(super) id: String,
    mark: Mark,
    pub(super) proof: Proof,
    /// Scenario files, or names of tests.
    #[serde(default)]
    pub(super) by: Vec<String>,
    /// Scenario files that show a part of what something else proves.
    #[serde(default)]
    seen_in: Vec<String>,
    pub(super) fails_under: Option<Change>,
    what: Option<String>,
}

/// What the rule book says of a rule's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
enum Mark {
    #[serde(rename = "M")]
    Must,
    #[serde(rename = "M+")]
    MustWithDetail,
    #[serde(rename = "C")]
    Completeness,
    #[serde(rename = "C*")]
    Secondary,
    #[serde(rename = "AMB")]
    Ambiguity,
}

/// How a rule is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Proof {
    Scenario,
    Property,
    Device,
}

/// A change of the device under which a proof fails.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    figure: Option<String>,
    value: Option<toml::Value>,
    gate: Option<String>,
    is: Option<Gate>,
    predicate: Option<Broken>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Gate {
    Open,
    Closed,
}

/// A change, ready to be made.
#[derive(Debug)]
pub(super) struct Breach {
    pub(super) figures: Vec<policy_figures::FigureChange>,
    pub(super) sabotage: Sabotage,
}

/// The whole list.
pub(super) fn list() -> Result<Vec<Requirement>> {
    let path = root().join(FOLDER).join("requirements.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let file: File = toml::from_str(&text).with_context(|| path.display().to_string())?;
    Ok(file.requirement)
}

impl Requirement {
    /// The scenario files that it names.
    pub(super) fn scenarios(&self) -> impl Iterator<Item = &str> {
        let by = self.by.iter().filter(|_| self.proof == Proof::Scenario);
        by.chain(&self.seen_in).map(String::as_str)
    }

    /// What its block lacks, or has too much.
    pub(super) fn oddity(&self) -> Option<String> {
        let ambiguity = self.id.starts_with("AMB-");
        if ambiguity != (self.mark == Mark::Ambiguity) {
            return Some(format!("{} has the mark {:?}", self.id, self.mark));
        }
        let fits = match self.proof {
            Proof::Scenario => {
                let broken = self.fails_under.is_some() && self.what.is_none();
                broken && !self.by.is_empty() && self.seen_in.is_empty()
            }
            Proof::Property => {
                let told = self.fails_under.is_none() && self.what.is_some();
                told && !self.by.is_empty()
            }
            Proof::Device => self.fails_under.is_none() && self.what.is_some(),
        };
        let proof = self.proof;
        (!fits).then(|| format!("{}: its keys do not fit a {proof:?}", self.id))
    }
}

impl Change {
    /// The change itself; an error where it names something that does not exist.
    pub(super) fn breach(&self) -> Result<Breach> {
        let mut breach = Breach {
            figures: Vec::new(),
            sabotage: Sabotage::default(),
        };
        match (
            &self.figure,
            &self.value,
            &self.gate,
            self.is,
            self.predicate,
        ) {
            (Some(figure), Some(value), None, None, None) => {
                let text = format!("{figure} = {value}");
                let origin = Origin::new(Path::new("fails_under"), &text);
                breach.figures = origin.read(policy_figures::NAMES, policy_figures::read)?;
            }
            (None, None, Some(gate), Some(is), None) => {
                ensure!(is_a_gate(gate), "there is no gate {gate}");
                breach.sabotage.gate = Some((gate.clone(), is == Gate::Closed));
            }
            (None, None, None, None, Some(predicate)) => breach.sabotage.broken = Some(predicate),
            _ => bail!(
                "{self:?} is neither a figure with a value, a gate that is open or closed, nor a predicate"
            ),
        }
        Ok(breach)
    }
}

/// Whether a word is that of a gate: what a firing waits for, or is dropped for.
fn is_a_gate(word: &str) -> bool {
    let text = || StrDeserializer::<Error>::new(word);
    WaitReason::deserialize(text()).is_ok() || DropReason::deserialize(text()).is_ok()
}
