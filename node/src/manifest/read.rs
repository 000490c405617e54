//! Reads one manifest, strictly: what is not known is refused, and every value is within its bound.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lull_document::{DocumentError, Origin, Refused, Section};
use lull_launcher::sandbox::{refuse_read, refuse_write};
use lull_policy::{
    AgentDeclaration, AppId, Bytes, Capability, EntryPoint, Policy, Span, TaskType,
    usual_capabilities,
};

use super::{Agent, Manifest, Program, allowed, bounds, register};

const KEYS: [&str; 7] = [
    "id",
    "version",
    "user",
    "capabilities",
    "front",
    "agent",
    "register",
];

const FRONT_KEYS: [&str; 4] = ["command", "environment", "reads", "writes"];

const AGENT_KEYS: [&str; 10] = [
    "entry_point",
    "types",
    "command",
    "memory",
    "time",
    "environment",
    "multiple_instances",
    "resource_group",
    "reads",
    "writes",
];

/// Task types by their names in a manifest.
pub(super) const TYPES: [(&str, TaskType); 11] = [
    ("general", TaskType::General),
    ("system-event", TaskType::SystemEvent),
    ("timer", TaskType::Timer),
    ("push-notification", TaskType::PushNotification),
    ("audio", TaskType::Audio),
    ("control-channel", TaskType::ControlChannel),
    ("device-use", TaskType::DeviceUse),
    ("device-servicing", TaskType::DeviceServicing),
    ("media-processing", TaskType::MediaProcessing),
    ("scheduled", TaskType::Scheduled),
    ("update-task", TaskType::UpdateTask),
];

/// Capabilities by their names in a manifest.
pub(super) const CAPABILITIES: [(&str, Capability); 7] = [
    ("internet", Capability::Internet),
    ("device", Capability::Device),
    ("media", Capability::Media),
    ("sms", Capability::Sms),
    ("device-servicing", Capability::DeviceServicing),
    (
        "extended-background-task-time",
        Capability::ExtendedBackgroundTaskTime,
    ),
    (
        "extended-execution-unconstrained",
        Capability::ExtendedExecutionUnconstrained,
    ),
];

/// The group of all audio agents of an app, which is the machine's own (RES-06).
const AUDIO_GROUP: &str = "audio";

/// Shorter than this nothing starts on a busy device.
const SHORTEST_TIME: Span = Span::millis(100);
/// Longer than any task may live.
const LONGEST_TIME: Span = Span::days(1);
/// The smallest cap under which a program can be executed at all.
const SMALLEST_MEMORY: Bytes = Bytes::mib(1);
/// Larger than any device.
const LARGEST_MEMORY: Bytes = Bytes(1 << 40);

/// Parses the text of a manifest; `file` is named in errors, `policy` bounds the timers it declares.
pub fn read(file: &Path, text: &str, policy: &Policy) -> Result<Manifest, DocumentError> {
    Origin::new(file, text).read(&KEYS, |root| {
        let agents = agents(root)?;
        Ok(Manifest {
            id: id(root)?,
            version: version(root)?,
            user: user(root)?,
            capabilities: capabilities(root)?,
            front: root
                .section("front", &FRONT_KEYS)?
                .map(|section| program(&section))
                .transpose()?,
            registrations: register::read(root, &agents, policy)?,
            agents,
        })
    })
}

fn id(root: &Section<'_>) -> Result<AppId, DocumentError> {
    let expected = "the app's id, in quotes";
    let id = root.parsed("id", expected, |text| AppId::new(text))?;
    let id = id.ok_or_else(|| root.missing("id", expected))?;
    // It becomes the name of a folder: ".." and hidden ones are not had.
    if id.as_str().starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Ok(id);
    }
    let problem = format!("{:?} has to begin with a letter or a digit", id.as_str());
    Err(root.error("id", problem))
}

fn version(root: &Section<'_>) -> Result<String, DocumentError> {
    let expected = "the app's version, in quotes";
    let version = root.parsed("version", expected, |text| {
        let fits = !text.is_empty() && text.len() <= bounds::VERSION;
        let plain = text.chars().all(|c| c.is_ascii_graphic());
        let problem = || {
            let limit = bounds::VERSION;
            format!("{text:?} is not a version of 1 to {limit} visible ASCII characters")
        };
        (fits && plain).then(|| text.to_owned()).ok_or_else(problem)
    })?;
    version.ok_or_else(|| root.missing("version", expected))
}

