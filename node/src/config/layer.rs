//! Layers above the file: environment and flags, for the few keys that differ between two daemons of one machine.

use std::ffi::OsString;

use lull_document::unknown_name;

use super::check::{filter, path};
use super::{ConfigError, NodeConfig, PATH_LIMIT, RUN_DIR_LIMIT};

/// The prefix of variables that set keys.
const VARIABLE_PREFIX: &str = "LULL_NODE_";

/// The keys that environment and flags can set.
const OVERRIDES: [&str; 4] = ["state_dir", "run_dir", "apps_dir", "log.level"];

/// Values of a layer above the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    origin: &'static str,
    values: Vec<(&'static str, OsString)>,
}

impl Overrides {
    /// From flags: pairs of key and value, those without value left out.
    pub fn flags<const N: usize>(flags: [(&'static str, Option<OsString>); N]) -> Self {
        let given = |(key, value): (&'static str, Option<OsString>)| value.map(|v| (key, v));
        Self {
            origin: "flag",
            values: flags.into_iter().filter_map(given).collect(),
        }
    }

    pub(super) fn from_variables(
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let mut overrides = Self {
            origin: "environment",
            values: Vec::new(),
        };
        for (variable, value) in variables {
            let variable = variable.to_string_lossy();
            let Some(name) = variable.strip_prefix(VARIABLE_PREFIX) else {
                continue;
            };
            let key = OVERRIDES.iter().find(|key| variable_of(key) == name);
            let Some(key) = key else {
                let known: Vec<String> = OVERRIDES.iter().map(|key| variable_of(key)).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(ConfigError::Override {
                    origin: "environment",
                    key: variable.to_string(),
                    problem: unknown_name("variable", name, &known),
                });
            };
            overrides.values.push((key, value));
        }
        Ok(overrides)
    }
}

/// `log.level` is `LOG_LEVEL` in the environment.
fn variable_of(key: &str) -> String {
    key.replace('.', "_").to_ascii_uppercase()
}

impl NodeConfig {
    /// Sets what a layer gives, checked as in the file.
    pub(super) fn apply(&mut self, overrides: Overrides) -> Result<(), ConfigError> {
        let origin = overrides.origin;
        let refuse = |key: &str, problem: String| ConfigError::Override {
            origin,
            key: key.to_owned(),
            problem,
        };
        let text = |key: &str, value: OsString| {
            let lossy = |value: OsString| {
                refuse(
                    key,
                    format!("{:?} is no UTF-8 text", value.to_string_lossy()),
                )
            };
            value.into_string().map_err(lossy)
        };
        for (key, value) in overrides.values {
            let value = text(key, value)?;
            let checked = |limit| path(&value, limit).map_err(|problem| refuse(key, problem));
            match key {
                "state_dir" => self.state_dir = checked(PATH_LIMIT)?,
                "run_dir" => self.run_dir = checked(RUN_DIR_LIMIT)?,
                "apps_dir" => self.apps_dir = checked(PATH_LIMIT)?,
                "log.level" => {
                    self.log.level = filter(&value).map_err(|problem| refuse(key, problem))?;
                }
                _ => return Err(refuse(key, unknown_name("key", key, &OVERRIDES))),
            }
        }
        Ok(())
    }
}
