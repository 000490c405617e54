//! The node's configuration: one typed tree, checked in full before anything binds.
//!
//! `default.toml` beside this file is the documentation, the template (`lull-node print-config`) and the list of the keys
//! that exist. Layers, each over the one before: defaults, file, environment (`LULL_NODE_…`), flags.

mod check;
mod layer;
mod policy;
mod profile;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use lull_document::{DocumentError, Origin, Section};
use lull_policy::{AppId, Policy};

pub(crate) use check::path;
use check::{cage, filter, label};
pub use layer::Overrides;
pub use profile::{Assumed, ProfileConfig};

/// Every key with its default and its meaning, as TOML.
pub const DEFAULT: &str = include_str!("default.toml");

/// Where the configuration is looked for when no file is named.
pub const DEFAULT_FILE: &str = "/etc/lull/node.toml";

/// Most bytes of a configuration file: far more than every key with a comment.
pub const FILE_LIMIT: u64 = 64 << 10;

/// Most bytes of `run_dir`: a socket's address has 107 (`sun_path`), and the names below it up to 17.
pub const RUN_DIR_LIMIT: usize = 90;

/// Most bytes of `state_dir` and `apps_dir`: `PATH_MAX` is 4,096, and names come below.
const PATH_LIMIT: usize = 1024;

/// Most labels of a device, as the wire has it.
const LABELS: usize = 32;

/// Most bytes of the device's name, as the wire has it.
const NAME_LIMIT: usize = 64;

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Where the store, the identity and the folders of the apps live.
    pub state_dir: PathBuf,
    /// Where the sockets are.
    pub run_dir: PathBuf,
    /// Where the manifests are.
    pub apps_dir: PathBuf,
    /// How the launcher is started: program and arguments. No key of the file: the binary decides it.
    pub launcher_command: Vec<String>,
    /// What the device says of itself.
    pub device: DeviceConfig,
    /// Who agents run as.
    pub agents: AgentsConfig,
    /// Where their cages are.
    pub cgroup: CgroupConfig,
    /// What is logged.
    pub log: LogConfig,
    /// What the device is, and what to take for readings without a source.
    pub profile: ProfileConfig,
    /// Where power is read.
    pub power: PowerConfig,
    /// The figures of the machine.
    pub policy: Policy,
}

/// `[device]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceConfig {
    /// For people; empty = the host name.
    pub name: String,
    /// The device's own labels.
    pub labels: BTreeMap<String, String>,
}

/// `[agents]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentsConfig {
    /// The first Unix user of the range, never 0.
    pub first_uid: u32,
    /// How many there are.
    pub uid_count: u32,
}

impl AgentsConfig {
    /// The users of the range.
    pub fn uids(self) -> std::ops::Range<u32> {
        self.first_uid..self.first_uid.saturating_add(self.uid_count)
    }
}

/// `[cgroup]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CgroupConfig {
    /// The parent cage's name.
    pub name: String,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// A level or filter as tracing-subscriber reads it.
    pub level: String,
}

/// `[power]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerConfig {
    /// The kernel's folder of power supplies.
    pub sysfs: PathBuf,
}

impl Default for NodeConfig {
    fn default() -> Self {
        let mut config = Self {
            state_dir: "/var/lib/lull".into(),
            run_dir: "/run/lull".into(),
            apps_dir: "/etc/lull/apps".into(),
            launcher_command: Vec::new(),
            device: DeviceConfig::default(),
            agents: AgentsConfig {
                first_uid: 60_000,
                uid_count: 1_000,
            },
            cgroup: CgroupConfig {
                name: "lull".into(),
            },
            log: LogConfig {
                level: "info".into(),
            },
            profile: ProfileConfig::default(),
            power: PowerConfig {
                sysfs: "/sys/class/power_supply".into(),
            },
            policy: Policy::default(),
        };
        config.launch_by(&["launcher"]);
        config
    }
}

impl NodeConfig {
    /// The launcher is this program with `verb` and `--socket`.
    pub fn launch_by(&mut self, verb: &[&str]) {
        // Without /proc the launcher's start fails and says so; a configuration can still be read and printed.
        let program = std::env::current_exe().unwrap_or_else(|_no_proc| "lull-node".into());
        let mut command = vec![program.to_string_lossy().into_owned()];
        command.extend(verb.iter().map(|word| (*word).to_owned()));
        command.push("--socket".to_owned());
        command.push(self.launcher_socket().to_string_lossy().into_owned());
        self.launcher_command = command;
    }

    /// Where apps and the operator call.
    pub fn local_socket(&self) -> PathBuf {
        self.run_dir.join("local.sock")
    }

    /// Where the apps' own processes take their tasks.
    pub fn host_socket(&self) -> PathBuf {
        self.run_dir.join(lull_proto::host::SOCKET)
    }

    /// Where apps hand sockets over.
    pub fn handover_socket(&self) -> PathBuf {
        self.run_dir.join(lull_proto::handover::SOCKET)
    }

    /// Where the daemon finds its launcher.
    pub fn launcher_socket(&self) -> PathBuf {
        self.run_dir.join("launcher.sock")
    }

    /// Where the device's key and certificates are.
    pub fn identity_dir(&self) -> PathBuf {
        self.state_dir.join("identity")
    }

    /// Where the folders of all apps are.
    pub fn app_states_dir(&self) -> PathBuf {
        self.state_dir.join("apps")
    }

    /// Where an app keeps what is its own; the working folder of its agents.
    pub fn app_state_dir(&self, app: &AppId) -> PathBuf {
        self.app_states_dir().join(app.as_str())
    }

