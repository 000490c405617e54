//! The manifests that install the examples, as TOML text. Where the programs and folders are is the caller's to say.
//!
//! Each app is registered by its manifest, so none needs a front client. Deliberately absent: users. A manifest without
//! one gets a user of its own from the node.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// The cap of the glutton and of its neighbour.
pub const CAP: &str = "32 MiB";

/// Minutes between the runs that a timer gives to photo-sync.
pub const PHOTOS_MINUTES: u32 = 30;

/// Where the agents' programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Programs {
    /// One program holds all: it is called with these arguments and the agent's name.
    One {
        /// An absolute path.
        program: PathBuf,
        /// What comes before the name.
        arguments: Vec<String>,
    },
    /// Each is a program by its own name in this folder, an absolute path.
    Folder(PathBuf),
}

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A path is no text.
    #[error("{} cannot stand in a manifest, which is UTF-8 text; use another folder", path.display())]
    NotText {
        /// The path.
        path: PathBuf,
    },
    /// It cannot be written as TOML.
    #[error("failed to write a manifest as TOML")]
    Toml(#[from] toml::ser::Error),
}

impl Programs {
    fn command(&self, agent: &str) -> Result<Vec<String>, ManifestError> {
        Ok(match self {
            Self::One { program, arguments } => {
                let mut command = vec![text(program)?];
                command.extend(arguments.iter().cloned());
                command.push(agent.to_owned());
                command
            }
            Self::Folder(folder) => vec![text(&folder.join(agent))?],
        })
    }
}

#[derive(Debug, Serialize)]
struct Manifest {
    id: &'static str,
    version: &'static str,
    agent: [Agent; 1],
    register: Vec<Register>,
}

#[derive(Debug, Serialize)]
struct Agent {
    entry_point: &'static str,
    types: &'static [&'static str],
    command: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<&'static str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reads: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    writes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Register {
    name: &'static str,
    entry_point: &'static str,
    conditions: &'static [&'static str],
    trigger: Trigger,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Trigger {
    Push {},
    Timer { minutes: u32, one_shot: bool },
}

/// App `photos`: photo-sync at each push and every half hour. `to` absent = the app's own folder.
pub fn photos(
    programs: &Programs,
    from: &Path,
    to: Option<&Path>,
) -> Result<String, ManifestError> {
    let mut environment = BTreeMap::from([("PHOTOS_FROM", text(from)?)]);
    if let Some(to) = to {
        environment.insert("PHOTOS_TO", text(to)?);
    }
    let mut agent = agent("photo-sync", programs.command("photo-sync")?);
    agent.types = &["push-notification", "timer"];
    agent.environment = environment;
    agent.reads = vec![text(from)?];
    agent.writes = to.map(text).transpose()?.into_iter().collect();
    let mut manifest = app("photos", "sync", agent);
    manifest.register.push(Register {
        name: "sync-half-hourly",
        entry_point: "photo-sync",
        conditions: &[],
        trigger: Trigger::Timer {
            minutes: PHOTOS_MINUTES,
            one_shot: false,
        },
    });
    Ok(toml::to_string(&manifest)?)
}

/// App `reports`: the script [`DISK_REPORT`](crate::DISK_REPORT), which stands at `script`, at each push while the
/// Internet is available.
pub fn reports(script: &Path) -> Result<String, ManifestError> {
    let command = vec!["/bin/sh".to_owned(), text(script)?];
    let mut manifest = app("reports", "report", agent("disk-report", command));
    for register in &mut manifest.register {
        register.conditions = &["internet-available"];
    }
    Ok(toml::to_string(&manifest)?)
}

/// App `stubborn`: stays, at each push.
pub fn stubborn(programs: &Programs) -> Result<String, ManifestError> {
    let agent = agent("stubborn", programs.command("stubborn")?);
    Ok(toml::to_string(&app("stubborn", "stay", agent))?)
}

