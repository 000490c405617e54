//! The example apps that `lull up` installs, and the extra ones of the demonstration.
//!
//! A manifest is replaced by rename, as a package would do it. Most agents are this executable again; `disk-report` is a
//! shell script beside it: a plain command is a full agent.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde::Serialize;

use super::folder::HeldFolder;
use super::settings::replace;
use crate::failure::Failure;

/// Which apps are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Set {
    /// Those of a first look.
    FirstLook,
    /// And those that misbehave, with their good neighbour.
    Demonstration,
}

/// The cap that the glutton's manifest sets.
pub(crate) const GLUTTON_CAP: &str = "32 MiB";

#[derive(Debug, Serialize)]
struct Manifest {
    id: &'static str,
    version: &'static str,
    agent: [Agent; 1],
    register: [Register; 1],
}

#[derive(Debug, Serialize)]
struct Agent {
    entry_point: &'static str,
    types: [&'static str; 2],
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<&'static str, String>,
}

#[derive(Debug, Serialize)]
struct Register {
    name: &'static str,
    entry_point: &'static str,
    conditions: &'static [&'static str],
    trigger: PushTrigger,
}

/// A trigger with nothing to set: an empty table.
#[derive(Debug, Serialize)]
struct Always {}

#[derive(Debug, Serialize)]
struct PushTrigger {
    push: Always,
}

/// Writes the manifests, and the programs that they name.
pub(crate) fn install(held: &HeldFolder, set: Set) -> Result<(), Failure> {
    let bin = held.folder.0.join("bin");
    script(&bin.join("disk-report.sh"), lull_examples::DISK_REPORT)?;
    let photos = held.folder.0.join("data/photos");
    let mut manifests = vec![
        photos_app(held, &photos),
        reports_app(&bin),
        inbox_app(held),
    ];
    if set == Set::Demonstration {
        manifests.extend([stubborn_app(held), glutton_app(held), neighbour_app(held)]);
    }
    for manifest in manifests {
        let text = toml::to_string(&manifest)
            .map_err(|error| Failure::internal("cannot write a manifest", &error.into()))?;
        replace(
            &held.folder.apps().join(format!("{}.toml", manifest.id)),
            &text,
        )?;
    }
    Ok(())
}

fn script(path: &Path, text: &str) -> Result<(), Failure> {
    replace(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(|error| {
        Failure::internal(
            format!("cannot make {} executable", path.display()),
            &error.into(),
        )
    })
}

fn app(
    id: &'static str,
    task: &'static str,
    agent: Agent,
    conditions: &'static [&'static str],
) -> Manifest {
    let register = Register {
        name: task,
        entry_point: agent.entry_point,
        conditions,
        trigger: PushTrigger { push: Always {} },
    };
    Manifest {
        id,
        version: "1.0",
        agent: [agent],
        register: [register],
    }
}

fn agent(entry_point: &'static str, command: Vec<String>) -> Agent {
    Agent {
        entry_point,
        types: ["push-notification", "timer"],
        command,
        memory: None,
        environment: BTreeMap::new(),
    }
}

fn built_in(held: &HeldFolder, name: &str) -> Vec<String> {
    vec![
        text(&held.executable),
        "__agent".to_owned(),
        name.to_owned(),
    ]
}

fn photos_app(held: &HeldFolder, photos: &Path) -> Manifest {
    let mut sync = agent("photo-sync", built_in(held, "photo-sync"));
    sync.environment = [("PHOTOS_FROM", text(photos))].into();
    app("photos", "sync", sync, &[])
}

fn reports_app(bin: &Path) -> Manifest {
    let report = agent("disk-report", vec![text(&bin.join("disk-report.sh"))]);
    app("reports", "report", report, &["internet-available"])
}

fn inbox_app(held: &HeldFolder) -> Manifest {
    app(
        "inbox",
        "receive",
        agent("inbox", built_in(held, "inbox")),
        &[],
    )
}

fn stubborn_app(held: &HeldFolder) -> Manifest {
    app(
        "stubborn",
        "stay",
        agent("stubborn", built_in(held, "stubborn")),
        &[],
    )
}

fn glutton_app(held: &HeldFolder) -> Manifest {
    let mut glutton = agent("glutton", built_in(held, "glutton"));
    glutton.memory = Some(GLUTTON_CAP);
    app("glutton", "eat", glutton, &[])
}

fn neighbour_app(held: &HeldFolder) -> Manifest {
    let mut neighbour = agent("neighbour", built_in(held, "neighbour"));
    neighbour.memory = Some(GLUTTON_CAP);
    app("neighbour", "work", neighbour, &[])
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