    /// What the device calls itself.
    pub fn device_name(&self) -> String {
        if !self.device.name.is_empty() {
            return self.device.name.clone();
        }
        let system = rustix::system::uname();
        let name = system.nodename().to_string_lossy();
        let end = name.floor_char_boundary(NAME_LIMIT);
        name.get(..end).unwrap_or_default().to_owned()
    }

    /// Reads a configuration from a text; `file` is named in errors.
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        Origin::new(file, text).read(&KEYS, |root| config.take(root))?;
        config.launch_by(&["launcher"]);
        Ok(config)
    }

    /// All layers: the file (the default one may be absent), then `variables`, then `flags`.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
        flags: Overrides,
    ) -> Result<Self, ConfigError> {
        let mut config = match file {
            Some(file) => Self::parse(file, &read(file)?)?,
            None => match read(Path::new(DEFAULT_FILE)) {
                Ok(text) => Self::parse(Path::new(DEFAULT_FILE), &text)?,
                Err(ConfigError::Read { source, .. })
                    if source.kind() == io::ErrorKind::NotFound =>
                {
                    Self::default()
                }
                Err(error) => return Err(error),
            },
        };
        config.apply(Overrides::from_variables(variables)?)?;
        config.apply(flags)?;
        config.launch_by(&["launcher"]);
        Ok(config)
    }

    fn take(&mut self, root: &Section<'_>) -> Result<(), DocumentError> {
        take_path(root, "state_dir", PATH_LIMIT, &mut self.state_dir)?;
        take_path(root, "run_dir", RUN_DIR_LIMIT, &mut self.run_dir)?;
        take_path(root, "apps_dir", PATH_LIMIT, &mut self.apps_dir)?;
        if let Some(device) = root.section("device", &["name", "labels"])? {
            self.device.take(&device)?;
        }
        if let Some(agents) = root.section("agents", &["first_uid", "uid_count"])? {
            self.agents.take(&agents)?;
        }
        if let Some(cgroup) = root.section("cgroup", &["name"])? {
            let name = cgroup.parsed("name", "a cage's name", cage)?;
            put(&mut self.cgroup.name, name);
        }
        if let Some(log) = root.section("log", &["level"])? {
            let level = log.parsed("level", "a level in quotes, such as \"info\"", filter)?;
            put(&mut self.log.level, level);
        }
        if let Some(profile) = root.section("profile", &profile::KEYS)? {
            self.profile.take(&profile)?;
        }
        if let Some(power) = root.section("power", &["sysfs"])? {
            take_path(&power, "sysfs", PATH_LIMIT, &mut self.power.sysfs)?;
        }
        if let Some(figures) = root.section("policy", policy::KEYS)? {
            self.policy = policy::read(&figures)?;
        }
        Ok(())
    }
}

/// The keys of the file.
const KEYS: [&str; 10] = [
    "state_dir",
    "run_dir",
    "apps_dir",
    "device",
    "agents",
    "cgroup",
    "log",
    "profile",
    "power",
    "policy",
];

impl DeviceConfig {
    fn take(&mut self, section: &Section<'_>) -> Result<(), DocumentError> {
        let name = section.parsed("name", "a text in quotes", |name| {
            let fits = name.len() <= NAME_LIMIT && !name.chars().any(char::is_control);
            let problem =
                || format!("{name:?} is not a name of at most {NAME_LIMIT} bytes in one line");
            fits.then(|| name.to_owned()).ok_or_else(problem)
        })?;
        put(&mut self.name, name);
        if let Some(labels) = section.texts("labels", label)? {
            if labels.len() > LABELS {
                let problem = format!("{} labels, at most {LABELS} are accepted", labels.len());
                return Err(section.error("labels", problem));
            }
            self.labels = labels.into_iter().collect();
        }
        Ok(())
    }
}

impl AgentsConfig {
    fn take(&mut self, section: &Section<'_>) -> Result<(), DocumentError> {
        // The last two numbers are nobody (-2 in some worlds) and "no change" (-1).
        put(
            &mut self.first_uid,
            section.whole32("first_uid", 1..=u32::MAX - 2)?,
        );
        put(
            &mut self.uid_count,
            section.whole32("uid_count", 1..=65_536)?,
        );
        if self.first_uid.checked_add(self.uid_count).is_none() {
            let problem = format!(
                "{} users from {} on end above {}; begin lower or ask for fewer",
                self.uid_count,
                self.first_uid,
                u32::MAX - 1
            );
            return Err(section.error("uid_count", problem));
        }
        Ok(())
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("reading the configuration {}", file.display())]
    Read {
        /// Which.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any configuration.
    #[error("the configuration {} has more than {FILE_LIMIT} bytes; is it the right file?", file.display())]
    TooLarge {
        /// Which.
        file: PathBuf,
    },
    /// A key or value in the file is wrong.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A value from the environment or a flag is wrong.
    #[error("{origin}: {key}: {problem}")]
    Override {
        /// "environment" or "flag".
        origin: &'static str,
        /// The key, or the variable where it sets none.
        key: String,
        /// What is wrong, and what is valid.
        problem: String,
    },
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let error = |source| ConfigError::Read {
        file: file.to_owned(),
        source,
    };
    let open = std::fs::File::open(file).map_err(error)?;
    let mut text = String::new();
    open.take(FILE_LIMIT + 1)
        .read_to_string(&mut text)
        .map_err(error)?;
    if text.len() as u64 > FILE_LIMIT {
        return Err(ConfigError::TooLarge {
            file: file.to_owned(),
        });
    }
    Ok(text)
}

fn put<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn take_path(
    section: &Section<'_>,
    key: &'static str,
    limit: usize,
    place: &mut PathBuf,
) -> Result<(), DocumentError> {
    put(
        place,
        section.parsed(key, "an absolute path in quotes", |text| path(text, limit))?,
    );
    Ok(())
}

#[cfg(test)]
mod tests;