/// App `glutton`: eats, at each push, below a cap of [`CAP`].
pub fn glutton(programs: &Programs) -> Result<String, ManifestError> {
    let mut agent = agent("glutton", programs.command("glutton")?);
    agent.memory = Some(CAP);
    Ok(toml::to_string(&app("glutton", "eat", agent))?)
}

/// App `neighbour`: works, at each push, below a cap of [`CAP`].
pub fn neighbour(programs: &Programs) -> Result<String, ManifestError> {
    let mut agent = agent("neighbour", programs.command("neighbour")?);
    agent.memory = Some(CAP);
    Ok(toml::to_string(&app("neighbour", "work", agent))?)
}

/// App `inbox`: keeps each push.
pub fn inbox(programs: &Programs) -> Result<String, ManifestError> {
    let agent = agent("inbox", programs.command("inbox")?);
    Ok(toml::to_string(&app("inbox", "receive", agent))?)
}

fn agent(entry_point: &'static str, command: Vec<String>) -> Agent {
    Agent {
        entry_point,
        types: &["push-notification"],
        command,
        memory: None,
        environment: BTreeMap::new(),
        reads: Vec::new(),
        writes: Vec::new(),
    }
}

fn app(id: &'static str, task: &'static str, agent: Agent) -> Manifest {
    Manifest {
        id,
        version: "1.0",
        register: vec![Register {
            name: task,
            entry_point: agent.entry_point,
            conditions: &[],
            trigger: Trigger::Push {},
        }],
        agent: [agent],
    }
}

fn text(path: &Path) -> Result<String, ManifestError> {
    let text = path.to_str().ok_or_else(|| ManifestError::NotText {
        path: path.to_owned(),
    })?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;

    fn one() -> Programs {
        Programs::One {
            program: "/usr/bin/lull".into(),
            arguments: vec!["__agent".to_owned()],
        }
    }

    #[test]
    fn the_photos_manifest_reads_as_it_was_meant() {
        let from = Path::new("/data/a \"quoted\" folder");
        let text = photos(&one(), from, Some(Path::new("/data/copies"))).unwrap();
        let wanted = r#"
            id = "photos"
            version = "1.0"
            [[agent]]
            entry_point = "photo-sync"
            types = ["push-notification", "timer"]
            command = ["/usr/bin/lull", "__agent", "photo-sync"]
            environment = { PHOTOS_FROM = "/data/a \"quoted\" folder", PHOTOS_TO = "/data/copies" }
            reads = ["/data/a \"quoted\" folder"]
            writes = ["/data/copies"]
            [[register]]
            name = "sync"
            entry_point = "photo-sync"
            conditions = []
            trigger = { push = {} }
            [[register]]
            name = "sync-half-hourly"
            entry_point = "photo-sync"
            conditions = []
            trigger = { timer = { minutes = 30, one_shot = false } }
        "#;
        let parsed: Table = text.parse().unwrap();
        assert_eq!(parsed, wanted.parse::<Table>().unwrap());
    }

    #[test]
    fn each_manifest_is_of_its_own_app_and_starts_a_program_by_an_absolute_path() {
        let folder = Programs::Folder("/usr/lib/lull".into());
        let all = [
            ("photos", photos(&folder, Path::new("/in"), None)),
            (
                "reports",
                reports(Path::new("/usr/lib/lull/disk-report.sh")),
            ),
            ("stubborn", stubborn(&folder)),
            ("glutton", glutton(&folder)),
            ("neighbour", neighbour(&folder)),
            ("inbox", inbox(&folder)),
        ];
        for (id, manifest) in all {
            let manifest: Table = manifest.unwrap().parse().unwrap();
            assert_eq!(manifest["id"].as_str(), Some(id));
            let program = manifest["agent"][0]["command"][0].as_str().unwrap();
            assert!(program.starts_with('/'), "{program}");
            let entry_point = &manifest["agent"][0]["entry_point"];
            assert_eq!(&manifest["register"][0]["entry_point"], entry_point);
        }
    }
}