fn user(root: &Section<'_>) -> Result<Option<String>, DocumentError> {
    root.parsed("user", "the name of a Unix user, in quotes", |name| {
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
        let first = |c: char| c.is_ascii_alphabetic() || c == '_';
        let fits = name.len() <= bounds::USER && name.starts_with(first);
        let problem = || format!("{name:?} is not the name of a Unix user");
        (fits && name.chars().all(valid))
            .then(|| name.to_owned())
            .ok_or_else(problem)
    })
}

fn capabilities(root: &Section<'_>) -> Result<BTreeSet<Capability>, DocumentError> {
    // What is known and can never be had is told apart from what was misspelt (RUN-46, MAN-10).
    let known = CAPABILITIES.map(|(word, _)| format!("{word:?}")).join(", ");
    let capabilities = root.items(
        "capabilities",
        &format!("a list of {known}"),
        &format!("one of {known}"),
        |item| {
            let asked = item.as_str().ok_or(Refused::Type)?;
            if let Some(why) = allowed::unsupported(asked) {
                let problem = format!("{asked:?} is not for agents: {why} (RUN-47); leave it out");
                return Err(Refused::Because(problem));
            }
            lull_document::word(asked, &CAPABILITIES)
        },
    )?;
    Ok(capabilities.map_or_else(usual_capabilities, BTreeSet::from_iter))
}

fn agents(root: &Section<'_>) -> Result<BTreeMap<EntryPoint, Agent>, DocumentError> {
    let sections = root.sections("agent", &AGENT_KEYS)?;
    if sections.is_empty() && !root.has("front") {
        return Err(root.missing("agent", "one [[agent]] at least, or a [front]"));
    }
    if sections.len() > bounds::AGENTS {
        let problem = format!(
            "{} agents, at most {} are accepted; split the app",
            sections.len(),
            bounds::AGENTS
        );
        return Err(root.error("agent", problem));
    }
    let mut agents: BTreeMap<EntryPoint, Agent> = BTreeMap::new();
    for section in &sections {
        let agent = agent(section)?;
        let scheduled = |agent: &Agent| agent.declaration.types.contains(&TaskType::Scheduled);
        if scheduled(&agent)
            && let Some(first) = agents.values().find(|first| scheduled(first))
        {
            let problem = format!(
                "{:?} is the app's scheduled agent already; an app has one (ACC-40)",
                first.declaration.entry_point.as_str()
            );
            return Err(section.error("types", problem));
        }
        let entry_point = agent.declaration.entry_point.clone();
        if agents.insert(entry_point.clone(), agent).is_some() {
            let problem = format!(
                "{:?} is declared twice; give each its own name",
                entry_point.as_str()
            );
            return Err(section.error("entry_point", problem));
        }
    }
    Ok(agents)
}

fn agent(section: &Section<'_>) -> Result<Agent, DocumentError> {
    let expected = "the agent's name, in quotes";
    let entry_point = section.parsed("entry_point", expected, |text| EntryPoint::new(text))?;
    let entry_point = entry_point.ok_or_else(|| section.missing("entry_point", expected))?;
    Ok(Agent {
        declaration: AgentDeclaration {
            entry_point,
            types: types(section)?,
            memory: section.size("memory", SMALLEST_MEMORY..=LARGEST_MEMORY)?,
            time: section.span("time", SHORTEST_TIME..=LONGEST_TIME)?,
            multiple_instances: section.flag("multiple_instances")?.unwrap_or(false),
            resource_group: resource_group(section)?,
        },
        program: program(section)?,
    })
}

fn program(section: &Section<'_>) -> Result<Program, DocumentError> {
    let (path, args) = command(section)?;
    Ok(Program {
        path,
        args,
        environment: environment(section)?,
        reads: paths(section, "reads", refuse_read)?,
        writes: paths(section, "writes", refuse_write)?,
    })
}

fn resource_group(section: &Section<'_>) -> Result<Option<Box<str>>, DocumentError> {
    section.parsed("resource_group", "a group's name, in quotes", |name| {
        if name == AUDIO_GROUP {
            return Err(format!(
                "{name:?} is the group of all audio agents; choose another"
            ));
        }
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let fits = !name.is_empty() && name.len() <= bounds::GROUP && name.chars().all(valid);
        let limit = bounds::GROUP;
        let problem = || {
            format!("{name:?} is not a group's name: 1 to {limit} letters, digits, '-', '_', '.'")
        };
        fits.then(|| name.into()).ok_or_else(problem)
    })
}

fn types(section: &Section<'_>) -> Result<Vec<TaskType>, DocumentError> {
    let expected = "what the agent may be registered for, such as [\"timer\"]";
    let types = section.words("types", &TYPES)?;
    let mut types = types.ok_or_else(|| section.missing("types", expected))?;
    types.sort_unstable();
    let given = types.len();
    types.dedup();
    if types.is_empty() {
        return Err(section.error("types", format!("an empty list is not {expected}")));
    }
    if types.len() < given {
        return Err(section.error("types", "a type is named twice; name each once"));
    }
    Ok(types)
}

