//! `[[app]]`: what is installed at T+0, and what manifests declare.

use std::collections::BTreeMap;

use lull_document::{DocumentError, Place, Section};
use lull_policy::{
    AccessStatus, AgentDeclaration, App, AppId, Choices, EntryPoint, TaskType, usual_capabilities,
};

use super::words::{ACCESS, CAPABILITIES, FRONTS, SIGNERS, TYPES};
use super::{behaviour, needed};
use crate::scenario::InstalledApp;

const KEYS: [&str; 12] = [
    "id",
    "version",
    "access",
    "front",
    "pinned",
    "lock_screen",
    "auto_upload",
    "agents_disabled",
    "capabilities",
    "signed_by",
    "agent",
    "behaviour",
];

pub(super) const AGENT_KEYS: [&str; 4] = ["entry_point", "types", "memory", "multiple_instances"];

pub(super) fn read(root: &Section<'_>) -> Result<Vec<InstalledApp>, DocumentError> {
    let mut places: BTreeMap<AppId, Place> = BTreeMap::new();
    let mut apps = Vec::new();
    for section in root.sections("app", &KEYS)? {
        let app = app(&section)?;
        if let Some(first) = places.insert(app.app.id.clone(), app.place) {
            let problem = format!(
                "{:?} is installed already, at {first}; give each app an id of its own",
                app.app.id.as_str()
            );
            return Err(section.error("id", problem));
        }
        apps.push(app);
    }
    Ok(apps)
}

fn app(section: &Section<'_>) -> Result<InstalledApp, DocumentError> {
    let flag = |key| Ok::<bool, DocumentError>(section.flag(key)?.unwrap_or(false));
    let id = needed(section, "id", "the app's id, in quotes", |text| {
        AppId::new(text)
    })?;
    let version = section.text("version")?.unwrap_or_else(|| "1.0".to_owned());
    let mut capabilities = usual_capabilities();
    capabilities.extend(
        section
            .words("capabilities", &CAPABILITIES)?
            .unwrap_or_default(),
    );
    let access = section.word("access", &ACCESS)?;
    let choices = Choices {
        app: id.clone(),
        pinned: flag("pinned")?,
        lock_screen: flag("lock_screen")?,
        auto_upload: flag("auto_upload")?,
        agents_disabled: flag("agents_disabled")?,
    };
    Ok(InstalledApp {
        place: section.place(),
        app: App {
            id,
            version,
            agents: agents(section, "agent")?,
            capabilities,
            signed_by: section.word("signed_by", &SIGNERS)?.unwrap_or_default(),
        },
        access: access.unwrap_or(AccessStatus::Unspecified),
        front: section.word("front", &FRONTS)?.unwrap_or_default(),
        choices,
        behaviours: behaviour::read(section)?,
    })
}

/// What a manifest declares: `[[app.agent]]`, or `agents` of an update.
pub(super) fn agents(
    section: &Section<'_>,
    key: &'static str,
) -> Result<Vec<AgentDeclaration>, DocumentError> {
    let mut agents: Vec<AgentDeclaration> = Vec::new();
    for section in section.sections(key, &AGENT_KEYS)? {
        let agent = agent(&section)?;
        let name = agent.entry_point.as_str();
        if agents
            .iter()
            .any(|other| other.entry_point == agent.entry_point)
        {
            let problem = format!("{name:?} is declared twice; give each agent a name of its own");
            return Err(section.error("entry_point", problem));
        }
        let scheduled = |agent: &AgentDeclaration| agent.types.contains(&TaskType::Scheduled);
        if scheduled(&agent)
            && let Some(first) = agents.iter().find(|agent| scheduled(agent))
        {
            let first = first.entry_point.as_str();
            let problem =
                format!("{first:?} is the app's scheduled agent already; there is one at most");
            return Err(section.error("types", problem));
        }
        agents.push(agent);
    }
    Ok(agents)
}

fn agent(section: &Section<'_>) -> Result<AgentDeclaration, DocumentError> {
    let expected = "the agent's name, in quotes";
    let types = section.words("types", &TYPES)?;
    Ok(AgentDeclaration {
        entry_point: needed(section, "entry_point", expected, |text| {
            EntryPoint::new(text)
        })?,
        types: types.ok_or_else(|| section.missing("types", "a list such as [\"timer\"]"))?,
        memory: section.bytes("memory")?,
        time: None,
        multiple_instances: section.flag("multiple_instances")?.unwrap_or(false),
        resource_group: None,
    })
}