fn command(section: &Section<'_>) -> Result<(PathBuf, Vec<String>), DocumentError> {
    let expected = "a list of texts, the program first, such as [\"/usr/bin/sync\", \"--fast\"]";
    let words = section.items("command", expected, "a text in quotes", |word| {
        let word = word.as_str().ok_or(Refused::Type)?;
        let because = |problem: &str| Refused::Because(problem.to_owned());
        if word.contains('\0') {
            return Err(because("a word of a command cannot have NUL in it"));
        }
        if word.len() > bounds::WORD {
            let (length, limit) = (word.len(), bounds::WORD);
            return Err(because(&format!(
                "the word has {length} bytes, at most {limit} are accepted"
            )));
        }
        Ok(word.to_owned())
    })?;
    let words = words.ok_or_else(|| section.missing("command", expected))?;
    let bytes: usize = words.iter().map(String::len).sum();
    if words.len() > bounds::COMMAND_WORDS || bytes > bounds::COMMAND {
        let problem = format!(
            "{} words of {bytes} bytes, at most {} words of {} bytes are accepted",
            words.len(),
            bounds::COMMAND_WORDS,
            bounds::COMMAND
        );
        return Err(section.error("command", problem));
    }
    let mut words = words.into_iter();
    let Some(program) = words.next() else {
        return Err(section.error("command", format!("an empty list is not {expected}")));
    };
    let program = crate::config::path(&program, bounds::WORD)
        .and_then(|path| file_of(&program, path))
        .map_err(|problem| section.error("command", format!("{problem}; no shell looks for it")))?;
    Ok((program, words.collect()))
}

/// Paths that are granted to an agent beside its own.
fn paths(
    section: &Section<'_>,
    key: &'static str,
    refuse: impl Fn(&str) -> Option<&'static str>,
) -> Result<Vec<String>, DocumentError> {
    let expected = "a list of absolute paths, such as [\"/srv/photos\"]";
    let paths = section.items(key, expected, "a path in quotes", |path| {
        let text = path.as_str().ok_or(Refused::Type)?;
        let path = crate::config::path(text, bounds::WORD).map_err(Refused::Because)?;
        let path = path.to_string_lossy().into_owned();
        match refuse(&path) {
            Some(why) => Err(Refused::Because(format!("{text:?} cannot be had: {why}"))),
            None => Ok(path),
        }
    })?;
    let paths = paths.unwrap_or_default();
    if paths.len() > bounds::PATHS {
        let (count, limit) = (paths.len(), bounds::PATHS);
        let problem = format!("{count} paths, at most {limit} are accepted; name a folder above");
        return Err(section.error(key, problem));
    }
    Ok(paths)
}

/// A path that can name a file.
fn file_of(text: &str, path: PathBuf) -> Result<PathBuf, String> {
    if text.ends_with('/') || path.file_name().is_none() {
        return Err(format!("{text:?} is a folder, not a program"));
    }
    Ok(path)
}

fn environment(section: &Section<'_>) -> Result<BTreeMap<String, String>, DocumentError> {
    let entries = section.texts("environment", variable)?.unwrap_or_default();
    if entries.len() > bounds::VARIABLES {
        let problem = format!(
            "{} variables, at most {} are accepted",
            entries.len(),
            bounds::VARIABLES
        );
        return Err(section.error("environment", problem));
    }
    Ok(entries.into_iter().collect())
}

/// What is wrong with a variable.
fn variable(name: &str, value: &str) -> Option<String> {
    let valid = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let first = |c: char| c.is_ascii_alphabetic() || c == '_';
    if name.len() > bounds::VARIABLE_NAME || !name.starts_with(first) || !name.chars().all(valid) {
        return Some(format!(
            "{name:?} is not a variable's name: 1 to {} letters, digits and '_', no digit first",
            bounds::VARIABLE_NAME
        ));
    }
    if name.starts_with("LULL_") {
        return Some("names beginning with LULL_ are the node's own; choose another".to_owned());
    }
    if name.starts_with("LD_") {
        return Some(
            "names beginning with LD_ change which code is loaded and are not accepted".to_owned(),
        );
    }
    if value.contains('\0') {
        return Some("a variable cannot have NUL in it".to_owned());
    }
    (value.len() > bounds::VARIABLE_VALUE).then(|| {
        let (length, limit) = (value.len(), bounds::VARIABLE_VALUE);
        format!("the value has {length} bytes, at most {limit} are accepted")
    })
}
